"""A proxy on real sockets, before backends that say exactly what a test has them say."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from host_sim.fanout.proxy import MAX_HELD
from host_sim.fanout.routes import Route, Routes
from host_sim.messages import Address
from host_sim.proxy import GripProxy, ProxySettings
from tests.support.backend import Backend, Script
from tests.support.raw import Raw

__all__ = [
    "CHUNKED",
    "EVENTS",
    "FREE",
    "GET",
    "HANDSHAKE",
    "OK",
    "POLL",
    "ROOM",
    "STREAM",
    "answers",
    "asked",
    "connected",
    "pages",
    "proxy_for",
    "publish",
    "silent",
    "sized",
]

FREE = ("127.0.0.1", 0)
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ROOM = OK + b"Grip-Channel: room\r\n"
STREAM = ROOM + b"Grip-Hold: stream\r\nContent-Length: 6\r\n\r\nstart;"
EVENTS = OK + b"Content-Type: application/websocket-events\r\n"
HANDSHAKE = (
    b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
POLL = ROOM + b"Grip-Hold: response\r\nContent-Length: 7\r\n\r\ntime up"


def sized(head: bytes, body: bytes) -> bytes:
    """Return a reply of this head, whose last line end is missing, and this body."""
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@asynccontextmanager
async def proxy_for(
    *backends: Backend, timeout_s: float = 60.0, max_held: int = MAX_HELD
) -> AsyncIterator[GripProxy]:
    """Run a proxy for backends that are called b0, b1 and so on."""
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
        max_held=max_held,
    )
    async with GripProxy(settings) as proxy:
        yield proxy


@asynccontextmanager
async def connected(address: Address, *, limit: int = 1 << 20) -> AsyncIterator[Raw]:
    """Connect a client."""
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


def pages(answers: Mapping[bytes, bytes]) -> Script:
    """Answer each request by its path; there is no end to the requests of a connection."""

    async def serve(raw: Raw) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await raw.reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                await raw.exactly(int(length[1]) if length else 0)
                raw.send(answers[head.split()[1]])

    return serve


async def silent(raw: Raw) -> None:
    """Take a request and say nothing."""
    await raw.until(b"\r\n\r\n")
    await asyncio.get_running_loop().create_future()


async def publish(
    address: Address, content: str, path: str = "/publish/", *, channel: str = "room"
) -> bytes:
    """Publish to everybody on a channel; return the status line."""
    formats = {
        "http-stream": {"content": content},
        "http-response": {"body": content},
        "ws-message": {"content": content},
    }
    body = json.dumps({"items": [{"channel": channel, "formats": formats}]}).encode()
    async with connected(address) as raw:
        raw.send(
            b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s"
            % (path.encode(), len(body), body)
        )
        head, _ = await raw.answer()
    return head.partition(b"\r\n")[0]
