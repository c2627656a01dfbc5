"""WebSocket-over-HTTP events and their codec: a body is a sequence of typed pieces of content.

An event is `TYPE CRLF`, or `TYPE SP length CRLF content CRLF` with the length of the content in
bytes, hexadecimal. The codec knows no connection and no control messages; its only state is the
buffer. It is stricter than Pushpin, which does not notice content that is too short, lacks its
CRLF, or could not be sent as a WebSocket frame.
Sources: GRIP §11.1; RFC 6455 §5.5 (control frames), §5.5.1 and §7.4 (close), §5.6 (text).
"""

import dataclasses
import enum
from collections.abc import Callable, Iterable
from typing import Final, assert_never

from grip.errors import LocalProtocolError, RemoteProtocolError, shorten

__all__ = [
    "CONTENT_TYPE",
    "MAX_BODY_BYTES",
    "MAX_CONTROL_CONTENT_BYTES",
    "MAX_EVENTS",
    "MAX_LINE_BYTES",
    "NEED_DATA",
    "Binary",
    "Close",
    "Disconnect",
    "Event",
    "EventDecoder",
    "Message",
    "NeedData",
    "Open",
    "Ping",
    "Pong",
    "Text",
    "content_of",
    "decode_events",
    "encode_events",
    "is_close_code",
]

CONTENT_TYPE: Final = "application/websocket-events"
"""Media type of a body of events, in both directions (GRIP §11.2, §11.3)."""

MAX_BODY_BYTES: Final = 1_000_000
"""Size of a reply (GRIP §13)."""

MAX_EVENTS: Final = 50_000
"""Events in one body, skipped ones included; ours, so that a body cannot be all overhead."""

MAX_LINE_BYTES: Final = 256
"""Size of a type line without its CRLF; ours."""

MAX_CONTROL_CONTENT_BYTES: Final = 125
"""Content of a ping, pong or close (RFC 6455 §5.5)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Open:
    """The handshake, or that it is accepted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A text message, in UTF-8.

    The constructor does not check that: the rest of a message that a backend took only in part
    (GRIP §11.8) may start within a character.
    """

    content: bytes

    @property
    def text(self) -> str:
        """The message as a string."""
        return self.content.decode()


@dataclasses.dataclass(frozen=True, slots=True)
class Binary:
    """A binary message."""

    content: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Ping:
    """A ping; at most 125 bytes, or `LocalProtocolError`."""

    content: bytes = b""

    def __post_init__(self) -> None:
        _check_control_content(self.content)


@dataclasses.dataclass(frozen=True, slots=True)
class Pong:
    """A pong; at most 125 bytes, or `LocalProtocolError`."""

    content: bytes = b""

    def __post_init__(self) -> None:
        _check_control_content(self.content)


@dataclasses.dataclass(frozen=True, slots=True)
class Close:
    """A close frame, or the wish to send one.

    Raises:
        LocalProtocolError: the code may not be sent (RFC 6455 §7.4), there is a reason without a
            code, or the reason is not text or longer than 123 bytes.
    """

    code: int | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.code is None:
            if self.reason:
                raise LocalProtocolError(f"expected a code with reason {shorten(self.reason)}")
        elif not is_close_code(self.code):
            raise LocalProtocolError(f"expected a close code that may be sent, got {self.code}")
        _check_control_content(_close_content(self))


@dataclasses.dataclass(frozen=True, slots=True)
class Disconnect:
    """The connection ends without a close frame."""


type Message = Text | Binary
"""What a user sends or receives."""

type Event = Open | Text | Binary | Ping | Pong | Close | Disconnect
"""One event of a request or reply."""


class NeedData(enum.Enum):
    """Type of `NEED_DATA`."""

    NEED_DATA = enum.auto()


NEED_DATA: Final = NeedData.NEED_DATA
"""Returned by `EventDecoder.next_event` while the next event is incomplete."""


def is_close_code(code: int) -> bool:
    """Tell whether a close frame may carry `code` (RFC 6455 §7.4 and its IANA registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def content_of(event: Event) -> bytes:
    """Return the content of an event as it goes on the wire; empty if it has none."""
    match event:
        case Text() | Binary() | Ping() | Pong():
            return event.content
        case Close():
            return _close_content(event)
        case Open() | Disconnect():
            return b""
        case _:
            assert_never(event)


def encode_events(events: Iterable[Event]) -> bytes:
    """Return events as a body; empty content is left out together with its length."""
    parts: list[bytes] = []
    for event in events:
        name = _NAMES[type(event)]
        content = content_of(event)
        if content:
            parts.append(b"%b %x\r\n%b\r\n" % (name, len(content), content))
        else:
            parts.append(name + b"\r\n")
    return b"".join(parts)


def decode_events(
    body: bytes, *, max_bytes: int = MAX_BODY_BYTES, max_events: int = MAX_EVENTS
) -> list[Event]:
    """Return the events of a whole body, unknown types left out.

    Raises:
        RemoteProtocolError: the body is malformed or exceeds a limit.
    """
    decoder = EventDecoder(max_bytes=max_bytes, max_events=max_events)
    decoder.receive_data(body)
    events: list[Event] = []
    while (event := decoder.next_event()) is not NEED_DATA:
        events.append(event)
    decoder.receive_end()
    return events


class EventDecoder:
    """Turns a body that arrives in pieces into events; where it is split makes no difference.

    Feed it with `receive_data`, take events with `next_event` until that returns `NEED_DATA`, and
    call `receive_end` when the body is complete. After an error it must not be used any more.
    """

    __slots__ = ("_begun", "_buffer", "_events", "_max_bytes", "_max_events", "_passed")

    def __init__(self, *, max_bytes: int = MAX_BODY_BYTES, max_events: int = MAX_EVENTS) -> None:
        self._max_bytes = max_bytes
        self._max_events = max_events
        self._buffer = bytearray()
        self._passed = 0  # bytes of the body before the buffer
        self._events = 0
        self._begun: tuple[bytes, int | None] | None = None  # type line read, content still to come

    def receive_data(self, data: bytes) -> None:
        """Take the next piece of the body."""
        self._buffer += data

    def next_event(self) -> Event | NeedData:
        """Return the next event of a known type, or `NEED_DATA`.

        Raises:
            RemoteProtocolError: the event is malformed or exceeds a limit; `offset` is the byte of
                the body where that shows.
        """
        while True:
            if self._begun is None:
                self._begun = self._read_line()
            if self._begun is None:
                return NEED_DATA
            name, length = self._begun
            content = b""
            start = self._passed
            if length is not None:
                if len(self._buffer) < length + 2:
                    return NEED_DATA
                content = self._take(length)
                if self._take(2) != b"\r\n":
                    raise RemoteProtocolError(
                        f"expected CRLF after {length} bytes of content", offset=start + length
                    )
            self._begun = None
            if (build := _BUILDERS.get(name)) is not None:
                try:
                    return build(content)
                except LocalProtocolError as error:
                    raise RemoteProtocolError(str(error), offset=start) from None

    def receive_end(self) -> None:
        """Check that the body ends with an event.

        Raises:
            RemoteProtocolError: it breaks off within one.
        """
        if self._begun is not None or self._buffer:
            missing = "CRLF after a type" if self._begun is None else "the rest of the content"
            end = self._passed + len(self._buffer)
            raise RemoteProtocolError(f"expected {missing}, got the end of the body", offset=end)

    def _read_line(self) -> tuple[bytes, int | None] | None:
        """Return the next type and, if there is one, the length of its content."""
        start = self._passed
        newline = self._buffer.find(b"\n", 0, MAX_LINE_BYTES + 2)
        if newline < 0:
            if len(self._buffer) >= MAX_LINE_BYTES + 2:
                raise RemoteProtocolError(
                    f"expected a type line of at most {MAX_LINE_BYTES} bytes", offset=start
                )
            if self._buffer:
                self._check_size(start + len(self._buffer) + 1)
            return None
        self._check_size(start + newline + 1)
        if not self._buffer.startswith(b"\r\n", max(newline - 1, 0)):
            raise RemoteProtocolError("expected CRLF, got a bare LF", offset=start + newline)
        if self._events == self._max_events:
            raise RemoteProtocolError(f"expected at most {self._max_events} events", offset=start)
        self._events += 1
        name, space, digits = self._take(newline + 1)[:-2].partition(b" ")
        if not space:
            return name, None
        if not digits or digits.strip(_HEX_DIGITS):
            raise RemoteProtocolError(
                f"expected a hexadecimal length, got {shorten(digits)}",
                offset=start + len(name) + 1,
            )
        length = int(digits, 16)
        self._check_size(self._passed + length + 2)
        return name, length

    def _check_size(self, end: int) -> None:
        if end > self._max_bytes:
            raise RemoteProtocolError(
                f"expected at most {self._max_bytes} bytes of events", offset=self._max_bytes
            )

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._passed += count
        return taken


def _close_content(event: Close) -> bytes:
    if event.code is None:
        return b""
    try:
        return event.code.to_bytes(2) + event.reason.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError(f"expected text, got {shorten(event.reason)}") from None


def _check_control_content(content: bytes) -> None:
    if len(content) > MAX_CONTROL_CONTENT_BYTES:
        raise LocalProtocolError(
            f"expected at most {MAX_CONTROL_CONTENT_BYTES} bytes, got {len(content)}"
        )


def _parse_text(content: bytes) -> Text:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise LocalProtocolError(f"expected UTF-8 in a text message: {error.reason}") from None
    return Text(content)


def _parse_close(content: bytes) -> Close:
    if not content:
        return Close()
    if len(content) == 1:
        raise LocalProtocolError("expected a close code of 2 bytes, got 1 byte")
    code = int.from_bytes(content[:2])
    if code == 0:  # what the common GRIP libraries send for a close without a code
        return Close()
    try:
        return Close(code, content[2:].decode())
    except UnicodeDecodeError as error:
        raise LocalProtocolError(f"expected UTF-8 in a close reason: {error.reason}") from None


_HEX_DIGITS: Final = b"0123456789abcdefABCDEF"

_NAMES: Final[dict[type[Event], bytes]] = {
    Open: b"OPEN",
    Text: b"TEXT",
    Binary: b"BINARY",
    Ping: b"PING",
    Pong: b"PONG",
    Close: b"CLOSE",
    Disconnect: b"DISCONNECT",
}

# What makes an event of its content; content of events that have none is ignored.
_BUILDERS: Final[dict[bytes, Callable[[bytes], Event]]] = {
    b"OPEN": lambda _: Open(),
    b"TEXT": _parse_text,
    b"BINARY": Binary,
    b"PING": Ping,
    b"PONG": Pong,
    b"CLOSE": _parse_close,
    b"DISCONNECT": lambda _: Disconnect(),
}
