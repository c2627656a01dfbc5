"""The endpoints: what Fanout is told for each kind of request."""

from dataclasses import dataclass, field

import pytest

from grip.headers import Headers
from grip.instruct import Hold, HoldMode, has_instructions, parse_instruct
from grip.ws_over_http.events import (
    Binary,
    Close,
    Event,
    Open,
    Ping,
    Pong,
    Text,
    decode_events,
    encode_events,
)
from guest.handlers import ENDPOINTS, answer
from guest.messages import Response

EVENTS = [("Content-Type", "application/websocket-events"), ("Sec-WebSocket-Extensions", "grip")]


@dataclass
class Asked:
    """A request as the endpoints see it; reading what was not expected is an error."""

    path: str
    method: str = "GET"
    headers: Headers = field(default_factory=Headers)
    content: bytes | None = None

    def body(self) -> bytes:
        assert self.content is not None, "nobody should read this body"
        return self.content


def sent(*events: Event, path: str = "/ws") -> Response:
    return answer(Asked(path, "POST", Headers(EVENTS), encode_events(list(events))))


def echoed(*events: Event) -> list[Event]:
    response = sent(*events)
    assert response.status == 200
    assert response.headers.get("Content-Type") == "application/websocket-events"
    return list(decode_events(response.body))


def instructed(response: Response) -> Hold:
    parsed = parse_instruct(
        status=response.status, reason="", headers=response.headers, body=response.body
    )
    assert parsed.hold is not None
    return parsed.hold


@pytest.mark.parametrize("path", ["/stream", "/sse", "/response"])
def test_held_endpoints_subscribe_to_test_and_say_nothing_yet(path: str) -> None:
    response = answer(Asked(path))
    assert (response.status, response.body) == (200, b"")
    assert [channel.name for channel in instructed(response).channels] == ["test"]


@pytest.mark.parametrize(
    ("path", "media_type", "keep_alive"),
    [("/stream", "text/plain", b"\n"), ("/sse", "text/event-stream", b":\n\n")],
)
def test_streams_are_kept_alive(path: str, media_type: str, keep_alive: bytes) -> None:
    response = answer(Asked(path))
    hold = instructed(response)
    assert response.headers.get("content-type") == media_type
    assert hold.mode is HoldMode.STREAM
    assert hold.keep_alive is not None
    assert (hold.keep_alive.content, hold.keep_alive.timeout_s) == (keep_alive, 20)


def test_long_poll_ends_with_200_and_nothing() -> None:
    response = answer(Asked("/response"))
    hold = instructed(response)
    assert hold.mode is HoldMode.RESPONSE
    assert hold.timeout_s == 55
    assert (response.status, response.body) == (200, b"")


def test_opening_is_accepted_and_subscribed() -> None:
    response = sent(Open())
    assert response.headers.get("Sec-WebSocket-Extensions") == "grip"
    assert list(decode_events(response.body)) == [
        Open(),
        Text(b'c:{"type":"subscribe","channel":"test"}'),
    ]


def test_text_is_echoed_as_text_and_binary_as_binary() -> None:
    assert echoed(Text("grüße".encode()), Binary(b"\x00\xff"), Text(b"")) == [
        Text("m:grüße".encode()),
        Binary(b"m:\x00\xff"),
        Text(b"m:"),
    ]


def test_what_looks_like_a_control_message_is_echoed_as_a_message() -> None:
    assert echoed(Text(b'c:{"type":"detach"}')) == [Text(b'm:c:{"type":"detach"}')]


def test_ping_is_answered_with_its_payload_and_close_with_its_code() -> None:
    assert echoed(Ping(b"payload")) == [Pong(b"payload")]
    assert echoed(Ping()) == [Pong()]
    assert echoed(Text(b"last"), Close(4001, "bye")) == [Text(b"m:last"), Close(4001, "bye")]
    assert echoed(Close(None)) == [Close(None)]


def test_a_request_without_events_is_a_keep_alive() -> None:
    assert echoed() == []


def test_opening_with_messages_behind_it_answers_them_too() -> None:
    assert echoed(Open(), Text(b"early"))[2:] == [Text(b"m:early")]


@pytest.mark.parametrize("body", [b"OPEN", b"TEXT zz\r\n", b"TEXT 5\r\nab\r\n", b"\n"])
def test_malformed_events_are_the_askers_fault(body: bytes) -> None:
    assert answer(Asked("/ws", "POST", Headers(EVENTS), body)).status == 400


@pytest.mark.parametrize("path", ["/stream", "/sse", "/response"])
def test_a_websocket_elsewhere_gets_a_clear_4xx(path: str) -> None:
    response = sent(Open(), path=path)
    assert response.status == 400
    assert b"/ws" in response.body
    assert not has_instructions(response.headers)


def test_a_plain_get_on_ws_gets_a_clear_4xx() -> None:
    response = answer(Asked("/ws"))
    assert response.status == 400
    assert b"WebSocket" in response.body


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW", "get"])
def test_other_methods_get_405_with_allow(path: str, method: str) -> None:
    response = answer(Asked(path, method))
    assert response.status == 405
    assert "GET" in (response.headers.get("Allow") or "")
    assert not has_instructions(response.headers)


@pytest.mark.parametrize("path", ["/stream", "/sse", "/response"])
def test_head_says_what_get_would_but_holds_nothing(path: str) -> None:
    response = answer(Asked(path, "HEAD"))
    assert response.status == 200
    assert response.headers.get("content-type") == answer(Asked(path)).headers.get("content-type")
    assert not has_instructions(response.headers)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/nothing", "/ws/", "/WS"])
def test_other_paths_get_404(path: str, method: str) -> None:
    assert answer(Asked(path, method, Headers(EVENTS))).status == 404
