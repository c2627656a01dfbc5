"""Origins that break off, send nonsense, or are down for a while."""

from tests.conformance.gripkit import (
    ExpectBodyPart,
    ExpectRequest,
    ExpectResponse,
    ExpectRestOfBody,
    Gate,
    OpenGate,
    Publish,
    Reply,
    Request,
    Scenario,
    StartOrigin,
    StopOrigin,
    bystander_replies,
    hold,
    item,
    plain,
    settle,
)

GATEWAY_ERROR = b"Error while proxying to origin.\n"
OK = b"HTTP/1.1 200 OK\r\n"
NEXT = ("Grip-Link", "<{{path}}/next>; rel=next")

HALF_REPLY = {
    "poll-cut-off": OK + b"Grip-Hold: response\r\nContent-Length: 9\r\n\r\nhalf",
    "instruct-cut-off": OK
    + b"Content-Type: application/grip-instruct\r\nContent-Length: 30\r\n\r\n"
    + b'{"response": {"body": "x"}}',
}
UNUSUAL = {
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    + OK
    + b"Content-Length: 2\r\n\r\nok",
    "trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nGrip-Hold: stream\r\n\r\n",
    "until-close": b"HTTP/1.0 200 OK\r\n\r\nok",
}

SCENARIOS = [
    Scenario(
        id="fault.nonsense",
        about="A reply that is none gives a 502.",
        replies=[Reply(drop=True, wire=b"nonsense\r\n\r\n")],
        steps=[Request(), ExpectResponse(502, reason="Bad Gateway", body=GATEWAY_ERROR)],
    ),
    *(
        Scenario(
            id=f"fault.{name}",
            about="Half of a reply that is needed as a whole gives a 502 (RFC 9112 §8). Pushpin at "
            "times takes it for the whole, or waits for the rest.",
            replies=[Reply(drop=True, wire=wire)],
            steps=[Request(), ExpectResponse(502, reason="Bad Gateway", body=GATEWAY_ERROR)],
            tags=frozenset({"ours"}),
        )
        for name, wire in HALF_REPLY.items()
    ),
    *(
        Scenario(
            id=f"fault.none.{name}",
            about="Interim responses and trailers are left out; the end of a connection is one.",
            replies=[Reply(drop=True, wire=wire)],
            steps=[Request(), ExpectResponse(200, body=b"ok")],
        )
        for name, wire in UNUSUAL.items()
    ),
    Scenario(
        id="fault.head-cut-off",
        about="A head that breaks off is none (RFC 9112 §8); Pushpin passes on a status of 0.",
        replies=[Reply(drop=True, wire=OK + b"Content-Le")],
        steps=[Request(), ExpectResponse(502, reason="Bad Gateway", body=GATEWAY_ERROR)],
        tags=frozenset({"ours"}),
    ),
    Scenario(
        id="link.next.large",
        about="A linked resource may be of any length; it is passed on as it comes.",
        replies={
            "": [plain(b"1;", headers=[NEXT])],
            "/next": [plain([b"2;", Gate("rest"), b"x" * 150_000])],
        },
        steps=[
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;2;"),
            OpenGate("rest"),
            ExpectRestOfBody(b"x" * 150_000),
        ],
    ),
    Scenario(
        id="fault.link-cut-off",
        about="If a part of a linked resource has been passed on, its end is that of the response "
        "(RFC 9112 §8). Pushpin at times waits for the rest.",
        replies={
            "": [plain(b"1;", headers=[NEXT])],
            "/next": [Reply(drop=True, wire=OK + b"Content-Length: 9\r\n\r\n2;")],
        },
        steps=[Request(), ExpectResponse(200), ExpectRestOfBody(b"1;2;")],
        tags=frozenset({"ours"}),
    ),
    Scenario(
        id="fault.stream-recovers-later",
        about="A stream that misses items fetches its link until the origin is up again.",
        replies={
            **bystander_replies("{{room}}"),
            "": [hold("stream", "{{room}}; prev-id=1", headers=[NEXT], body=b"1;")],
            "/next": [hold("stream", "{{room}}; prev-id=3", headers=[NEXT], body=b"2;3;")],
        },
        steps=[
            *settle(),
            Request(),
            ExpectResponse(200),
            ExpectBodyPart(b"1;"),
            StopOrigin(),
            Publish(item("{{room}}", stream="3;", id="3", prev_id="2")),
            Publish(item("{{room}}", stream="4;", id="4", prev_id="3")),
            StartOrigin(),
            ExpectBodyPart(b"2;3;"),
            ExpectBodyPart(b"4;"),
            ExpectRequest(path="/next", headers={"Grip-Last": "{{room}}; last-id=1"}),
        ],
        exclusive=True,
    ),
]
