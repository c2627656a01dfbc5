"""HTTP streaming: `Grip-Hold: stream`."""

from tests.conformance.gripkit import (
    ABSENT,
    ExpectBodyMatch,
    ExpectBodyPart,
    ExpectElapsed,
    ExpectResponse,
    ExpectRestOfBody,
    ExpectSilence,
    Framing,
    Gate,
    Hangup,
    MarkTime,
    OpenGate,
    Pause,
    Publish,
    PublishUntilAnswered,
    Request,
    Scenario,
    Step,
    hold,
    item,
)

GATEWAY_ERROR = b"Error while proxying to origin.\n"


def keep_alive(value: str) -> list[tuple[str, str]]:
    """Return the header that asks for keep-alive data."""
    return [("Grip-Keep-Alive", value)]


def publish_dots(count: int) -> list[Step]:
    """Return steps that publish a dot every second."""
    return [Publish(item("{{room}}", stream=".")), Pause(1)] * count


KEEP_ALIVE_FORMATS = {
    "raw": ("a,b\\n; timeout=2", b"a,b\\n"),
    "cstring": ("\\x41 \\\\\\r\\n; format=cstring; timeout=2", b"A \\\r\n"),
    "base64": ("AP8=; format=base64; timeout=2", b"\x00\xff"),
}
INVALID_KEEP_ALIVES = {
    "format": "beat; format=rot13",
    "mode": "beat; mode=sometimes",
    "timeout": "beat; timeout=soon",
}

SCENARIOS = [
    Scenario(
        id="hold.stream.publish",
        about="The reply arrives at once, and published content is appended in order.",
        replies=[hold("stream", "{{room}}", body=b"start;")],
        steps=[
            Request(),
            ExpectResponse(
                200,
                framing=Framing.CHUNKED,
                headers={
                    "Content-Type": "text/plain",
                    "Content-Length": ABSENT,
                    "Grip-Hold": ABSENT,
                    "Grip-Channel": ABSENT,
                },
            ),
            ExpectBodyPart(b"start;"),
            ExpectSilence(),
            Publish(item("{{room}}", stream="one;")),
            ExpectBodyPart(b"one;"),
            Publish(item("{{room}}", stream="two;")),
            ExpectBodyPart(b"two;"),
        ],
    ),
    Scenario(
        id="hold.stream.initial-response",
        about="Status, reason and headers of the reply are kept.",
        replies=[
            hold(
                "stream",
                "{{room}}",
                status=203,
                reason="As Replied",
                headers=[("Cache-Control", "no-store"), ("Set-Cookie", "a"), ("Set-Cookie", "b")],
                body=b"start;",
            )
        ],
        steps=[
            Request(),
            ExpectResponse(
                203,
                reason="As Replied",
                headers={"Cache-Control": "no-store", "Set-Cookie": ["a", "b"]},
            ),
            ExpectBodyPart(b"start;"),
        ],
    ),
    Scenario(
        id="hold.stream.empty-initial-body",
        about="The head of the response is sent even if there is no content yet.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            Request(),
            ExpectResponse(200, framing=Framing.CHUNKED),
            Publish(item("{{room}}", stream="first")),
            ExpectBodyPart(b"first"),
        ],
    ),
    Scenario(
        id="hold.stream.status",
        about="Grip-Status replaces status and reason.",
        replies=[hold("stream", "{{room}}", headers=[("Grip-Status", "404 Gone Fishing")])],
        steps=[
            Request(),
            ExpectResponse(404, reason="Gone Fishing", headers={"Grip-Status": ABSENT}),
            Publish(item("{{room}}", stream="held anyway")),
            ExpectBodyPart(b"held anyway"),
        ],
    ),
    Scenario(
        id="hold.stream.post",
        about="A POST can be held.",
        replies=[hold("stream", "{{room}}", body=b"start;")],
        steps=[
            Request("POST", body=b"question"),
            ExpectResponse(200),
            ExpectBodyPart(b"start;"),
            Publish(item("{{room}}", stream="answer")),
            ExpectBodyPart(b"answer"),
        ],
    ),
    Scenario(
        id="hold.stream.content-bin",
        about="`content-bin` is Base64 and wins over `content`.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{room}}", stream={"content-bin": "AP8=", "content": "text"})),
            ExpectBodyPart(b"\x00\xff"),
        ],
    ),
    Scenario(
        id="hold.stream.empty-content",
        about="Empty content changes nothing.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{room}}", stream="")),
            Publish(item("{{room}}", stream="more")),
            ExpectBodyPart(b"more"),
        ],
    ),
    Scenario(
        id="hold.stream.large-content",
        about="A published chunk may be large.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{room}}", stream="x" * 50_000)),
            ExpectBodyPart(b"x" * 50_000),
        ],
    ),
    Scenario(
        id="hold.stream.several-channels",
        about="A stream can be subscribed to several channels by repeated headers.",
        replies=[hold("stream", "{{first}}", "{{second}}")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{first}}", stream="1;")),
            Publish(item("{{other}}", stream="wrong;")),
            Publish(item("{{second}}", stream="2;")),
            ExpectBodyPart(b"1;2;"),
        ],
    ),
    Scenario(
        id="hold.stream.channel-list",
        about="A Grip-Channel header can list several channels.",
        replies=[hold("stream", "{{first}}, {{second}}; filter=skip-self,{{third}}")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{first}}", stream="1;")),
            Publish(item("{{second}}", stream="2;")),
            Publish(item("{{third}}", stream="3;")),
            ExpectBodyPart(b"1;2;3;"),
        ],
    ),
    Scenario(
        id="hold.stream.channel-names",
        about="Channel names may contain spaces and any Unicode characters.",
        replies=[hold("stream", "{{room}} é 1")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{room}} é 1", stream="found")),
            ExpectBodyPart(b"found"),
        ],
    ),
    Scenario(
        id="hold.stream.fan-out",
        about="Every stream on a channel gets the content.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            Request(client="a"),
            Request(client="b"),
            Request(client="c"),
            ExpectResponse(200, client="a"),
            ExpectResponse(200, client="b"),
            ExpectResponse(200, client="c"),
            Publish(item("{{room}}", stream="all")),
            ExpectBodyPart(b"all", client="a"),
            ExpectBodyPart(b"all", client="b"),
            ExpectBodyPart(b"all", client="c"),
        ],
    ),
    Scenario(
        id="hold.stream.hangup",
        about="If one client goes away, the others still get the content.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            Request(client="a"),
            Request(client="b"),
            ExpectResponse(200, client="a"),
            ExpectResponse(200, client="b"),
            Hangup(client="a"),
            Publish(item("{{room}}", stream="1;")),
            Pause(0.5),
            Publish(item("{{room}}", stream="2;")),
            ExpectBodyPart(b"1;2;", client="b"),
        ],
    ),
    Scenario(
        id="hold.stream.mixed-formats",
        about="An item with several formats serves each kind of subscriber its own.",
        replies={
            "/stream": [hold("stream", "{{room}}")],
            "/poll": [hold("response", "{{room}}")],
        },
        steps=[
            Request(path="/stream", client="stream"),
            ExpectResponse(200, client="stream"),
            Request(path="/poll", client="poll"),
            PublishUntilAnswered(
                item("{{room}}", stream="streamed;", response="polled"), client="poll"
            ),
            ExpectResponse(200, body=b"polled", client="poll"),
            ExpectBodyPart(b"streamed;", client="stream"),
        ],
    ),
    Scenario(
        id="hold.stream.close",
        about="The close action ends the stream properly.",
        replies=[hold("stream", "{{room}}", body=b"start;")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{room}}", stream="last;")),
            Publish(item("{{room}}", stream={"action": "close"})),
            ExpectRestOfBody(b"start;last;"),
        ],
    ),
    Scenario(
        id="hold.stream.hint-without-link",
        about="The hint action means nothing to a stream without a next link.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{room}}", stream={"action": "hint"})),
            Publish(item("{{room}}", stream="still there")),
            ExpectBodyPart(b"still there"),
        ],
    ),
    *(
        Scenario(
            id=f"hold.stream.keep-alive.{name}",
            about=f"`{value}` sends {data!r} when the stream has been idle for up to two seconds.",
            replies=[hold("stream", "{{room}}", headers=keep_alive(value), body=b"start;")],
            steps=[
                Request(),
                ExpectResponse(200, headers={"Grip-Keep-Alive": ABSENT}),
                ExpectBodyPart(b"start;"),
                MarkTime(),
                ExpectBodyPart(data),
                ExpectElapsed(at_least=0.8, less_than=10),
                ExpectBodyPart(data),
            ],
        )
        for name, (value, data) in KEEP_ALIVE_FORMATS.items()
    ),
    Scenario(
        id="hold.stream.keep-alive.idle",
        about="Published content puts off the keep-alive data.",
        replies=[hold("stream", "{{room}}", headers=keep_alive("beat; timeout=5"))],
        steps=[
            Request(),
            ExpectResponse(200),
            *publish_dots(6),
            ExpectBodyPart(b"......"),
            ExpectBodyPart(b"beat"),
        ],
    ),
    Scenario(
        id="hold.stream.keep-alive.interval",
        about="In interval mode keep-alive data is sent regardless of published content.",
        replies=[hold("stream", "{{room}}", headers=keep_alive("beat; timeout=4; mode=interval"))],
        steps=[
            Request(),
            ExpectResponse(200),
            *publish_dots(6),
            ExpectBodyMatch(rb"\.+beat\.+(beat)*"),
        ],
    ),
    *(
        Scenario(
            id=f"hold.stream.keep-alive.invalid-{name}",
            about=f"`{value}` gives a 502.",
            replies=[hold("stream", "{{room}}", headers=keep_alive(value))],
            steps=[Request(), ExpectResponse(502, body=GATEWAY_ERROR)],
        )
        for name, value in INVALID_KEEP_ALIVES.items()
    ),
    Scenario(
        id="hold.stream.large-initial-body",
        about="The reply of a stream may be of any length; it is passed on as it comes.",
        replies=[
            hold("stream", "{{room}}", body=[b"x" * 150_000, Gate("rest"), b"y" * 150_000]),
        ],
        steps=[
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"x" * 150_000),
            OpenGate("rest"),
            ExpectBodyPart(b"y" * 150_000),
            Pause(0.5),
            Publish(item("{{room}}", stream="published")),
            ExpectBodyPart(b"published"),
        ],
    ),
    Scenario(
        id="hold.stream.items-across-channels",
        about="Items of one publish arrive in its order, across channels, too.",
        replies=[hold("stream", "{{first}}", "{{second}}")],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(
                item("{{first}}", stream="1;"),
                item("{{second}}", stream="2;"),
                item("{{first}}", stream="3;"),
                item("{{second}}", stream={"action": "close"}),
                item("{{first}}", stream="unsent;"),
            ),
            ExpectRestOfBody(b"1;2;3;"),
        ],
    ),
]
