"""The edge over real sockets: relayed, passed through to a backend, entered again as `self`."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from grip.headers import Headers
from host_sim.config import Backend, ClientCertificate
from host_sim.edge.dispatch import Dispatcher
from host_sim.edge.upstream import Backends
from host_sim.http1.client import HttpClient
from host_sim.messages import Downstream, HandedOff, Outcome, Request, Responded
from tests.integration.http1.conftest import Connect, Listen
from tests.support.backend import Backend as Origin
from tests.support.certificates import Authority
from tests.support.raw import Raw
from tests.support.requests import request
from tests.support.waiting import PATIENCE_S


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


class Guest:
    """Decides by a function; knows the backends."""

    def __init__(self, decide: Callable[[Request], Outcome]) -> None:
        self.decide = decide

    async def run(self, request: Request) -> Outcome:
        return self.decide(request)


class Proxy:
    """Fetches from a backend by name, as a guest would."""

    def __init__(self, backends: Backends, backend: str) -> None:
        self.backends = backends
        self.backend = backend

    async def run(self, request: Request) -> Outcome:
        return Responded(await self.backends.send(request, self.backend))


class NoFanout:
    async def take(self, request: Request, backend: str, downstream: Downstream) -> None:
        raise AssertionError


def pass_through(request: Request) -> Outcome:
    return HandedOff(
        backend="b", to_fanout=False, method=request.method, target=request.target,
        headers=request.headers,
    )  # fmt: skip


def url(origin: Origin) -> str:
    return "http://{}:{}".format(*origin.address)


async def test_a_large_body_goes_through_in_both_directions(
    listen: Listen, connect: Connect, client: HttpClient
) -> None:
    """Streamed: an echo that answers while it still reads, far more than anything buffers."""
    size = 24 << 20

    async def echo(peer: Raw) -> None:
        head = await peer.until(b"\r\n\r\n")
        assert b"Content-Length: %d\r\n" % size in head
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            data = await peer.reader.read(1 << 16)
            left -= len(data)
            peer.send(data)
            await peer.writer.drain()
        await peer.rest()

    async with Origin(echo) as origin:
        backends = Backends({"b": Backend(url=url(origin))}, client)
        listener = await listen(Dispatcher(Proxy(backends, "b"), NoFanout(), backends))
        raw = await connect(listener.address, limit=1 << 25)
        raw.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
        pattern = bytes(range(256)) * (size >> 8)
        raw.send(pattern)
        head, body = await raw.answer()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == pattern


async def test_a_websocket_is_passed_through(
    listen: Listen, connect: Connect, client: HttpClient
) -> None:
    """compute-host §3.2, §3.3: head and bytes as they are, until either side closes."""
    heads: list[bytes] = []

    async def script(peer: Raw) -> None:
        heads.append(await peer.until(b"\r\n\r\n"))
        peer.send(
            b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello"
        )
        while data := await peer.reader.read(1 << 16):
            peer.send(data.upper())
            await peer.writer.drain()

    async with Origin(script) as origin:
        backends = Backends({"b": Backend(url=url(origin) + "/base/")}, client)
        listener = await listen(Dispatcher(Guest(pass_through), NoFanout(), backends))
        raw = await connect(listener.address)
        raw.send(
            b"GET /ws?x HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: p\r\n\r\n"
        )
        assert await raw.until(b"\r\n\r\n") == (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        assert await raw.exactly(5) == b"hello"
        raw.send(b"abc" * 1_000_000)
        assert await raw.exactly(3_000_000) == b"ABC" * 1_000_000
        raw.writer.write_eof()
        assert await raw.rest() == b""
    assert heads == [
        b"GET /base/ws?x HTTP/1.1\r\nhost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: p\r\n\r\n"
        % url(origin).removeprefix("http://").encode()
    ]


async def test_a_backend_that_declines_is_answered_with(
    listen: Listen, connect: Connect, client: HttpClient
) -> None:
    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")
        await peer.rest()

    async with Origin(script) as origin:
        backends = Backends({"b": Backend(url=url(origin))}, client)
        listener = await listen(Dispatcher(Guest(pass_through), NoFanout(), backends))
        raw = await connect(listener.address)
        raw.send(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        head, body = await raw.answer()
        assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 426 Upgrade Required", b"no")


@pytest.mark.parametrize("upgrade", [False, True])
async def test_a_client_that_goes_ends_the_connection_to_the_backend(
    listen: Listen, connect: Connect, client: HttpClient, upgrade: bool
) -> None:
    ended = asyncio.Event()

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        status = b"101 Go\r\nUpgrade: x" if upgrade else b"200 OK"
        peer.send(b"HTTP/1.1 " + status + b"\r\n\r\nhello")
        await peer.reader.read()
        ended.set()

    async with Origin(script) as origin:
        backends = Backends({"b": Backend(url=url(origin))}, client)
        listener = await listen(Dispatcher(Guest(pass_through), NoFanout(), backends))
        raw = await connect(listener.address)
        raw.send(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        await raw.until(b"hello")
        raw.reset()
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()


async def test_self_is_entered_without_a_socket(
    listen: Listen, connect: Connect, client: HttpClient
) -> None:
    """And a service that always asks itself is stopped (compute-host §3.4)."""
    depth = 0

    class Loop(Proxy):
        async def run(self, request: Request) -> Outcome:
            nonlocal depth
            depth += 1
            return await super().run(request)

    backends = Backends({}, client)
    dispatcher = Dispatcher(Loop(backends, "self"), NoFanout(), backends)
    listener = await listen(dispatcher)
    backends.enter_at(dispatcher, [listener.address])
    raw = await connect(listener.address)
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    head, _ = await raw.answer()
    assert head.startswith(b"HTTP/1.1 500 ")
    assert depth == 9


async def test_a_backend_may_ask_for_a_certificate(client: HttpClient, tmp_path: Path) -> None:
    """compute-host §4.1: `ca_certificate`, `client_certificate`, `cert_host`."""
    authority = Authority()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue_files("origin.test", tmp_path))
    server.load_verify_locations(cadata=authority.pem)
    server.verify_mode = ssl.CERT_REQUIRED

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        await peer.rest()

    async with Origin(script, tls=server) as origin:
        backend = Backend(
            url=url(origin).replace("http", "https"),
            cert_host="origin.test",
            ca_certificates=authority.pem,
            client_certificate=ClientCertificate(*authority.issue("me")),
        )
        response = await Backends({"b": backend}, client).send(request(), "b")
        assert response.status == 204
        assert response.headers == Headers()
        await client.close()
