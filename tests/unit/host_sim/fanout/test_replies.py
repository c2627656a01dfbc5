"""Replies with instructions, understood and bounded (GRIP §3.1, §4)."""

import json
from collections.abc import AsyncIterator

import pytest

from grip.errors import RemoteProtocolError
from host_sim.body import Body
from host_sim.fanout.replies import MAX_INSTRUCT_BYTES, Mode, media_type, understand
from host_sim.messages import Response
from tests.support.fanout import reply
from tests.support.requests import request

LONG = b"x" * (MAX_INSTRUCT_BYTES + 1)
JSON = ("Content-Type", "application/grip-instruct")


def instruct(document: object) -> Response:
    return reply(json.dumps(document).encode(), JSON)


@pytest.mark.parametrize(
    ("headers", "mode"),
    [
        ([("Grip-Foo", "x")], Mode.ANSWER),
        ([("Grip-Hold", "response")], Mode.POLL),
        ([("Grip-Hold", "stream")], Mode.STREAM),
        ([("Grip-Link", "</x>; rel=next")], Mode.STREAM),
        ([("Grip-Hold", "response"), ("Grip-Link", "</x>; rel=next")], Mode.POLL),
    ],
)
async def test_instructions_say_what_becomes_of_the_client(
    headers: list[tuple[str, str]], mode: Mode
) -> None:
    reply_ = await understand(reply(b"body", *headers))
    assert reply_.mode is mode
    assert await reply_.body.whole(10) == b"body"


async def test_response_of_json_has_a_body_of_its_own() -> None:
    reply_ = await understand(instruct({"response": {"body": "inner"}}))
    assert (reply_.mode, reply_.content) == (Mode.ANSWER, b"inner")


@pytest.mark.parametrize(
    "response",
    [
        reply(LONG, ("Grip-Hold", "response")),
        reply(LONG, ("Grip-Foo", "x")),
        reply(LONG, JSON),
        instruct({"hold": {"mode": "stream", "channels": []}, "response": {"body": LONG.decode()}}),
        reply(LONG, ("Grip-Hold", "stream"), ("Grip-Channel", "a; filter=build-id")),
    ],
    ids=["poll", "answer", "json", "json stream", "filtered stream"],
)
async def test_reply_that_is_too_long_is_the_backends_failure(response: Response) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        await understand(response)
    assert caught.value.status_hint == 502


@pytest.mark.parametrize("field", [("Grip-Hold", "stream"), ("Grip-Link", "</x>; rel=next")])
async def test_reply_that_is_relayed_may_be_of_any_length(field: tuple[str, str]) -> None:
    assert (await (await understand(reply(LONG, field))).body.whole(1 << 20)) == LONG


async def test_reply_of_the_greatest_length_is_understood() -> None:
    assert (await understand(reply(LONG[1:], ("Grip-Hold", "response")))).content == LONG[1:]


@pytest.mark.parametrize("status", ["0", "100", "199"])
async def test_status_has_to_be_that_of_a_final_response(status: str) -> None:
    """RFC 9110 §15."""
    with pytest.raises(RemoteProtocolError):
        await understand(reply(b"", ("Grip-Hold", "stream"), ("Grip-Status", status)))


async def test_reply_to_a_link_is_relayed_whatever_it_says() -> None:
    """GRIP §7.1."""
    for headers in ((), (("Grip-Hold", "response"),)):
        response = reply(LONG, *headers)
        assert (await understand(response, is_link=True)).body is response.body


async def test_request_that_is_too_long_is_the_clients_failure() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        await understand(reply(b"", ("Grip-Hold", "stream")), request("POST", body=LONG))
    assert caught.value.status_hint == 400


async def test_request_that_was_too_long_to_be_kept_is_the_clients_failure() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x"

    asked = request("POST", body=Body(pieces(), None, keep=1))
    while await asked.body.read():
        pass
    with pytest.raises(RemoteProtocolError) as caught:
        await understand(reply(b"", ("Grip-Hold", "stream")), asked)
    assert caught.value.status_hint == 400


async def test_reply_of_no_use_is_closed() -> None:
    closed = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"x"
        finally:
            closed.append(True)

    with pytest.raises(RemoteProtocolError):
        await understand(reply(Body(pieces(), MAX_INSTRUCT_BYTES + 1), ("Grip-Hold", "bad")))
    assert not closed or closed == [True]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ""), ("Text/HTML; charset=x", "text/html"), (" application/x ", "application/x")],
)
def test_media_type_has_no_parameters(value: str, expected: str) -> None:
    assert media_type(reply(b"", ("content-type", value)).headers) == expected
