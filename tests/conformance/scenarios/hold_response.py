"""Long polling: `Grip-Hold: response`."""

from tests.conformance.gripkit import (
    ABSENT,
    ExpectElapsed,
    ExpectRequest,
    ExpectRequestCount,
    ExpectResponse,
    ExpectSilence,
    Framing,
    MarkTime,
    Pause,
    Publish,
    PublishUntilAnswered,
    Request,
    Scenario,
    StopOrigin,
    bystander_replies,
    hold,
    item,
    plain,
    settle,
)

GATEWAY_ERROR = b"Error while proxying to origin.\n"
TIMED_OUT = b"timed out\n"
JSON = ("Content-Type", "application/json")

INVALID_HEADERS = {
    "hold": ("Grip-Hold", "forever"),
    "timeout": ("Grip-Timeout", "5s"),
    "negative-timeout": ("Grip-Timeout", "-1"),
    "status": ("Grip-Status", "teapot"),
}

SCENARIOS = [
    Scenario(
        id="hold.response.publish",
        about="A publish answers the request; the response inherits headers of the reply.",
        replies=[
            hold(
                "response",
                "{{room}}",
                headers=[("X-Initial", "1"), ("Grip-Anything", "x")],
                body=TIMED_OUT,
            )
        ],
        steps=[
            Request(),
            ExpectRequest(),
            ExpectSilence(),
            PublishUntilAnswered(item("{{room}}", response="published\n")),
            ExpectResponse(
                200,
                reason="OK",
                framing=Framing.LENGTH,
                headers={
                    "Content-Type": "text/plain",
                    "X-Initial": "1",
                    "Grip-Hold": ABSENT,
                    "Grip-Channel": ABSENT,
                    "Grip-Anything": ABSENT,
                    "Content-Length": "10",
                },
                body=b"published\n",
            ),
        ],
    ),
    Scenario(
        id="hold.response.publish-code-and-headers",
        about="A publish sets code and reason, and its headers replace inherited ones by name.",
        replies=[hold("response", "{{room}}", headers=[("X-Both", "reply"), ("X-Initial", "1")])],
        steps=[
            Request(),
            PublishUntilAnswered(
                item(
                    "{{room}}",
                    response={
                        "code": 201,
                        "reason": "Made Up",
                        "headers": {
                            "x-both": "publish",
                            "X-Publish": "1",
                            "Content-Type": "text/html",
                            "Content-Length": "99",
                            "Grip-Anything": "x",
                        },
                        "body": "made",
                    },
                )
            ),
            ExpectResponse(
                201,
                reason="Made Up",
                headers={
                    "X-Both": "publish",
                    "X-Initial": "1",
                    "X-Publish": "1",
                    "Content-Type": "text/html",
                    "Content-Length": "4",
                    "Grip-Anything": ABSENT,
                },
                body=b"made",
            ),
        ],
    ),
    Scenario(
        id="hold.response.publish-header-list",
        about="Headers may be published as a list of pairs, which allows repetition.",
        replies=[hold("response", "{{room}}")],
        steps=[
            Request(),
            PublishUntilAnswered(
                item(
                    "{{room}}",
                    response={
                        "headers": [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]],
                        "body": "ok",
                    },
                )
            ),
            ExpectResponse(200, headers={"Set-Cookie": ["a=1", "b=2"]}, body=b"ok"),
        ],
    ),
    Scenario(
        id="hold.response.publish-empty-body",
        about="An empty body can be published.",
        replies=[hold("response", "{{room}}", body=TIMED_OUT)],
        steps=[
            Request(),
            PublishUntilAnswered(item("{{room}}", response="")),
            ExpectResponse(200, headers={"Content-Length": "0"}, body=b""),
        ],
    ),
    Scenario(
        id="hold.response.publish-large-body",
        about="A published body may be large.",
        replies=[hold("response", "{{room}}")],
        steps=[
            Request(),
            PublishUntilAnswered(item("{{room}}", response="x" * 50_000)),
            ExpectResponse(200, body=b"x" * 50_000),
        ],
    ),
    Scenario(
        id="hold.response.body-patch",
        about="`body-patch` applies a JSON Patch to the body of the reply; a final newline stays.",
        replies=[
            hold("response", "{{room}}", headers=[JSON], body=b'{"a": 1, "list": [1, 2]}\n'),
        ],
        steps=[
            Request(),
            PublishUntilAnswered(
                item(
                    "{{room}}",
                    response={
                        "body-patch": [
                            {"op": "test", "path": "/a", "value": 1},
                            {"op": "replace", "path": "/a", "value": {"z": 1.5}},
                            {"op": "add", "path": "/list/-", "value": 3},
                            {"op": "copy", "from": "/list", "path": "/more"},
                            {"op": "remove", "path": "/list/0"},
                            {"op": "move", "from": "/list", "path": "/moved"},
                        ]
                    },
                )
            ),
            ExpectResponse(200, body=b'{"a":{"z":1.5},"more":[1,2,3],"moved":[2,3]}\n'),
        ],
    ),
    Scenario(
        id="hold.response.body-patch-fails",
        about="If the patch does not apply, the client gets a 502.",
        replies=[hold("response", "{{room}}", headers=[JSON], body=b'{"a": 1}')],
        steps=[
            Request(),
            PublishUntilAnswered(
                item("{{room}}", response={"body-patch": [{"op": "remove", "path": "/missing"}]})
            ),
            ExpectResponse(502, body=GATEWAY_ERROR),
        ],
    ),
    Scenario(
        id="hold.response.timeout",
        about="After Grip-Timeout the client gets the reply itself, without Grip headers.",
        replies=[
            hold(
                "response",
                "{{room}}",
                headers=[("Grip-Timeout", "6"), ("X-Custom", "1")],
                status=203,
                reason="As Replied",
                body=TIMED_OUT,
            )
        ],
        steps=[
            MarkTime(),
            Request(),
            ExpectResponse(
                203,
                reason="As Replied",
                framing=Framing.LENGTH,
                headers={
                    "Content-Type": "text/plain",
                    "X-Custom": "1",
                    "Grip-Hold": ABSENT,
                    "Grip-Channel": ABSENT,
                    "Grip-Timeout": ABSENT,
                },
                body=TIMED_OUT,
            ),
            ExpectElapsed(at_least=5.7, less_than=15),
        ],
    ),
    Scenario(
        id="hold.response.timeout-minimum",
        about="A timeout below five seconds is raised to five.",
        replies=[hold("response", "{{room}}", headers=[("Grip-Timeout", "1")], body=TIMED_OUT)],
        steps=[
            MarkTime(),
            Request(),
            ExpectResponse(200, body=TIMED_OUT),
            ExpectElapsed(at_least=4.7, less_than=15),
        ],
    ),
    Scenario(
        id="hold.response.timeout-default",
        about="Without Grip-Timeout a long poll ends after 55 seconds.",
        replies=[hold("response", "{{room}}", body=TIMED_OUT)],
        steps=[
            MarkTime(),
            Request(),
            Pause(50),
            ExpectSilence(),
            ExpectResponse(200, body=TIMED_OUT),
            ExpectElapsed(at_least=54, less_than=65),
        ],
        tags=frozenset({"slow"}),
    ),
    Scenario(
        id="hold.response.timeout-status",
        about="Grip-Status replaces status and reason of the reply.",
        replies=[
            hold(
                "response",
                "{{room}}",
                headers=[("Grip-Timeout", "5"), ("Grip-Status", "404 Gone Fishing")],
                body=TIMED_OUT,
            )
        ],
        steps=[Request(), ExpectResponse(404, reason="Gone Fishing", body=TIMED_OUT)],
    ),
    Scenario(
        id="hold.response.no-channel",
        about="A long poll without a channel can only time out.",
        replies=[hold("response", headers=[("Grip-Timeout", "5")], body=TIMED_OUT)],
        steps=[
            MarkTime(),
            Request(),
            ExpectResponse(200, body=TIMED_OUT),
            ExpectElapsed(at_least=4.7, less_than=15),
        ],
    ),
    Scenario(
        id="hold.response.several-channels",
        about="A publish to any one of several channels answers the request.",
        replies=[hold("response", "{{first}}", "{{second}}")],
        steps=[
            Request(),
            PublishUntilAnswered(item("{{second}}", response="from the second")),
            ExpectResponse(200, body=b"from the second"),
        ],
    ),
    Scenario(
        id="hold.response.other-publishes",
        about="Publishes to other channels or in other formats do not answer the request.",
        replies={**bystander_replies("{{room}}"), "": [hold("response", "{{room}}")]},
        steps=[
            *settle(),
            Request(),
            ExpectRequest(),
            Pause(1),
            Publish(item("{{other}}", response="wrong channel")),
            Publish(item("{{room}}", stream="wrong format", ws="wrong format")),
            ExpectSilence(),
            PublishUntilAnswered(item("{{room}}", response="right")),
            ExpectResponse(200, body=b"right"),
        ],
    ),
    Scenario(
        id="hold.response.hint",
        about="The hint action makes the proxy send the request to the origin again.",
        replies={
            **bystander_replies("{{room}}"),
            "/poll": [hold("response", "{{room}}", body=TIMED_OUT), plain(b"fresh")],
        },
        steps=[
            *settle(),
            Request("POST", path="/poll?q=1", headers=[("X-Custom", "1")], body=b"question"),
            PublishUntilAnswered(item("{{room}}", response={"action": "hint"})),
            ExpectResponse(200, body=b"fresh"),
            ExpectRequest(
                number=2,
                path="/poll",
                method="POST",
                target="{{path}}/poll?q=1",
                headers={"X-Custom": "1", "Grip-Last": ABSENT},
                body=b"question",
            ),
        ],
    ),
    Scenario(
        id="hold.response.hint-origin-down",
        about="If the origin cannot be reached for the repeated request, the client gets a 502.",
        replies={**bystander_replies("{{room}}"), "": [hold("response", "{{room}}")]},
        steps=[
            *settle(),
            Request(),
            ExpectRequest(),
            Pause(1),
            StopOrigin(),
            Publish(item("{{room}}", response={"action": "hint"})),
            ExpectResponse(502, body=GATEWAY_ERROR),
        ],
        exclusive=True,
    ),
    Scenario(
        id="hold.response.first-subscription",
        about="About a second after the first subscription to a channel, the request is repeated.",
        replies=[hold("response", "{{room}}", body=TIMED_OUT), plain(b"second reply")],
        steps=[Request(), ExpectResponse(200, body=b"second reply"), ExpectRequestCount(2)],
        tags=frozenset({"quirk"}),
    ),
    Scenario(
        id="hold.response.kept-connection",
        about="A client can poll again on the same connection.",
        replies=[hold("response", "{{room}}")],
        steps=[
            Request(),
            PublishUntilAnswered(item("{{room}}", response="one")),
            ExpectResponse(200, body=b"one"),
            Request(),
            PublishUntilAnswered(item("{{room}}", response="two")),
            ExpectResponse(200, body=b"two"),
        ],
    ),
    Scenario(
        id="hold.response.post",
        about="A POST can be held.",
        replies=[hold("response", "{{room}}")],
        steps=[
            Request("POST", body=b"question"),
            ExpectRequest(method="POST", body=b"question"),
            PublishUntilAnswered(item("{{room}}", response="answer")),
            ExpectResponse(200, body=b"answer"),
        ],
    ),
    Scenario(
        id="hold.response.fan-out",
        about="Every long poll on a channel is answered.",
        replies=[hold("response", "{{room}}")],
        steps=[
            Request(client="a"),
            Request(client="b"),
            Request(client="c"),
            PublishUntilAnswered(item("{{room}}", response="all"), client="a"),
            PublishUntilAnswered(item("{{room}}", response="all"), client="b"),
            PublishUntilAnswered(item("{{room}}", response="all"), client="c"),
            ExpectResponse(200, body=b"all", client="a"),
            ExpectResponse(200, body=b"all", client="b"),
            ExpectResponse(200, body=b"all", client="c"),
        ],
    ),
    Scenario(
        id="hold.response.reply-too-large",
        about="The body of a reply that asks for a long poll is limited to 100,000 bytes.",
        replies=[hold("response", "{{room}}", body=b"x" * 100_001)],
        steps=[Request(), ExpectResponse(502, body=GATEWAY_ERROR)],
    ),
    Scenario(
        id="hold.none.grip-headers",
        about="Without Grip-Hold the reply passes at once; its Grip headers are removed.",
        replies=[
            plain(
                b"not held\n",
                status=404,
                reason="No Such Thing",
                headers=[("Grip-Channel", "{{room}}"), ("GRIP-Anything", "x"), ("X-Custom", "1")],
            )
        ],
        steps=[
            Request(),
            ExpectResponse(
                404,
                reason="No Such Thing",
                headers={"Grip-Channel": ABSENT, "Grip-Anything": ABSENT, "X-Custom": "1"},
                body=b"not held\n",
            ),
        ],
    ),
    *(
        Scenario(
            id=f"hold.invalid.{name}",
            about=f"`{header[0]}: {header[1]}` gives a 502.",
            replies=[
                plain(b"x", headers=[("Grip-Channel", "{{room}}"), header])
                if header[0] == "Grip-Hold"
                else hold("response", "{{room}}", headers=[header])
            ],
            steps=[Request(), ExpectResponse(502, body=GATEWAY_ERROR)],
        )
        for name, header in INVALID_HEADERS.items()
    ),
]
