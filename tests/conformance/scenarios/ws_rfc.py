"""What RFC 6455 and later versions of Pushpin ask for, and Pushpin 1.36 does not do."""

from tests.conformance.gripkit import (
    ABSENT,
    DISCONNECT,
    AwaitSubscription,
    Event,
    ExpectEvents,
    ExpectRequest,
    ExpectResponse,
    ExpectWsClosed,
    ExpectWsDropped,
    ExpectWsMessage,
    Opcode,
    Publish,
    Request,
    Scenario,
    Step,
    WsClose,
    WsConnect,
    WsSend,
    control,
    item,
    subscribe,
    text,
    ws,
    ws_open,
)

OURS = frozenset({"ours"})

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

FAULTS: dict[str, tuple[Step, int, str]] = {
    "text": (WsSend(b"\xff"), 1007, "text is not UTF-8"),
    "long-ping": (WsSend(b"x" * 126, Opcode.PING), 1002, "control frame too long"),
    "continuation": (WsSend(b"x", Opcode.CONTINUATION), 1002, "unexpected continuation frame"),
    "close-code": (WsClose(1005), 1002, "invalid status code"),
}


def handshake(**changes: str) -> Request:
    """Return a request with the fields of a handshake, underscores in names for dashes."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    return Request(headers=list((HANDSHAKE | changed).items()))


SCENARIOS = [
    Scenario(
        id="ws.rfc.upgrade-in-any-case",
        about="The protocol in Upgrade is compared without case (RFC 6455, section 4.2.1).",
        replies=[ws_open()],
        steps=[WsConnect(upgrade="WebSocket")],
        tags=OURS,
    ),
    Scenario(
        id="ws.rfc.version",
        about="Another version is refused with the one that is spoken (section 4.2.2).",
        replies=[ws_open()],
        steps=[
            handshake(Sec_WebSocket_Version="8"),
            ExpectResponse(426, headers={"Sec-WebSocket-Version": "13"}),
        ],
        tags=OURS,
    ),
    Scenario(
        id="ws.rfc.key",
        about="A key that is not 16 bytes in Base64 is refused (section 4.2.1).",
        replies=[ws_open()],
        steps=[handshake(Sec_WebSocket_Key="dG9vIHNob3J0"), ExpectResponse(400)],
        tags=OURS,
    ),
    *(
        Scenario(
            id=f"ws.rfc.fault.{name}",
            about="Earlier messages are answered; then a close frame says what is wrong.",
            replies=[ws_open(), ws(text("m:answer")), ws()],
            steps=[
                WsConnect(),
                WsSend(b"question"),
                fault,
                ExpectWsMessage(b"answer"),
                ExpectWsClosed(code, reason),
                ExpectEvents([text("question"), DISCONNECT]),
            ],
            tags=OURS,
        )
        for name, (fault, code, reason) in FAULTS.items()
    ),
    *(
        Scenario(
            id=f"ws.rfc.reply.{name}",
            about="What no frame can carry is malformed, and drops the connection.",
            replies=[ws_open(), ws(event)],
            steps=[WsConnect(), WsSend(b"x"), ExpectWsDropped()],
            tags=OURS,
        )
        for name, event in {
            "text": Event("TEXT", b"m:\xff"),
            "long-pong": Event("PONG", b"x" * 126),
            "close-code": Event("CLOSE", b"\x03\xed"),
        }.items()
    ),
    Scenario(
        id="ws.rfc.ping-when-detached",
        about="When the origin has left, the proxy answers pings (section 5.5.2).",
        replies=[ws_open(control("detach"), text("m:on your own")), ws()],
        steps=[
            WsConnect(),
            ExpectWsMessage(b"on your own"),
            WsSend(b"ball", Opcode.PING),
            ExpectWsMessage(b"ball", Opcode.PONG),
        ],
        tags=OURS,
    ),
    Scenario(
        id="ws.later.refresh",
        about="Since Pushpin 1.38 an item can make the proxy send a request.",
        replies=[ws_open(subscribe("{{room}}")), ws(text("m:refreshed"))],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room}}"),
            Publish(item("{{room}}", ws={"action": "refresh"})),
            ExpectWsMessage(b"refreshed"),
            ExpectRequest(number=2, body=b""),
        ],
        tags=OURS,
    ),
    Scenario(
        id="ws.later.content-kept-back",
        about="Since Pushpin 1.41 the origin can take a part; the rest comes with what is new.",
        replies=[
            ws_open(),
            ws(text("m:1"), headers=[("Content-Bytes-Accepted", "4")]),
            ws(text("m:2")),
        ],
        steps=[
            WsConnect(),
            WsSend(b"question"),
            ExpectWsMessage(b"1"),
            ExpectRequest(number=2, headers={"Content-Bytes-Replayed": ABSENT}),
            WsSend(b"more"),
            ExpectWsMessage(b"2"),
            ExpectRequest(
                number=3,
                headers={"Content-Bytes-Replayed": "4"},
                events=[text("tion"), text("more")],
            ),
        ],
        tags=OURS,
    ),
]
