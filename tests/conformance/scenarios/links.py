"""Streams that go on with another resource: `Grip-Link: <uri>; rel=next`."""

from tests.conformance.gripkit import (
    ABSENT,
    ExpectBodyPart,
    ExpectElapsed,
    ExpectRequest,
    ExpectRequestCount,
    ExpectResponse,
    ExpectRestOfBody,
    Framing,
    MarkTime,
    Pause,
    Publish,
    Request,
    Scenario,
    ValidGripSig,
    bystander_replies,
    hold,
    item,
    plain,
    settle,
)


def link(target: str, parameters: str = "") -> tuple[str, str]:
    """Return the header that links to a path of the run."""
    return ("Grip-Link", f"<{{{{path}}}}{target}>; rel=next{parameters}")


SCENARIOS = [
    Scenario(
        id="link.next.without-hold",
        about="Without a hold, linked resources follow at once until one has no link.",
        replies={
            "": [plain(b"1;", headers=[link("/second")])],
            "/second": [plain(b"2;", headers=[link("/third?page=3")])],
            "/third": [plain(b"3;")],
        },
        steps=[
            Request(),
            ExpectResponse(200, framing=Framing.CHUNKED, headers={"Grip-Link": ABSENT}),
            ExpectRestOfBody(b"1;2;3;"),
            ExpectRequest(path="/third", target="{{path}}/third?page=3"),
        ],
    ),
    Scenario(
        id="link.next.request",
        about="A linked resource is fetched with a signed GET, without headers of the client.",
        replies={
            "": [plain(b"1;", headers=[link("/second")])],
            "/second": [plain(b"2;")],
        },
        steps=[
            Request("POST", headers=[("X-Custom", "1"), ("Cookie", "a=1")], body=b"question"),
            ExpectResponse(200, body=b"1;2;"),
            ExpectRequest(
                path="/second",
                method="GET",
                headers={
                    "Grip-Sig": ValidGripSig(),
                    "Grip-Last": ABSENT,
                    "X-Custom": ABSENT,
                    "Cookie": ABSENT,
                },
                body=b"",
            ),
        ],
    ),
    Scenario(
        id="link.next.hold-at-the-end",
        about="The chain of links may end in a hold.",
        replies={
            "": [plain(b"1;", headers=[link("/second")])],
            "/second": [hold("stream", "{{room}}", body=b"2;")],
        },
        steps=[
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;2;"),
            Pause(0.5),
            Publish(item("{{room}}", stream="published")),
            ExpectBodyPart(b"published"),
        ],
    ),
    Scenario(
        id="link.next.retry",
        about="A linked resource that fails is tried again a second or two later.",
        replies={
            "": [plain(b"1;", headers=[link("/second")])],
            "/second": [plain(b"unwanted", status=503, reason="Busy"), plain(b"2;")],
        },
        steps=[
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;"),
            MarkTime(),
            ExpectRestOfBody(b"2;"),
            ExpectElapsed(at_least=0.8, less_than=10),
            ExpectRequestCount(2, path="/second"),
        ],
    ),
    Scenario(
        id="link.next.timeout",
        about="A held stream fetches its link after the timeout of the link.",
        replies={
            **bystander_replies("{{room}}"),
            "": [hold("stream", "{{room}}", headers=[link("/second", "; timeout=3")], body=b"1;")],
            "/second": [plain(b"2;")],
        },
        steps=[
            *settle(),
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;"),
            MarkTime(),
            ExpectRestOfBody(b"2;"),
            ExpectElapsed(at_least=2.5, less_than=12),
        ],
    ),
    Scenario(
        id="link.next.hint",
        about="The hint action makes a stream fetch its link at once.",
        replies={
            **bystander_replies("{{room}}"),
            "": [hold("stream", "{{room}}", headers=[link("/second")], body=b"1;")],
            "/second": [hold("stream", "{{room}}", headers=[link("/third")], body=b"2;")],
            "/third": [plain(b"3;")],
        },
        steps=[
            *settle(),
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;"),
            Publish(item("{{room}}", stream={"action": "hint"})),
            ExpectBodyPart(b"2;"),
            Pause(0.5),
            Publish(item("{{room}}", stream={"action": "hint"})),
            ExpectRestOfBody(b"3;"),
        ],
    ),
    Scenario(
        id="link.next.first-subscription",
        about="About a second after the first subscription to a channel, the link is fetched.",
        replies={
            "": [hold("stream", "{{room}}", headers=[link("/second")], body=b"1;")],
            "/second": [plain(b"2;")],
        },
        steps=[
            MarkTime(),
            Request(),
            ExpectResponse(200),
            ExpectRestOfBody(b"1;2;"),
            ExpectElapsed(at_least=0.7, less_than=15),
        ],
        tags=frozenset({"quirk"}),
    ),
    Scenario(
        id="link.next.later-subscription",
        about="A later subscription to the channel does not fetch the link by itself.",
        replies={
            **bystander_replies("{{room}}"),
            "": [hold("stream", "{{room}}", headers=[link("/second")], body=b"1;")],
            "/second": [plain(b"2;")],
        },
        steps=[
            *settle(),
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;"),
            ExpectRequestCount(0, path="/second", within=2.5),
            Publish(item("{{room}}", stream="published")),
            ExpectBodyPart(b"published"),
        ],
    ),
    Scenario(
        id="link.invalid",
        about="A link that is not in angle brackets gives a 502.",
        replies=[hold("stream", "{{room}}", headers=[("Grip-Link", "/second; rel=next")])],
        steps=[Request(), ExpectResponse(502, body=b"Error while proxying to origin.\n")],
    ),
    Scenario(
        id="link.next.relative",
        about="A link in the reply to a link is relative to that link.",
        replies={
            "": [plain(b"1;", headers=[link("/a/b")])],
            "/a/b": [plain(b"2;", headers=[("Grip-Link", "<../c?x=1>; rel=next")])],
            "/c": [plain(b"3;")],
        },
        steps=[
            Request(),
            ExpectResponse(200, body=b"1;2;3;"),
            ExpectRequest(path="/c", target="{{path}}/c?x=1"),
        ],
    ),
    Scenario(
        id="link.next.to-poll",
        about="A link that leads to a long poll ends the response after its body.",
        replies={
            "": [plain(b"1;", headers=[link("/second")])],
            "/second": [hold("response", "{{room}}")],
        },
        steps=[Request(), ExpectResponse(200, body=b"1;")],
    ),
    Scenario(
        id="link.next.replaces-channels",
        about="The channels of the reply to a link take the place of the old ones.",
        replies={
            **bystander_replies("{{old}}", "{{new}}"),
            "": [hold("stream", "{{old}}", headers=[link("/second")], body=b"1;")],
            "/second": [hold("stream", "{{new}}", body=b"2;")],
        },
        steps=[
            *settle(),
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;"),
            Publish(item("{{old}}", stream={"action": "hint"})),
            ExpectBodyPart(b"2;"),
            Pause(0.5),
            Publish(item("{{old}}", stream="old;"), item("{{new}}", stream="new;")),
            ExpectBodyPart(b"new;"),
        ],
    ),
    Scenario(
        id="link.unknown-relation",
        about="A link of another relation is ignored.",
        replies=[
            hold("stream", "{{room}}", headers=[("Grip-Link", "</x>; rel=other")], body=b"1;")
        ],
        steps=[
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;"),
            Publish(item("{{room}}", stream="2;")),
            ExpectBodyPart(b"2;"),
        ],
    ),
]
