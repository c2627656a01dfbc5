"""Control messages of the origin to the proxy, over a WebSocket with the GRIP extension."""

from tests.conformance.gripkit import (
    AwaitSubscription,
    ExpectElapsed,
    ExpectRequest,
    ExpectRequestCount,
    ExpectWsClosed,
    ExpectWsMessage,
    ExpectWsSilence,
    MarkTime,
    Opcode,
    Pause,
    Publish,
    Scenario,
    Step,
    WsClose,
    WsConnect,
    WsHangup,
    WsSend,
    binary,
    close,
    control,
    item,
    subscribe,
    text,
    ws,
    ws_open,
)


def publish_dots(count: int) -> list[Step]:
    """Return steps that publish a dot every second."""
    return [Publish(item("{{room}}", ws=".")), Pause(1)] * count


IGNORED = {
    "not-json": text("c:{oops"),
    "not-an-object": text("c:[1]"),
    "unknown-type": control("explode"),
    "no-channel": control("subscribe"),
}

SCENARIOS = [
    Scenario(
        id="ws.control.subscribe-when-opening",
        about="The reply to OPEN can subscribe the connection.",
        replies=[ws_open(subscribe("{{room}}"))],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room}}"),
            Publish(item("{{other}}", ws="wrong channel")),
            Publish(item("{{room}}", ws="right channel")),
            ExpectWsMessage(b"right channel"),
        ],
    ),
    Scenario(
        id="ws.control.subscribe-later",
        about="Any later reply can subscribe the connection; the client sees nothing of it.",
        replies=[ws_open(), ws(subscribe("{{room}}"), text("m:subscribed"))],
        steps=[
            WsConnect(),
            WsSend(b"join"),
            ExpectWsMessage(b"subscribed"),
            AwaitSubscription("{{room}}"),
            Publish(item("{{room}}", ws="published")),
            ExpectWsMessage(b"published"),
        ],
    ),
    Scenario(
        id="ws.control.subscribe-to-several",
        about="A connection can be subscribed to several channels.",
        replies=[ws_open(subscribe("{{first}}"), subscribe("{{second}}"))],
        steps=[
            WsConnect(),
            AwaitSubscription("{{first}}"),
            AwaitSubscription("{{second}}"),
            Publish(item("{{first}}", ws="1")),
            Publish(item("{{second}}", ws="2")),
            ExpectWsMessage(b"1"),
            ExpectWsMessage(b"2"),
        ],
    ),
    Scenario(
        id="ws.control.subscribe-twice",
        about="A second subscription to the same channel changes nothing.",
        replies=[ws_open(subscribe("{{room}}"), subscribe("{{room}}"))],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room}}"),
            Publish(item("{{room}}", ws="once"), item("{{room}}", ws="last")),
            ExpectWsMessage(b"once"),
            ExpectWsMessage(b"last"),
        ],
    ),
    Scenario(
        id="ws.control.subscription-limit",
        about="Subscriptions beyond the twentieth are ignored.",
        replies=[ws_open(*(subscribe(f"{{{{room{number}}}}}") for number in range(21)))],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room19}}"),
            Publish(item("{{room20}}", ws="too many")),
            Publish(item("{{room0}}", ws="first")),
            ExpectWsMessage(b"first"),
        ],
    ),
    Scenario(
        id="ws.control.unsubscribe",
        about="A reply can end a subscription.",
        replies=[
            ws_open(subscribe("{{first}}"), subscribe("{{second}}")),
            ws(control("unsubscribe", channel="{{first}}"), text("m:left")),
        ],
        steps=[
            WsConnect(),
            AwaitSubscription("{{first}}"),
            AwaitSubscription("{{second}}"),
            WsSend(b"leave"),
            ExpectWsMessage(b"left"),
            Pause(1),
            Publish(item("{{first}}", ws="unwanted")),
            Publish(item("{{second}}", ws="wanted")),
            ExpectWsMessage(b"wanted"),
        ],
    ),
    Scenario(
        id="ws.control.detach",
        about="After detach the origin gets a CLOSE event and nothing more; publishing goes on.",
        replies=[
            ws_open(subscribe("{{room}}")),
            ws(control("detach"), text("m:on your own")),
            ws(),
        ],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room}}"),
            WsSend(b"let go"),
            ExpectWsMessage(b"on your own"),
            ExpectRequest(number=3, events=[close()]),
            WsSend(b"ignored"),
            Publish(item("{{room}}", ws="published")),
            ExpectWsMessage(b"published"),
            WsHangup(),
            ExpectRequestCount(3, within=1),
        ],
    ),
    Scenario(
        id="ws.control.detach-and-close",
        about="The close of a client after detach is answered by the proxy.",
        replies=[ws_open(), ws(control("detach"), text("m:on your own")), ws()],
        steps=[
            WsConnect(),
            WsSend(b"let go"),
            ExpectWsMessage(b"on your own"),
            ExpectRequest(number=3, events=[close()]),
            WsClose(4000),
            ExpectWsClosed(1000),
            ExpectRequestCount(3, within=1),
        ],
    ),
    Scenario(
        id="ws.control.filters",
        about="A subscription can have filters, which use metadata of the connection.",
        replies=[
            ws_open(
                control("set-meta", name="user", value="alice"),
                subscribe("{{room}}", filters=["skip-self", "var-subst"]),
            )
        ],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room}}"),
            Publish(item("{{room}}", ws="own", meta={"sender": "alice"})),
            Publish(item("{{room}}", ws="for %(user)s", meta={"sender": "bob"})),
            ExpectWsMessage(b"for alice"),
        ],
    ),
    Scenario(
        id="ws.control.keep-alive",
        about="Keep-alive content is sent whenever the connection has been idle.",
        replies=[ws_open(control("keep-alive", content="beat", timeout=2))],
        steps=[
            WsConnect(),
            MarkTime(),
            ExpectWsMessage(b"beat"),
            ExpectElapsed(at_least=0.8, less_than=10),
            ExpectWsMessage(b"beat"),
        ],
    ),
    Scenario(
        id="ws.control.keep-alive-idle",
        about="Messages to the client put off the keep-alive content.",
        replies=[ws_open(subscribe("{{room}}"), control("keep-alive", content="beat", timeout=5))],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room}}"),
            *publish_dots(6),
            *[ExpectWsMessage(b".")] * 6,
            ExpectWsMessage(b"beat"),
        ],
    ),
    Scenario(
        id="ws.control.keep-alive-interval",
        about="In interval mode messages to the client do not put off the keep-alive content.",
        replies=[
            ws_open(
                subscribe("{{room}}"),
                control(
                    "keep-alive", content="beat", timeout=3, mode="interval", message_type="ping"
                ),
            )
        ],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room}}"),
            *publish_dots(2),
            ExpectWsMessage(b"."),
            ExpectWsMessage(b"."),
            ExpectWsMessage(b"beat", Opcode.PING),
        ],
    ),
    Scenario(
        id="ws.control.keep-alive-off",
        about="Keep-alive without content turns it off.",
        replies=[
            ws_open(control("keep-alive", content="beat", timeout=3)),
            ws(control("keep-alive"), text("m:off")),
        ],
        steps=[
            WsConnect(),
            WsSend(b"quiet, please"),
            ExpectWsMessage(b"off"),
            ExpectWsSilence(seconds=4.5),
        ],
    ),
    Scenario(
        id="ws.control.send-delayed",
        about="A delayed message is sent once, after its timeout.",
        replies=[ws_open(control("send-delayed", content="later", timeout=2), text("m:now"))],
        steps=[
            WsConnect(),
            MarkTime(),
            ExpectWsMessage(b"now"),
            ExpectWsMessage(b"later"),
            ExpectElapsed(at_least=1.7, less_than=10),
            ExpectWsSilence(seconds=2.5),
        ],
    ),
    Scenario(
        id="ws.control.send-delayed-default",
        about="The timeout of a delayed message defaults to one second.",
        replies=[
            ws_open(control("send-delayed", content_bin="AP8=", message_type="binary")),
        ],
        steps=[
            WsConnect(),
            MarkTime(),
            ExpectWsMessage(b"\x00\xff", Opcode.BINARY),
            ExpectElapsed(at_least=0.7, less_than=8),
        ],
    ),
    Scenario(
        id="ws.control.flush-delayed",
        about="A delayed message can be flushed.",
        replies=[
            ws_open(control("send-delayed", content="delayed", timeout=60)),
            ws(control("flush-delayed")),
        ],
        steps=[
            WsConnect(),
            WsSend(b"flush"),
            ExpectWsMessage(b"delayed"),
            ExpectWsSilence(),
        ],
    ),
    Scenario(
        id="ws.control.send-delayed-twice",
        about="A second delayed message makes the first be sent at once.",
        replies=[
            ws_open(
                control("send-delayed", content="first", timeout=60),
                control("send-delayed", content="second", timeout=60),
            ),
            ws(control("flush-delayed")),
        ],
        steps=[
            WsConnect(),
            ExpectWsMessage(b"first"),
            ExpectWsSilence(),
            WsSend(b"flush"),
            ExpectWsMessage(b"second"),
        ],
    ),
    Scenario(
        id="ws.control.flush-nothing",
        about="If there is no delayed message, a flush does nothing.",
        replies=[ws_open(control("flush-delayed"), text("m:hello"))],
        steps=[WsConnect(), ExpectWsMessage(b"hello"), ExpectWsSilence()],
    ),
    Scenario(
        id="ws.control.session",
        about="A session message shows no effect.",
        replies=[ws_open(control("session", id="s1"), text("m:hello"))],
        steps=[WsConnect(), ExpectWsMessage(b"hello"), ExpectWsSilence()],
    ),
    Scenario(
        id="ws.control.too-large",
        about="A control message of more than 16,384 bytes is ignored.",
        replies=[
            ws_open(subscribe("{{big}}", filters=["x" * 17_000]), subscribe("{{room}}")),
        ],
        steps=[
            WsConnect(),
            AwaitSubscription("{{room}}"),
            Publish(item("{{big}}", ws="ignored")),
            Publish(item("{{room}}", ws="heard")),
            ExpectWsMessage(b"heard"),
        ],
    ),
    Scenario(
        id="ws.control.not-in-binary",
        about="A binary message is never a control message.",
        replies=[
            ws_open(
                binary(b'c:{"type": "send-delayed", "content": "x", "timeout": 0}'),
                text("m:hello"),
            )
        ],
        steps=[WsConnect(), ExpectWsMessage(b"hello"), ExpectWsSilence()],
    ),
    *(
        Scenario(
            id=f"ws.control.ignored.{name}",
            about="A message like this is ignored and does not reach the client.",
            replies=[ws_open(), ws(message, text("m:answer"))],
            steps=[
                WsConnect(),
                WsSend(b"one"),
                ExpectWsMessage(b"answer"),
                WsSend(b"two"),
                ExpectWsMessage(b"answer"),
                ExpectRequest(number=3, events=[text("two")]),
            ],
        )
        for name, message in IGNORED.items()
    ),
]
