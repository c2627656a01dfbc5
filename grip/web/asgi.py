"""GRIP for applications on ASGI (Starlette, FastAPI, Django, ...): a middleware in front of them.

`scope["grip"]` is a `grip.web.gate.Grip` from there on. Source: GRIP §2.2, §11.2; ASGI 3.0.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.web.gate import Gate, is_instruction, refuse
from grip.web.settings import Proxies
from grip.ws_over_http.context import is_websocket_request
from grip.ws_over_http.events import MAX_BODY_BYTES

__all__ = ["Application", "GripMiddleware", "Message", "Receive", "Scope", "Send"]

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class GripMiddleware:
    """Verifies signatures, reads WebSocket events, and lets instructions out to proxies only."""

    def __init__(
        self, app: Application, proxies: Proxies = None, verify_key: str | None = None
    ) -> None:
        """Stand in front of `app`; the settings are those of `grip.web.settings`.

        Raises:
            LocalProtocolError: the settings cannot be used.
        """
        self._app = app
        self._gate = Gate(proxies, verify_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is no HTTP request is passed on untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers.from_wire(scope["headers"])
        events: bytes | None = None
        if is_websocket_request(headers):
            events = await _read(receive)
            receive = _again(events, receive)
        try:
            grip = self._gate.enter(scope["method"], headers, events)
        except RemoteProtocolError as error:
            status, _, text = refuse(error)
            fields = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": status, "headers": fields})
            await send({"type": "http.response.body", "body": text})
            return
        if not grip.may_instruct:
            send = _without_instructions(send)
        await self._app({**scope, "grip": grip}, receive, send)


async def _read(receive: Receive) -> bytes:
    """Return the body, or a little more than is allowed."""
    body = b""
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):  # it is whole, or the client has gone
            break
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Let the application have the body too, then whatever comes."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def _without_instructions(send: Send) -> Send:
    async def filtered(message: Message) -> None:
        if message["type"] == "http.response.start":
            fields = message.get("headers", [])
            kept = [field for field in fields if not is_instruction(field[0].decode("latin-1"))]
            message = {**message, "headers": kept}
        await send(message)

    return filtered
