"""Makes the `Grip-Sig` of a proxy, one for each request. Source: GRIP §2.2."""

import time

from grip import signature

__all__ = ["Signer"]


class Signer:
    """Signs in the name of one issuer; call it for a signature that is valid for an hour."""

    def __init__(self, key: signature.Key, issuer: str) -> None:
        self._key = key
        self._issuer = issuer

    def __call__(self) -> str:
        """Return the value of a `Grip-Sig`."""
        return signature.sign(self._key, self._issuer, time.time())
