"""Publishing to WebSockets."""

from tests.conformance.gripkit import (
    AwaitSubscription,
    ExpectBodyPart,
    ExpectRequest,
    ExpectResponse,
    ExpectWsClosed,
    ExpectWsMessage,
    Opcode,
    Pause,
    Publish,
    Request,
    Scenario,
    WsConnect,
    WsHangup,
    close,
    hold,
    item,
    subscribe,
    ws,
    ws_open,
)

SUBSCRIBED = [WsConnect(), AwaitSubscription("{{room}}")]
OPEN_SUBSCRIBED = ws_open(subscribe("{{room}}"))

SCENARIOS = [
    Scenario(
        id="ws.publish.text",
        about="Content is sent as a text message, as it is.",
        replies=[OPEN_SUBSCRIBED],
        steps=[
            *SUBSCRIBED,
            Publish(item("{{room}}", ws="m:é€😀")),
            ExpectWsMessage("m:é€😀".encode()),
        ],
    ),
    Scenario(
        id="ws.publish.binary",
        about="`content-bin` is Base64, wins over `content`, and is sent as a binary message.",
        replies=[OPEN_SUBSCRIBED],
        steps=[
            *SUBSCRIBED,
            Publish(item("{{room}}", ws={"content-bin": "AP8=", "content": "text"})),
            ExpectWsMessage(b"\x00\xff", Opcode.BINARY),
        ],
    ),
    Scenario(
        id="ws.publish.empty",
        about="An empty message can be published.",
        replies=[OPEN_SUBSCRIBED],
        steps=[*SUBSCRIBED, Publish(item("{{room}}", ws="")), ExpectWsMessage(b"")],
    ),
    Scenario(
        id="ws.publish.large",
        about="A published message may be large.",
        replies=[OPEN_SUBSCRIBED],
        steps=[
            *SUBSCRIBED,
            Publish(item("{{room}}", ws="x" * 50_000)),
            ExpectWsMessage(b"x" * 50_000),
        ],
    ),
    Scenario(
        id="ws.publish.order",
        about="Items arrive in their order.",
        replies=[OPEN_SUBSCRIBED],
        steps=[
            *SUBSCRIBED,
            Publish(*(item("{{room}}", ws=f"{number}") for number in range(50))),
            *(ExpectWsMessage(f"{number}".encode()) for number in range(50)),
        ],
    ),
    Scenario(
        id="ws.publish.fan-out",
        about="Every subscribed connection gets the message.",
        replies={
            "/a": [ws_open(subscribe("{{room}}"), subscribe("{{only-a}}"))],
            "/b": [ws_open(subscribe("{{room}}"), subscribe("{{only-b}}"))],
        },
        steps=[
            WsConnect(path="/a", client="a"),
            WsConnect(path="/b", client="b"),
            AwaitSubscription("{{only-a}}", client="a"),
            AwaitSubscription("{{only-b}}", client="b"),
            Publish(item("{{room}}", ws="for both")),
            ExpectWsMessage(b"for both", client="a"),
            ExpectWsMessage(b"for both", client="b"),
        ],
    ),
    Scenario(
        id="ws.publish.all-formats",
        about="An item with several formats serves each kind of subscriber its own.",
        replies={"": [OPEN_SUBSCRIBED], "/stream": [hold("stream", "{{room}}")]},
        steps=[
            *SUBSCRIBED,
            Request(path="/stream", client="stream"),
            ExpectResponse(200, client="stream"),
            Publish(item("{{room}}", ws="message", stream="chunk")),
            ExpectWsMessage(b"message"),
            ExpectBodyPart(b"chunk", client="stream"),
        ],
    ),
    Scenario(
        id="ws.publish.other-formats",
        about="Content in other formats is not for WebSockets.",
        replies=[OPEN_SUBSCRIBED],
        steps=[
            *SUBSCRIBED,
            Publish(item("{{room}}", stream="wrong", response="wrong")),
            Publish(item("{{room}}", ws="right")),
            ExpectWsMessage(b"right"),
        ],
    ),
    Scenario(
        id="ws.publish.close",
        about="The close action closes the WebSocket; the origin gets a CLOSE event.",
        replies=[OPEN_SUBSCRIBED, ws(close())],
        steps=[
            *SUBSCRIBED,
            Publish(item("{{room}}", ws={"action": "close", "code": 4005, "reason": "done"})),
            ExpectWsClosed(4005, "done"),
            ExpectRequest(number=2, events=[close()]),
        ],
    ),
    Scenario(
        id="ws.publish.close-without-code",
        about="The code of the close action defaults to 1000.",
        replies=[OPEN_SUBSCRIBED, ws(close())],
        steps=[
            *SUBSCRIBED,
            Publish(item("{{room}}", ws={"action": "close"})),
            ExpectWsClosed(1000),
        ],
    ),
    Scenario(
        id="ws.publish.hint",
        about="The hint action means nothing to WebSockets.",
        replies=[OPEN_SUBSCRIBED],
        steps=[
            *SUBSCRIBED,
            Publish(item("{{room}}", ws={"action": "hint"})),
            Publish(item("{{room}}", ws="still there")),
            ExpectWsMessage(b"still there"),
        ],
    ),
    Scenario(
        id="ws.publish.after-hangup",
        about="If one client is gone, the others still get messages.",
        replies=[OPEN_SUBSCRIBED, OPEN_SUBSCRIBED, ws()],
        steps=[
            WsConnect(client="a"),
            AwaitSubscription("{{room}}", client="a"),
            WsConnect(client="b"),
            WsHangup(client="a"),
            Pause(0.5),
            AwaitSubscription("{{room}}", client="b"),
            Publish(item("{{room}}", ws="for who is left")),
            ExpectWsMessage(b"for who is left", client="b"),
        ],
    ),
]
