"""A client's frames read into messages (RFC 6455 §5, §7.4.1, §8.1; GRIP §11.5)."""

import pytest
from websockets.frames import Frame, Opcode

from grip.ws_over_http.control import Outgoing
from grip.ws_over_http.events import NEED_DATA, Binary, Close, Ping, Pong, Text
from host_sim.fanout.frames import (
    MAX_FRAGMENTS,
    MAX_MESSAGE_BYTES,
    ClientError,
    MessageReader,
    TooLargeError,
    close_frame,
    message_frame,
)


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def raw(first: int, data: bytes) -> bytes:
    """Return a short masked frame with any first byte; the mask is zero."""
    return bytes([first, 0x80 | len(data)]) + b"\0\0\0\0" + data


def read(*data: bytes) -> list[Outgoing | Close]:
    reader = MessageReader()
    messages: list[Outgoing | Close] = []
    for piece in data:
        reader.receive_data(piece)
        while (message := reader.next_message()) is not NEED_DATA:
            messages.append(message)
    return messages


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (frame(Opcode.TEXT, "é".encode()), Text("é".encode())),
        (frame(Opcode.TEXT, b""), Text(b"")),
        (frame(Opcode.BINARY, b"\xff"), Binary(b"\xff")),
        (frame(Opcode.PING, b"p"), Ping(b"p")),
        (frame(Opcode.PONG, b""), Pong()),
        (frame(Opcode.CLOSE, b""), Close()),
        (frame(Opcode.CLOSE, b"\x0f\xa0bye"), Close(4000, "bye")),
        (frame(Opcode.BINARY, b"x" * MAX_MESSAGE_BYTES), Binary(b"x" * MAX_MESSAGE_BYTES)),
    ],
    ids=["text", "no text", "binary", "ping", "pong", "close", "close code", "large"],  # no masks
)
def test_one_frame_is_one_message(data: bytes, message: Outgoing | Close) -> None:
    assert read(data) == [message]


def test_fragments_are_joined_and_may_be_interrupted() -> None:
    """RFC 6455 §5.4; text may be split within a character."""
    euro = "€".encode()
    data = (
        frame(Opcode.TEXT, euro[:1], fin=False)
        + frame(Opcode.PING, b"p")
        + frame(Opcode.CONT, b"", fin=False)
        + frame(Opcode.CONT, euro[1:])
        + frame(Opcode.BINARY, b"a", fin=False)
        + frame(Opcode.CONT, b"b")
    )
    assert read(data) == [Ping(b"p"), Text(euro), Binary(b"ab")]
    assert read(*(data[at : at + 1] for at in range(len(data)))) == read(data)


def test_nothing_is_read_after_a_close() -> None:
    assert read(frame(Opcode.CLOSE, b"") + frame(Opcode.TEXT, b"a"), b"\xff") == [Close()]


def test_a_close_may_interrupt_a_message() -> None:
    assert read(frame(Opcode.TEXT, b"a", fin=False) + frame(Opcode.CLOSE, b"")) == [Close()]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (raw(0xC1, b"a"), 1002),
        (raw(0x83, b""), 1002),
        (raw(0x8B, b""), 1002),
        (b"\x81\x00", 1002),
        (frame(Opcode.CONT, b"a"), 1002),
        (frame(Opcode.TEXT, b"a", fin=False) + frame(Opcode.TEXT, b"b"), 1002),
        (raw(0x09, b""), 1002),
        (b"\x89\xfe\x00\x7e" + b"\0" * 130, 1002),
        (frame(Opcode.CLOSE, b"\x03"), 1002),
        (frame(Opcode.CLOSE, b"\x03\xed"), 1002),
        (frame(Opcode.CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(Opcode.TEXT, b"\xff"), 1007),
        (frame(Opcode.TEXT, b"\xed\xa0\x80"), 1007),
        (frame(Opcode.TEXT, b"\xff", fin=False), 1007),
        (frame(Opcode.TEXT, b"\xe2", fin=False) + frame(Opcode.CONT, b""), 1007),
    ],
    ids=[
        "reserved bit",
        "reserved opcode",
        "reserved control opcode",
        "not masked",
        "continues nothing",
        "does not continue",
        "fragmented ping",
        "long ping",
        "close of one byte",
        "close with a code that may not be sent",
        "close reason",
        "text",
        "surrogate",
        "text noticed at once",
        "text that breaks off",
    ],
)
def test_faults_have_a_close_code_and_end_the_reading(data: bytes, code: int) -> None:
    reader = MessageReader()
    reader.receive_data(data)
    with pytest.raises(ClientError) as caught:
        reader.next_message()
    assert caught.value.code == code
    reader.receive_data(frame(Opcode.TEXT, b"a"))
    assert reader.next_message() is NEED_DATA


@pytest.mark.parametrize(
    "data",
    [
        frame(Opcode.BINARY, b"x" * (MAX_MESSAGE_BYTES + 1))[:10],
        frame(Opcode.BINARY, b"x" * MAX_MESSAGE_BYTES, fin=False) + frame(Opcode.CONT, b"x"),
        frame(Opcode.BINARY, b"", fin=False) + frame(Opcode.CONT, b"", fin=False) * MAX_FRAGMENTS,
    ],
    ids=["as soon as its size is known", "in fragments", "many fragments"],
)
def test_messages_may_not_be_too_large(data: bytes) -> None:
    with pytest.raises(TooLargeError):
        read(data)


def test_a_control_frame_fits_whatever_the_message_around_it() -> None:
    data = frame(Opcode.BINARY, b"x" * MAX_MESSAGE_BYTES, fin=False)
    data += frame(Opcode.PING, b"y" * 125) + frame(Opcode.CONT, b"")
    assert read(data) == [Ping(b"y" * 125), Binary(b"x" * MAX_MESSAGE_BYTES)]


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (Text(b"hi"), b"\x81\x02hi"),
        (Binary(b""), b"\x82\x00"),
        (Ping(b"p"), b"\x89\x01p"),
        (Pong(), b"\x8a\x00"),
    ],
)
def test_messages_are_written_unmasked(message: Outgoing, wire: bytes) -> None:
    assert message_frame(message) == wire


def test_a_close_frame() -> None:
    assert close_frame(1000, "bye") == b"\x88\x05\x03\xe8bye"
