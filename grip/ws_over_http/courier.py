"""How a client's events get to the backend: one request at a time, repeated if it must be.

Keeps what the backend wants to be told again with every request, and how often it wants to be
asked. What the events and replies mean is the session's business. Source: GRIP §11.2 (requests),
§11.3 (headers of replies), §11.5 (one at a time), §11.7 (repetition), §11.8 (keeping data back).
"""

from collections.abc import Sequence
from typing import Final

from grip.headers import Headers, Pair
from grip.ws_over_http.events import CONTENT_TYPE, Event
from grip.ws_over_http.outbox import Outbox
from grip.ws_over_http.reply import Reply, parse_reply
from grip.ws_over_http.steps import Ask

__all__ = ["MAX_META", "RETRY_DELAYS_S", "Courier"]

MAX_META: Final = 64
"""Names of metadata of a connection; more are ignored; ours."""

RETRY_DELAYS_S: Final = (1, 2, 4, 8, 16)
"""When to repeat a request that did not reach the backend, plus up to a second (GRIP §11.7)."""


class Courier:
    """The requests of one connection.

    Attributes:
        repeats: the event to send again whenever the backend is asked because of the time, until
            it is answered; None for a request without events.
    """

    __slots__ = (
        "_connection_id",
        "_interval_s",
        "_meta",
        "_outbox",
        "_poll_at",
        "_polls",
        "_refresh",
        "_request",
        "_retries",
        "_retry_at",
        "repeats",
    )

    def __init__(self, connection_id: str) -> None:
        self.repeats: Event | None = None
        self._connection_id = connection_id
        self._outbox = Outbox()
        self._request: Ask | None = None  # under way, or waiting to be repeated
        self._retries = 0
        self._retry_at: float | None = None
        self._refresh = False  # a request is due whether there are events or not
        self._interval_s = 0  # `Keep-Alive-Interval`
        self._polls = True
        self._poll_at: float | None = None
        self._meta: dict[str, Pair] = {}  # by lower-case name

    @property
    def deadline(self) -> float | None:
        """When to call `tick`, in seconds on the caller's clock; None for never."""
        return self._poll_at if self._retry_at is None else self._retry_at

    @property
    def full(self) -> bool:
        """Whether no more events should be added for now."""
        return self._outbox.full

    @property
    def waits(self) -> bool:
        """Whether the backend will be asked once time has passed."""
        return self.deadline is not None

    @property
    def idle(self) -> bool:
        """Whether no request is under way or due."""
        return self._request is None and not self._outbox.fresh and not self._refresh

    def add(self, event: Event) -> None:
        """Let the next request have `event`."""
        self._outbox.add(event)

    def refresh(self) -> None:
        """Let there be a next request in any case."""
        self._refresh = True

    def stop_polling(self) -> None:
        """Ask no more because of the time."""
        self._polls = self._refresh = False
        self._poll_at = None

    def proceed(self) -> Sequence[Ask]:
        """Return the next request if one is due and none is under way."""
        if self._request is not None or self.idle:
            return ()
        self._poll_at = None
        self._refresh = False
        replayed_bytes = self._outbox.replayed_bytes
        pairs = [
            ("Accept", CONTENT_TYPE),
            ("Content-Type", CONTENT_TYPE),
            ("Sec-WebSocket-Extensions", "grip"),
            ("Connection-Id", self._connection_id),
            *((f"Meta-{name}", value) for name, value in self._meta.values()),
        ]
        if replayed_bytes:
            pairs.append(("Content-Bytes-Replayed", str(replayed_bytes)))
        self._request = Ask(Headers(pairs), self._outbox.offer())
        return (self._request,)

    def settle(self, headers: Headers, body: bytes, now: float) -> Reply:
        """Take note of the reply to the request under way, and return what it says.

        Raises:
            RemoteProtocolError: it is malformed, or takes what it was not given.
        """
        self._request = None
        self._retries = 0
        reply = parse_reply(headers, body)
        self._outbox.settle(reply.accepted_bytes)
        for name, value in reply.meta:
            key = name.lower()
            if not value:
                self._meta.pop(key, None)
            elif key in self._meta or len(self._meta) < MAX_META:
                self._meta[key] = (name, value)
        if reply.keep_alive_interval_s is not None:
            self._interval_s = reply.keep_alive_interval_s
        if self._interval_s and self._polls:
            self._poll_at = now + self._interval_s
        return reply

    def postpone(self, chance: float, now: float) -> bool:
        """Repeat the request later, since it did not arrive; false when that is no use any more.

        `chance` is a random number from 0 up to 1.
        """
        if self._retries == len(RETRY_DELAYS_S):
            return False
        self._retry_at = now + RETRY_DELAYS_S[self._retries] + chance
        self._retries += 1
        return True

    def forsake(self) -> None:
        """Forget everything there was to tell the backend."""
        self._request = self._retry_at = None
        self._outbox = Outbox()
        self.stop_polling()

    def tick(self, now: float) -> Sequence[Ask]:
        """Return the request that is due because of the time."""
        if self._retry_at is not None and self._retry_at <= now:
            self._retry_at = None
            assert self._request is not None
            return (self._request,)
        if self._poll_at is not None and self._poll_at <= now:
            self._poll_at = None
            if self.repeats is not None:
                self._outbox.add(self.repeats)
            self._refresh = True
            return self.proceed()
        return ()
