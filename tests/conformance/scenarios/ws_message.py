"""Messages between the client of a WebSocket and an origin that speaks HTTP."""

from tests.conformance.gripkit import (
    ABSENT,
    DISCONNECT,
    OPEN,
    WS_CONTENT_TYPE,
    WS_GRIP,
    Event,
    ExpectElapsed,
    ExpectEvents,
    ExpectRequest,
    ExpectRequestCount,
    ExpectWsDropped,
    ExpectWsMessage,
    ExpectWsSilence,
    MarkTime,
    Opcode,
    OpenGate,
    Pause,
    Reply,
    Scenario,
    StartOrigin,
    StopOrigin,
    ValidGripSig,
    WsConnect,
    WsSend,
    binary,
    ping,
    plain,
    pong,
    text,
    ws,
    ws_open,
)


def extension(parameters: str) -> list[tuple[str, str]]:
    """Return the header that accepts the GRIP extension with parameters."""
    return [("Sec-WebSocket-Extensions", f"grip; {parameters}")]


BAD_REPLIES = {
    "status": plain(b"oops", status=500, reason="Oops"),
    "content-type": plain(b"TEXT 3\r\nm:x\r\n"),
    "bad-length": Reply(headers=[WS_CONTENT_TYPE], body=b"TEXT zz\r\nm:x\r\n"),
    "open-again": ws(OPEN),
    "disconnect": ws(DISCONNECT),
    "closed-connection": Reply(drop=True),
}

SCENARIOS = [
    Scenario(
        id="ws.message.text",
        about="A text message becomes a TEXT event, and back.",
        replies=[ws_open(), ws(text("m:answer"))],
        steps=[
            WsConnect(),
            WsSend(b"question"),
            ExpectWsMessage(b"answer"),
            ExpectRequest(number=2, method="POST", body=b"TEXT 8\r\nquestion\r\n"),
        ],
    ),
    Scenario(
        id="ws.message.binary",
        about="A binary message becomes a BINARY event, and back.",
        replies=[ws_open(), ws(binary(b"m:\xff\x00"))],
        steps=[
            WsConnect(),
            WsSend(b"\x00\xff\r\n", Opcode.BINARY),
            ExpectWsMessage(b"\xff\x00", Opcode.BINARY),
            ExpectRequest(number=2, body=b"BINARY 4\r\n\x00\xff\r\n\r\n"),
        ],
    ),
    Scenario(
        id="ws.message.unicode",
        about="Lengths count bytes, not characters.",
        replies=[ws_open(), ws(text("m:é€😀"))],
        steps=[
            WsConnect(),
            WsSend("é€😀".encode()),
            ExpectWsMessage("é€😀".encode()),
            ExpectRequest(number=2, body="TEXT 9\r\né€😀\r\n".encode()),
        ],
    ),
    Scenario(
        id="ws.message.empty",
        about="An empty message becomes an event without content; the origin can send one, too.",
        replies=[ws_open(), ws(text("m:"))],
        steps=[
            WsConnect(),
            WsSend(b""),
            ExpectWsMessage(b""),
            ExpectRequest(number=2, body=b"TEXT\r\n"),
        ],
    ),
    Scenario(
        id="ws.message.ping",
        about="A ping of the client is forwarded; it is the origin that answers.",
        replies=[ws_open(), ws(pong(b"ball")), ws(pong())],
        steps=[
            WsConnect(),
            WsSend(b"ball", Opcode.PING),
            ExpectWsMessage(b"ball", Opcode.PONG),
            ExpectRequest(number=2, body=b"PING 4\r\nball\r\n"),
            WsSend(b"", Opcode.PING),
            ExpectWsMessage(b"", Opcode.PONG),
            ExpectRequest(number=3, body=b"PING\r\n"),
        ],
    ),
    Scenario(
        id="ws.message.no-answer",
        about="The origin need not send anything back.",
        replies=[ws_open(), ws(), ws(text("m:now"))],
        steps=[
            WsConnect(),
            WsSend(b"one"),
            ExpectRequest(number=2),
            ExpectWsSilence(),
            WsSend(b"two"),
            ExpectWsMessage(b"now"),
        ],
    ),
    Scenario(
        id="ws.message.unknown-event",
        about="Events of unknown types are ignored.",
        replies=[ws_open(), ws(Event("HELLO"), Event("GOODBYE", b"m:x"), text("m:known"))],
        steps=[WsConnect(), WsSend(b"x"), ExpectWsMessage(b"known")],
    ),
    Scenario(
        id="ws.message.one-request-at-a-time",
        about="Messages that arrive during a request go together into the next one.",
        replies=[ws_open(), ws(text("m:first"), after="reply"), ws(text("m:second"))],
        steps=[
            WsConnect(),
            WsSend(b"a"),
            ExpectRequest(number=2, events=[text("a")]),
            WsSend(b"b"),
            WsSend(b"c", Opcode.BINARY),
            WsSend(b"", Opcode.PING),
            WsSend(b"d"),
            ExpectRequestCount(2, within=1),
            OpenGate("reply"),
            ExpectWsMessage(b"first"),
            ExpectWsMessage(b"second"),
            ExpectRequest(number=3, events=[text("b"), binary(b"c"), ping(), text("d")]),
        ],
    ),
    Scenario(
        id="ws.message.order",
        about="Messages reach the origin in their order, in whatever batches.",
        replies=[ws_open(), ws()],
        steps=[
            WsConnect(),
            *(WsSend(f"message {number}".encode()) for number in range(30)),
            ExpectEvents([text(f"message {number}") for number in range(30)]),
        ],
    ),
    Scenario(
        id="ws.message.large",
        about="Large messages pass in both directions.",
        replies=[ws_open(), ws(text("m:" + "y" * 25_000))],
        steps=[
            WsConnect(),
            WsSend(b"x" * 100_000),
            ExpectWsMessage(b"y" * 25_000),
            ExpectRequest(number=2, events=[text("x" * 100_000)]),
        ],
    ),
    Scenario(
        id="ws.message.fragments",
        about="Fragments of the client become one event.",
        replies=[ws_open(), ws(text("m:whole"))],
        steps=[
            WsConnect(),
            WsSend(b"0123456789", fragment_size=3),
            ExpectWsMessage(b"whole"),
            ExpectRequest(number=2, events=[text("0123456789")]),
        ],
    ),
    Scenario(
        id="ws.message.event-forms",
        about="Lengths may have leading zeros and capitals; content may be empty with a length.",
        replies=[
            ws_open(),
            Reply(
                headers=[WS_CONTENT_TYPE],
                body=b"TEXT 00C\r\nm:0123456789\r\nPONG 0\r\n\r\nPONG\r\n",
            ),
        ],
        steps=[
            WsConnect(),
            WsSend(b"x"),
            ExpectWsMessage(b"0123456789"),
            ExpectWsMessage(b"", Opcode.PONG),
            ExpectWsMessage(b"", Opcode.PONG),
        ],
    ),
    Scenario(
        id="ws.message.too-large",
        about="A message of more than 200,000 bytes drops the connection.",
        replies=[ws_open(), ws()],
        steps=[WsConnect(), WsSend(b"x" * 250_000), ExpectWsDropped()],
    ),
    Scenario(
        id="ws.message.request-headers",
        about="Every request has the headers of the handshake and a signature.",
        replies=[ws_open(), ws(text("m:ok"))],
        steps=[
            WsConnect(path="", headers=[("Cookie", "a=1"), ("X-Custom", "1")]),
            WsSend(b"x"),
            ExpectWsMessage(b"ok"),
            ExpectRequest(
                number=2,
                method="POST",
                headers={
                    "Grip-Sig": ValidGripSig(),
                    "Content-Type": "application/websocket-events",
                    "Accept": "application/websocket-events",
                    "Sec-WebSocket-Extensions": "grip",
                    "Cookie": "a=1",
                    "X-Custom": "1",
                },
            ),
        ],
    ),
    Scenario(
        id="ws.message.meta",
        about="Metadata set by the origin comes back with every request until it is unset.",
        replies=[
            ws_open(headers=[WS_GRIP, ("Set-Meta-User", "alice"), ("set-meta-room", "1")]),
            ws(text("m:1"), headers=[("Set-Meta-User", "bob")]),
            ws(text("m:2"), headers=[("Set-Meta-User", "")]),
            ws(text("m:3")),
        ],
        steps=[
            WsConnect(),
            WsSend(b"x"),
            ExpectWsMessage(b"1"),
            ExpectRequest(number=2, headers={"Meta-User": "alice", "Meta-Room": "1"}),
            WsSend(b"x"),
            ExpectWsMessage(b"2"),
            ExpectRequest(number=3, headers={"Meta-User": "bob", "Meta-Room": "1"}),
            WsSend(b"x"),
            ExpectWsMessage(b"3"),
            ExpectRequest(number=4, headers={"Meta-User": ABSENT, "Meta-Room": "1"}),
        ],
    ),
    Scenario(
        id="ws.message.prefix",
        about="With the GRIP extension, only messages that start with `m:` reach the client.",
        replies=[
            ws_open(text("unmarked"), binary(b"unmarked"), text("M:unmarked"), text("m:marked"))
        ],
        steps=[WsConnect(), ExpectWsMessage(b"marked")],
    ),
    Scenario(
        id="ws.message.custom-prefix",
        about="The origin can choose the prefix.",
        replies=[
            ws_open(
                text("m:unmarked"),
                text("=> marked"),
                headers=extension('message-prefix="=> "'),
            )
        ],
        steps=[WsConnect(), ExpectWsMessage(b"marked")],
    ),
    Scenario(
        id="ws.message.empty-prefix",
        about="The prefix may be empty; control messages are still for the proxy.",
        replies=[
            ws_open(
                text('c:{"type": "flush-delayed"}'),
                text("m:marked"),
                text("unmarked"),
                headers=extension('message-prefix=""'),
            )
        ],
        steps=[WsConnect(), ExpectWsMessage(b"m:marked"), ExpectWsMessage(b"unmarked")],
    ),
    Scenario(
        id="ws.message.extension-among-others",
        about="The GRIP extension may be one of several.",
        replies=[
            ws_open(text("m:marked"), headers=[("Sec-WebSocket-Extensions", "permessage-x, grip")])
        ],
        steps=[WsConnect(), ExpectWsMessage(b"marked")],
    ),
    Scenario(
        id="ws.message.without-extension",
        about="Without the GRIP extension, all messages reach the client as they are.",
        replies=[ws_open(text("m:one"), text('c:{"type": "detach"}'), text("three"), headers=[])],
        steps=[
            WsConnect(),
            ExpectWsMessage(b"m:one"),
            ExpectWsMessage(b'c:{"type": "detach"}'),
            ExpectWsMessage(b"three"),
        ],
    ),
    Scenario(
        id="ws.message.keep-alive",
        about="After Keep-Alive-Interval (20 s or more) of silence comes a request without events.",
        replies=[
            ws_open(headers=[WS_GRIP, ("Keep-Alive-Interval", "5")]),
            ws(text("m:tick")),
        ],
        steps=[
            WsConnect(),
            MarkTime(),
            ExpectWsMessage(b"tick"),
            ExpectElapsed(at_least=18, less_than=35),
            ExpectRequest(
                number=2, headers={"Content-Type": "application/websocket-events"}, body=b""
            ),
        ],
        patience=40,
        tags=frozenset({"slow"}),
    ),
    Scenario(
        id="ws.message.origin-restarts",
        about="If the origin cannot be reached for a moment, the request is tried again.",
        replies=[ws_open(), ws(text("m:back"))],
        steps=[
            WsConnect(),
            StopOrigin(),
            WsSend(b"anybody there?"),
            Pause(0.7),
            StartOrigin(),
            ExpectWsMessage(b"back"),
            ExpectRequest(number=2, events=[text("anybody there?")]),
        ],
        exclusive=True,
    ),
    *(
        Scenario(
            id=f"ws.message.bad-reply.{name}",
            about="A reply like this drops the connection.",
            replies=[ws_open(), reply],
            steps=[WsConnect(), WsSend(b"x"), ExpectWsDropped()],
        )
        for name, reply in BAD_REPLIES.items()
    ),
]
