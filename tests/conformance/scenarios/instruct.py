"""Instructions as JSON: replies of type `application/grip-instruct`."""

import json
from typing import Any

from tests.conformance.gripkit import (
    ABSENT,
    ExpectBodyPart,
    ExpectElapsed,
    ExpectResponse,
    Framing,
    MarkTime,
    Publish,
    PublishUntilAnswered,
    Reply,
    Request,
    Scenario,
    instruct,
    item,
)

GATEWAY_ERROR = b"Error while proxying to origin.\n"
ROOM = [{"name": "{{room}}"}]

INVALID = {
    "not-json": b"{",
    "not-an-object": b"[]",
    "hold-not-an-object": b'{"hold": "stream"}',
    "unknown-mode": b'{"hold": {"mode": "forever", "channels": []}}',
    "no-channels": b'{"hold": {"mode": "stream"}}',
    "channel-without-name": b'{"hold": {"mode": "stream", "channels": [{}]}}',
    "response-not-an-object": b'{"response": 5}',
    "code-out-of-range": b'{"response": {"code": 1000, "body": "x"}}',
    "body-not-a-string": b'{"response": {"body": {"a": 1}}}',
    "meta-not-a-string": b'{"hold": {"channels": [], "meta": {"user": 1}}}',
}


def raw_instruct(body: bytes, **fields: Any) -> Reply:
    """Return a reply with instructions that may be malformed."""
    return Reply(headers=[("Content-Type", "application/grip-instruct")], body=body, **fields)


SCENARIOS = [
    Scenario(
        id="instruct.response",
        about="Without a hold the response is sent at once; nothing of the outer reply shows.",
        replies=[
            Reply(
                headers=[("Content-Type", "application/grip-instruct"), ("X-Outer", "1")],
                body=json.dumps(
                    {
                        "response": {
                            "code": 201,
                            "reason": "Made Up",
                            "headers": {"X-Inner": "1", "Content-Type": "text/html"},
                            "body": "inner body",
                        }
                    }
                ).encode(),
            )
        ],
        steps=[
            Request(),
            ExpectResponse(
                201,
                reason="Made Up",
                framing=Framing.LENGTH,
                headers={"X-Inner": "1", "Content-Type": "text/html", "X-Outer": ABSENT},
                body=b"inner body",
            ),
        ],
    ),
    Scenario(
        id="instruct.response-defaults",
        about="The code defaults to 200, and headers to none at all.",
        replies=[instruct({"response": {"body": "just a body"}})],
        steps=[
            Request(),
            ExpectResponse(200, reason="OK", headers={"Content-Type": ABSENT}, body=b"just a body"),
        ],
    ),
    Scenario(
        id="instruct.response-default-reason",
        about="A code without a reason gets the usual reason; the code may be a numeric string.",
        replies=[instruct({"response": {"code": "404", "body": "none"}})],
        steps=[Request(), ExpectResponse(404, reason="Not Found", body=b"none")],
    ),
    Scenario(
        id="instruct.response-body-bin",
        about="`body-bin` is Base64 and wins over `body`.",
        replies=[instruct({"response": {"body-bin": "AP8=", "body": "text"}})],
        steps=[Request(), ExpectResponse(200, body=b"\x00\xff")],
    ),
    Scenario(
        id="instruct.stream",
        about="A stream hold sends the response at once and then what is published.",
        replies=[
            instruct(
                {
                    "hold": {
                        "mode": "stream",
                        "channels": [{"name": "{{first}}"}, {"name": "{{second}}"}],
                    },
                    "response": {
                        "code": 203,
                        "headers": {"Content-Type": "text/html", "Content-Length": "3"},
                        "body": "start;",
                    },
                }
            )
        ],
        steps=[
            Request(),
            ExpectResponse(
                203,
                framing=Framing.CHUNKED,
                headers={"Content-Type": "text/html", "Content-Length": ABSENT},
            ),
            ExpectBodyPart(b"start;"),
            Publish(item("{{first}}", stream="1;")),
            Publish(item("{{second}}", stream="2;")),
            ExpectBodyPart(b"1;2;"),
        ],
    ),
    Scenario(
        id="instruct.stream-without-response",
        about="A stream hold needs no response.",
        replies=[instruct({"hold": {"mode": "stream", "channels": ROOM}})],
        steps=[
            Request(),
            ExpectResponse(200, framing=Framing.CHUNKED),
            Publish(item("{{room}}", stream="first")),
            ExpectBodyPart(b"first"),
        ],
    ),
    Scenario(
        id="instruct.poll",
        about="A long poll is answered by a publish, which inherits headers of the response.",
        replies=[
            instruct(
                {
                    "hold": {"mode": "response", "channels": ROOM},
                    "response": {"headers": {"X-Inner": "1"}, "body": "timed out"},
                }
            )
        ],
        steps=[
            Request(),
            PublishUntilAnswered(item("{{room}}", response="published")),
            ExpectResponse(200, headers={"X-Inner": "1"}, body=b"published"),
        ],
    ),
    Scenario(
        id="instruct.poll-timeout",
        about="The mode defaults to a long poll, which times out with the response.",
        replies=[
            instruct(
                {
                    "hold": {"channels": ROOM, "timeout": 6},
                    "response": {"code": 203, "headers": {"X-Inner": "1"}, "body": "timed out"},
                }
            )
        ],
        steps=[
            MarkTime(),
            Request(),
            ExpectResponse(203, headers={"X-Inner": "1"}, body=b"timed out"),
            ExpectElapsed(at_least=5.7, less_than=15),
        ],
    ),
    Scenario(
        id="instruct.keep-alive",
        about="Keep-alive data can be text.",
        replies=[
            instruct(
                {
                    "hold": {
                        "mode": "stream",
                        "channels": ROOM,
                        "keep-alive": {"content": "beat;", "timeout": 2},
                    },
                    "response": {"body": "start;"},
                }
            )
        ],
        steps=[
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"start;"),
            MarkTime(),
            ExpectBodyPart(b"beat;"),
            ExpectElapsed(at_least=0.8, less_than=10),
            ExpectBodyPart(b"beat;"),
        ],
    ),
    Scenario(
        id="instruct.filters-and-meta",
        about="Channels can have filters, and the hold can have metadata.",
        replies=[
            instruct(
                {
                    "hold": {
                        "mode": "stream",
                        "channels": [{"name": "{{room}}", "filters": ["skip-self"]}],
                        "meta": {"user": "alice"},
                    }
                }
            )
        ],
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{room}}", stream="own;", meta={"sender": "alice"})),
            Publish(item("{{room}}", stream="other;", meta={"sender": "bob"})),
            ExpectBodyPart(b"other;"),
        ],
    ),
    Scenario(
        id="instruct.wrong-status",
        about="Instructions with a status other than 200 give a 502.",
        replies=[raw_instruct(b'{"response": {"body": "x"}}', status=201, reason="Created")],
        steps=[Request(), ExpectResponse(502, body=GATEWAY_ERROR)],
    ),
    *(
        Scenario(
            id=f"instruct.invalid.{name}",
            about=f"The instructions `{body.decode()}` give a 502.",
            replies=[raw_instruct(body)],
            steps=[Request(), ExpectResponse(502, body=GATEWAY_ERROR)],
        )
        for name, body in INVALID.items()
    ),
]
