"""WebSocket frames of a client, read into whole messages, and messages written as frames.

The frames themselves are parsed, checked and written by `websockets`; here fragments are joined
and text is checked. Nothing is answered: pings and closes are for the backend.
Source: RFC 6455 §5 (framing), §7.4.1 (codes for what a client does wrong), §8.1 (UTF-8).
"""

import codecs
from collections.abc import Generator, Sequence
from typing import Final

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.frames import Close as CloseFrame
from websockets.frames import CloseCode, Frame, Opcode

from grip.ws_over_http.control import Outgoing
from grip.ws_over_http.events import (
    MAX_CONTROL_CONTENT_BYTES,
    NEED_DATA,
    Binary,
    Close,
    NeedData,
    Ping,
    Pong,
    Text,
)

__all__ = [
    "MAX_FRAGMENTS",
    "MAX_MESSAGE_BYTES",
    "ClientError",
    "MessageReader",
    "TooLargeError",
    "close_frame",
    "message_frame",
]

MAX_MESSAGE_BYTES: Final = 200_000
"""A larger message of a client drops the connection (GRIP §11.5)."""

MAX_FRAGMENTS: Final = 20_000
"""Fragments of one message, likewise; ours, since empty ones take memory, too."""

_OPCODES: Final[dict[type[Outgoing], Opcode]] = {
    Text: Opcode.TEXT,
    Binary: Opcode.BINARY,
    Ping: Opcode.PING,
    Pong: Opcode.PONG,
}


class ClientError(Exception):
    """The client broke the protocol, which is to be answered with a close frame.

    Attributes:
        code: close code that says how.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class TooLargeError(Exception):
    """The client sent more than is taken."""


class MessageReader:
    """Turns the bytes of a client into messages, pings, pongs and, at last, a close.

    What comes after a close or a fault is not read.
    """

    __slots__ = (
        "_buffer", "_closed", "_decoder", "_extensions", "_fragments", "_opcode", "_parser",
        "_size",
    )  # fmt: skip

    def __init__(self, extensions: Sequence[Extension] = ()) -> None:
        """Read frames of a connection with these extensions."""
        self._extensions = extensions
        self._buffer = bytearray()
        self._parser: Generator[None, None, Frame] | None = None  # of a frame that has begun
        self._opcode: Opcode | None = None  # of a message that has begun
        self._fragments: list[bytes] = []
        self._size = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self._closed = False

    def receive_data(self, data: bytes) -> None:
        """Take bytes."""
        if not self._closed:
            self._buffer += data

    def next_message(self) -> Outgoing | Close | NeedData:
        """Return the next message, or `NEED_DATA`.

        Raises:
            ClientError: the client broke the protocol.
            TooLargeError: a message is too large.
        """
        while not self._closed:
            try:
                frame = self._next_frame()
                if frame is None:
                    return NEED_DATA
                message = self._take(frame)
            except ProtocolError as error:
                self._close()
                raise ClientError(CloseCode.PROTOCOL_ERROR, str(error)) from None
            except UnicodeDecodeError:
                self._close()
                raise ClientError(CloseCode.INVALID_DATA, "text is not UTF-8") from None
            except PayloadTooBig:
                self._close()
                raise TooLargeError(f"a message has more than {MAX_MESSAGE_BYTES} bytes") from None
            if message is not None:
                return message
        return NEED_DATA

    def _next_frame(self) -> Frame | None:
        if self._parser is None:
            if not self._buffer:
                return None  # so that an idle connection keeps no parser
            # A control frame may come between the fragments of a message that is nearly too large.
            room = max(MAX_MESSAGE_BYTES - self._size, MAX_CONTROL_CONTENT_BYTES)
            self._parser = Frame.parse(
                self._read_exact, mask=True, max_size=room, extensions=self._extensions
            )
        try:
            next(self._parser)
        except StopIteration as parsed:
            self._parser = None
            frame: Frame = parsed.value
            return frame
        return None

    def _read_exact(self, count: int) -> Generator[None, None, bytes]:
        while len(self._buffer) < count:
            yield
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _take(self, frame: Frame) -> Outgoing | Close | None:
        data = bytes(frame.data)
        match frame.opcode:
            case Opcode.PING:
                return Ping(data)
            case Opcode.PONG:
                return Pong(data)
            case Opcode.CLOSE:
                close = CloseFrame.parse(data)
                self._close()
                return Close(int(close.code), close.reason) if data else Close()
            case Opcode.TEXT | Opcode.BINARY if self._opcode is not None:
                raise ProtocolError("expected a continuation frame")
            case Opcode.TEXT if frame.fin:
                data.decode()
                return Text(data)
            case Opcode.BINARY if frame.fin:
                return Binary(data)
            case Opcode.TEXT | Opcode.BINARY:
                self._opcode = frame.opcode
            case Opcode.CONT if self._opcode is None:
                raise ProtocolError("unexpected continuation frame")
        return self._join(data, final=frame.fin)

    def _join(self, data: bytes, *, final: bool) -> Text | Binary | None:
        """Take a fragment of a message; text that is wrong is noticed at once."""
        if self._opcode is Opcode.TEXT:
            if self._decoder is None:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
            self._decoder.decode(data, final)
        self._size += len(data)
        if self._size > MAX_MESSAGE_BYTES or len(self._fragments) == MAX_FRAGMENTS:
            raise PayloadTooBig(self._size, MAX_MESSAGE_BYTES)
        self._fragments.append(data)
        if not final:
            return None
        content = b"".join(self._fragments)
        message = Text(content) if self._opcode is Opcode.TEXT else Binary(content)
        self._reset()
        return message

    def _reset(self) -> None:
        self._opcode = self._decoder = None
        self._fragments = []
        self._size = 0

    def _close(self) -> None:
        self._closed = True
        self._buffer.clear()
        self._parser = None
        self._reset()


def message_frame(message: Outgoing, extensions: Sequence[Extension] = ()) -> bytes:
    """Return a message, a ping or a pong as one frame, encoded by `extensions`."""
    frame = Frame(_OPCODES[type(message)], message.content)
    return frame.serialize(mask=False, extensions=extensions)


def close_frame(code: int, reason: str) -> bytes:
    """Return a close frame."""
    data = CloseFrame(code, reason).serialize()
    return Frame(Opcode.CLOSE, data).serialize(mask=False, extensions=None)
