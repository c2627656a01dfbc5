"""Instructions by headers: lists, limits, and headers together with JSON."""

import json

from tests.conformance.gripkit import (
    ABSENT,
    ExpectBodyPart,
    ExpectResponse,
    ExpectRestOfBody,
    Publish,
    PublishUntilAnswered,
    Reply,
    Request,
    Scenario,
    hold,
    item,
    plain,
)

OPEN_STREAM = [Request(), ExpectResponse(200)]
TOO_LARGE = b"Request too large to accept GRIP instruct.\n"
HEADERS = [("X-One", "1"), ("X-Two", "2"), ("X-Three", "3")]

SCENARIOS = [
    Scenario(
        id="headers.expose.answer",
        about="With Grip-Expose-Headers only those it names reach the client.",
        replies=[
            plain(
                b"body",
                headers=[*HEADERS, ("Grip-Expose-Headers", "x-one, X-Three")],
            )
        ],
        steps=[
            Request(),
            ExpectResponse(
                200,
                headers={"X-One": "1", "X-Two": ABSENT, "X-Three": "3", "Content-Type": ABSENT},
                body=b"body",
            ),
        ],
    ),
    Scenario(
        id="headers.expose.poll",
        about="What a long poll inherits of the reply are the exposed headers only.",
        replies=[
            hold("response", "{{room}}", headers=[*HEADERS, ("Grip-Expose-Headers", "X-Two")])
        ],
        steps=[
            Request(),
            PublishUntilAnswered(
                item("{{room}}", response={"headers": {"X-Four": "4"}, "body": "news"})
            ),
            ExpectResponse(
                200, headers={"X-One": ABSENT, "X-Two": "2", "X-Four": "4"}, body=b"news"
            ),
        ],
    ),
    Scenario(
        id="headers.channel.twice",
        about="A channel that is named twice is subscribed to once.",
        replies=[hold("stream", "{{room}}, {{room}}", "{{room}}")],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="once;")),
            Publish(item("{{room}}", stream="end;")),
            ExpectBodyPart(b"once;end;"),
        ],
    ),
    Scenario(
        id="headers.channel.limit",
        about="Channels beyond the twentieth are ignored.",
        replies=[hold("stream", *(f"{{{{room{number}}}}}" for number in range(1, 22)))],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room21}}", stream="beyond;")),
            Publish(item("{{room20}}", stream="within;")),
            ExpectBodyPart(b"within;"),
        ],
    ),
    Scenario(
        id="headers.channel.quotes",
        about="Quotes around a channel name are part of it, and commas between them, too.",
        replies=[hold("stream", '"{{room}}, 1"')],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}, 1", stream="wrong;")),
            Publish(item('"{{room}}, 1"', stream="right;")),
            ExpectBodyPart(b"right;"),
        ],
    ),
    Scenario(
        id="headers.meta.quoted",
        about="Values of metadata may be quoted, with commas and escapes.",
        replies=[
            hold(
                "stream",
                "{{room}}; filter=var-subst",
                headers=[("Grip-Set-Meta", 'name="a, \\"b\\"", other=c')],
            )
        ],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="%(name)s %(other)s;")),
            ExpectBodyPart(b'a, "b" c;'),
        ],
    ),
    Scenario(
        id="headers.first-counts",
        about="Where only one value makes sense, the first field counts.",
        replies=[
            hold(
                "stream",
                "{{room}}",
                headers=[("Grip-Status", "202 First"), ("Grip-Status", "404 Second")],
            )
        ],
        steps=[Request(), ExpectResponse(202, reason="First")],
    ),
    Scenario(
        id="headers.with-json",
        about="Grip headers of a JSON reply are obeyed as well; it is the client's response then.",
        replies=[
            Reply(
                headers=[
                    ("Content-Type", "application/grip-instruct; charset=utf-8"),
                    ("Grip-Hold", "stream"),
                    ("Grip-Channel", "{{room}}"),
                ],
                body=json.dumps({"response": {"code": 203, "body": "start;"}}).encode(),
            )
        ],
        steps=[
            Request(),
            ExpectResponse(203),
            ExpectBodyPart(b"start;"),
            Publish(item("{{room}}", stream={"action": "close"})),
            ExpectRestOfBody(),
        ],
    ),
    Scenario(
        id="headers.with-json-channels",
        about="Channels of headers and of JSON are added together.",
        replies=[
            Reply(
                headers=[
                    ("Content-Type", "application/grip-instruct"),
                    ("Grip-Channel", "{{first}}"),
                ],
                body=json.dumps(
                    {"hold": {"mode": "stream", "channels": [{"name": "{{second}}"}]}}
                ).encode(),
            )
        ],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{first}}", stream="1;")),
            Publish(item("{{second}}", stream="2;")),
            ExpectBodyPart(b"1;2;"),
        ],
    ),
    Scenario(
        id="headers.request-too-large",
        about="A request of more than 100,000 bytes cannot be held.",
        replies=[hold("response", "{{room}}")],
        steps=[
            Request("POST", body=b"q" * 100_001),
            ExpectResponse(400, reason="Bad Request", body=TOO_LARGE),
        ],
    ),
    Scenario(
        id="headers.reply-too-large",
        about="A reply of more than 100,000 bytes with instructions but without a hold is refused.",
        replies=[plain(b"x" * 100_001, headers=[("Grip-Foo", "x")])],
        steps=[Request(), ExpectResponse(502)],
    ),
]
