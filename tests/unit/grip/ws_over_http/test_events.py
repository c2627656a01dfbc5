"""The event codec (GRIP §11.1, §13)."""

from collections.abc import Callable

import pytest

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.ws_over_http.events import (
    MAX_LINE_BYTES,
    NEED_DATA,
    Binary,
    Close,
    Disconnect,
    Event,
    EventDecoder,
    Open,
    Ping,
    Pong,
    Text,
    content_of,
    decode_events,
    encode_events,
    is_close_code,
)

ON_THE_WIRE: list[tuple[bytes, Event]] = [
    (b"OPEN\r\n", Open()),
    (b"TEXT\r\n", Text(b"")),
    (b"TEXT 9\r\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\r\n", Text("é€😀".encode())),
    (b"BINARY 4\r\n\x00\xff\r\n\r\n", Binary(b"\x00\xff\r\n")),
    (b"BINARY 1a\r\nabcdefghijklmnopqrstuvwxyz\r\n", Binary(b"abcdefghijklmnopqrstuvwxyz")),
    (b"PING\r\n", Ping()),
    (b"PING 4\r\nball\r\n", Ping(b"ball")),
    (b"PONG 4\r\nball\r\n", Pong(b"ball")),
    (b"CLOSE\r\n", Close()),
    (b"CLOSE 5\r\n\x0f\xa0bye\r\n", Close(4000, "bye")),
    (b"DISCONNECT\r\n", Disconnect()),
]


@pytest.mark.parametrize(("wire", "event"), ON_THE_WIRE)
def test_events_have_one_form_on_the_wire(wire: bytes, event: Event) -> None:
    assert encode_events([event]) == wire
    assert decode_events(wire) == [event]


def test_a_body_is_a_sequence_of_events() -> None:
    wire = b"".join(wire for wire, _ in ON_THE_WIRE)
    events = [event for _, event in ON_THE_WIRE]
    assert encode_events(events) == wire
    assert decode_events(wire) == events


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"", []),
        (b"TEXT 0\r\n\r\n", [Text(b"")]),
        (b"TEXT 003\r\nabc\r\n", [Text(b"abc")]),
        (b"BINARY A\r\n0123456789\r\n", [Binary(b"0123456789")]),
        (b"HELLO\r\nGOODBYE 3\r\nm:x\r\nPING\r\n", [Ping()]),
        (b"open\r\ntext 1\r\nx\r\n", []),
        (b"OPEN 3\r\nabc\r\n", [Open()]),
        (b"CLOSE 2\r\n\0\0\r\n", [Close()]),
    ],
    ids=[
        "nothing",
        "length 0",
        "leading zeros",
        "upper case",
        "unknown",
        "case of type",
        "ignored",
        "close code 0",
    ],
)
def test_what_else_is_understood(wire: bytes, events: list[Event]) -> None:
    assert decode_events(wire) == events


@pytest.mark.parametrize(
    ("wire", "offset"),
    [
        (b"OPEN", 4),
        (b"OPEN\r\nTEXT", 10),
        (b"OPEN\nTEXT\r\n", 4),
        (b"\n", 0),
        (b"TEXT zz\r\nm:x\r\n", 5),
        (b"TEXT \r\n", 5),
        (b"TEXT 0x1\r\na\r\n", 5),
        (b"TEXT -1\r\n", 5),
        (b"TEXT  1\r\na\r\n", 5),
        (b"TEXT 1_0\r\n", 5),
        (b"TEXT 5\r\nabc\r\n", 13),
        (b"TEXT 3\r\nabc", 11),
        (b"TEXT 2\r\nabc\r\n", 10),
        (b"OPEN\r\nTEXT 1\r\n\xff\r\n", 14),
        (b"CLOSE 1\r\n\x03\r\n", 9),
        (b"CLOSE 2\r\n\x03\xed\r\n", 9),
        (b"CLOSE 3\r\n\x03\xe8\xff\r\n", 9),
        (b"PING 7e\r\n" + b"x" * 126 + b"\r\n", 9),
        (b"X" * (MAX_LINE_BYTES + 1) + b"\r\n", 0),
    ],
)
def test_malformed_bodies_are_refused_with_the_place(wire: bytes, offset: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_events(wire)
    assert caught.value.offset == offset


def test_a_type_line_may_be_as_long_as_the_limit() -> None:
    assert decode_events(b"X" * MAX_LINE_BYTES + b"\r\nPING\r\n") == [Ping()]


@pytest.mark.parametrize(
    "wire", [b"TEXT 5\r\nabcde\r\n", b"TEXT 5\r\nabcde\r\nPI", b"PONG\r\n" * 3]
)
def test_a_body_may_be_as_large_as_the_limit(wire: bytes) -> None:
    decoder = EventDecoder(max_bytes=len(wire) + (0 if wire.endswith(b"\n") else 1))
    decoder.receive_data(wire)
    while decoder.next_event() is not NEED_DATA:
        pass


@pytest.mark.parametrize(
    "wire", [b"TEXT 5\r\n", b"TEXT ffffffffffff\r\n", b"OPEN\r\nOPEN\r\nOPEN\r\n"]
)
def test_a_body_may_not_be_larger(wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_events(wire, max_bytes=14)
    assert caught.value.offset == 14


def test_the_number_of_events_is_limited_unknown_ones_included() -> None:
    assert len(decode_events(b"PING\r\n" * 3, max_events=3)) == 3
    with pytest.raises(RemoteProtocolError, match="at most 3 events"):
        decode_events(b"HELLO\r\n" * 4, max_events=3)


def test_events_are_there_as_soon_as_they_are_complete() -> None:
    decoder = EventDecoder()
    decoder.receive_data(b"TEXT 3\r\nabc\r")
    assert decoder.next_event() is NEED_DATA
    with pytest.raises(RemoteProtocolError, match="rest of the content"):
        decoder.receive_end()
    decoder.receive_data(b"\nPI")
    assert decoder.next_event() == Text(b"abc")
    assert decoder.next_event() is NEED_DATA
    decoder.receive_data(b"NG\r\n")
    assert decoder.next_event() == Ping()
    decoder.receive_end()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Ping(b"x" * 126),
        lambda: Pong(b"x" * 126),
        lambda: Close(4000, "x" * 124),
        lambda: Close(4000, "\ud800"),
        lambda: Close(None, "why"),
        lambda: Close(1005),
        lambda: Close(70_000),
    ],
)
def test_what_no_frame_can_carry_cannot_be_made(build: Callable[[], Event]) -> None:
    with pytest.raises(LocalProtocolError):
        build()


def test_close_codes() -> None:
    """RFC 6455 §7.4, and the registry for 1012 to 1014."""
    allowed = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
    assert {code for code in range(-1, 66_000) if is_close_code(code)} == allowed


def test_content_is_what_goes_on_the_wire() -> None:
    assert content_of(Close(1000, "é")) == b"\x03\xe8\xc3\xa9"
    assert content_of(Disconnect()) == b""
    assert Text("é".encode()).text == "é"
