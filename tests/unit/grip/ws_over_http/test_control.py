"""GRIP control messages (GRIP §12)."""

import json

import pytest

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.instruct import KeepAliveMode
from grip.ws_over_http.control import (
    MAX_CONTROL_BYTES,
    Control,
    Detach,
    FlushDelayed,
    KeepAlive,
    SendDelayed,
    Session,
    SetMeta,
    Subscribe,
    Unsubscribe,
    encode_control,
    parse_control,
)
from grip.ws_over_http.events import Binary, Ping, Pong, Text

BEAT = Text(b"beat")


def message(fields: object) -> bytes:
    return b"c:" + json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("fields", "control"),
    [
        ({"type": "subscribe", "channel": "room"}, Subscribe("room")),
        (
            {"type": "subscribe", "channel": "room", "filters": ["skip-self"]},
            Subscribe("room", ("skip-self",)),
        ),
        ({"type": "unsubscribe", "channel": "room"}, Unsubscribe("room")),
        ({"type": "detach"}, Detach()),
        ({"type": "keep-alive"}, KeepAlive()),
        ({"type": "keep-alive", "timeout": 3, "mode": "interval"}, KeepAlive()),
        ({"type": "keep-alive", "content": "beat"}, KeepAlive(BEAT, 55)),
        ({"type": "keep-alive", "content": "beat", "timeout": 0}, KeepAlive(BEAT, 1)),
        (
            {"type": "keep-alive", "content": "beat", "timeout": "9", "mode": "interval"},
            KeepAlive(BEAT, 9, KeepAliveMode.INTERVAL),
        ),
        ({"type": "keep-alive", "content-bin": "YmVhdA=="}, KeepAlive(BEAT)),
        (
            {"type": "keep-alive", "content-bin": "AP8=", "content": "x", "message-type": "ping"},
            KeepAlive(Ping(b"\x00\xff")),
        ),
        ({"type": "send-delayed", "content": "later"}, SendDelayed(Text(b"later"), 1)),
        (
            {"type": "send-delayed", "content": "", "timeout": 0, "message-type": "pong"},
            SendDelayed(Pong(), 0),
        ),
        (
            {"type": "send-delayed", "content-bin": "AP8=", "message-type": "binary"},
            SendDelayed(Binary(b"\x00\xff"), 1),
        ),
        ({"type": "flush-delayed"}, FlushDelayed()),
        ({"type": "set-meta", "name": "user", "value": "alice"}, SetMeta("user", "alice")),
        ({"type": "set-meta", "name": "user"}, SetMeta("user")),
        ({"type": "session", "id": "s1"}, Session("s1")),
        ({"type": "session"}, Session()),
        ({"type": "detach", "whatever": 1}, Detach()),
    ],
)
def test_what_a_control_message_means(fields: object, control: Control) -> None:
    assert parse_control(message(fields)) == control
    assert parse_control(encode_control(control)) == control


@pytest.mark.parametrize(
    "content",
    [
        b"c:",
        b"c:{oops",
        b"c:\xff",
        message([1]),
        message({}),
        message({"type": 1}),
        message({"type": "explode"}),
        message({"type": "subscribe"}),
        message({"type": "subscribe", "channel": ""}),
        message({"type": "subscribe", "channel": 1}),
        message({"type": "subscribe", "channel": "room", "filters": "skip-self"}),
        message({"type": "subscribe", "channel": "room", "filters": [1]}),
        message({"type": "unsubscribe"}),
        message({"type": "set-meta", "value": "alice"}),
        message({"type": "set-meta", "name": ""}),
        message({"type": "set-meta", "name": "user", "value": None}),
        message({"type": "keep-alive", "content": 1}),
        message({"type": "keep-alive", "content": "x", "timeout": -1}),
        message({"type": "keep-alive", "content": "x", "timeout": "soon"}),
        message({"type": "keep-alive", "content": "x", "timeout": 10**30}),
        message({"type": "keep-alive", "content": "x", "mode": "often"}),
        message({"type": "keep-alive", "content": "x", "message-type": "close"}),
        message({"type": "keep-alive", "content": "x" * 126, "message-type": "ping"}),
        message({"type": "keep-alive", "content-bin": "/w=="}),
        message({"type": "send-delayed"}),
        b'c:{"type":"subscribe","channel":"\\ud800"}',
        b"c:" + b"[" * 16_000,
    ],
)
def test_senseless_messages_are_refused(content: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_control(content)


def test_control_messages_have_a_limit() -> None:
    fields = {"type": "subscribe", "channel": "room", "pad": ""}
    fields["pad"] = "x" * (MAX_CONTROL_BYTES - len(message(fields)))
    assert parse_control(message(fields)) == Subscribe("room")
    fields["pad"] += "x"
    with pytest.raises(RemoteProtocolError, match="at most 16384 bytes"):
        parse_control(message(fields))


@pytest.mark.parametrize(
    "control",
    [
        Subscribe(""),
        Subscribe("\ud800"),
        Subscribe("x" * MAX_CONTROL_BYTES),
        SetMeta(""),
        SendDelayed(Text(b"x"), -1),
    ],
)
def test_nothing_is_sent_that_would_be_ignored(control: Control) -> None:
    with pytest.raises(LocalProtocolError):
        encode_control(control)
