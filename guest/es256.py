"""ES256 for PyJWT where there is no `cryptography`: ECDSA over P-256 by the `ecdsa` package.

Verifies only; a service has no private key. `ecdsa` is fast for points it is told are multiplied
often, for which it keeps tables. Those of the curve's generator and of Fastly's key are made when
this module is imported, which is while the component is built, and so come with it.
Source: RFC 7518 §3.4 (a signature is r and s, 32 bytes each).
"""

from functools import lru_cache
from hashlib import sha256
from typing import Any, NoReturn

from ecdsa import BadSignatureError, NIST256p, VerifyingKey
from ecdsa.ellipticcurve import PointJacobi
from jwt import InvalidKeyError, register_algorithm
from jwt.algorithms import Algorithm, has_crypto

from grip.signature import FASTLY_FANOUT_KEY

__all__ = ["ES256"]


class ES256(Algorithm):
    """The algorithm in PyJWT's shape; its keys are PEM texts."""

    def prepare_key(self, key: object) -> str:
        """Return the key if it is the PEM of a public one on P-256.

        Raises:
            InvalidKeyError: it is something else.
        """
        pem = str(key)
        load(pem)
        return pem

    def verify(self, msg: bytes, key: str, sig: bytes) -> bool:
        """Tell whether `sig` is a signature of `msg`; any bytes may be asked about."""
        try:
            return bool(load(key).verify(sig, msg, sha256))
        except BadSignatureError:
            return False

    def sign(self, msg: bytes, key: str) -> NoReturn:
        """Refuse."""
        raise NotImplementedError("expected a key to verify with, services do not sign")

    @staticmethod
    def to_jwk(key_obj: Any, as_dict: bool = False) -> NoReturn:
        """Refuse."""
        raise NotImplementedError("expected a key in PEM form, got one in JWK form")

    @staticmethod
    def from_jwk(jwk: Any) -> NoReturn:
        """Refuse."""
        raise NotImplementedError("expected a key in PEM form, got one in JWK form")


@lru_cache(maxsize=4)
def load(pem: str) -> VerifyingKey:
    """Parse a public key.

    Raises:
        InvalidKeyError: it is not one, or not on P-256.
    """
    try:
        key = VerifyingKey.from_pem(pem, hashfunc=sha256)
    except Exception as error:  # UnexpectedDER, binascii.Error, MalformedPointError, …
        raise InvalidKeyError(f"expected a public key in PEM form: {error}") from error
    if key.curve is not NIST256p:
        raise InvalidKeyError(f"expected a key on P-256, got one on {key.curve.name}")
    return with_table(key) if pem == FASTLY_FANOUT_KEY.material else key


def with_table(key: VerifyingKey) -> VerifyingKey:
    """Return the key with a table of multiples of its point: slow to make, quick to use."""
    point = key.pubkey.point
    point = PointJacobi(NIST256p.curve, point.x(), point.y(), 1, NIST256p.order, generator=True)
    _ = point * 2, NIST256p.generator * 2  # a point makes its table when it is first multiplied
    return VerifyingKey.from_public_point(point, NIST256p, sha256)


load(str(FASTLY_FANOUT_KEY.material))
if not has_crypto:
    register_algorithm("ES256", ES256())
