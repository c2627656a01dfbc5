"""What becomes of clients whose backend misbehaves: a clear answer, and a line in the log.

The line names the backend and the reason; the client is told neither. Source: GRIP §2.3, §2.4,
§3.4, §7.2, §11.4, §11.7; RFC 9110 §15.6 (502, 504), RFC 9112 §8 (incomplete messages).
"""

import asyncio
import re

import pytest

from host_sim.fanout.replies import MAX_INSTRUCT_BYTES
from host_sim.http1.client import MAX_HEAD_BYTES
from tests.support.backend import Backend, Script
from tests.support.proxies import (
    CHUNKED,
    EVENTS,
    GET,
    HANDSHAKE,
    OK,
    POLL,
    ROOM,
    STREAM,
    answers,
    asked,
    connected,
    proxy_for,
    publish,
    silent,
    sized,
)
from tests.support.raw import Raw
from tests.support.waiting import soon

FAILED = b"Error while proxying to origin.\n"
JSON = b"Content-Type: application/grip-instruct\r\n"
OPEN = EVENTS + b"Content-Length: 6\r\n\r\nOPEN\r\n"
TEXT = b"\x81\x82\0\0\0\0hi"
"""A message of a WebSocket client (RFC 6455 §5.7)."""
SHORT_S = 0.1


def then_silent(*pieces: bytes) -> Script:
    """Answer with these pieces, and keep the connection open."""

    async def serve(raw: Raw) -> None:
        await raw.until(b"\r\n\r\n")
        for piece in pieces:
            raw.send(piece)
        await asyncio.get_running_loop().create_future()

    return serve


def dripping(head: bytes) -> Script:
    """Answer with a body of which a byte comes now and then, always in time."""

    async def serve(raw: Raw) -> None:
        await raw.until(b"\r\n\r\n")
        raw.send(head + b"Content-Length: 50000\r\n\r\n")
        while True:
            raw.send(b"x")
            await asyncio.sleep(SHORT_S / 5)

    return serve


async def resets(raw: Raw) -> None:
    await raw.until(b"\r\n\r\n")
    raw.reset()


def logged(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """Check that there is one warning, about this backend and this reason."""
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert re.fullmatch(r"request \d+: .*backend 'b0': .*", line), line
    assert reason in line, line


NO_REPLY: dict[str, tuple[Script, str]] = {
    "closes": (answers(b""), "connection closed before a response: not a byte of it came"),
    "closes in its head": (
        answers(b"HTTP/1.1 200 OK\r\nA: "),
        "connection closed before a response: it broke off in its head",
    ),
    "resets": (resets, "connection closed before a response"),
    "nonsense": (answers(b"nonsense\r\n\r\n"), "response is not HTTP: "),
    "HTTP/2": (answers(b"HTTP/2 200\r\n\r\n"), "response is not HTTP: "),
    "bad field": (answers(OK + b"A b: c\r\n\r\n"), "response is not HTTP: "),
    "bad length": (answers(OK + b"Content-Length: x\r\n\r\n"), "response is not HTTP: "),
    "two lengths": (
        answers(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        "response is not HTTP: ",
    ),
    "unknown coding": (answers(OK + b"Transfer-Encoding: gzip\r\n\r\n"), "response is not HTTP: "),
    "long head": (
        answers(OK + b"A: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n"),
        "response is not HTTP: ",
    ),
    "only interim": (
        answers(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        "connection closed before a response",
    ),
    "switches": (
        answers(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        "",
    ),
}

BAD_INSTRUCTIONS: dict[str, tuple[bytes, str]] = {
    "header": (sized(OK + b"Grip-Hold: for ever\r\n", b""), "expected"),
    "number": (sized(ROOM + b"Grip-Hold: stream\r\nGrip-Timeout: soon\r\n", b""), "grip-timeout"),
    "quote": (sized(OK + b'Grip-Channel: room; filter="x\r\n', b""), "expected"),
    "link": (sized(OK + b"Grip-Link: /next; rel=next\r\n", b""), "expected"),
    "interim status": (sized(OK + b"Grip-Status: 101\r\n", b""), "final response"),
    "not JSON": (sized(OK + JSON, b"{nonsense"), "expected"),
    "wrong type": (sized(OK + JSON, b'{"hold": {"channels": 5}}'), "with wrong type"),
    "JSON with 404": (sized(b"HTTP/1.1 404 Not Found\r\n" + JSON, b"{}"), "expected status 200"),
    "poll cut off": (POLL[:-3], "received 4 bytes, expected 7"),
    "JSON cut off": (sized(OK + JSON, b'{"response": {}}')[:-3], "received 13 bytes, expected 16"),
    "chunks cut off": (
        ROOM + b"Grip-Hold: response\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "incomplete chunked read",
    ),
    "nonsense for a chunk": (
        ROOM + b"Grip-Hold: response\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "illegal chunk header",
    ),
    "too long": (
        sized(OK + JSON, b" " * (MAX_INSTRUCT_BYTES + 1)),
        f"expected at most {MAX_INSTRUCT_BYTES} bytes in a reply with instructions",
    ),
    "too many chunks": (
        ROOM
        + b"Grip-Hold: response\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"2710\r\n%s\r\n" % (b"a" * 10_000) * 11
        + b"0\r\n\r\n",
        f"expected at most {MAX_INSTRUCT_BYTES} bytes in a reply with instructions",
    ),
}


class TestNoReply:
    """GRIP §2.4; RFC 9110 §15.6.3 and §15.6.5."""

    @pytest.mark.parametrize(("script", "reason"), NO_REPLY.values(), ids=NO_REPLY)
    async def test_client_gets_502(
        self, script: Script, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked(script) as (_, raw):
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            assert body == FAILED
            logged(caplog, reason)

    async def test_nobody_at_home_gives_502(self, caplog: pytest.LogCaptureFixture) -> None:
        backend = Backend(silent)
        async with backend:
            pass  # so that its port is free again
        async with proxy_for(backend) as proxy, connected(proxy.address) as raw:
            raw.send(GET)
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            assert body == FAILED
            logged(caplog, "connection failed")

    @pytest.mark.parametrize(
        "script", [silent, then_silent(b"HTTP/1.1 200"), then_silent(b"HTTP/1.1 100 Go\r\n\r\n")]
    )
    async def test_too_slow_a_head_gives_504(
        self, script: Script, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked(script, timeout_s=SHORT_S) as (_, raw):
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
            assert body == FAILED
            logged(caplog, f"no response head within {SHORT_S:g} s")

    async def test_client_can_ask_again_on_the_same_connection(self) -> None:
        async with asked(answers(b"nonsense\r\n\r\n"), answers(sized(OK, b"ok"))) as (_, raw):
            assert (await raw.answer())[1] == FAILED
            raw.send(GET)
            assert (await raw.answer())[1] == b"ok"


class TestBrokenReplies:
    """RFC 9112 §8: a client has to see that it did not get everything."""

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (OK + b"Content-Length: 9\r\n\r\nhalf", "received 4 bytes, expected 9"),
            (CHUNKED + b"4\r\nhalf\r\n", "incomplete chunked read"),
            (CHUNKED + b"4\r\nhalf\r\nnonsense\r\n", "illegal chunk header"),
            (STREAM.replace(b"h: 6", b"h: 9"), "received 6 bytes, expected 9"),
        ],
        ids=["sized", "chunked", "nonsense", "stream"],
    )
    async def test_reply_that_breaks_off_is_cut(
        self, answer: bytes, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked(answers(answer)) as (proxy, raw):
            everything = await raw.rest()
            assert b"half" in everything or b"start;" in everything
            assert not everything.endswith(b"0\r\n\r\n")
            assert re.search(rf"backend 'b0': the reply broke off: .*{reason}", caplog.text)
            assert not proxy.registry.has("room")

    async def test_reply_that_stops_is_cut(self, caplog: pytest.LogCaptureFixture) -> None:
        script = then_silent(OK + b"Content-Length: 9\r\n\r\nhalf")
        async with asked(script, timeout_s=SHORT_S) as (_, raw):
            assert (await raw.rest()).endswith(b"half")
            logged(caplog, f"the reply broke off: no byte of the body within {SHORT_S:g} s")

    async def test_what_follows_a_reply_is_not_the_next_one(self) -> None:
        """RFC 9112 §9.2: a reply that nobody asked for says nothing."""
        answer = sized(OK, b"ok") + sized(OK, b"smuggled")
        async with asked(answers(answer), answers(sized(OK, b"new"))) as (_, raw):
            assert (await raw.answer())[1] == b"ok"
            raw.send(GET)
            assert (await raw.answer())[1] == b"new"


class TestUnusualReplies:
    """GRIP §2.3; RFC 9110 §15.2, §15.4, §6.5."""

    @pytest.mark.parametrize(
        ("answer", "status", "body"),
        [
            (b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", b"302", b""),
            (b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + STREAM, b"200", b"6\r\nstart;\r\n"),
            (b"HTTP/1.1 100 Go\r\n\r\n" * 50 + sized(OK, b"ok"), b"200", b"ok"),
            (CHUNKED + b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", b"200", b"2\r\nok\r\n0\r\n\r\n"),
            (b"HTTP/1.0 200 OK\r\n\r\nuntil close", b"200", b"b\r\nuntil close\r\n0\r\n\r\n"),
            (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"200", b"ok"),
        ],
        ids=["redirect", "interim", "many interim", "trailer", "http 1.0", "no reason"],
    )
    async def test_they_are_understood(self, answer: bytes, status: bytes, body: bytes) -> None:
        async with asked(answers(answer)) as (_, raw):
            head = await raw.until(b"\r\n\r\n")
            assert head.split()[1] == status
            assert await raw.exactly(len(body)) == body

    async def test_redirect_can_be_held(self) -> None:
        found = b"HTTP/1.1 302 Found\r\nLocation: /b\r\n"
        held = b"Grip-Hold: response\r\nGrip-Channel: room\r\n"
        async with asked(answers(sized(found + held, b""))) as (proxy, raw):
            await soon(lambda: proxy.registry.has("room"))
            await publish(proxy.publish_address, "news")
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 200 OK\r\nLocation: /b\r\n")
            assert body == b"news"

    async def test_trailer_of_instructions_is_no_instruction(self) -> None:
        """RFC 9110 §6.5.1."""
        chunks = b"2\r\nok\r\n0\r\nGrip-Hold: stream\r\nGrip-Channel: room\r\n\r\n"
        async with asked(answers(CHUNKED + chunks)) as (proxy, raw):
            head, body = await raw.answer()
            assert body == b"2\r\nok\r\n0\r\n\r\n"
            assert b"grip" not in head.lower()
            assert not proxy.registry.has("room")


class TestInstructions:
    """GRIP §3.1, §3.4, §4."""

    @pytest.mark.parametrize(("answer", "reason"), BAD_INSTRUCTIONS.values(), ids=BAD_INSTRUCTIONS)
    async def test_bad_ones_give_502(
        self, answer: bytes, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked(answers(answer)) as (proxy, raw):
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            assert body == FAILED
            logged(caplog, reason)
            assert not proxy.registry.has("room")

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            (then_silent(POLL[:-3]), f"within {SHORT_S:g} s"),
            (then_silent(OK + JSON + b"Content-Length: 9\r\n\r\n{"), f"within {SHORT_S:g} s"),
            (dripping(OK + JSON), f"the body was not complete within {SHORT_S:g} s"),
            (dripping(ROOM + b"Grip-Hold: response\r\n"), "the body was not complete within"),
        ],
        ids=["poll stops", "JSON stops", "JSON drips", "poll drips"],
    )
    async def test_slow_ones_give_504(
        self, script: Script, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked(script, timeout_s=SHORT_S) as (_, raw):
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
            assert body == FAILED
            logged(caplog, reason)

    async def test_second_reply_of_a_long_poll_that_fails_gives_502(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """GRIP §9.4: an item that leaves a gap makes the proxy ask again."""
        held = POLL.replace(b"room", b"room; prev-id=1")
        async with asked(answers(held, b"nonsense\r\n\r\n")) as (proxy, raw):
            await soon(lambda: proxy.registry.has("room"))
            await publish(proxy.publish_address, "news")
            head, _ = await raw.answer()
            assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            logged(caplog, "response is not HTTP")
            assert not proxy.registry.has("room")


class TestLinks:
    """GRIP §7.2: a link that fails is fetched again; clients do not notice."""

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            (answers(b""), "connection closed before a response"),
            (
                answers(sized(b"HTTP/1.1 500 Oh\r\n", b"")),
                "expected a 2xx reply to a link, got 500",
            ),
            (answers(sized(OK + b"Grip-Hold: x\r\n", b"")), "expected"),
            (answers(sized(OK + JSON, b"")), "expected"),
        ],
        ids=["closes", "status", "instructions", "JSON"],
    )
    async def test_stream_goes_on_after_a_link_that_failed(
        self, script: Script, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        begin = sized(OK + b"Grip-Link: </next>; rel=next\r\n", b"start;")
        end = sized(OK, b"end")
        async with asked(answers(begin), script, answers(end)) as (_, raw):
            await raw.until(b"6\r\nstart;\r\n")
            assert await raw.until(b"0\r\n\r\n") == b"3\r\nend\r\n0\r\n\r\n"
            assert re.search(rf"link http://h/next: .*{reason}", caplog.text)


class TestWebSockets:
    """GRIP §11.4, §11.7."""

    @pytest.mark.parametrize(
        ("script", "status", "reason"),
        [
            (answers(b""), b"502", "connection closed before a response"),
            (answers(b"nonsense\r\n\r\n"), b"502", "response is not HTTP"),
            (answers(sized(EVENTS, b"nonsense")), b"502", "expected"),
            (answers(sized(EVENTS, b"TEXT 2\r\nhi\r\n")), b"502", ""),
            (answers(sized(EVENTS, b"OPEN\r\n")[:-3]), b"502", "received 3 bytes, expected 6"),
            (answers(sized(EVENTS, b"OPEN\r\n" + b"a" * 1_000_001)), b"502", "1000000 bytes"),
            (silent, b"504", "no response head within"),
            (then_silent(OPEN[:-3]), b"504", f"within {SHORT_S:g} s"),
            (dripping(EVENTS), b"504", "the body was not complete within"),
        ],
        ids=[
            *("closes", "nonsense", "no event", "not OPEN", "cut off", "too long"),
            *("silent", "stops", "drips"),
        ],
    )
    async def test_handshake_fails(
        self, script: Script, status: bytes, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with (
            Backend(script) as backend,
            proxy_for(backend, timeout_s=SHORT_S) as proxy,
            connected(proxy.address) as raw,
        ):
            raw.send(HANDSHAKE)
            head, body = await raw.answer()
            assert head.split()[1] == status
            assert body == FAILED
            logged(caplog, reason)

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            (answers(b""), "connection closed before a response"),
            (answers(sized(EVENTS, b"nonsense")), "expected"),
            (answers(OPEN), "OPEN"),
            (answers(sized(b"HTTP/1.1 404 Not Found\r\n", b"")), "status 404"),
            (silent, "no response head within"),
        ],
        ids=["closes", "nonsense", "second OPEN", "status", "silent"],
    )
    async def test_open_connection_is_dropped(
        self, script: Script, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with (
            Backend(answers(OPEN), script) as backend,
            proxy_for(backend, timeout_s=SHORT_S) as proxy,
            connected(proxy.address) as raw,
        ):
            raw.send(HANDSHAKE)
            await raw.until(b"\r\n\r\n")
            raw.send(TEXT)
            assert await raw.rest() == b""
            assert re.search(rf"backend 'b0': WebSocket dropped: .*{reason}", caplog.text)
