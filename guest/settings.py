"""Whose signatures count: Fastly's, unless the config store `fanout` says otherwise.

The store may have the keys `key` (a public key as PEM or JWK, or a secret), `algorithm` (`ES256` or
`HS256`; ES256 by default) and `issuer` (by default `fastly:<service-id>`). For local work
`fastly.toml` has one. Source: GRIP §2.2, §14.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from jwt import InvalidKeyError

from grip.errors import LocalProtocolError
from grip.signature import FASTLY_FANOUT_KEY, Algorithm, Key, verify
from guest.es256 import ES256
from guest.messages import SetupError

__all__ = ["FRESH_S", "STORE", "Current", "Trust", "load"]

STORE = "fanout"

FRESH_S = 1.0
"""How long settings are used before they are read again, in seconds."""

MAX_TOKENS = 64
"""Tokens that are remembered; Fanout makes a new one every now and then."""


@dataclass(frozen=True, slots=True)
class Trust:
    """A key and an issuer: what they have signed is taken for Fanout's.

    A token is verified once: to verify costs more than all the rest of a request, and Fanout sends
    the same one many times. What is remembered belongs to this key and this issuer.
    """

    key: Key
    issuer: str
    _valid: dict[str, tuple[float, float]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def verify(self, token: str, now: float) -> None:
        """Check a `Grip-Sig`.

        Args:
            token: its value, any text.
            now: seconds since the epoch.

        Raises:
            SignatureError: it is not from Fanout, or too old.
        """
        since, until = self._valid.get(token, (0.0, 0.0))
        if since <= now < until:
            return
        claims = verify(token, self.key, self.issuer, now)
        if len(self._valid) >= MAX_TOKENS:
            self._valid.clear()
        self._valid[token] = now, claims.expires_at


class Current:
    """The settings as they are, or were a moment ago: a sandbox serves many requests in a second.

    A change is seen after `FRESH_S`, and what was remembered of other settings is gone then.
    """

    def __init__(self, read: Callable[[], Trust]) -> None:
        """Read the settings by `read` when they are first asked for; not before."""
        self._read = read
        self._trust: Trust | None = None
        self._read_at = 0.0

    def at(self, now: float) -> Trust:
        """Return the settings, not older than `FRESH_S`.

        Args:
            now: seconds since the epoch.

        Raises:
            SetupError: see `load`.
        """
        if self._trust is None or not 0 <= now - self._read_at < FRESH_S:
            trust = self._read()
            if trust != self._trust:
                self._trust = trust
            self._read_at = now
        return self._trust


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
