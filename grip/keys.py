"""The keys of `Grip-Sig`, in the forms people write into a configuration.

A key says which algorithm it is for. Signing and verifying is in `grip.signature`, which imports
PyJWT and, with it, `cryptography`: much for a process that may never sign.
Source: GRIP §2.2; RFC 7517, 7518.
"""

import base64
import binascii
import dataclasses
import enum
import re
from collections.abc import Mapping

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.json_object import load_json

__all__ = ["FASTLY_FANOUT_KEY", "Algorithm", "Key"]

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
