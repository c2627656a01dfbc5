"""Opening a WebSocket whose origin speaks HTTP: the OPEN event."""

from tests.conformance.gripkit import (
    ABSENT,
    DISCONNECT,
    OPEN,
    WS_CONTENT_TYPE,
    WS_GRIP,
    ExpectElapsed,
    ExpectRequest,
    ExpectRequestCount,
    ExpectSameHeader,
    ExpectWsClosed,
    ExpectWsDropped,
    ExpectWsMessage,
    Like,
    MarkTime,
    Opcode,
    Reply,
    Scenario,
    StopOrigin,
    ValidGripSig,
    WsConnect,
    WsRefused,
    WsSend,
    binary,
    close,
    ping,
    plain,
    pong,
    text,
    ws,
    ws_open,
)

GATEWAY_ERROR = b"Error while proxying to origin.\n"


def raw_events(body: bytes) -> Reply:
    """Return a reply with events that may be malformed."""
    return Reply(headers=[WS_CONTENT_TYPE, WS_GRIP], body=body)


MALFORMED = {
    "no-events": b"",
    "no-crlf": b"OPEN",
    "lower-case": b"open\r\n",
    "bad-length": b"OPEN\r\nTEXT zz\r\nm:x\r\n",
}

SCENARIOS = [
    Scenario(
        id="ws.open.request",
        about="A handshake becomes a signed POST with an OPEN event.",
        replies={"/chat": [ws_open()]},
        steps=[
            WsConnect(path="/chat?x=1", headers=[("Cookie", "a=1"), ("Origin", "http://kit.test")]),
            ExpectRequest(
                path="/chat",
                method="POST",
                target="{{path}}/chat?x=1",
                headers={
                    "Accept": "application/websocket-events",
                    "Content-Type": "application/websocket-events",
                    "Content-Length": "6",
                    "Connection-Id": Like(".+"),
                    "Sec-WebSocket-Extensions": "grip",
                    "Sec-WebSocket-Version": "13",
                    "Grip-Sig": ValidGripSig(),
                    "Cookie": "a=1",
                    "Origin": "http://kit.test",
                    "Upgrade": ABSENT,
                    "Connection": ABSENT,
                },
                body=b"OPEN\r\n",
            ),
        ],
    ),
    Scenario(
        id="ws.open.client-headers",
        about="A client cannot pose as a proxy by headers of the protocol.",
        replies=[ws_open()],
        steps=[
            WsConnect(
                headers=[
                    ("Grip-Sig", "forged"),
                    ("Connection-Id", "forged"),
                    ("Meta-User", "forged"),
                    ("Accept", "text/html"),
                    ("Sec-WebSocket-Extensions", "permessage-deflate"),
                ]
            ),
            ExpectRequest(
                headers={
                    "Grip-Sig": ValidGripSig(),
                    "Connection-Id": Like("(?!forged).+"),
                    "Meta-User": ABSENT,
                    "Accept": "application/websocket-events",
                    "Sec-WebSocket-Extensions": "grip",
                }
            ),
        ],
    ),
    Scenario(
        id="ws.open.response-headers",
        about="Headers of the reply are passed on, except those of the protocol.",
        replies=[
            ws_open(
                headers=[
                    WS_GRIP,
                    ("Set-Cookie", "a=1"),
                    ("Set-Cookie", "b=2"),
                    ("X-Custom", "1"),
                    ("Keep-Alive-Interval", "60"),
                    ("Set-Meta-User", "alice"),
                ]
            )
        ],
        steps=[
            WsConnect(
                response_headers={
                    "Upgrade": Like("(?i)websocket"),
                    "Connection": Like("(?i)upgrade"),
                    "Set-Cookie": ["a=1", "b=2"],
                    "X-Custom": "1",
                    "Content-Type": ABSENT,
                    "Content-Length": ABSENT,
                    "Keep-Alive-Interval": ABSENT,
                    "Set-Meta-User": ABSENT,
                    "Sec-WebSocket-Extensions": ABSENT,
                }
            )
        ],
    ),
    Scenario(
        id="ws.open.subprotocol",
        about="The origin sees the subprotocols on offer, and its choice is passed on.",
        replies=[ws_open(headers=[WS_GRIP, ("Sec-WebSocket-Protocol", "chat.v2")])],
        steps=[
            WsConnect(
                headers=[("Sec-WebSocket-Protocol", "chat.v1, chat.v2")],
                response_headers={"Sec-WebSocket-Protocol": "chat.v2"},
            ),
            ExpectRequest(headers={"Sec-WebSocket-Protocol": "chat.v1, chat.v2"}),
        ],
    ),
    Scenario(
        id="ws.open.connection-id",
        about="A connection keeps its id, and every connection has its own.",
        replies=[ws_open(), ws_open(), ws(text("m:ok"))],
        steps=[
            WsConnect(client="a"),
            WsConnect(client="b"),
            ExpectSameHeader("Connection-Id", numbers=[1, 2], same=False),
            WsSend(b"hello", client="b"),
            ExpectWsMessage(b"ok", client="b"),
            ExpectSameHeader("Connection-Id", numbers=[2, 3]),
        ],
    ),
    Scenario(
        id="ws.open.with-messages",
        about="The reply may carry messages after the OPEN event.",
        replies=[ws_open(text("m:hello"), binary(b"m:\x00\xff"), ping(b"p"), pong(b"q"))],
        steps=[
            WsConnect(),
            ExpectWsMessage(b"hello"),
            ExpectWsMessage(b"\x00\xff", Opcode.BINARY),
            ExpectWsMessage(b"p", Opcode.PING),
            ExpectWsMessage(b"q", Opcode.PONG),
        ],
    ),
    Scenario(
        id="ws.open.with-close",
        about="The reply may close the WebSocket again.",
        replies=[ws_open(text("m:hello"), close(4001, "bye")), ws()],
        steps=[WsConnect(), ExpectWsMessage(b"hello"), ExpectWsClosed(4001, "bye")],
    ),
    Scenario(
        id="ws.open.with-disconnect",
        about="A DISCONNECT event right after OPEN drops the connection.",
        replies=[ws_open(DISCONNECT)],
        steps=[WsConnect(), ExpectWsDropped()],
    ),
    Scenario(
        id="ws.open.refused",
        about="A reply with another status than 200 is passed on as the answer to the handshake.",
        replies=[
            plain(
                b"who are you?\n",
                status=401,
                reason="Not Yet",
                headers=[("WWW-Authenticate", "Basic"), ("X-Custom", "1")],
            )
        ],
        steps=[
            WsRefused(
                401,
                reason="Not Yet",
                response_headers={
                    "Content-Type": "text/plain",
                    "WWW-Authenticate": "Basic",
                    "X-Custom": "1",
                },
                body=b"who are you?\n",
            )
        ],
    ),
    Scenario(
        id="ws.open.redirect",
        about="A redirect is passed on as the answer to the handshake.",
        replies=[Reply(302, "Found", headers=[("Location", "/elsewhere")])],
        steps=[WsRefused(302, response_headers={"Location": "/elsewhere"})],
    ),
    Scenario(
        id="ws.open.wrong-content-type",
        about="A 200 reply of another type is passed on, so the handshake fails.",
        replies=[plain(b"a page")],
        steps=[WsRefused(200, response_headers={"Content-Type": "text/plain"}, body=b"a page")],
    ),
    Scenario(
        id="ws.open.origin-drops",
        about="If the origin closes the connection without a reply, the client gets a 502.",
        replies=[Reply(drop=True)],
        steps=[WsRefused(502, reason="Bad Gateway", body=GATEWAY_ERROR)],
    ),
    Scenario(
        id="ws.open.origin-down",
        about="If the origin cannot be reached, the client gets a 502.",
        replies=[ws_open()],
        steps=[
            StopOrigin(),
            WsRefused(502, reason="Bad Gateway", body=GATEWAY_ERROR),
        ],
        exclusive=True,
    ),
    Scenario(
        id="ws.open.later",
        about="With Keep-Alive-Interval but no OPEN event, OPEN is sent again after the interval.",
        replies=[
            ws(headers=[WS_GRIP, ("Keep-Alive-Interval", "20")]),
            ws_open(text("m:finally")),
        ],
        steps=[
            MarkTime(),
            WsConnect(),
            ExpectElapsed(at_least=18, less_than=35),
            ExpectWsMessage(b"finally"),
            ExpectRequest(number=2, events=[OPEN]),
            ExpectRequestCount(2),
        ],
        patience=40,
        tags=frozenset({"slow"}),
    ),
    *(
        Scenario(
            id=f"ws.open.malformed.{name}",
            about=f"The reply {body!r} gives a 502.",
            replies=[raw_events(body)],
            steps=[WsRefused(502, reason="Bad Gateway", body=GATEWAY_ERROR)],
        )
        for name, body in MALFORMED.items()
    ),
]
