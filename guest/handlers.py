"""The endpoints: functions from a request of Fanout to the response that tells it what to do.

Each subscribes the client's connection to the channel `test`. Change these.
"""

from collections.abc import Callable, Mapping

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.instruct import Channel, Hold, HoldMode, KeepAlive
from grip.instruct_encode import instruct_headers
from grip.ws_over_http.context import WebSocketContext, is_websocket_request
from guest.messages import Request, Response, text

__all__ = ["ENDPOINTS", "answer"]

CHANNEL = "test"
KEEP_ALIVE_S = 20  # shorter than what proxies and load balancers on the way have patience for


def websocket(request: Request) -> Response:
    """Echo every message. The proxy sends the client's messages as events, in one request."""
    try:
        connection = WebSocketContext.from_request(request.headers, request.body())
    except RemoteProtocolError as error:
        return text(400, f"bad WebSocket events: {error}")
    if connection.opening:
        connection.accept()
        connection.subscribe(CHANNEL)
    for message in connection.receive():  # answers pings and a close on the way
        connection.send(message)
    status, headers, body = connection.to_response()
    return Response(status=status, headers=headers, body=body)


def stream(_: Request) -> Response:
    """Hold the response open; what is published is appended to it as it is."""
    return held("text/plain", HoldMode.STREAM, KeepAlive(content=b"\n", timeout_s=KEEP_ALIVE_S))


def sse(_: Request) -> Response:
    """Hold the response open; what is published should be events. A line with `:` is none."""
    keep_alive = KeepAlive(content=b":\n\n", timeout_s=KEEP_ALIVE_S)
    return held("text/event-stream", HoldMode.STREAM, keep_alive)


def long_poll(_: Request) -> Response:
    """Hold the request until something is published, or answer with nothing after 55 seconds."""
    return held("text/plain", HoldMode.RESPONSE)


def held(media_type: str, mode: HoldMode, keep_alive: KeepAlive | None = None) -> Response:
    """Make a response without content yet, held on our channel."""
    hold = Hold(mode=mode, channels=(Channel(name=CHANNEL),), keep_alive=keep_alive)
    return Response(headers=Headers([("Content-Type", media_type), *instruct_headers(hold)]))


ENDPOINTS: Mapping[str, Callable[[Request], Response]] = {
    "/ws": websocket,
    "/stream": stream,
    "/sse": sse,
    "/response": long_poll,
}


def answer(request: Request) -> Response:
    """Answer a request of Fanout, whatever it asks for."""
    endpoint = ENDPOINTS.get(request.path)
    if endpoint is None:
        return text(404, f"nothing here, try {', '.join(ENDPOINTS)}")
    if request.method == "POST" and is_websocket_request(request.headers):
        return endpoint(request) if endpoint is websocket else text(400, "no WebSocket, try /ws")
    match request.method:
        case "GET" | "HEAD" if endpoint is websocket:
            return text(400, "this is a WebSocket, connect with ws:// or wss://")
        case "GET":
            return endpoint(request)
        case "HEAD":  # what GET would say of itself, but there is nothing to hold
            return Response(headers=endpoint(request).headers.where(is_for_clients))
        case _:
            allow = "GET" if endpoint is websocket else "GET, HEAD"
            return text(405, "method not allowed", ("Allow", allow))


def is_for_clients(name: str) -> bool:
    """Tell whether a field is meant for the client, not for the proxy."""
    return not name.startswith("grip-")
