"""Crowds of clients before a server in a process of its own, whose memory and CPU time are read.

Linux only, where `/proc` tells them.
"""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import cast

from host_sim.messages import Address
from tests.support.proxies import HANDSHAKE, OK, sized
from tests.support.raw import Raw
from tests.support.waiting import PATIENCE_S, soon

__all__ = [
    "ACCEPT", "PLAIN", "WS", "Member", "Running", "all_have", "proxy_process", "publication",
    "published", "stream", "ws_reply",
]  # fmt: skip

AT_A_TIME = 100
"""Clients that connect at the same time; listeners have a queue of some length."""

ACCEPT = OK + b"Content-Type: application/websocket-events\r\nSec-WebSocket-Extensions: grip\r\n"
WS = HANDSHAKE.replace(b"/a", b"/ws")
PLAIN = b"GET /plain HTTP/1.1\r\nHost: h\r\n\r\n"


def stream(path: str = "/stream") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


def ws_reply(channel: str = "room", greeting: bytes = b"") -> bytes:
    """Return a reply that opens a WebSocket, subscribes it, and greets it."""
    control = b'c:{"type": "subscribe", "channel": "%s"}' % channel.encode()
    texts = (control, b"m:" + greeting) if greeting else (control,)
    events = b"".join(b"TEXT %x\r\n%s\r\n" % (len(text), text) for text in texts)
    return sized(ACCEPT, b"OPEN\r\n" + events)


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
    """A client of a crowd: keeps what it is sent after its head and the greeting."""

    def __init__(self, request: bytes, greeting: bytes | None = None) -> None:
        """Send `request`; it is held when `greeting` has come, framed as it comes.

        By default that is what `proxies.STREAM` begins with, and nothing on a WebSocket.
        """
        self.request = request
        self.socket = b"Upgrade: websocket" in request
        start = b"" if self.socket else b"6\r\nstart;\r\n"
        self._greeting = start if greeting is None else greeting
        self.began = asyncio.get_running_loop().create_future()
        self.received = bytearray()
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.began.done():
            end = self.received.find(b"\r\n\r\n" + self._greeting)
            if end >= 0:
                del self.received[: end + 4 + len(self._greeting)]
                self.began.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if not self.began.done():
            self.began.set_exception(exc or ConnectionError("closed before it began"))

    def expected(self, texts: Iterable[str]) -> bytes:
        """Return what it should have received of these messages, each of less than 126 bytes."""
        if self.socket:
            return b"".join(b"\x81%c%s" % (len(text), text.encode()) for text in texts)
        return b"".join(b"%x\r\n%s\r\n" % (len(text), text.encode()) for text in texts)


class Running:
    """A server in a process of its own.

    Attributes:
        address: where it takes clients.
        publish_address: where it takes publishers.
        said: what it has printed since it started.
    """

    def __init__(self, pid: int, address: Address, publish_address: Address) -> None:
        self.address = address
        self.publish_address = publish_address
        self.said = bytearray()
        self._process = Path("/proc") / str(pid)

    async def listen(self, output: asyncio.StreamReader) -> None:
        """Take in what it prints, to the end."""
        while line := await output.readline():
            self.said += line

    def memory(self, which: str) -> int:
        """Return `VmRSS` or `VmHWM` (the most that it ever was) in bytes."""
        found = re.search(rf"{which}:\s+(\d+) kB", (self._process / "status").read_text())
        assert found is not None
        return int(found[1]) << 10

    @property
    def cpu_s(self) -> float:
        """CPU seconds its threads have used so far."""
        threads = (self._process / "task").iterdir()
        return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e9

    @contextlib.asynccontextmanager
    async def crowd(
        self, *requests: bytes, greeting: bytes | None = None
    ) -> AsyncIterator[list[Member]]:
        """Connect a client for each request; inside the block all of them are held."""
        loop = asyncio.get_running_loop()
        members = [Member(request, greeting) for request in requests]
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


@contextlib.asynccontextmanager
async def proxy_process(backend: Address) -> AsyncIterator[Running]:
    """Run `host-sim proxy` before a backend."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "host_sim", "proxy", "--sig-iss", "i", "--sig-key", "k"),
        *("--addr", "127.0.0.1:0", "--publish-addr", "127.0.0.1:0"),
        *("--route", f"origin=http://127.0.0.1:{backend[1]}"),
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


async def all_have(members: list[Member], texts: list[str]) -> None:
    """Check that everybody got these messages and nothing else, each once and in order."""
    expected = {member.request: member.expected(texts) for member in members}
    await soon(lambda: all(len(one.received) >= len(expected[one.request]) for one in members))
    for member in members:
        assert member.received == expected[member.request]
        assert not member.gone
