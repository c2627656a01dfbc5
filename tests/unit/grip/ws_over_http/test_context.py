"""A backend's side of one request (GRIP §11, §12)."""

from collections.abc import Callable

import pytest

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.headers import Headers
from grip.ws_over_http.context import WebSocketContext, is_websocket_request
from grip.ws_over_http.control import Detach, KeepAlive, SetMeta, Subscribe, Unsubscribe
from grip.ws_over_http.control import encode_control as control
from grip.ws_over_http.events import (
    CONTENT_TYPE,
    Binary,
    Close,
    Disconnect,
    Event,
    Open,
    Ping,
    Pong,
    Text,
    decode_events,
    encode_events,
)

HEADERS = Headers(
    [
        ("Content-Type", CONTENT_TYPE),
        ("Sec-WebSocket-Extensions", "grip"),
        ("Connection-Id", "abc"),
        ("Meta-User", "alice"),
    ]
)


def request(
    *events: Event, headers: Headers = HEADERS, grip: bool = True, message_prefix: str = "m:"
) -> WebSocketContext:
    return WebSocketContext.from_request(
        headers, encode_events(events), grip=grip, message_prefix=message_prefix
    )


def reply(context: WebSocketContext) -> list[Event]:
    status, headers, body = context.to_response()
    assert status == 200
    assert headers.get_all("Content-Type") == [CONTENT_TYPE]
    return decode_events(body)


def echo(context: WebSocketContext) -> None:
    for message in context.receive():
        context.send(message)


def test_messages_go_in_and_out_in_order() -> None:
    """GRIP §11.5, §12: with the extension, messages carry the prefix."""
    context = request(Text(b"a"), Ping(b"ball"), Binary(b"\xff"), Pong(b"late"), Text(b""))
    assert not context.opening
    echo(context)
    assert reply(context) == [Text(b"m:a"), Pong(b"ball"), Binary(b"m:\xff"), Text(b"m:")]


def test_a_request_says_who_it_is_about() -> None:
    """GRIP §11.2."""
    context = request()
    assert context.connection_id == "abc"
    assert context.meta == {"user": "alice"}
    assert context.grip
    assert not context.disconnected
    assert reply(context) == []


def test_a_handshake_is_accepted_with_headers() -> None:
    """GRIP §11.3, §11.4."""
    context = request(Open())
    assert context.opening
    context.send_text("é")  # order of calls does not matter: OPEN comes first
    context.accept(subprotocol="chat", headers=[("Set-Cookie", "a=1")], keep_alive_interval_s=60)
    _, headers, body = context.to_response()
    assert list(headers) == [
        ("Content-Type", CONTENT_TYPE),
        ("Sec-WebSocket-Extensions", "grip"),
        ("Sec-WebSocket-Protocol", "chat"),
        ("Set-Cookie", "a=1"),
        ("Keep-Alive-Interval", "60"),
    ]
    assert decode_events(body) == [Open(), Text("m:é".encode())]


def test_a_handshake_is_accepted_once_and_never_by_accident() -> None:
    context = request(Open())
    with pytest.raises(LocalProtocolError, match="accepted, or refused"):
        context.to_response()
    context.accept()
    with pytest.raises(LocalProtocolError, match="once"):
        context.accept()
    with pytest.raises(LocalProtocolError, match="handshake"):
        request(Text(b"")).accept()


def test_the_prefix_can_be_chosen() -> None:
    """GRIP §12."""
    context = request(Open(), message_prefix="=> ")
    context.accept()
    context.send_text("hi")
    _, headers, body = context.to_response()
    assert headers.get("Sec-WebSocket-Extensions") == 'grip; message-prefix="=> "'
    assert decode_events(body) == [Open(), Text(b"=> hi")]


@pytest.mark.parametrize("offered", [True, False])
def test_without_the_extension_messages_stay_as_they_are(offered: bool) -> None:
    """GRIP §12: the backend did not want it, or the proxy does not offer it."""
    headers = HEADERS if offered else HEADERS.without("Sec-WebSocket-Extensions")
    context = request(Open(), headers=headers, grip=not offered)
    context.accept()
    context.send_text("hi")
    with pytest.raises(LocalProtocolError, match="GRIP extension"):
        context.subscribe("room")
    _, answer, body = context.to_response()
    assert not answer.has("Sec-WebSocket-Extensions")
    assert decode_events(body) == [Open(), Text(b"hi")]


@pytest.mark.parametrize("close", [Close(4000, "bye"), Close()])
def test_a_close_is_answered_in_kind(close: Close) -> None:
    """GRIP §11.6; after what is sent because of earlier messages."""
    context = request(Text(b"last words"), close)
    echo(context)
    assert context.closed == close
    assert reply(context) == [Text(b"m:last words"), close]


def test_a_close_is_answered_even_if_nobody_reads() -> None:
    assert reply(request(Ping(b"p"), Close(4000))) == [Pong(b"p"), Close(4000)]


def test_the_handler_may_close_first() -> None:
    context = request(Text(b"a"), Ping(b"p"), Close(4000))
    context.close(4002, "enough")
    assert context.closed == Close(4002, "enough")
    assert [message.content for message in context.receive()] == [b"a"]
    with pytest.raises(LocalProtocolError, match="closed"):
        context.send_text("too late")
    assert reply(context) == [Close(4002, "enough")]


def test_what_is_sent_to_a_vanished_client_is_dropped() -> None:
    """GRIP §11.6: the reply to DISCONNECT does not matter."""
    context = request(Text(b"a"), Disconnect())
    assert context.disconnected
    echo(context)
    assert reply(context) == []


def test_the_handler_may_drop_the_connection() -> None:
    context = request(Text(b"a"))
    context.disconnect()
    echo(context)
    assert reply(context) == [Disconnect()]


def test_control_messages() -> None:
    """GRIP §12."""
    context = request()
    context.subscribe("room", ["skip-self"])
    context.unsubscribe("hall")
    context.keep_alive(Text(b"beat"), 20)
    context.keep_alive(None)
    context.set_filter_meta("user", "alice")
    context.detach()
    context.ping(b"p")
    context.pong()
    context.send_binary(b"\x00")
    assert reply(context) == [
        Text(control(Subscribe("room", ("skip-self",)))),
        Text(control(Unsubscribe("hall"))),
        Text(control(KeepAlive(Text(b"beat"), 20))),
        Text(control(KeepAlive())),
        Text(control(SetMeta("user", "alice"))),
        Text(control(Detach())),
        Ping(b"p"),
        Pong(),
        Binary(b"m:\x00"),
    ]


def test_metadata_is_kept_by_the_proxy() -> None:
    """GRIP §11.3: an empty value removes."""
    context = request()
    context.set_meta("Room", "1")
    context.set_meta("user", None)
    assert context.meta == {"room": "1"}
    _, headers, _ = context.to_response()
    assert headers.get("set-meta-room") == "1"
    assert headers.get("set-meta-user") == ""


@pytest.mark.parametrize(
    "misuse",
    [
        lambda context: context.set_meta("a b", "1"),
        lambda context: context.set_meta("a", "1\r\nX: 2"),
        lambda context: context.set_meta("a", ""),
        lambda context: context.send_text("\ud800"),
        lambda context: context.ping(b"x" * 126),
        lambda context: context.close(1005),
        lambda context: context.subscribe(""),
    ],
)
def test_what_cannot_be_sent_is_refused(misuse: Callable[[WebSocketContext], None]) -> None:
    with pytest.raises(LocalProtocolError):
        misuse(request())


@pytest.mark.parametrize(
    ("content_type", "carries"),
    [
        (CONTENT_TYPE, True),
        ("Application/WebSocket-Events; charset=x", True),
        ("text/plain", False),
        (None, False),
    ],
)
def test_requests_are_known_by_their_media_type(content_type: str | None, carries: bool) -> None:
    headers = Headers([("Content-Type", content_type)] if content_type is not None else [])
    assert is_websocket_request(headers) is carries
    if not carries:
        with pytest.raises(RemoteProtocolError) as caught:
            WebSocketContext.from_request(headers, b"")
        assert caught.value.status_hint == 400


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (HEADERS, b"TEXT 5\r\nabc"),
        (HEADERS.plus(("Sec-WebSocket-Extensions", 'grip; a="')), b""),
    ],
)
def test_malformed_requests_are_the_fault_of_the_peer(headers: Headers, body: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        WebSocketContext.from_request(headers, body)
    assert caught.value.status_hint == 400
