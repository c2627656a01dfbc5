"""What RFCs ask of an HTTP proxy, and Pushpin 1.36.0 does not do. All of these are ours."""

from tests.conformance.gripkit import (
    ABSENT,
    ExpectRequest,
    ExpectResponse,
    ExpectSilence,
    OpenGate,
    Publish,
    Request,
    Scenario,
    bystander_replies,
    hold,
    item,
    plain,
    settle,
)

OURS = frozenset({"ours"})
GONE = ("Grip-Link", "<{{path}}/gone>; rel=gone")

SCENARIOS = [
    Scenario(
        id="rfc.http.connection-options",
        about="Fields named in Connection do not survive the hop (RFC 9110 §7.6.1).",
        replies=[plain(b"ok")],
        steps=[
            Request(
                headers=[("Connection", "X-Hop, keep-alive"), ("X-Hop", "1"), ("TE", "trailers")]
            ),
            ExpectResponse(200),
            ExpectRequest(headers={"X-Hop": ABSENT, "TE": ABSENT}),
        ],
        tags=OURS,
    ),
    Scenario(
        id="rfc.http.request-content-encoding",
        about="The encoding of a request's content is told with it (RFC 9110 §8.4).",
        replies=[plain(b"ok")],
        steps=[
            Request("POST", headers=[("Content-Encoding", "x-kit")], body=b"encoded"),
            ExpectResponse(200),
            ExpectRequest(headers={"Content-Encoding": "x-kit"}, body=b"encoded"),
        ],
        tags=OURS,
    ),
    Scenario(
        id="rfc.http.response-content-encoding",
        about="The encoding of a response's content is told with it (RFC 9110 §8.4).",
        replies=[plain(b"encoded", headers=[("Content-Encoding", "x-kit")])],
        steps=[
            Request(),
            ExpectResponse(200, headers={"Content-Encoding": "x-kit"}, body=b"encoded"),
        ],
        tags=OURS,
    ),
    Scenario(
        id="rfc.http.stream-without-body",
        about="A response to HEAD is complete with its head (RFC 9110 §6.4.1): nothing is held.",
        replies=[hold("stream", "{{room}}", body=b"unsent"), plain(b"next")],
        steps=[
            Request("HEAD"),
            ExpectResponse(200, body=b""),
            Request(),
            ExpectResponse(200, body=b"next"),
        ],
        tags=OURS,
    ),
    Scenario(
        id="rfc.http.interim-status",
        about="An instruction cannot make a final response interim (RFC 9110 §15.2).",
        replies=[plain(b"x", headers=[("Grip-Status", "101 Switching")])],
        steps=[Request(), ExpectResponse(502)],
        tags=OURS,
    ),
    Scenario(
        id="recover.poll.meanwhile",
        about="What is published while a long poll is asked again is not lost to it.",
        replies={
            **bystander_replies("{{room}}"),
            "": [
                hold("response", "{{room}}"),
                hold("response", "{{room}}", after="second"),
            ],
        },
        steps=[
            *settle(),
            Request(),
            ExpectRequest(),
            ExpectSilence(),
            Publish(item("{{room}}", response={"action": "hint"})),
            ExpectRequest(number=2),
            Publish(item("{{room}}", response="meanwhile")),
            ExpectSilence(),
            OpenGate("second"),
            ExpectResponse(200, body=b"meanwhile"),
        ],
        tags=OURS,
    ),
    Scenario(
        id="link.gone",
        about="When a response has ended, its gone link gets an empty POST (Pushpin 1.41).",
        replies={"": [hold("stream", "{{room}}", headers=[GONE])], "/gone": [plain()]},
        steps=[
            Request(),
            ExpectResponse(200),
            Publish(item("{{room}}", stream={"action": "close"})),
            ExpectRequest(path="/gone", method="POST", body=b""),
        ],
        tags=OURS,
    ),
]
