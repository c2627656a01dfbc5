"""GRIP for applications on WSGI (Flask, Django, ...): a middleware that goes in front of them.

`environ["grip"]` is a `grip.web.gate.Grip` from there on. Source: GRIP §2.2, §11.2; PEP 3333.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.web.gate import Gate, is_instruction, refuse
from grip.web.settings import Proxies
from grip.ws_over_http.context import is_websocket_request
from grip.ws_over_http.events import MAX_BODY_BYTES

__all__ = ["GripMiddleware"]


class GripMiddleware:
    """Verifies signatures, reads WebSocket events, and lets instructions out to proxies only."""

    def __init__(
        self, app: WSGIApplication, proxies: Proxies = None, verify_key: str | None = None
    ) -> None:
        """Stand in front of `app`; the settings are those of `grip.web.settings`.

        Raises:
            LocalProtocolError: the settings cannot be used.
        """
        self._app = app
        self._gate = Gate(proxies, verify_key)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        headers = _headers(environ)
        events: bytes | None = None
        if is_websocket_request(headers):
            events = _read(environ)
            environ["wsgi.input"] = io.BytesIO(events)
        try:
            grip = self._gate.enter(environ["REQUEST_METHOD"], headers, events)
        except RemoteProtocolError as error:
            status, phrase, text = refuse(error)
            start_response(f"{status} {phrase}", [("Content-Type", "text/plain")])
            return [text]
        environ["grip"] = grip
        if not grip.may_instruct:
            start_response = _without_instructions(start_response)
        return self._app(environ, start_response)


def _headers(environ: WSGIEnvironment) -> Headers:
    fields = [
        (key.removeprefix("HTTP_").replace("_", "-"), value)
        for key, value in environ.items()
        if key.startswith("HTTP_") or key == "CONTENT_TYPE"
    ]
    return Headers.from_wire((name.encode(), value.encode("latin-1")) for name, value in fields)


def _read(environ: WSGIEnvironment) -> bytes:
    """Return the body, or a little more than is allowed."""
    most = MAX_BODY_BYTES + 1
    # Only servers that say so end the input of a body whose length they do not know.
    unknown = most if environ.get("wsgi.input_terminated") else 0
    length = int(environ.get("CONTENT_LENGTH") or unknown)
    body: bytes = environ["wsgi.input"].read(min(length, most))
    return body


def _without_instructions(start_response: StartResponse) -> StartResponse:
    def start(
        status: str, headers: list[tuple[str, str]], *exc_info: Any
    ) -> Callable[[bytes], object]:
        kept = [field for field in headers if not is_instruction(field[0])]
        return start_response(status, kept, *exc_info)

    return start
