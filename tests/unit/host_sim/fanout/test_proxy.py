"""Clients that were handed off: answered, held, asked again (GRIP §2 to §9).

What the machines decide is checked with them; here is what the proxy makes of it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from grip.headers import Headers
from grip.items import Action, HttpResponseFormat, HttpStreamFormat, Item
from grip.signature import Key, sign
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault
from host_sim.fanout.proxy import FanoutProxy
from host_sim.fanout.streams import MAX_BUFFERED
from host_sim.messages import Request, Response
from tests.support.fanout import Answer, Downstream, Origin, reply
from tests.support.requests import request
from tests.support.waiting import soon

FAILED = b"Error while proxying to origin.\n"
POLL = (("Grip-Hold", "response"), ("Grip-Channel", "room"), ("Content-Type", "text/plain"))
STREAM = (("Grip-Hold", "stream"), ("Grip-Channel", "room"))
NEXT = ("Grip-Link", "</next>; rel=next")
GONE = ("Grip-Link", "<gone>; rel=gone")


class Room:
    """A proxy in front of backends that answer from a script."""

    def __init__(self, *answers: Answer, trusted_key: Key | None = None) -> None:
        self.origin = Origin(*answers)
        self.proxy = FanoutProxy(
            self.origin, lambda: "sig", timeout_s=10.0, trusted_key=trusted_key
        )

    async def take(self, asked: Request | None = None) -> Downstream:
        downstream = Downstream()
        await self.proxy.take(asked or request("GET", "/a"), "b", downstream)
        return downstream

    def publish(
        self,
        *,
        poll: bytes | None = None,
        stream: bytes | None = None,
        action: Action = Action.SEND,
    ) -> None:
        item = Item(
            channel="room",
            http_response=None if poll is None else HttpResponseFormat(body=poll, action=action),
            http_stream=None if stream is None else HttpStreamFormat(content=stream, action=action),
        )
        self.proxy.registry.publish([item])


async def never(_: Request) -> Response:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def breaks_off() -> AsyncIterator[bytes]:
    yield b"one"
    raise ConnectionError("reset")


class TestPassedOn:
    """GRIP §2.3, §2.4."""

    async def test_reply_without_instructions_is_passed_on_as_it_is(self) -> None:
        answer = reply(b"hello", ("Set-Cookie", "a"), ("Set-Cookie", "b"), status=299, reason="So")
        client = await Room(answer).take()
        assert (client.status, client.reason, client.length) == (299, "So", 5)
        assert client.headers.get_all("Set-Cookie") == ["a", "b"]
        assert (client.body, client.finished) == (b"hello", True)

    async def test_reply_that_breaks_off_is_cut(self, caplog: pytest.LogCaptureFixture) -> None:
        client = await Room(reply(Body(breaks_off(), None))).take()
        assert (client.body, client.finished, client.aborted) == (b"one", False, True)
        assert "the reply broke off: reset" in caplog.text

    @pytest.mark.parametrize(
        ("fault", "status"),
        [
            (BackendFault.UNREACHABLE, 502),
            (BackendFault.CLOSED, 502),
            (BackendFault.INVALID, 502),
            (BackendFault.UNKNOWN, 502),
            (BackendFault.LOOP, 502),
            (BackendFault.TIMEOUT, 504),
        ],
    )
    async def test_backend_without_a_reply_has_failed(
        self, fault: BackendFault, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked = request()
        client = await Room(BackendError("b", fault, "why")).take(asked)
        assert (client.status, client.body) == (status, FAILED)
        assert client.headers.get("Content-Type") == "text/plain"
        assert f"request {asked.trace.id}: backend 'b': {fault.value}: why" in caplog.text
        assert asked.trace.note == f"backend 'b': {fault.value}: why"

    async def test_client_may_not_speak_websocket_events(self) -> None:
        room = Room(reply())
        fields = (("content-type", "Application/WebSocket-Events; x=y"),)
        client = await room.take(request("POST", "/", fields, b"OPEN\r\n"))
        assert (client.status, room.origin.requests) == (403, [])
        assert client.body == b"Client not allowed to send WebSocket events directly.\n"

    async def test_request_to_a_silent_backend_is_given_up_when_the_client_goes(self) -> None:
        room, downstream, asked = Room(never), Downstream(), request()
        serving = asyncio.create_task(room.proxy.take(asked, "b", downstream))
        await soon(lambda: room.origin.requests)
        downstream.leave()
        await serving
        assert downstream.status is None
        assert asked.trace.note == "the client went away"

    async def test_story_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "host_sim.access")
        asked = request()
        await Room(reply()).take(asked)
        assert len(caplog.records) == 1
        assert asked.trace.handed_off_to == "b"


class TestAnswered:
    """GRIP §3.1, §3.4."""

    async def test_reply_without_a_hold_answers_at_once(self) -> None:
        client = await Room(reply(b"body", ("Grip-Foo", "x"), ("X-Custom", "1"))).take()
        assert (client.status, client.length, client.body) == (200, 4, b"body")
        assert list(client.headers) == [("X-Custom", "1")]

    async def test_answer_to_head_keeps_its_length(self) -> None:
        answer = reply(b"", ("Grip-Foo", "x"), ("Content-Length", "6"))
        client = await Room(answer).take(request("HEAD"))
        assert client.headers.get("Content-Length") == "6"

    async def test_fault_in_instructions_is_the_backends_failure(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = await Room(reply(b"", ("Grip-Hold", "forever"))).take()
        assert (client.status, client.body) == (502, FAILED)
        assert "backend 'b': expected a hold of response or stream, got 'forever'" in caplog.text

    async def test_instructions_that_break_off_are_the_backends_failure(self) -> None:
        client = await Room(reply(Body(breaks_off(), None), *POLL)).take()
        assert (client.status, client.body) == (502, FAILED)

    async def test_request_that_is_too_large_is_the_clients(self) -> None:
        client = await Room(reply(b"", *POLL)).take(request("POST", body=b"x" * 100_001))
        assert (client.status, client.body) == (
            400,
            b"Request too large to accept GRIP instruct.\n",
        )


class TestLongPoll:
    """GRIP §5, §9.4."""

    async def test_item_answers(self) -> None:
        room, asked = Room(reply(b"", *POLL)), request()
        client = await room.take(asked)
        assert not client.closed
        assert (asked.trace.hold, asked.trace.channels) == ("response", ("room",))
        room.publish(poll=b"news")
        assert (client.status, client.body, client.finished) == (200, b"news", True)
        assert not room.proxy.registry.has("room")

    async def test_request_is_asked_again_as_it_was_with_last_ids(self) -> None:
        room = Room(reply(b"", ("Grip-Hold", "response"), ("Grip-Channel", "room; prev-id=1")))
        room.origin._answers += (reply(b"fresh"),)
        client = await room.take(request("POST", "/a?q", (("Host", "h"), ("X", "1")), b"question"))
        room.publish(poll=b"", action=Action.HINT)
        await soon(lambda: client.finished)
        assert client.body == b"fresh"
        first, second = room.origin.requests
        assert (second.method, second.target) == ("POST", "/a?q")
        assert second.headers.get("Grip-Last") == "room; last-id=1"
        assert [*first.headers] == [*second.headers.without("Grip-Last")]
        assert room.origin.bodies == [b"question"] * 2

    async def test_asked_again_it_may_become_a_stream(self) -> None:
        room = Room(reply(b"", *POLL), reply(b"one,", *STREAM))
        client = await room.take()
        room.publish(poll=b"", action=Action.HINT)
        await soon(lambda: client.body)
        room.publish(stream=b"two")
        assert (client.body, client.finished) == (b"one,two", False)

    async def test_asked_again_in_vain_it_has_failed(self) -> None:
        room = Room(reply(b"", *POLL), BackendError("b", BackendFault.UNREACHABLE, "down"))
        client = await room.take()
        room.publish(poll=b"", action=Action.HINT)
        await soon(lambda: client.finished)
        assert (client.status, client.body) == (502, FAILED)
        assert not room.proxy.registry.has("room")

    async def test_client_that_goes_while_asked_again_leaves_nothing(self) -> None:
        room = Room(reply(b"", *POLL), never)
        client = await room.take()
        room.publish(poll=b"", action=Action.HINT)
        await soon(lambda: len(room.origin.requests) == 2)
        client.leave()
        assert not room.proxy.registry.has("room")
        assert not room.proxy._room.held

    async def test_published_answer_with_an_interim_status_is_a_failure(self) -> None:
        """RFC 9110 §15.2."""
        room = Room(reply(b"", *POLL))
        client = await room.take()
        answer = HttpResponseFormat(code=101, body=b"x")
        room.proxy.registry.publish([Item(channel="room", http_response=answer)])
        assert (client.status, client.body) == (502, FAILED)


class TestStream:
    """GRIP §6, §7."""

    async def test_content_is_appended_until_the_end(self) -> None:
        room, asked = Room(reply(b"start;", *STREAM)), request()
        client = await room.take(asked)
        assert (client.status, client.length, client.body) == (200, None, b"start;")
        assert (asked.trace.hold, asked.trace.channels) == ("stream", ("room",))
        room.publish(stream=b"one;")
        room.publish(stream=b"", action=Action.CLOSE)
        assert (client.body, client.finished) == (b"start;one;", True)
        assert not room.proxy.registry.has("room")

    async def test_client_is_subscribed_before_it_sees_anything(self) -> None:
        class Eager(Downstream):
            def send_head(
                self, status: int, reason: str, headers: Headers, length: int | None
            ) -> None:
                super().send_head(status, reason, headers, length)
                room.publish(stream=b"early;")

        room, downstream = Room(reply(b"start;", *STREAM)), Eager()
        await room.proxy.take(request(), "b", downstream)
        assert downstream.body == b"start;early;"

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
    async def test_response_without_a_body_is_not_held(self, method: str, status: int) -> None:
        """RFC 9110 §6.4.1."""
        room = Room(reply(b"", *STREAM, status=status))
        client = await room.take(request(method))
        assert (client.status, client.finished) == (status, True)
        assert not room.proxy.registry.has("room")

    async def test_reply_that_breaks_off_is_cut(self) -> None:
        room = Room(reply(Body(breaks_off(), None), *STREAM))
        client = await room.take()
        assert (client.body, client.aborted) == (b"one", True)
        assert not room.proxy.registry.has("room")

    async def test_link_is_fetched_and_appended(self) -> None:
        room = Room(reply(b"1;", *STREAM, NEXT), reply(b"2;"))
        client = await room.take()
        room.publish(stream=b"", action=Action.HINT)
        await soon(lambda: client.finished)
        assert client.body == b"1;2;"
        assert room.origin.requests[1].target == "/next"

    @pytest.mark.parametrize(
        "answer",
        [
            reply(b"busy", status=503),
            reply(b"", ("Grip-Hold", "forever")),
            BackendError("b", BackendFault.UNREACHABLE, "down"),
        ],
        ids=["status", "instructions", "unreachable"],
    )
    async def test_link_that_fails_is_no_end(
        self, answer: Answer, caplog: pytest.LogCaptureFixture
    ) -> None:
        room = Room(reply(b"1;", *STREAM, NEXT), answer)
        client = await room.take()
        room.publish(stream=b"", action=Action.HINT)
        await soon(lambda: "link http://h/next:" in caplog.text)
        assert (client.body, client.closed) == (b"1;", False)

    async def test_client_that_reads_too_slowly_is_cut_and_nobody_else(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        room = Room(reply(b"", *STREAM))
        slow, quick = await room.take(), await room.take()
        slow.buffered = MAX_BUFFERED + 1
        room.publish(stream=b"one;")
        room.publish(stream=b"two;")
        assert (slow.body, slow.aborted) == (b"", True)
        assert (quick.body, quick.closed) == (b"one;two;", False)
        assert "reads too slowly" in caplog.text

    async def test_client_that_goes_leaves_nothing(self) -> None:
        room = Room(reply(b"", *STREAM))
        client = await room.take()
        client.leave()
        assert not room.proxy.registry.has("room")
        assert not room.proxy._room.held


class TestGoneLink:
    """GRIP §7.3."""

    @pytest.mark.parametrize("hold", [POLL, STREAM], ids=["poll", "stream"])
    async def test_backend_is_told_when_the_client_goes(
        self, hold: tuple[tuple[str, str], ...]
    ) -> None:
        room = Room(reply(b"", *hold, GONE), reply())
        client = await room.take(request("GET", "/a/b"))
        client.leave()
        await soon(lambda: len(room.origin.requests) == 2)
        told = room.origin.requests[1]
        assert (told.method, told.target) == ("POST", "/a/gone")

    @pytest.mark.parametrize("hold", [POLL, STREAM], ids=["poll", "stream"])
    async def test_backend_is_told_when_the_response_ends(
        self, hold: tuple[tuple[str, str], ...]
    ) -> None:
        room = Room(reply(b"", *hold, GONE), reply())
        await room.take()
        room.publish(poll=b"end")
        room.publish(stream=b"", action=Action.CLOSE)
        await soon(lambda: len(room.origin.requests) == 2)
        await room.proxy.close()
        assert [asked.method for asked in room.origin.requests] == ["GET", "POST"]


class TestTrusted:
    """GRIP §2.1: requests of another GRIP proxy."""

    KEY = Key.secret("a secret that is as long as it should be")

    async def test_its_requests_and_replies_are_passed_on_as_they_are(self) -> None:
        room = Room(reply(b"x", *STREAM), trusted_key=self.KEY)
        token = sign(self.KEY, "other", 2_000_000_000)
        fields = (("Grip-Sig", token), ("Grip-Last", "room; last-id=1"))
        client = await room.take(request("GET", "/", fields))
        assert list(room.origin.requests[0].headers) == list(fields)
        assert list(client.headers) == list(STREAM)
        assert client.finished

    async def test_others_are_not_trusted(self) -> None:
        room = Room(reply(b"x"), trusted_key=self.KEY)
        await room.take(request("GET", "/", (("Grip-Sig", "forged"),)))
        assert room.origin.requests[0].headers.get_all("Grip-Sig") == ["sig"]


class TestClosing:
    async def test_holds_end_as_well_as_can_be(self) -> None:
        room = Room(reply(b"time is up", *POLL), reply(b"1;", *STREAM))
        poll, stream = await room.take(), await room.take()
        await room.proxy.close()
        assert (poll.status, poll.body, poll.finished) == (200, b"time is up", True)
        assert (stream.body, stream.finished) == (b"1;", True)
        assert not room.proxy._room.held


async def test_fault_of_the_proxy_itself_cuts_only_its_client(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(reply(b"", *POLL), ValueError("unexpected"), reply(b"", *POLL))
    broken = await room.take()
    room.publish(poll=b"", action=Action.HINT)
    await soon(lambda: broken.aborted)
    assert "unexpected" in caplog.text
    sound = await room.take()
    room.publish(poll=b"news")
    assert sound.body == b"news"
