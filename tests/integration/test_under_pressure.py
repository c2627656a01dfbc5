"""Many clients, some of which misbehave, and publishers in a hurry: nobody else loses a message.

Counts only, never times. What waits in the proxy is bounded: for each client by a limit of its own
(`docs/protocol.md`), and it is gone with the client. Source: GRIP §6.1, §8.3, §13.
"""

import asyncio
import contextlib
import gc
import json
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from host_sim.fanout.client import Client
from host_sim.fanout.holds import LongPoll
from host_sim.fanout.streams import MAX_BUFFERED, Stream
from host_sim.fanout.websockets import MAX_UNSENT_BYTES, WebSocket
from host_sim.http1.connection import Connection
from host_sim.messages import Address
from host_sim.proxy import GripProxy
from tests.support.backend import Backend
from tests.support.proxies import (
    EVENTS,
    HANDSHAKE,
    POLL,
    STREAM,
    connected,
    pages,
    proxy_for,
    sized,
)
from tests.support.raw import Raw
from tests.support.waiting import soon

MANY = 2_000
END = "<end>"
BATCH = 100
"""Clients that connect at the same time; listeners have a queue of some length."""

SUBSCRIBE = b'c:{"type": "subscribe", "channel": "room"}'
OPEN = sized(
    EVENTS + b"Sec-WebSocket-Extensions: grip\r\n",
    b"OPEN\r\nTEXT %x\r\n%s\r\n" % (len(SUBSCRIBE), SUBSCRIBE),
)
REPLIES = {
    b"/stream": STREAM,
    b"/poll": POLL,
    b"/quiet": STREAM.replace(b"room", b"quiet"),
    b"/ws": OPEN,
}
KINDS = {
    "stream": b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n",
    "poll": b"GET /poll HTTP/1.1\r\nHost: h\r\n\r\n",
    "ws": HANDSHAKE.replace(b"/a", b"/ws"),
}
QUIET = b"GET /quiet HTTP/1.1\r\nHost: h\r\n\r\n"


def message(number: int, size: int = 0) -> str:
    return f"<{number}:{'x' * size}>"


def messages(count: int, size: int = 0) -> bytes:
    return "".join(message(number, size) for number in range(count)).encode()


async def publish(address: Address, *batches: list[str], channel: str = "room") -> None:
    """Publish batch after batch on one connection, to streams and WebSockets."""
    async with connected(address) as raw:
        for batch in batches:
            formats = [
                {"http-stream": {"content": content}, "ws-message": {"content": content}}
                for content in batch
            ]
            items = [{"channel": channel, "formats": one} for one in formats]
            body = json.dumps({"items": items}).encode()
            raw.send(b"POST /publish/ HTTP/1.1\r\nHost: h\r\n" + sized(b"", body))
            head, _ = await raw.answer()
            assert head.startswith(b"HTTP/1.1 200 "), head


async def chunks(raw: Raw, end: str) -> bytes:
    """Return the content of chunks up to a message (RFC 9112 §7.1)."""
    content = bytearray()
    while not content.endswith(end.encode()):
        length = int(await raw.until(b"\r\n"), 16)
        content += (await raw.exactly(length + 2))[:-2]
    return bytes(content)


async def frames(raw: Raw, end: str) -> bytes:
    """Return the content of frames up to a message (RFC 6455 §5.2)."""
    content = bytearray()
    while not content.endswith(end.encode()):
        length = (await raw.exactly(2))[1]
        if length > 125:
            length = int.from_bytes(await raw.exactly(2 if length == 126 else 8))
        content += await raw.exactly(length)
    return bytes(content)


async def begin(raw: Raw, request: bytes) -> None:
    """Send a request, and wait until the client is subscribed, unless it is a long poll."""
    raw.send(request)
    if b"/poll" not in request:
        await raw.until(b"Accept: " if b"Upgrade" in request else b"start;\r\n")
    if b"Upgrade" in request:
        await raw.until(b"\r\n\r\n")


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[GripProxy]:
    async with Backend(pages(REPLIES)) as backend, proxy_for(backend) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def crowd(address: Address, *requests: bytes) -> AsyncIterator[list[Raw]]:
    """Connect a client for each request, some at a time."""
    clients: list[Raw] = []

    async def join(request: bytes) -> Raw:
        raw = await Raw.connect(address)
        clients.append(raw)
        await begin(raw, request)
        return raw

    try:
        joined: list[Raw] = []
        for start in range(0, len(requests), BATCH):
            joined += await asyncio.gather(*map(join, requests[start : start + BATCH]))
        yield joined
    finally:
        for raw in clients:
            raw.abort()


def alive(*kinds: type) -> int:
    """Count the objects of some classes."""
    gc.collect()
    # Not by `isinstance`, which asks lazy objects of other libraries what they stand for.
    return sum(issubclass(type(one), kinds) for one in gc.get_objects())


@pytest.fixture
def room_for_many() -> Iterator[None]:
    """Allow this process as many open files as the system lets it have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MANY + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("kind", "read", "limit"),
    [("stream", chunks, MAX_BUFFERED), ("ws", frames, MAX_UNSENT_BYTES)],
    ids=["stream", "ws"],
)
async def test_slow_reader_among_many_is_cut_alone(
    kind: str, read: Callable[[Raw, str], Awaitable[bytes]], limit: int
) -> None:
    """GRIP §6.1."""
    size = limit // 8
    async with (
        running() as proxy,
        crowd(proxy.address, *[KINDS[kind]] * 10) as quick,
        connected(proxy.address, limit=1) as slow,
    ):
        slow.send(KINDS[kind])
        await soon(lambda: proxy.registry.count("room") == len(quick) + 1)
        reading = asyncio.gather(*(read(raw, END) for raw in quick))
        said = 0
        while proxy.registry.count("room") > len(quick):
            await publish(proxy.publish_address, [message(said, size)])
            said += 1
            assert said < 200, "nobody was cut"
        await publish(proxy.publish_address, [message(said, size), END])
        expected = messages(said + 1, size) + END.encode()
        assert all(content == expected for content in await reading)


async def test_publishers_in_a_hurry_are_served_and_nobody_else_notices() -> None:
    """Ten publishers flood one channel, each as fast as it can; another one says little."""
    batches, batch, size = 10, 20, 1_000
    flood = [[message(number, size)] * batch for number in range(batches)]
    async with (
        running() as proxy,
        crowd(proxy.address, *[KINDS["stream"]] * 5) as flooded,
        crowd(proxy.address, *[QUIET] * 20) as bystanders,
    ):
        publisher = proxy.publish_address
        drowned = asyncio.gather(*(chunks(raw, END) for raw in flooded))
        flooding = asyncio.gather(*(publish(publisher, *flood) for _ in range(10)))
        said = 0
        while not flooding.done() or said < 10:
            await publish(publisher, [message(said)], channel="quiet")
            said += 1
        await flooding
        await publish(publisher, [END])
        await publish(publisher, [END], channel="quiet")
        for raw in bystanders:
            assert await chunks(raw, END) == messages(said) + END.encode()
        for content in await drowned:
            counts = [content.count(message(number, size).encode()) for number in range(batches)]
            assert counts == [10 * batch] * batches


@pytest.mark.usefixtures("room_for_many")
async def test_clients_that_vanish_at_once_leave_nothing_behind() -> None:
    """Of all kinds, between two messages to those who stay."""
    requests = [list(KINDS.values())[number % len(KINDS)] for number in range(MANY)]
    before = alive(Client, Connection, LongPoll, Stream, WebSocket)
    async with running() as proxy, crowd(proxy.address, *[KINDS["stream"]] * 10) as staying:
        async with crowd(proxy.address, *requests) as leaving:
            await soon(lambda: proxy.registry.count("room") == len(staying) + MANY)
            reading = [asyncio.create_task(chunks(raw, message(2))) for raw in staying]
            await publish(proxy.publish_address, [message(0)])
            for raw in leaving:
                raw.abort()
            await publish(proxy.publish_address, [message(1)])
        await soon(lambda: proxy.registry.count("room") == len(staying))
        await publish(proxy.publish_address, [message(2)])
        for content in await asyncio.gather(*reading):
            assert content == messages(3)
        held = 3 * len(staying)  # connection, client and hold
        await soon(lambda: alive(Client, Connection, LongPoll, Stream, WebSocket) - before <= held)
