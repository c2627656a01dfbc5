"""What a handler answers: fields that hold the request, or the reply to WebSocket events.

Fields are plain dictionaries, which is what Flask, Django and Starlette have in common; GRIP's own
are all lists or occur once, so nothing is lost. Their values are text as WSGI wants it, one
character for each byte. Pure. Source: GRIP §3.3, §5, §6, §11.3; PEP 3333 (native strings).

>>> hold_response("room", "hall")
{'Grip-Hold': 'response', 'Grip-Channel': 'room, hall'}
"""

from collections.abc import Iterable, Mapping

from grip.errors import LocalProtocolError
from grip.headers import Headers
from grip.instruct import (
    DEFAULT_TIMEOUT_S,
    Channel,
    Hold,
    HoldMode,
    KeepAlive,
    Link,
)
from grip.instruct_encode import instruct_headers
from grip.ws_over_http.context import WebSocketContext

__all__ = ["KEEP_ALIVE_S", "hold_response", "hold_sse", "hold_stream", "websocket_reply"]

KEEP_ALIVE_S = 20
"""Less than what proxies and load balancers on the way have patience for."""


def hold_stream(
    *channels: str | Channel,
    keep_alive: bytes | KeepAlive | None = None,
    next_link: Link | None = None,
    meta: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the fields of a response that stays open; what is published is appended to it.

    Args:
        channels: what the client is subscribed to; 20 at most.
        keep_alive: what is sent after 20 seconds of silence, nothing by default.
        next_link: where the proxy gets what a client has missed.
        meta: of the client, for filters.

    Raises:
        LocalProtocolError: no channel, or something that headers cannot express.
    """
    if isinstance(keep_alive, bytes):
        keep_alive = KeepAlive(content=keep_alive, timeout_s=KEEP_ALIVE_S) if keep_alive else None
    hold = Hold(mode=HoldMode.STREAM, channels=_channels(channels), keep_alive=keep_alive)
    return _fields(instruct_headers(hold, next_link=next_link, meta=meta))


def hold_sse(
    *channels: str | Channel,
    next_link: Link | None = None,
    meta: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the fields of a stream of server-sent events, as `hold_stream` does.

    `Content-Type` is among them, and a keep-alive that is no event.
    """
    fields = hold_stream(*channels, keep_alive=b":\n\n", next_link=next_link, meta=meta)
    return {"Content-Type": "text/event-stream"} | fields


def hold_response(
    *channels: str | Channel,
    timeout_s: int = DEFAULT_TIMEOUT_S,
    meta: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the fields of a long poll: what is published first is the response.

    Args:
        channels: what the client is subscribed to; 20 at most.
        timeout_s: seconds until the response they are put on is sent after all; 5 at least.
        meta: of the client, for filters.

    Raises:
        LocalProtocolError: no channel, or something that headers cannot express.
    """
    hold = Hold(mode=HoldMode.RESPONSE, channels=_channels(channels), timeout_s=timeout_s)
    return _fields(instruct_headers(hold, meta=meta))


def websocket_reply(websocket: WebSocketContext) -> tuple[bytes, int, dict[str, str]]:
    """Return body, status and fields of the reply to WebSocket events.

    Set cookies on the response you make of it, as your framework does.

    Raises:
        LocalProtocolError: it is a handshake, and was not accepted.
    """
    status, headers, body = websocket.to_response()
    return body, status, _fields(headers)


def _channels(channels: Iterable[str | Channel]) -> tuple[Channel, ...]:
    given = tuple(Channel(name=c) if isinstance(c, str) else c for c in channels)
    if not given:
        raise LocalProtocolError("expected a channel to hold the request on, got none")
    return given


def _fields(headers: Headers) -> dict[str, str]:
    """Join fields that occur more than once, which is the same (RFC 9110 §5.3)."""
    joined: dict[str, str] = {}
    for name, value in headers:
        text = value.encode("utf-8", "surrogateescape").decode("latin-1")
        if name in joined and name.lower() == "set-cookie":  # the one that cannot be joined
            raise LocalProtocolError("expected cookies to be set on the response itself")
        joined[name] = f"{joined[name]}, {text}" if name in joined else text
    return joined
