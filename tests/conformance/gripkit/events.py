"""The body format of WebSocket-over-HTTP: a sequence of typed events."""

from collections.abc import Iterable
from dataclasses import dataclass

CONTENT_TYPE = "application/websocket-events"


class EventFormatError(ValueError):
    """The bytes are not a well-formed sequence of events."""


@dataclass(frozen=True)
class Event:
    """One event. `content` is None if the event was sent without a length."""

    type: str
    content: bytes | None = None

    def __repr__(self) -> str:
        return self.type if self.content is None else f"{self.type}{self.content!r}"

    def encode(self) -> bytes:
        """Return the event as it goes on the wire."""
        if self.content is None:
            return f"{self.type}\r\n".encode()
        return f"{self.type} {len(self.content):x}\r\n".encode() + self.content + b"\r\n"


OPEN = Event("OPEN")
DISCONNECT = Event("DISCONNECT")


def text(content: str | bytes) -> Event:
    """Return a TEXT event."""
    return Event("TEXT", content.encode() if isinstance(content, str) else content)


def binary(content: bytes) -> Event:
    """Return a BINARY event."""
    return Event("BINARY", content)


def ping(content: bytes | None = None) -> Event:
    """Return a PING event."""
    return Event("PING", content)


def pong(content: bytes | None = None) -> Event:
    """Return a PONG event."""
    return Event("PONG", content)


def close(code: int | None = None, reason: str = "") -> Event:
    """Return a CLOSE event, with the big-endian code and the reason if there is a code."""
    if code is None:
        return Event("CLOSE")
    return Event("CLOSE", code.to_bytes(2, "big") + reason.encode())


def encode(events: Iterable[Event]) -> bytes:
    """Return events as a message body."""
    return b"".join(event.encode() for event in events)


def decode(body: bytes) -> list[Event]:
    """Parse a message body strictly."""
    events = []
    rest = body
    while rest:
        line, newline, rest = rest.partition(b"\r\n")
        if not newline:
            raise EventFormatError(f"event line without CRLF: {line!r}")
        kind, space, size = line.partition(b" ")
        if not space:
            events.append(Event(kind.decode()))
            continue
        length = int(size, 16)
        content, tail, rest = rest[:length], rest[length : length + 2], rest[length + 2 :]
        if len(content) != length or tail != b"\r\n":
            raise EventFormatError(f"content of {kind!r} is not {length} bytes and a CRLF")
        events.append(Event(kind.decode(), content))
    return events
