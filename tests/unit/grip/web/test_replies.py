"""What handlers answer is what a proxy understands (GRIP §3.3, §5, §6)."""

import doctest
from collections.abc import Mapping

import pytest

from grip.errors import LocalProtocolError
from grip.headers import Headers
from grip.instruct import (
    Channel,
    Hold,
    HoldMode,
    Instruct,
    KeepAlive,
    KeepAliveMode,
    Link,
    parse_instruct,
)
from grip.web import hold_response, hold_sse, hold_stream, replies, websocket_reply
from grip.ws_over_http.context import WebSocketContext
from grip.ws_over_http.events import Open, Text


def understood(fields: Mapping[str, str]) -> Instruct:
    """Send fields as WSGI and ASGI frameworks do, and read them as a proxy does."""
    headers = Headers.from_wire((k.encode(), v.encode("latin-1")) for k, v in fields.items())
    return parse_instruct(status=200, reason="", headers=headers, body=b"")


def test_stream() -> None:
    assert understood(hold_stream("room")).hold == Hold(
        mode=HoldMode.STREAM, channels=(Channel(name="room"),)
    )


def test_stream_with_everything() -> None:
    keep_alive = KeepAlive(content=b"\0", timeout_s=5, mode=KeepAliveMode.INTERVAL)
    channels = (Channel(name="a", prev_id="1", filters=("skip-self",)), Channel(name="b"))
    link = Link(uri="/more?after=1", timeout_s=10)
    instruct = understood(
        hold_stream(channels[0], "b", keep_alive=keep_alive, next_link=link, meta={"user": "x, y"})
    )
    assert instruct.hold == Hold(mode=HoldMode.STREAM, channels=channels, keep_alive=keep_alive)
    assert instruct.next_link == link
    assert instruct.meta == {"user": "x, y"}


def test_bytes_keep_a_stream_alive_every_twenty_seconds() -> None:
    hold = understood(hold_stream("room", keep_alive=b"\n")).hold
    assert hold is not None
    assert hold.keep_alive == KeepAlive(content=b"\n", timeout_s=20)
    assert hold_stream("room", keep_alive=b"") == hold_stream("room")


def test_server_sent_events_have_their_type_and_a_comment_as_keep_alive() -> None:
    fields = hold_sse("room")
    assert fields["Content-Type"] == "text/event-stream"
    hold = understood(fields).hold
    assert hold is not None
    assert hold.keep_alive == KeepAlive(content=b":\n\n", timeout_s=20)


def test_long_poll() -> None:
    instruct = understood(hold_response("a", "b", timeout_s=20, meta={"user": "x"}))
    channels = (Channel(name="a"), Channel(name="b"))
    assert instruct.hold == Hold(mode=HoldMode.RESPONSE, channels=channels, timeout_s=20)
    assert instruct.meta == {"user": "x"}


def test_names_beyond_latin_1_arrive() -> None:
    hold = understood(hold_response("grüße-日本")).hold
    assert hold is not None
    assert hold.channels == (Channel(name="grüße-日本"),)


@pytest.mark.parametrize("channels", [(), ("a, b",), ("",), tuple(map(str, range(21)))], ids=str)
def test_channels_a_proxy_would_not_take_are_refused(channels: tuple[str, ...]) -> None:
    for hold in (hold_stream, hold_sse, hold_response):
        with pytest.raises(LocalProtocolError):
            hold(*channels)


def test_websocket_reply() -> None:
    context = WebSocketContext([Open(), Text(b"hi")])
    context.accept(subprotocol="chat", headers=[("X-One", "1"), ("X-One", "2")])
    for message in context.receive():
        context.send(message)
    assert websocket_reply(context) == (
        b"OPEN\r\nTEXT 4\r\nm:hi\r\n",
        200,
        {
            "Content-Type": "application/websocket-events",
            "Sec-WebSocket-Extensions": "grip",
            "Sec-WebSocket-Protocol": "chat",
            "X-One": "1, 2",
        },
    )


def test_two_cookies_cannot_be_joined() -> None:
    context = WebSocketContext([Open()])
    context.accept(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    with pytest.raises(LocalProtocolError, match="cookies"):
        websocket_reply(context)


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(replies).failed == 0
