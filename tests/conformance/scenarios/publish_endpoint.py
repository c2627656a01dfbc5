"""The HTTP endpoint that takes published items."""

import json
from typing import Any

from tests.conformance.gripkit import (
    ExpectBodyPart,
    ExpectResponse,
    Publish,
    PublishRequest,
    Request,
    Scenario,
    hold,
    item,
)

OPEN_STREAM = [Request(), ExpectResponse(200)]
PUBLISHED = b"Published\n"


def encode(*items: Any) -> bytes:
    """Return the body of a publish request."""
    return json.dumps({"items": items}).encode()


def with_formats(**formats: Any) -> bytes:
    """Return the body of a publish request with one item in certain formats."""
    named = {name.replace("_", "-"): value for name, value in formats.items()}
    return encode({"channel": "{{room}}", "formats": named})


def with_fields(**fields: Any) -> bytes:
    """Return the body of a publish request with one item with certain further fields."""
    return encode(item("{{room}}", stream="x", **fields))


VALID = with_formats(http_stream={"content": "delivered"})

INVALID_BODIES = {
    "not-json": b"{",
    "empty-body": b"",
    "not-an-object": b"[]",
    "no-items": b"{}",
    "item-not-an-object": encode(1),
    "no-channel": encode({"formats": {"http-stream": {"content": "x"}}}),
    "channel-not-a-string": encode({"channel": 5, "formats": {"http-stream": {"content": "x"}}}),
    "no-formats": encode({"channel": "{{room}}"}),
    "formats-not-an-object": encode({"channel": "{{room}}", "formats": []}),
    "format-not-an-object": with_formats(http_stream="x"),
    "unknown-action": with_formats(http_stream={"action": "explode"}),
    "stream-without-content": with_formats(http_stream={}),
    "stream-content-not-a-string": with_formats(http_stream={"content": 5}),
    "response-without-body": with_formats(http_response={"code": 200}),
    "response-code-out-of-range": with_formats(http_response={"code": 1000, "body": "x"}),
    "response-headers-not-an-object": with_formats(http_response={"headers": 5, "body": "x"}),
    "response-patch-not-a-list": with_formats(http_response={"body-patch": 5}),
    "ws-without-content": with_formats(ws_message={}),
    "ws-negative-close-code": with_formats(ws_message={"action": "close", "code": -1}),
    "content-filters-not-a-list": with_formats(
        http_stream={"content": "x", "content-filters": "var-subst"}
    ),
    "id-not-a-string": with_fields(id=5),
    "meta-not-an-object": with_fields(meta="x"),
    "no-seq-not-a-boolean": with_fields(no_seq=1),
}

SCENARIOS = [
    Scenario(
        id="publish.answer.text",
        about="The answer to a publish is a line of text.",
        replies=[],
        steps=[
            PublishRequest(
                VALID,
                status=200,
                response_headers={"Content-Type": "text/plain"},
                response_body=PUBLISHED,
            )
        ],
    ),
    Scenario(
        id="publish.answer.json",
        about="A publisher can ask for the answer as JSON.",
        replies=[],
        steps=[
            PublishRequest(
                VALID,
                headers=[("Accept", "application/json")],
                status=200,
                response_headers={"Content-Type": "application/json"},
                response_body=b'{"message":"Published"}\n',
            )
        ],
    ),
    Scenario(
        id="publish.answer.not-acceptable",
        about="Other types are not on offer, and nothing is published.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            *OPEN_STREAM,
            PublishRequest(VALID, headers=[("Accept", "text/html")], status=406),
            Publish(item("{{room}}", stream="end")),
            ExpectBodyPart(b"end"),
        ],
    ),
    Scenario(
        id="publish.request.no-trailing-slash",
        about="The path of the endpoint works without the slash at its end.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            *OPEN_STREAM,
            PublishRequest(VALID, path="/publish", status=200, response_body=PUBLISHED),
            ExpectBodyPart(b"delivered"),
        ],
    ),
    Scenario(
        id="publish.request.content-type",
        about="The content type of a publish does not matter.",
        replies=[hold("stream", "{{room}}")],
        steps=[
            *OPEN_STREAM,
            PublishRequest(
                VALID, headers=[("Content-Type", "text/plain")], response_body=PUBLISHED
            ),
            ExpectBodyPart(b"delivered"),
        ],
    ),
    Scenario(
        id="publish.request.method",
        about="Only POST can publish.",
        replies=[],
        steps=[
            PublishRequest(
                method="GET", headers=(), status=405, response_headers={"Allow": "POST"}
            ),
            PublishRequest(VALID, method="PUT", status=405, response_headers={"Allow": "POST"}),
        ],
    ),
    Scenario(
        id="publish.request.unknown-path",
        about="Other paths are not found.",
        replies=[],
        steps=[PublishRequest(VALID, path="/no-such-path", status=404)],
    ),
    Scenario(
        id="publish.request.without-length",
        about="The length of the body has to be announced.",
        replies=[],
        steps=[PublishRequest(VALID, send_length=False, status=411)],
        tags=frozenset({"quirk"}),
    ),
    Scenario(
        id="publish.request.too-large",
        about="A body of more than a megabyte is refused.",
        replies=[],
        steps=[
            PublishRequest(
                b'{"items":[',
                headers=[("Content-Length", "1100000")],
                send_length=False,
                status=(400, 413),
            )
        ],
    ),
    Scenario(
        id="publish.items.none",
        about="A publish may have no items.",
        replies=[],
        steps=[PublishRequest(encode(), status=200, response_body=PUBLISHED)],
    ),
    Scenario(
        id="publish.items.no-subscribers",
        about="It is no error if nobody is subscribed.",
        replies=[],
        steps=[Publish(item("{{room}}", stream="x", response="x", ws="x"))],
    ),
    Scenario(
        id="publish.items.several-channels",
        about="One request can publish to several channels.",
        replies={"/a": [hold("stream", "{{a}}")], "/b": [hold("stream", "{{b}}")]},
        steps=[
            Request(path="/a", client="a"),
            Request(path="/b", client="b"),
            ExpectResponse(200, client="a"),
            ExpectResponse(200, client="b"),
            Publish(item("{{a}}", stream="for a"), item("{{b}}", stream="for b")),
            ExpectBodyPart(b"for a", client="a"),
            ExpectBodyPart(b"for b", client="b"),
        ],
    ),
    Scenario(
        id="publish.items.unknown-format",
        about="Unknown formats are ignored, even if there is no other.",
        replies=[],
        steps=[
            PublishRequest(with_formats(carrier_pigeon={}), status=200, response_body=PUBLISHED)
        ],
    ),
    *(
        Scenario(
            id=f"publish.invalid.{name}",
            about="The body is refused, and the answer is a line of text.",
            replies=[],
            steps=[
                PublishRequest(body, status=400, response_headers={"Content-Type": "text/plain"})
            ],
        )
        for name, body in INVALID_BODIES.items()
    ),
]
