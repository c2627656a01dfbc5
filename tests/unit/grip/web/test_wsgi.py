"""The middleware for WSGI, called as servers call it (PEP 3333)."""

import io
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from grip.signature import Key, sign
from grip.web import hold_stream, websocket_reply
from grip.web.gate import Grip
from grip.web.wsgi import GripMiddleware
from grip.ws_over_http.events import MAX_BODY_BYTES

URL = "http://a/?verify-iss=proxy&verify-key=key-of-the-proxy"
SIGNED = {"HTTP_GRIP_SIG": sign(Key.secret("key-of-the-proxy"), "proxy", time.time())}


class App:
    """Holds every request and echoes WebSockets; keeps what it was called with."""

    grip: Grip | None = None
    body: bytes | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.grip = environ["grip"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        self.body = environ["wsgi.input"].read(length)
        if self.grip.websocket is None:
            start_response("200 OK", [("Content-Type", "text/plain"), *hold_stream("t").items()])
            return [b"content"]
        if self.grip.websocket.opening:
            self.grip.websocket.accept()
        for message in self.grip.websocket.receive():
            self.grip.websocket.send(message)
        body, _, fields = websocket_reply(self.grip.websocket)
        start_response("200 OK", list(fields.items()))
        return [body]


def call(
    app: App, environ: dict[str, Any], body: bytes = b"", grip_url: str = URL
) -> tuple[str, dict[str, str], bytes]:
    """Call the middleware as a server that watches it closely."""
    environ = {
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    setup_testing_defaults(environ)
    started: list[tuple[str, dict[str, str]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], *_: object
    ) -> Callable[[bytes], object]:
        started.append((status, dict(headers)))
        return lambda _: None

    result = validator(GripMiddleware(app, grip_url))(environ, start_response)
    content = b"".join(result)
    result.close()  # type: ignore[attr-defined]  # the validator's has it
    return *started[0], content


def test_a_signed_request_gets_its_instructions() -> None:
    app = App()
    status, headers, content = call(app, SIGNED)
    assert (status, content) == ("200 OK", b"content")
    assert headers == {"Content-Type": "text/plain", "Grip-Hold": "stream", "Grip-Channel": "t"}
    assert app.grip is not None
    assert app.grip.signed


@pytest.mark.parametrize("environ", [{}, SIGNED | {"REQUEST_METHOD": "HEAD"}])
def test_others_get_the_response_without_them(environ: dict[str, str]) -> None:
    status, headers, content = call(app := App(), environ)
    assert (status, content) == ("200 OK", b"content")
    assert headers == {"Content-Type": "text/plain"}
    assert app.grip is not None
    assert not app.grip.may_instruct


EVENTS = {
    "REQUEST_METHOD": "POST",
    "CONTENT_TYPE": "application/websocket-events",
    "HTTP_SEC_WEBSOCKET_EXTENSIONS": "grip",
    "HTTP_CONNECTION_ID": "1",
    "HTTP_META_USER": "gr\xc3\xbc\xc3\x9fe",
}


def test_events_become_a_websocket_and_stay_readable() -> None:
    events = b"OPEN\r\nTEXT 2\r\nhi\r\n"
    status, headers, content = call(app := App(), SIGNED | EVENTS, events)
    assert status == "200 OK"
    assert content == b"OPEN\r\nTEXT 4\r\nm:hi\r\n"
    assert headers == {
        "Content-Type": "application/websocket-events",
        "Sec-WebSocket-Extensions": "grip",
    }
    assert app.body == events
    assert app.grip is not None
    assert app.grip.websocket is not None
    assert app.grip.websocket.connection_id == "1"
    assert app.grip.websocket.meta == {"user": "grüße"}


def test_events_of_unknown_length_are_read_if_the_server_ends_them() -> None:
    chunked = EVENTS | {"CONTENT_LENGTH": ""}
    terminated: dict[str, Any] = {"wsgi.input_terminated": True}
    assert call(App(), SIGNED | chunked | terminated, b"OPEN\r\n")[2] == b"OPEN\r\n"
    assert call(App(), SIGNED | chunked, b"OPEN\r\n")[2] == b""


@pytest.mark.parametrize(
    ("environ", "body", "status"),
    [
        (EVENTS, b"OPEN\r\n", "403 Forbidden"),
        (SIGNED | EVENTS, b"nonsense", "400 Bad Request"),
        (SIGNED | EVENTS, b"OPEN\r\n" + b"PING\r\n" * (MAX_BODY_BYTES // 6), "400 Bad Request"),
    ],
    ids=["unsigned", "malformed", "too long"],
)
def test_bad_events_do_not_reach_the_application(
    environ: dict[str, str], body: bytes, status: str
) -> None:
    got, headers, content = call(app := App(), environ, body)
    assert got == status
    assert headers == {"Content-Type": "text/plain"}
    assert content == status.partition(" ")[2].lower().encode() + b"\n"
    assert app.grip is None
