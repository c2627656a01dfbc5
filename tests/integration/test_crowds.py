"""Crowds before `host-sim proxy` in its own process: nobody loses a message, memory is bounded.

Counts and sizes only, never times. What one client may have waiting is in `test_limits.py`; what
is left in the process of clients that went is in `test_under_pressure.py`. Source: GRIP §6.1, §8.3.
"""

import asyncio
import contextlib
import json
import re
import resource
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import cast

import pytest

from host_sim.fanout.streams import MAX_BUFFERED
from host_sim.messages import Address
from tests.support.backend import Backend
from tests.support.proxies import HANDSHAKE, OK, STREAM, connected, pages, sized
from tests.support.raw import Raw
from tests.support.waiting import PATIENCE_S, soon

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

AT_A_TIME = 100
"""Clients that connect at the same time; listeners have a queue of some length."""

SUBSCRIBE = b'c:{"type": "subscribe", "channel": "room"}'
ACCEPT = OK + b"Content-Type: application/websocket-events\r\nSec-WebSocket-Extensions: grip\r\n"
REPLIES = {
    b"/stream": STREAM,
    b"/slow": STREAM.replace(b"room", b"room, heavy"),
    b"/quiet": STREAM.replace(b"room", b"quiet"),
    b"/plain": sized(OK, b"hi"),
    b"/ws": sized(ACCEPT, b"OPEN\r\nTEXT %x\r\n%s\r\n" % (len(SUBSCRIBE), SUBSCRIBE)),
}
WS = HANDSHAKE.replace(b"/a", b"/ws")
PLAIN = b"GET /plain HTTP/1.1\r\nHost: h\r\n\r\n"


def stream(path: str = "/stream") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


def publication(texts: Iterable[str], channel: str = "room") -> bytes:
    """Return the request that publishes these messages, to streams and WebSockets."""
    items = [
        {
            "channel": channel,
            "formats": {"http-stream": {"content": text}, "ws-message": {"content": text}},
        }
        for text in texts
    ]
    body = json.dumps({"items": items}).encode()
    return b"POST /publish/ HTTP/1.1\r\nHost: h\r\n" + sized(b"", body)


async def published(publisher: Raw, *texts: str, channel: str = "room") -> None:
    publisher.send(publication(texts, channel))
    head, _ = await publisher.answer()
    assert head.startswith(b"HTTP/1.1 200 "), head


class Member(asyncio.Protocol):
    """A client of a crowd: keeps what it is sent after its head, or just reads nothing."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.began = asyncio.get_running_loop().create_future()
        self.received = bytearray()
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.began.done():
            head = self.received.find(b"\r\n\r\n")
            first = 0 if self.request is WS else len(b"6\r\nstart;\r\n")
            if head >= 0 and len(self.received) >= head + 4 + first:
                del self.received[: head + 4 + first]
                self.began.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if not self.began.done():
            self.began.set_exception(exc or ConnectionError("closed before it began"))

    def expected(self, texts: Iterable[str]) -> bytes:
        """Return what it should have received of these messages, each of less than 126 bytes."""
        if self.request is WS:
            return b"".join(b"\x81%c%s" % (len(text), text.encode()) for text in texts)
        return b"".join(b"%x\r\n%s\r\n" % (len(text), text.encode()) for text in texts)


class Running:
    """A proxy process.

    Attributes:
        address: where it takes clients.
        publish_address: where it takes publishers.
        said: what it has printed since it started.
    """

    def __init__(self, pid: int, address: Address, publish_address: Address) -> None:
        self.address = address
        self.publish_address = publish_address
        self.said = bytearray()
        self._status = Path(f"/proc/{pid}/status")

    async def listen(self, output: asyncio.StreamReader) -> None:
        """Take in what it prints, to the end."""
        while line := await output.readline():
            self.said += line

    def memory(self, which: str) -> int:
        """Return `VmRSS` or `VmHWM` (the most that it ever was) in bytes."""
        found = re.search(rf"{which}:\s+(\d+) kB", self._status.read_text())
        assert found is not None
        return int(found[1]) << 10

    @contextlib.asynccontextmanager
    async def crowd(self, *requests: bytes) -> AsyncIterator[list[Member]]:
        """Connect a client for each request; inside the block all of them are held."""
        loop = asyncio.get_running_loop()
        members = [Member(request) for request in requests]
        joined = 0

        async def join(member: Member) -> None:
            nonlocal joined
            await loop.create_connection(lambda: member, *self.address)
            joined += 1
            async with asyncio.timeout(PATIENCE_S):
                await member.began

        try:
            for start in range(0, len(members), AT_A_TIME):
                await asyncio.gather(*map(join, members[start : start + AT_A_TIME]))
            yield members
        finally:
            for member in members[:joined]:
                member.transport.abort()


@pytest.fixture
async def proxy() -> AsyncIterator[Running]:
    """Run `host-sim proxy` before a backend with `REPLIES`."""
    async with Backend(pages(REPLIES)) as backend:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "host_sim", "proxy", "--sig-iss", "i", "--sig-key", "k"),
            *("--addr", "127.0.0.1:0", "--publish-addr", "127.0.0.1:0"),
            *("--route", f"origin=http://127.0.0.1:{backend.address[1]}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        listening: asyncio.Task[None] | None = None
        try:
            printed = (await process.stdout.readuntil(b"started\n")).decode()
            places = dict(re.findall(r"(fanout|publish) +http://(\S+:\d+)", printed))
            addresses = (places[name].split(":") for name in ("fanout", "publish"))
            running = Running(process.pid, *((host, int(port)) for host, port in addresses))
            listening = asyncio.create_task(running.listen(process.stdout))
            yield running
        finally:
            process.terminate()
            await process.wait()
            if listening is not None:
                await listening


@pytest.fixture
def files() -> None:
    """Allow as many open files as the system lets us have, and skip where that is too few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 11_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def all_have(members: list[Member], texts: list[str]) -> None:
    """Check that everybody got these messages and nothing else, each once and in order."""
    expected = {member.request: member.expected(texts) for member in members}
    await soon(lambda: all(len(one.received) >= len(expected[one.request]) for one in members))
    for member in members:
        assert member.received == expected[member.request]
        assert not member.gone


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
