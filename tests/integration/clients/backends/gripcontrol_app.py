"""A backend on `gripcontrol` and `pubcontrol`, used the way their documentation shows."""

import os

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from gripcontrol import (
    Channel,
    GripPubControl,
    WebSocketEvent,
    WebSocketMessageFormat,
    create_grip_channel_header,
    create_hold_response,
    create_hold_stream,
    decode_websocket_events,
    encode_websocket_events,
    parse_grip_uri,
    validate_sig,
    websocket_control_message,
)
from gripcontrol import Response as HeldResponse
from pubcontrol import Item

GRIP = parse_grip_uri(os.environ["GRIP_URL"])
JSON = "application/grip-instruct"
EVENTS = "application/websocket-events"

app = Flask(__name__)
publisher = GripPubControl(GRIP)


@app.before_request
def ask_for_a_signature() -> ResponseReturnValue | None:
    """Refuse who does not come through the proxy, publishers excepted."""
    signature = request.headers.get("Grip-Sig", "")
    if request.path == "/publish" or validate_sig(signature, GRIP["verify_key"], "clients"):
        return None
    return "unsigned\n", 403


@app.get("/headers/<mode>")
def hold_by_headers(mode: str) -> ResponseReturnValue:
    """Hold, as said by header fields."""
    other = Channel("other")
    other.filters.append("skip-self")
    channels = create_grip_channel_header([Channel("test"), other])
    return Response("open\n", headers={"Grip-Hold": mode, "Grip-Channel": channels})


@app.get("/json/<mode>")
def hold_by_json(mode: str) -> ResponseReturnValue:
    """Hold, as said by JSON."""
    create = {"stream": create_hold_stream, "response": create_hold_response}[mode]
    held = HeldResponse(200, "Held", {"X-Held": mode}, "open\n")
    return Response(create([Channel("test"), Channel("other")], held), content_type=JSON)


@app.post("/ws")
def ws() -> ResponseReturnValue:
    """Echo, event by event."""
    headers: dict[str, str] = {}
    out: list[WebSocketEvent] = []
    for event in decode_websocket_events(request.get_data()):
        match event.type:
            case "OPEN":
                headers["Sec-WebSocket-Extensions"] = 'grip; message-prefix=""'
                subscribe = websocket_control_message("subscribe", {"channel": "test"})
                out += [WebSocketEvent("OPEN"), WebSocketEvent("TEXT", "c:" + subscribe)]
            case "PING":
                out.append(WebSocketEvent("PONG", event.content))
            case "TEXT" | "BINARY" | "CLOSE":
                out.append(WebSocketEvent(event.type, event.content))
    return Response(encode_websocket_events(out), content_type=EVENTS, headers=headers)


@app.post("/publish")
def publish() -> ResponseReturnValue:
    """Publish to long polls, streams and WebSockets."""
    text = request.form["text"]
    try:
        publisher.publish_http_response("test", text, blocking=True)
        publisher.publish_http_stream("test", text + "\n", blocking=True)
        publisher.publish("test", Item(WebSocketMessageFormat(text)), blocking=True)
    except ValueError as error:
        return f"{error}\n", 502
    return "published\n"
