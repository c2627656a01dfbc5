"""`Grip-Sig`: proof that a request came through the proxy, a JWT signed with a key both know.

The cryptography and the JWT format are PyJWT's. What is decided here: the *key* says which
algorithm is used, never the token (RFC 8725 §3.1); `exp` is required; the time is the caller's.
The only module of the package that imports PyJWT. It needs `cryptography` for ES256, unless
something else was registered with PyJWT under that name.
Source: GRIP §2.2; RFC 7515, 7517, 7518, 7519.
"""

import base64
import binascii
import dataclasses
import enum
import functools
import json
import re
from collections.abc import Mapping

import jwt
from jwt.algorithms import HMACAlgorithm

from grip.errors import LocalProtocolError, RemoteProtocolError, SignatureError, shorten
from grip.json_object import load_json

__all__ = ["FASTLY_FANOUT_KEY", "Algorithm", "Claims", "Key", "sign", "verify"]

MAX_TOKEN = 8192  # characters; a token of Fanout has some 200
MAX_TOKEN_HEADER = 1024  # of them before the first dot, which is read before anything is verified
LIFETIME_S = 3600

# SubjectPublicKeyInfo of a point on P-256 up to the point, and ECPrivateKey around both numbers
# (RFC 5480 §2, RFC 5915 §3).
_PUBLIC_DER = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_PRIVATE_DER = bytes.fromhex("30770201010420")
_PRIVATE_DER_POINT = bytes.fromhex("a00a06082a8648ce3d030107a14403420004")
_P256_OID = bytes.fromhex("06082a8648ce3d030107")
# How the base64 of a key in DER begins: public (with a point, compressed), private (PKCS #8 with
# and without the public key, RFC 5915).
_PEM_BODIES = {
    "MFkwEwYHKoZIzj0CAQ": "PUBLIC KEY",
    "MDkwEwYHKoZIzj0CAQ": "PUBLIC KEY",
    "MIGHAgEAMBMGByqGSM49": "PRIVATE KEY",
    "MEECAQAwEwYHKoZIzj0C": "PRIVATE KEY",
    "MHcCAQEEI": "EC PRIVATE KEY",
}
# Other blocks, such as EC PARAMETERS, may stand around the key.
_PEM = re.compile(
    r"-----BEGIN ((?:EC )?(?:PUBLIC|PRIVATE) KEY)-----(.*?)-----END \1-----", re.DOTALL
)


class Algorithm(enum.Enum):
    """The algorithms of GRIP, by their names in JWTs (RFC 7518 §3.1)."""

    HS256 = "HS256"
    ES256 = "ES256"


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A key, and the one algorithm it is for.

    Attributes:
        material: what PyJWT takes for the algorithm: bytes for HS256; for ES256 a PEM text, or an
            object that PyJWT has prepared. Never shown in a `repr`.
    """

    algorithm: Algorithm
    material: object = dataclasses.field(repr=False)

    @classmethod
    def parse(cls, text: str | bytes) -> "Key":
        """Tell the form of a key as people write it into a configuration.

        PEM, the base64 body of a PEM, and JWK as JSON are for ES256 (a JWK of type `oct` for
        HS256); `base64:...` and everything else is a secret for HS256.

        Raises:
            LocalProtocolError: the key has one of these forms, but cannot be used.
        """
        if isinstance(text, bytes):
            try:
                text = text.decode()
            except UnicodeDecodeError:
                return cls.secret(text)
        stripped = text.strip()
        if "-----BEGIN" in stripped or any(map(stripped.startswith, _PEM_BODIES)):
            return cls.pem(stripped)
        if stripped.startswith("{"):
            return cls.jwk(stripped)
        return cls.secret(text)

    @classmethod
    def secret(cls, secret: str | bytes) -> "Key":
        """Build an HS256 key from a shared secret; text may be `base64:...`.

        How long a secret is, is its owner's choice; RFC 7518 §3.2 asks for 32 bytes.

        Raises:
            LocalProtocolError: the secret is empty, or not Base64 as it says.
        """
        if isinstance(secret, str):
            prefix, separator, encoded = secret.partition(":")
            if separator and prefix == "base64":
                # A `+` in a URL is easily turned into a space.
                secret = _decode("secret", encoded.strip().replace(" ", "+"))
            else:
                secret = secret.encode("utf-8", "surrogateescape")
        if not secret:
            raise LocalProtocolError("expected a secret, got an empty one")
        return cls(Algorithm.HS256, secret)

    @classmethod
    def pem(cls, text: str) -> "Key":
        """Build an ES256 key from a PEM, public or private, or from its base64 body alone.

        Raises:
            LocalProtocolError: it is something else, such as an RSA or encrypted key.
        """
        text = text.strip()
        match = _PEM.search(text)
        if match is not None:
            label, body = match.groups()
        else:
            body = text
            label = next(
                (_PEM_BODIES[start] for start in _PEM_BODIES if text.startswith(start)), ""
            )
        der = _decode("key", "".join(body.split())) if label else b""
        if _P256_OID not in der:
            raise LocalProtocolError("expected a PEM of a key on P-256, or the body of one")
        return cls(Algorithm.ES256, _pem(label, der))

    @classmethod
    def jwk(cls, jwk: str | Mapping[str, object]) -> "Key":
        """Build a key from a JWK (RFC 7517): `EC` on P-256 for ES256, or `oct` for HS256.

        Raises:
            LocalProtocolError: it is of another type, or not complete.
        """
        if isinstance(jwk, str):
            try:
                document = load_json(jwk)
            except RemoteProtocolError:
                document = None
            if not isinstance(document, dict):
                raise LocalProtocolError("expected a JWK, got something that is no JSON object")
            jwk = document
        match jwk.get("kty"), jwk.get("crv"):
            case "oct", _:
                return cls.secret(_number(jwk, "k"))
            case "EC", "P-256":
                point = _number(jwk, "x", 32) + _number(jwk, "y", 32)
                if "d" not in jwk:
                    return cls(Algorithm.ES256, _pem("PUBLIC KEY", _PUBLIC_DER + point))
                der = _PRIVATE_DER + _number(jwk, "d", 32) + _PRIVATE_DER_POINT + point
                return cls(Algorithm.ES256, _pem("EC PRIVATE KEY", der))
            case kind:
                raise LocalProtocolError(f"expected a JWK of EC and P-256, or oct, got {kind}")


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


def _pem(label: str, der: bytes) -> str:
    lines = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n"


def _number(jwk: Mapping[str, object], name: str, length: int | None = None) -> bytes:
    """Return a field of a JWK, base64url without padding, of `length` bytes if that is given."""
    value = jwk.get(name)
    if isinstance(value, str):
        number = _decode(f"{name} of JWK", value.translate({ord("-"): "+", ord("_"): "/"}))
        if length in (None, len(number)):
            return number
    raise LocalProtocolError(f"expected {length or 'some'} bytes for {name} of the JWK")


def _decode(what: str, text: str) -> bytes:
    """Decode Base64 strictly, padding or not; the error does not repeat the text."""
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise LocalProtocolError(f"expected Base64 for the {what}") from None


# Signs the requests of all Fastly services (GRIP §2.2).
FASTLY_FANOUT_KEY = Key.pem(
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECKo5A1ebyFcnmVV8SE5On+8G81Jy"
    "BjSvcrx4VLetWCjuDAmppTo3xM/zz763COTCgHfp/6lPdCyYjjqc+GM7sw=="
)
