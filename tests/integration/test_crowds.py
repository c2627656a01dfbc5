"""Crowds before `host-sim proxy` in its own process: nobody loses a message, memory is bounded.

Counts and sizes only, never times. What one client may have waiting is in `test_limits.py`; what
is left in the process of clients that went is in `test_under_pressure.py`. Source: GRIP §6.1, §8.3.
"""

import asyncio
import resource
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from host_sim.fanout.streams import MAX_BUFFERED
from tests.support.backend import Backend
from tests.support.crowds import (
    PLAIN,
    WS,
    Running,
    all_have,
    proxy_process,
    publication,
    published,
    stream,
    ws_reply,
)
from tests.support.proxies import OK, STREAM, connected, pages, sized

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

REPLIES = {
    b"/stream": STREAM,
    b"/slow": STREAM.replace(b"room", b"room, heavy"),
    b"/quiet": STREAM.replace(b"room", b"quiet"),
    b"/plain": sized(OK, b"hi"),
    b"/ws": ws_reply(),
}


@pytest.fixture
async def proxy() -> AsyncIterator[Running]:
    """Run `host-sim proxy` before a backend with `REPLIES`."""
    async with Backend(pages(REPLIES)) as backend, proxy_process(backend.address) as running:
        yield running


@pytest.fixture
def files() -> None:
    """Allow as many open files as the system lets us have, and skip where that is too few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 11_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def test_slow_reader_among_a_thousand(proxy: Running) -> None:
    """It is cut, alone, with no more waiting for it than a client may have (GRIP §6.1)."""
    texts: list[str] = []
    async with (
        proxy.crowd(*[stream(), WS] * 500) as members,
        connected(proxy.publish_address) as publisher,
    ):
        loop = asyncio.get_running_loop()
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so little waits outside
            slow.setblocking(False)
            await loop.sock_connect(slow, proxy.address)
            await loop.sock_sendall(slow, stream("/slow"))
            assert await loop.sock_recv(slow, 4096)
            before = proxy.memory("VmRSS")
            while b"reads too slowly" not in proxy.said:
                texts.append(f"<{len(texts)}>")
                await published(publisher, texts[-1])
                await published(publisher, "x" * (MAX_BUFFERED // 8), channel="heavy")
                assert len(texts) < 200, "nobody was cut"
            texts.append("<after>")
            await published(publisher, texts[-1])
            await all_have(members, texts)
            assert proxy.memory("VmHWM") - before < 16 * MAX_BUFFERED


async def test_publisher_that_is_far_too_fast(proxy: Running) -> None:
    """It sends on without waiting for answers; who asks or publishes meanwhile is served."""
    batches = [[f"<{batch}.{number}>" for number in range(50)] for batch in range(40)]
    texts = [text for batch in batches for text in batch]
    async with (
        proxy.crowd(*[stream(), WS] * 250) as members,
        proxy.crowd(stream("/quiet")) as bystanders,
        connected(proxy.address) as client,
        connected(proxy.publish_address) as publisher,
        connected(proxy.publish_address) as other,
    ):
        before = proxy.memory("VmRSS")
        publisher.send(b"".join(map(publication, batches)))
        said: list[str] = []
        while len(members[-1].received) < len(members[-1].expected(texts)):
            said.append(f"<{len(said)}>")
            await published(other, said[-1], channel="quiet")
            client.send(PLAIN)
            assert (await client.answer())[1] == b"hi"
        assert len(said) >= 20, "who is no part of it was kept waiting"
        for _ in batches:
            head, _ = await publisher.answer()
            assert head.startswith(b"HTTP/1.1 200 ")
        await all_have(members, texts)
        await all_have(bystanders, said)
        assert proxy.memory("VmHWM") - before < 64 << 20


@pytest.mark.usefixtures("files")
async def test_ten_thousand_clients_that_vanish_at_once(proxy: Running) -> None:
    """Between two messages to those who stay."""
    async with (
        proxy.crowd(*[stream(), WS] * 50) as staying,
        connected(proxy.publish_address) as publisher,
    ):
        await published(publisher, "<0>")
        await all_have(staying, ["<0>"])
        async with proxy.crowd(*[stream(), WS] * 5_000) as leaving:
            await published(publisher, "<1>")
            full = proxy.memory("VmRSS")
            for member in leaving:
                member.transport.abort()
            await published(publisher, "<2>")
        await published(publisher, "<3>")
        await all_have(staying, ["<0>", "<1>", "<2>", "<3>"])
        async with proxy.crowd(*[stream(), WS] * 5_000) as coming:
            await published(publisher, "<4>")
            await all_have(coming, ["<4>"])
            await all_have(staying, ["<0>", "<1>", "<2>", "<3>", "<4>"])
            assert proxy.memory("VmHWM") < 2 * full, "what the first ones had is not used again"
