"""The endpoints: what to answer when Fanout asks what to do with a client.

Each one subscribes the client's connection to the channel `test`. Change these.
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
KEEP_ALIVE_S = 20  # shorter than the patience of proxies and load balancers on the way


def held(media_type: str, mode: HoldMode, keep_alive: bytes = b"") -> Response:
    """Make a response without content yet, to be held until something is published."""
    hold = Hold(
        mode=mode,
        channels=(Channel(name=CHANNEL),),
        keep_alive=KeepAlive(content=keep_alive, timeout_s=KEEP_ALIVE_S) if keep_alive else None,
    )
    return Response(headers=Headers([("Content-Type", media_type), *instruct_headers(hold)]))


# These say the same to everybody, so they are made once, while the component is built.
STREAM = held("text/plain", HoldMode.STREAM, keep_alive=b"\n")
SSE = held("text/event-stream", HoldMode.STREAM, keep_alive=b":\n\n")  # a line with `:` is no event
LONG_POLL = held("text/plain", HoldMode.RESPONSE)  # ends with 200 and no content after 55 seconds


def websocket(request: Request) -> Response:
    """Echo every message. Fanout sends what the client does as events, in one request or more."""
    connection = WebSocketContext.from_request(request.headers, request.body())
    if connection.opening:
        connection.accept()
        connection.subscribe(CHANNEL)
    for message in connection.receive():  # answers pings and a close on the way
        connection.send(message)
    status, headers, body = connection.to_response()
    return Response(status=status, headers=headers, body=body)


ENDPOINTS: Mapping[str, Response | Callable[[Request], Response]] = {
    "/ws": websocket,
    "/stream": STREAM,
    "/sse": SSE,
    "/response": LONG_POLL,
}

NOTHING_HERE = text(404, f"nothing here, try {', '.join(ENDPOINTS)}")


def answer(request: Request) -> Response:
    """Answer a request of Fanout, whatever it asks for."""
    endpoint = ENDPOINTS.get(request.path)
    if endpoint is None:
        return NOTHING_HERE
    if request.method == "POST" and is_websocket_request(request.headers):
        if isinstance(endpoint, Response):
            return text(400, "no WebSocket here, try /ws")
        try:
            return endpoint(request)
        except RemoteProtocolError as error:
            return text(400, f"bad WebSocket events: {error}")
    if not isinstance(endpoint, Response):
        if request.method == "GET":
            return text(400, "this is a WebSocket, connect with ws:// or wss://")
        return text(405, "method not allowed", ("Allow", "GET"))
    match request.method:
        case "GET":
            return endpoint
        case "HEAD":  # what GET would say of itself, but nothing to hold
            return Response(headers=endpoint.headers.where(is_for_clients))
        case _:
            return text(405, "method not allowed", ("Allow", "GET, HEAD"))


def is_for_clients(name: str) -> bool:
    """Tell whether a field is meant for the client, not for the proxy."""
    return not name.startswith("grip-")
