"""Forwarding of ordinary requests to the origin, and of its replies to the client."""

from tests.conformance.gripkit import (
    ABSENT,
    ExpectBodyPart,
    ExpectRequest,
    ExpectResponse,
    ExpectRestOfBody,
    ExpectSilence,
    Framing,
    Gate,
    ListOf,
    OpenGate,
    Reply,
    Request,
    Scenario,
    StopOrigin,
    ValidGripSig,
    plain,
)

GATEWAY_ERROR = b"Error while proxying to origin.\n"

SCENARIOS = [
    Scenario(
        id="forward.request.line",
        about="The method, the path with its escapes, and the query reach the origin unchanged.",
        replies={"/a%20b/%2Fc": [plain(b"ok")]},
        steps=[
            Request("DELETE", path="/a%20b/%2Fc?x=1&y=%20&z"),
            ExpectResponse(200, body=b"ok"),
            ExpectRequest(
                path="/a%20b/%2Fc",
                method="DELETE",
                target="{{path}}/a%20b/%2Fc?x=1&y=%20&z",
                body=b"",
            ),
        ],
    ),
    Scenario(
        id="forward.request.body",
        about="A request body and its content type reach the origin.",
        replies=[plain(b"ok")],
        steps=[
            Request("POST", headers=[("Content-Type", "text/x-kit")], body=b"\x00\xffbody"),
            ExpectResponse(200, body=b"ok"),
            ExpectRequest(
                method="POST",
                headers={"Content-Type": "text/x-kit", "Content-Length": "6"},
                body=b"\x00\xffbody",
            ),
        ],
    ),
    Scenario(
        id="forward.request.empty-post",
        about="A POST without content is forwarded as such.",
        replies=[plain(b"ok")],
        steps=[
            Request("POST"),
            ExpectResponse(200, body=b"ok"),
            ExpectRequest(method="POST", body=b""),
        ],
    ),
    Scenario(
        id="forward.request.large-body",
        about="Bodies that exceed the limits of GRIP instructions pass if no hold is asked for.",
        replies=[plain(b"r" * 300_000)],
        steps=[
            Request("POST", body=b"q" * 300_000),
            ExpectResponse(200, body=b"r" * 300_000),
            ExpectRequest(body=b"q" * 300_000),
        ],
    ),
    Scenario(
        id="forward.request.host",
        about="The origin sees the Host header that the client sent.",
        replies=[plain(b"ok")],
        steps=[
            Request(headers=[("Host", "kit.example:8080")]),
            ExpectResponse(200),
            ExpectRequest(headers={"Host": "kit.example:8080"}),
        ],
    ),
    Scenario(
        id="forward.request.end-to-end-headers",
        about="Ordinary headers are forwarded, repeated ones too; no Via or the like is added.",
        replies=[plain(b"ok")],
        steps=[
            Request(
                headers=[
                    ("Authorization", "Bearer x"),
                    ("Cookie", "a=1"),
                    ("Cookie", "b=2"),
                    ("User-Agent", "kit"),
                    ("X-Forwarded-Host", "h"),
                    ("X-Custom", "1"),
                ]
            ),
            ExpectResponse(200),
            ExpectRequest(
                headers={
                    "Authorization": "Bearer x",
                    "Cookie": ["a=1", "b=2"],
                    "User-Agent": "kit",
                    "X-Forwarded-Host": "h",
                    "X-Custom": "1",
                    "Via": ABSENT,
                    "X-Forwarded-For": ABSENT,
                    "X-Forwarded-Proto": ABSENT,
                }
            ),
        ],
    ),
    Scenario(
        id="forward.request.x-forwarded-for",
        about="X-Forwarded-For fields of the client are joined, and nothing is appended.",
        replies=[plain(b"ok")],
        steps=[
            Request(
                headers=[
                    ("X-Forwarded-For", "192.0.2.1, 192.0.2.2"),
                    ("X-Forwarded-For", "192.0.2.3"),
                ]
            ),
            ExpectResponse(200),
            ExpectRequest(headers={"X-Forwarded-For": "192.0.2.1, 192.0.2.2, 192.0.2.3"}),
        ],
        tags=frozenset({"quirk"}),
    ),
    Scenario(
        id="forward.request.pushpin-route",
        about="Pushpin-Route chooses the route, here the only one, and is not forwarded.",
        replies=[plain(b"ok")],
        steps=[
            Request(headers=[("Pushpin-Route", "conformance")]),
            ExpectResponse(200, body=b"ok"),
            ExpectRequest(headers={"Pushpin-Route": ABSENT}),
        ],
    ),
    Scenario(
        id="forward.request.client-grip-headers",
        about="Grip headers of a client are dropped, so it can neither sign nor instruct.",
        replies=[plain(b"ok")],
        steps=[
            Request(
                headers=[
                    ("Grip-Sig", "forged"),
                    ("grip-last", "room; last-id=1"),
                    ("Grip-Hold", "stream"),
                    ("Grip-Anything", "x"),
                ]
            ),
            ExpectResponse(200, body=b"ok"),
            ExpectRequest(
                headers={
                    "Grip-Sig": ValidGripSig(),
                    "Grip-Last": ABSENT,
                    "Grip-Hold": ABSENT,
                    "Grip-Anything": ABSENT,
                }
            ),
        ],
    ),
    Scenario(
        id="forward.request.grip-sig",
        about="Every request is signed with a JWT that names the issuer and expires in an hour.",
        replies=[plain(b"ok")],
        steps=[
            Request(),
            ExpectResponse(200),
            ExpectRequest(headers={"Grip-Sig": ValidGripSig()}),
        ],
    ),
    Scenario(
        id="forward.request.grip-feature",
        about="Grip-Feature tells the origin what the proxy can do.",
        replies=[plain(b"ok")],
        steps=[
            Request(headers=[("Grip-Feature", "forged")]),
            ExpectResponse(200),
            ExpectRequest(
                headers={
                    "Grip-Feature": ListOf(
                        (
                            "status",
                            "link:next",
                            "filter:skip-self",
                            "filter:skip-users",
                            "filter:require-sub",
                            "filter:build-id",
                            "filter:var-subst",
                        )
                    )
                }
            ),
        ],
    ),
    Scenario(
        id="forward.request.websocket-events",
        about="A client may not speak WebSocket-over-HTTP to the origin.",
        replies=[plain(b"not reached")],
        steps=[
            Request(
                "POST",
                headers=[("Content-Type", "application/websocket-events")],
                body=b"OPEN\r\n",
            ),
            ExpectResponse(
                403,
                reason="Forbidden",
                body=b"Client not allowed to send WebSocket events directly.\n",
            ),
        ],
    ),
    Scenario(
        id="forward.response.all",
        about="Status, reason, headers and body of the reply reach the client unchanged.",
        replies=[
            plain(
                b"hello\n",
                status=299,
                reason="Fancy Reason",
                headers=[
                    ("Set-Cookie", "a=1"),
                    ("Set-Cookie", "b=2"),
                    ("Server", "kit"),
                    ("ETag", '"1"'),
                    ("X-Custom", "1"),
                ],
            )
        ],
        steps=[
            Request(),
            ExpectResponse(
                299,
                reason="Fancy Reason",
                framing=Framing.LENGTH,
                headers={
                    "Content-Type": "text/plain",
                    "Set-Cookie": ["a=1", "b=2"],
                    "Server": "kit",
                    "ETag": '"1"',
                    "X-Custom": "1",
                    "Content-Length": "6",
                    "Via": ABSENT,
                },
                body=b"hello\n",
            ),
        ],
    ),
    Scenario(
        id="forward.response.hop-by-hop-headers",
        about="Keep-Alive of the origin is not passed on.",
        replies=[plain(b"ok", headers=[("Keep-Alive", "timeout=5")])],
        steps=[Request(), ExpectResponse(200, headers={"Keep-Alive": ABSENT}, body=b"ok")],
    ),
    Scenario(
        id="forward.response.streamed",
        about="Parts of a chunked reply are passed on as soon as they arrive.",
        replies=[plain([b"one,", Gate("second"), b"two"], framing=Framing.CHUNKED)],
        steps=[
            Request(),
            ExpectResponse(200, framing=Framing.CHUNKED),
            ExpectBodyPart(b"one,"),
            ExpectSilence(),
            OpenGate("second"),
            ExpectRestOfBody(b"two"),
        ],
    ),
    Scenario(
        id="forward.response.head",
        about="The response to HEAD has the headers of the reply and no body.",
        replies=[plain(b"unsent")],
        steps=[
            Request("HEAD"),
            ExpectResponse(200, headers={"Content-Length": "6"}, body=b""),
            ExpectRequest(method="HEAD"),
        ],
    ),
    Scenario(
        id="forward.response.no-content",
        about="A 204 reply is passed on.",
        replies=[Reply(204, "No Content", headers=[("X-Custom", "1")], framing=Framing.NONE)],
        steps=[
            Request(),
            ExpectResponse(204, reason="No Content", headers={"X-Custom": "1"}, body=b""),
        ],
    ),
    Scenario(
        id="forward.response.redirect",
        about="A redirect is passed on, not followed.",
        replies=[Reply(302, "Found", headers=[("Location", "{{path}}/elsewhere")])],
        steps=[
            Request(),
            ExpectResponse(302, headers={"Location": "{{path}}/elsewhere"}, body=b""),
        ],
    ),
    Scenario(
        id="forward.failure.dropped",
        about="If the origin closes the connection without a reply, the client gets a 502.",
        replies=[Reply(drop=True)],
        steps=[
            Request(),
            ExpectResponse(
                502,
                reason="Bad Gateway",
                headers={"Content-Type": "text/plain"},
                body=GATEWAY_ERROR,
            ),
        ],
    ),
    Scenario(
        id="forward.failure.origin-down",
        about="If the origin cannot be reached, the client gets a 502.",
        replies=[plain(b"not reached")],
        steps=[
            StopOrigin(),
            Request(),
            ExpectResponse(502, reason="Bad Gateway", body=GATEWAY_ERROR),
        ],
        exclusive=True,
    ),
]
