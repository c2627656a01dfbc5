"""Makes the `Grip-Sig` of a proxy for each request. Source: GRIP §2.2."""

import time

from grip.keys import Key

__all__ = ["Signer"]


class Signer:
    """Signs in the name of one issuer; call it for a signature that is valid for an hour."""

    def __init__(self, key: Key, issuer: str) -> None:
        self._key = key
        self._issuer = issuer
        self._second = -1
        self._token = ""

    def __call__(self) -> str:
        """Return the value of a `Grip-Sig`: the same one within a second, which is what it counts.

        Signing is a tenth of the work for a hold, and a guest verifies a token once.
        """
        second = int(time.time())
        if second != self._second:
            # Not before the first: who never hands off, waits for no cryptography at the start.
            from grip.signature import sign

            self._token = sign(self._key, self._issuer, second)
            self._second = second
        return self._token
