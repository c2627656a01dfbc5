"""What a client has sent and its backend has not taken yet: events in order, offered in batches.

A backend may take a batch in part only; the rest stays here and is offered again. Knows no request
and no time. Source: GRIP §11.5 (batches), §11.8 (keeping data back).
"""

from typing import Final

from grip.errors import RemoteProtocolError
from grip.ws_over_http.events import (
    Binary,
    Close,
    Disconnect,
    Event,
    Ping,
    Pong,
    Text,
    content_of,
    encode_events,
)

__all__ = ["MAX_PENDING_BYTES", "MAX_PENDING_EVENTS", "Outbox"]

MAX_PENDING_BYTES: Final = 200_000
"""Content that waits for a backend before its client is not read any more (GRIP §11.8)."""

MAX_PENDING_EVENTS: Final = 5_000
"""Events that wait, likewise; ours, because events without content take memory, too."""


class Outbox:
    """Events on their way to the backend of one connection.

    Attributes:
        pending_bytes: content of all events, those being offered included.
    """

    __slots__ = ("_batch", "_events", "_offered", "pending_bytes")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._offered = 0  # events at the front that a backend has seen before and not taken
        self._batch = 0  # events at the front that are being offered
        self.pending_bytes = 0

    def add(self, event: Event) -> None:
        """Append an event."""
        self._events.append(event)
        self.pending_bytes += len(content_of(event))

    @property
    def empty(self) -> bool:
        """Whether the backend has taken everything."""
        return not self._events

    @property
    def fresh(self) -> bool:
        """Whether there is an event the backend has never been offered."""
        return len(self._events) > self._offered

    @property
    def full(self) -> bool:
        """Whether no more should be added for now."""
        return self.pending_bytes >= MAX_PENDING_BYTES or len(self._events) >= MAX_PENDING_EVENTS

    @property
    def replayed_bytes(self) -> int:
        """Content that the next batch offers again."""
        return sum(len(content_of(event)) for event in self._events[: self._offered])

    def offer(self) -> bytes:
        """Return a body with the next batch: everything, up to the event that fills the limit."""
        size = 0
        self._batch = 0
        for event in self._events:
            if size >= MAX_PENDING_BYTES:
                break
            size += len(content_of(event))
            self._batch += 1
        return encode_events(self._events[: self._batch])

    def settle(self, accepted_bytes: int | None) -> None:
        """Remove what the backend has taken of the batch: all of it, or so many bytes of content.

        Raises:
            RemoteProtocolError: it took more than it was offered, or nothing although no more can
                be offered, or not all although that was the end.
        """
        batch = self._events[: self._batch]
        offered_bytes = sum(len(content_of(event)) for event in batch)
        if accepted_bytes is None:
            accepted_bytes = offered_bytes
        if accepted_bytes > offered_bytes:
            raise RemoteProtocolError(
                f"expected at most {offered_bytes} bytes to be accepted, got {accepted_bytes}"
            )
        if accepted_bytes < offered_bytes and any(
            isinstance(event, Close | Disconnect) for event in batch
        ):
            raise RemoteProtocolError("expected all to be accepted at the end of the connection")
        if accepted_bytes == 0 < offered_bytes and self.full:
            raise RemoteProtocolError("expected something to be accepted, the buffer is full")
        self.pending_bytes -= accepted_bytes
        taken = 0
        for event in batch:
            size = len(content_of(event))
            if size > accepted_bytes:
                if accepted_bytes:
                    self._events[taken] = _rest(event, accepted_bytes)
                break
            accepted_bytes -= size
            taken += 1
        del self._events[:taken]
        self._offered = self._batch - taken
        self._batch = 0


def _rest(event: Event, start: int) -> Event:
    """Return an event with the content from `start`."""
    assert isinstance(event, Text | Binary | Ping | Pong)
    return type(event)(event.content[start:])
