"""The proxy on its own, over real sockets: its clients, routes and life (GRIP §2, §6, §8)."""

import pytest

from host_sim.errors import StartError
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.streams import MAX_BUFFERED
from host_sim.proxy import GripProxy, ProxySettings
from tests.support.backend import Backend
from tests.support.proxies import (
    FREE,
    GET,
    OK,
    POLL,
    STREAM,
    answers,
    asked,
    connected,
    proxy_for,
    publish,
)
from tests.support.waiting import soon


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
