"""Whose signatures count: Fastly's, unless the config store `fanout` says otherwise.

The store may have the keys `key` (a public key as PEM or JWK, or a secret), `algorithm` (`ES256` or
`HS256`; ES256 by default) and `issuer` (by default `fastly:<service-id>`). For local work
`fastly.toml` has one. Source: GRIP §2.2, §14.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jwt import InvalidKeyError

from grip.errors import LocalProtocolError
from grip.signature import FASTLY_FANOUT_KEY, Algorithm, Key, verify
from guest.es256 import ES256
from guest.messages import SetupError

__all__ = ["STORE", "Trust", "load"]

STORE = "fanout"


@dataclass(frozen=True, slots=True)
class Trust:
    """A key and an issuer: what they have signed is taken for Fanout's."""

    key: Key
    issuer: str

    def verify(self, token: str, now: float) -> None:
        """Check a `Grip-Sig`.

        Args:
            token: its value, any text.
            now: seconds since the epoch.

        Raises:
            SignatureError: it is not from Fanout, or too old.
        """
        verify(token, self.key, self.issuer, now)


def load(lookup: Callable[[str], str | None], service_id: Callable[[], str]) -> Trust:
    """Read the settings.

    Args:
        lookup: a value of the config store, None for what it does not have.
        service_id: the id of this service; asked only if it matters.

    Raises:
        SetupError: there is a setting that makes no sense; it is never replaced by a default.
    """
    algorithm = lookup("algorithm") or Algorithm.ES256.value
    if algorithm not in Algorithm:
        raise SetupError(f"config store {STORE}: expected ES256 or HS256, got {algorithm!r}")
    text = lookup("key")
    try:
        key = Key.parse(text) if text else FASTLY_FANOUT_KEY
        if key.algorithm is Algorithm.ES256:
            ES256().prepare_key(key.material)
    except (LocalProtocolError, InvalidKeyError) as error:
        raise SetupError(f"config store {STORE}: {error}") from None
    if key.algorithm.value != algorithm:  # so that no public key is ever taken for a secret
        got = key.algorithm.value
        raise SetupError(f"config store {STORE}: expected a key for {algorithm}, got one for {got}")
    return Trust(key, lookup("issuer") or f"fastly:{service_id()}")
