"""What the proxy does for a client on behalf of its backend (GRIP §12, §6.2)."""

import pytest

from grip.instruct import KeepAliveMode
from grip.ws_over_http.client import MAX_CHANNELS, MAX_FILTER_META, ClientSide
from grip.ws_over_http.control import (
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
)
from grip.ws_over_http.events import Binary, Message, Ping, Text
from grip.ws_over_http.steps import Join, Leave, Send, SessionAction

BEAT = Text(b"beat")


def client(prefix: bytes | None = b"m:") -> ClientSide:
    side = ClientSide()
    side.prefix = prefix
    return side


def tell(side: ClientSide, control: Control, now: float = 0.0) -> list[SessionAction]:
    return list(side.take(Text(encode_control(control)), now))


@pytest.mark.parametrize(
    ("prefix", "message", "passed"),
    [
        (b"m:", Text(b"m:hi"), Text(b"hi")),
        (b"m:", Binary(b"m:\xff"), Binary(b"\xff")),
        (b"m:", Text(b"m:"), Text(b"")),
        (b"m:", Text(b"hi"), None),
        (b"m:", Text(b"M:hi"), None),
        (b"m:", Binary(b"c:{}"), None),
        (b"m:", Text(b"c:{oops"), None),
        (b"=> ", Text(b"=> hi"), Text(b"hi")),
        (b"", Text(b"hi"), Text(b"hi")),
        (b"", Binary(b'c:{"type":"detach"}'), Binary(b'c:{"type":"detach"}')),
        (None, Text(b"m:hi"), Text(b"m:hi")),
        (None, Text(b'c:{"type":"detach"}'), Text(b'c:{"type":"detach"}')),
    ],
)
def test_which_messages_reach_the_client(
    prefix: bytes | None, message: Message, passed: Message | None
) -> None:
    side = client(prefix)
    assert list(side.take(message, 0.0)) == ([] if passed is None else [Send(passed)])
    assert not side.detached


def test_subscriptions() -> None:
    side = client()
    assert tell(side, Subscribe("room")) == [Join("room")]
    assert tell(side, Subscribe("room", ("skip-self",))) == []
    assert side.subscriptions == {"room": ("skip-self",)}
    assert tell(side, Unsubscribe("hall")) == []
    assert tell(side, Unsubscribe("room")) == [Leave("room")]
    assert side.subscriptions == {}


def test_subscriptions_are_limited() -> None:
    side = client()
    for number in range(MAX_CHANNELS):
        assert tell(side, Subscribe(str(number))) == [Join(str(number))]
    assert tell(side, Subscribe("one more")) == []
    tell(side, Unsubscribe("0"))
    assert tell(side, Subscribe("one more")) == [Join("one more")]


def test_metadata_for_filters() -> None:
    side = client()
    tell(side, SetMeta("user", "alice"))
    tell(side, SetMeta("User", "bob"))
    assert side.filter_meta == {"user": "alice", "User": "bob"}
    tell(side, SetMeta("user"))
    assert side.filter_meta == {"User": "bob"}
    for number in range(MAX_FILTER_META):
        tell(side, SetMeta(str(number), "x"))
    assert len(side.filter_meta) == MAX_FILTER_META
    tell(side, SetMeta("User", "carol"))
    assert side.filter_meta["User"] == "carol"


def test_what_changes_nothing_for_the_client() -> None:
    side = client()
    assert tell(side, Session("s1")) == tell(side, FlushDelayed()) == tell(side, Detach()) == []
    assert side.detached


def test_keep_alive_when_idle() -> None:
    side = client()
    tell(side, KeepAlive(BEAT, 10), 100.0)
    assert side.beats_when_idle
    assert side.deadline == 110.0
    assert side.tick(109.9) == []
    assert side.tick(110.0) == [Send(BEAT)]
    assert side.deadline == 120.0
    side.send(Text(b"hi"), 115.0)
    assert side.deadline == 125.0
    side.put_off_beat(118.0)
    assert side.deadline == 128.0


def test_keep_alive_at_intervals() -> None:
    side = client()
    tell(side, KeepAlive(BEAT, 10, KeepAliveMode.INTERVAL), 100.0)
    assert not side.beats_when_idle
    side.send(Text(b"hi"), 105.0)
    assert side.tick(110.0) == [Send(BEAT)]
    assert side.deadline == 120.0


def test_keep_alive_off() -> None:
    side = client()
    tell(side, KeepAlive(BEAT, 10))
    tell(side, KeepAlive())
    assert side.deadline is None
    side.put_off_beat(5.0)
    assert side.deadline is None


def test_delayed_message() -> None:
    side = client()
    assert tell(side, SendDelayed(Ping(b"1"), 5), 100.0) == []
    assert side.deadline == 105.0
    assert side.tick(105.0) == [Send(Ping(b"1"))]
    assert side.deadline is None


def test_a_second_delayed_message_pushes_out_the_first() -> None:
    side = client()
    tell(side, SendDelayed(Text(b"1"), 5), 100.0)
    assert tell(side, SendDelayed(Text(b"2"), 5), 101.0) == [Send(Text(b"1"))]
    assert side.deadline == 106.0
    assert tell(side, FlushDelayed(), 102.0) == [Send(Text(b"2"))]
    assert side.deadline is None


def test_the_earlier_time_counts() -> None:
    side = client()
    tell(side, KeepAlive(BEAT, 10))
    tell(side, SendDelayed(Text(b"1"), 20))
    assert side.deadline == 10.0
    assert side.tick(30.0) == [Send(Text(b"1"))]  # which puts off the keep-alive message
    assert side.deadline == 40.0
    tell(side, SendDelayed(Text(b"1"), 1), 30.0)
    assert side.deadline == 31.0


def test_silence() -> None:
    side = client()
    tell(side, KeepAlive(BEAT, 10))
    tell(side, SendDelayed(Text(b"1"), 20))
    side.silence()
    assert side.deadline is None
    assert tell(side, FlushDelayed()) == []
