"""`Grip-Sig`: proof that a request came through the proxy, a JWT signed with a key both know.

The cryptography and the JWT format are PyJWT's. What is decided here: the *key* says which
algorithm is used, never the token (RFC 8725 §3.1); `exp` is required; the time is the caller's.
The only module of the package that imports PyJWT. It needs `cryptography` for ES256, unless
something else was registered with PyJWT under that name.
Source: GRIP §2.2; RFC 7515, 7517, 7518, 7519.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping

import jwt
from jwt.algorithms import HMACAlgorithm

from grip.errors import LocalProtocolError, RemoteProtocolError, SignatureError, shorten
from grip.json_object import load_json
from grip.keys import FASTLY_FANOUT_KEY, Algorithm, Key

__all__ = ["FASTLY_FANOUT_KEY", "Algorithm", "Claims", "Key", "sign", "verify"]

MAX_TOKEN = 8192  # characters; a token of Fanout has some 200
MAX_TOKEN_HEADER = 1024  # of them before the first dot, which is read before anything is verified
LIFETIME_S = 3600


@dataclasses.dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says.

    Attributes:
        issuer: `iss`, None without.
        expires_at: `exp`, in seconds since the epoch.
        claims: all claims.
    """

    issuer: str | None
    expires_at: float
    claims: Mapping[str, object]


def sign(key: Key, issuer: str, now: float, lifetime_s: int = LIFETIME_S) -> str:
    """Return a token.

    Args:
        key: a secret or private key.
        issuer: the claim `iss`.
        now: seconds since the epoch.
        lifetime_s: seconds until it expires.

    Raises:
        LocalProtocolError: the key cannot sign.
    """
    payload = json.dumps({"iss": issuer, "exp": int(now) + lifetime_s}, separators=(",", ":"))
    try:
        return _jws(key.algorithm).encode(
            payload.encode(),
            key.material,  # type: ignore[arg-type]  # any object, PyJWT's algorithm judges it
            algorithm=key.algorithm.value,
            sort_headers=False,
        )
    except (jwt.PyJWTError, NotImplementedError, AttributeError, TypeError, ValueError) as error:
        # AttributeError: PyJWT asks a public key to sign.
        raise LocalProtocolError(
            f"key for {key.algorithm.value} cannot sign: {type(error).__name__}"
        ) from None


def verify(token: str, key: Key, issuer: str | None, now: float) -> Claims:
    """Return the claims of a token that was signed with `key` and is valid at `now`.

    Args:
        token: value of the `Grip-Sig` header, any text.
        key: a secret, or a public or private key.
        issuer: the `iss` to insist on, None for any.
        now: seconds since the epoch.

    Raises:
        SignatureError: it is not valid; the message says why, and does not repeat the token.
    """
    if len(token) > MAX_TOKEN or token.find(".") > MAX_TOKEN_HEADER:
        raise SignatureError(f"expected at most {MAX_TOKEN} characters, got {len(token)}")
    try:
        payload = _jws(key.algorithm).decode(
            token,
            key.material,  # type: ignore[arg-type]  # any object, PyJWT's algorithm judges it
            algorithms=[key.algorithm.value],
        )
        claims = load_json(payload)
    except (jwt.PyJWTError, NotImplementedError, TypeError, ValueError, RecursionError) as error:
        raise SignatureError(f"token does not verify: {shorten(str(error))}") from None
    except RemoteProtocolError:
        raise SignatureError("expected claims as JSON") from None
    if not isinstance(claims, dict):
        raise SignatureError("expected claims as a JSON object")
    expires_at = _time(claims, "exp")
    if expires_at is None:
        raise SignatureError("expected claim exp, got none")
    if now >= expires_at:
        raise SignatureError(f"token expired {now - expires_at:.0f} s ago")
    not_before = _time(claims, "nbf")
    if not_before is not None and now < not_before:
        raise SignatureError(f"token is not valid before {not_before - now:.0f} s from now")
    if "aud" in claims:  # RFC 7519 §4.1.3: whoever is not named must not accept it
        raise SignatureError("token is meant for an audience, GRIP knows none")
    found = claims.get("iss")
    if issuer is not None and found != issuer:
        raise SignatureError(f"expected issuer {shorten(issuer)}, got {shorten(found)}")
    return Claims(found if isinstance(found, str) else None, expires_at, claims)


@functools.cache
def _jws(algorithm: Algorithm) -> jwt.PyJWS:
    """Return PyJWT knowing this algorithm and no other, so that no token can choose."""
    jws = jwt.PyJWS(algorithms=[])
    if algorithm is Algorithm.HS256:
        jws.register_algorithm(algorithm.value, _Hs256(HMACAlgorithm.SHA256))
    else:
        jws.register_algorithm(algorithm.value, jwt.get_algorithm_by_name(algorithm.value))
    return jws


class _Hs256(HMACAlgorithm):
    """HS256 without advice about short secrets, which PyJWT would give with every request."""

    def check_key_length(self, _key: bytes) -> str | None:
        return None


def _time(claims: Mapping[str, object], name: str) -> float | None:
    """Return a claim that is a time, or None if there is none."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SignatureError(f"expected a number for claim {name}, got {shorten(value)}")
    try:
        return float(value)
    except OverflowError:
        raise SignatureError(f"expected a time for claim {name}, got {shorten(value)}") from None
