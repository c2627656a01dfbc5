"""The proxy on its own, over real sockets: what backends and clients get wrong (GRIP §2.4, §6)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from host_sim.errors import StartError
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.streams import MAX_BUFFERED
from host_sim.messages import Address
from host_sim.proxy import GripProxy, ProxySettings
from tests.support.backend import Backend, Script
from tests.support.raw import Raw
from tests.support.waiting import soon

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
FAILED = b"Error while proxying to origin.\n"
FREE = ("127.0.0.1", 0)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ROOM = OK + b"Grip-Channel: room\r\n"
STREAM = ROOM + b"Grip-Hold: stream\r\nContent-Length: 6\r\n\r\nstart;"
POLL = ROOM + b"Grip-Hold: response\r\nContent-Length: 7\r\n\r\ntime up"


@asynccontextmanager
async def proxy_for(*backends: Backend, timeout_s: float = 60.0) -> AsyncIterator[GripProxy]:
    routes = Routes(
        Route.parse(f"b{number}=http://127.0.0.1:{backend.address[1]}")
        for number, backend in enumerate(backends)
    )
    settings = ProxySettings(
        routes=routes,
        sign=lambda: "sig",
        address=FREE,
        publish_address=FREE,
        timeout_s=timeout_s,
    )
    async with GripProxy(settings) as proxy:
        yield proxy


@asynccontextmanager
async def connected(address: Address, *, limit: int = 1 << 20) -> AsyncIterator[Raw]:
    raw = await Raw.connect(address, limit=limit)
    try:
        yield raw
    finally:
        raw.abort()


@asynccontextmanager
async def asked(*scripts: Script, timeout_s: float = 60.0) -> AsyncIterator[tuple[GripProxy, Raw]]:
    """Yield the proxy of one backend, and a client that has sent its request."""
    async with (
        Backend(*scripts) as backend,
        proxy_for(backend, timeout_s=timeout_s) as proxy,
        connected(proxy.address) as raw,
    ):
        raw.send(GET)
        yield proxy, raw


def answers(*data: bytes) -> Script:
    """Answer each request of a connection with the next of `data`, then close it."""

    async def serve(raw: Raw) -> None:
        for answer in data:
            await raw.until(b"\r\n\r\n")
            raw.send(answer)

    return serve


async def silent(raw: Raw) -> None:
    await raw.until(b"\r\n\r\n")
    await asyncio.get_running_loop().create_future()


async def publish(address: Address, content: str, path: str = "/publish/") -> bytes:
    formats = {"http-stream": {"content": content}, "http-response": {"body": content}}
    body = json.dumps({"items": [{"channel": "room", "formats": formats}]}).encode()
    async with connected(address) as raw:
        raw.send(
            b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s"
            % (path.encode(), len(body), body)
        )
        head, _ = await raw.answer()
    return head.partition(b"\r\n")[0]


class TestFaultsOfBackends:
    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 20",
            b"nonsense\r\n\r\n",
            OK + b"Content-Length: x\r\n\r\n",
            POLL[:-3],
            OK + b"Grip-Hold: stream\r\nGrip-Timeout: soon\r\n\r\n",
        ],
        ids=["closes", "closes in its head", "nonsense", "length", "poll breaks off", "instructs"],
    )
    async def test_reply_of_no_use_gives_502_and_a_line_in_the_log(
        self, answer: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked(answers(answer)) as (_, raw):
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            assert body == FAILED
            assert "backend 'b0': " in caplog.text

    async def test_backend_that_is_too_slow_gives_504(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with asked(silent, timeout_s=0.1) as (_, raw):
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
            assert body == FAILED
            assert "no response head within 0.1 s" in caplog.text

    @pytest.mark.parametrize(
        "answer",
        [
            OK + b"Content-Length: 9\r\n\r\nhalf",
            CHUNKED + b"4\r\nhalf\r\n",
            CHUNKED + b"4\r\nhalf\r\nnonsense\r\n",
            STREAM.replace(b"Content-Length: 6", b"Content-Length: 9"),
        ],
        ids=["sized", "chunked", "nonsense", "stream"],
    )
    async def test_client_sees_that_a_reply_broke_off(
        self, answer: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        """RFC 9112 §8."""
        async with asked(answers(answer)) as (proxy, raw):
            everything = await raw.rest()
            assert b"half" in everything or b"start;" in everything
            assert not everything.endswith(b"0\r\n\r\n")
            assert "broke off" in caplog.text
            assert not proxy.registry.has("room")

    @pytest.mark.parametrize(
        ("answer", "status", "body"),
        [
            (b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", b"302", b""),
            (b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + STREAM, b"200", b"6\r\nstart;\r\n"),
            (
                CHUNKED + b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
                b"200",
                b"2\r\nok\r\n0\r\n\r\n",
            ),
            (b"HTTP/1.0 200 OK\r\n\r\nuntil close", b"200", b"b\r\nuntil close\r\n0\r\n\r\n"),
        ],
        ids=["redirect", "interim", "trailer", "http 1.0"],
    )
    async def test_unusual_replies_are_understood(
        self, answer: bytes, status: bytes, body: bytes
    ) -> None:
        async with asked(answers(answer)) as (_, raw):
            head = await raw.until(b"\r\n\r\n")
            assert head.split()[1] == status
            assert await raw.exactly(len(body)) == body


class TestClients:
    async def test_stream_gets_what_is_published_until_it_goes(self) -> None:
        async with asked(answers(STREAM)) as (proxy, raw):
            await raw.until(b"start;\r\n")
            status = await publish(proxy.publish_address, "news", "/service-id/publish/")
            assert status == b"HTTP/1.1 200 OK"
            assert await raw.until(b"news\r\n") == b"4\r\nnews\r\n"
            raw.abort()
            await soon(lambda: not proxy.registry.has("room"))

    async def test_long_polls_follow_each_other_on_a_connection(self) -> None:
        async with asked(answers(POLL, POLL)) as (proxy, raw):
            for content in ("one", "two"):
                await soon(lambda: proxy.registry.has("room"))
                await publish(proxy.publish_address, content)
                assert (await raw.answer())[1] == content.encode()
                raw.send(GET)

    async def test_client_that_does_not_read_is_cut_and_nobody_else(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with (
            Backend(answers(STREAM)) as backend,
            proxy_for(backend) as proxy,
            connected(proxy.address, limit=1) as slow,
            connected(proxy.address) as quick,
        ):
            for raw in (slow, quick):
                raw.send(GET)
            await quick.until(b"start;\r\n")
            content = "x" * (MAX_BUFFERED // 4)
            sent = 0
            while "reads too slowly" not in caplog.text:
                await publish(proxy.publish_address, content)
                await quick.until(b"x\r\n")
                sent += 1
                assert sent < 100
            await publish(proxy.publish_address, "end")
            assert await quick.until(b"end\r\n") == b"3\r\nend\r\n"

    async def test_request_goes_where_its_route_says(self) -> None:
        one = OK + b"Content-Length: 3\r\n\r\none"
        async with (
            Backend(answers(POLL)) as first,
            Backend(answers(one)) as second,
            proxy_for(first, second) as proxy,
            connected(proxy.address) as raw,
        ):
            raw.send(b"GET / HTTP/1.1\r\nHost: h\r\nPushpin-Route: b1\r\n\r\n")
            assert (await raw.answer())[1] == b"one"
            raw.send(b"GET / HTTP/1.1\r\nHost: h:1\r\nPushpin-Route: b2\r\n\r\n")
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 502 ")
            assert body == b"No route for host: h:1\n"


class TestLife:
    async def test_holds_end_properly_when_the_proxy_stops(self) -> None:
        async with (
            Backend(answers(STREAM), answers(POLL)) as backend,
            proxy_for(backend) as proxy,
            connected(proxy.address) as stream,
            connected(proxy.address) as poll,
        ):
            stream.send(GET)
            await stream.until(b"start;\r\n")
            poll.send(GET)
            await soon(lambda: len(proxy.registry._channels_of) == 2)
            await proxy.__aexit__()
            assert await stream.rest() == b"0\r\n\r\n"
            assert (await poll.rest()).endswith(b"\r\n\r\ntime up")

    async def test_address_that_is_taken_is_said(self) -> None:
        async with Backend(answers(POLL)) as backend, proxy_for(backend) as proxy:
            taken = ProxySettings(
                routes=Routes([Route.parse("b=http://127.0.0.1:1")]),
                sign=lambda: "sig",
                address=FREE,
                publish_address=proxy.publish_address,
            )
            with pytest.raises(StartError, match="the port is taken"):
                async with GripProxy(taken):
                    raise AssertionError("it started")
