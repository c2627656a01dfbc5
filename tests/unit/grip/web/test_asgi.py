"""The middleware for ASGI, called as servers call it (ASGI 3.0)."""

import time

import pytest

from grip.signature import Key, sign
from grip.web import hold_stream, websocket_reply
from grip.web.asgi import GripMiddleware, Message, Receive, Scope, Send
from grip.web.gate import Grip
from grip.ws_over_http.events import MAX_BODY_BYTES

URL = "http://a/?verify-iss=proxy&verify-key=key-of-the-proxy"
SIGNED = [(b"grip-sig", sign(Key.secret("key-of-the-proxy"), "proxy", time.time()).encode())]
PLAIN = (b"content-type", b"text/plain")
EVENTS = [
    (b"content-type", b"application/websocket-events"),
    (b"sec-websocket-extensions", b"grip"),
    (b"meta-user", "grüße".encode()),
]


class App:
    """Holds every request and echoes WebSockets; keeps what it was called with."""

    grip: Grip | None = None
    received: list[Message]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.grip = scope["grip"]
        self.received = [await receive(), await receive()]
        if self.grip is None or self.grip.websocket is None:
            fields, body = {"content-type": "text/plain"} | hold_stream("t"), b"content"
        else:
            self.grip.websocket.accept()
            for message in self.grip.websocket.receive():
                self.grip.websocket.send(message)
            body, _, fields = websocket_reply(self.grip.websocket)
        headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in fields.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def call(
    app: App, headers: list[tuple[bytes, bytes]], *pieces: bytes, method: str = "GET"
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Call the middleware with a body in pieces, after which the client goes."""
    incoming: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    incoming.append({"type": "http.request", "body": b""})
    incoming += [{"type": "http.disconnect"} for _ in range(2)]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "headers": headers}
    await GripMiddleware(app, URL)(scope, receive, send)
    start, content = sent
    assert "grip" not in scope  # a scope is the server's
    return start["status"], list(start["headers"]), content["body"]


async def test_a_signed_request_gets_its_instructions() -> None:
    status, headers, content = await call(app := App(), SIGNED)
    assert (status, content) == (200, b"content")
    assert headers == [PLAIN, (b"grip-hold", b"stream"), (b"grip-channel", b"t")]
    assert app.grip is not None
    assert app.grip.signed


@pytest.mark.parametrize(("headers", "method"), [([], "GET"), (SIGNED, "HEAD")])
async def test_others_get_the_response_without_them(
    headers: list[tuple[bytes, bytes]], method: str
) -> None:
    status, fields, content = await call(App(), headers, method=method)
    assert (status, fields, content) == (200, [PLAIN], b"content")


async def test_events_become_a_websocket_and_stay_readable() -> None:
    status, headers, content = await call(
        app := App(), SIGNED + EVENTS, b"OPEN\r\nTE", b"", b"XT 2\r\nhi\r\n", method="POST"
    )
    assert (status, content) == (200, b"OPEN\r\nTEXT 4\r\nm:hi\r\n")
    assert headers == [
        (b"content-type", b"application/websocket-events"),
        (b"sec-websocket-extensions", b"grip"),
    ]
    assert app.received == [
        {"type": "http.request", "body": b"OPEN\r\nTEXT 2\r\nhi\r\n", "more_body": False},
        {"type": "http.disconnect"},
    ]
    assert app.grip is not None
    assert app.grip.websocket is not None
    assert app.grip.websocket.meta == {"user": "grüße"}


@pytest.mark.parametrize(
    ("headers", "body", "status", "text"),
    [
        (EVENTS, [b"OPEN\r\n"], 403, b"forbidden\n"),
        (SIGNED + EVENTS, [b"nonsense"], 400, b"bad request\n"),
        (SIGNED + EVENTS, [b"OPEN\r\n", b"x" * MAX_BODY_BYTES, b"x"], 400, b"bad request\n"),
    ],
    ids=["unsigned", "malformed", "too long"],
)
async def test_bad_events_do_not_reach_the_application(
    headers: list[tuple[bytes, bytes]], body: list[bytes], status: int, text: bytes
) -> None:
    app = App()
    assert await call(app, headers, *body, method="POST") == (status, [PLAIN], text)
    assert app.grip is None


async def test_other_scopes_are_passed_on_untouched() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    scope = {"type": "lifespan"}
    await GripMiddleware(app, URL)(scope, receive, send)
    assert seen == [(scope, receive, send)]
    assert "grip" not in scope
