"""The client of gRPC backends, against a server made with h2."""

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.http2.client import Http2Client
from host_sim.messages import Request, Response
from tests.support.certificates import Authority
from tests.support.http2_server import Http2Server
from tests.support.requests import request


class Pieces:
    """A body that is given piece by piece, and what comes after it."""

    def __init__(self, *pieces: bytes, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        self._pieces = list(pieces)
        self.trailers = Headers(trailers)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop(0)


def ask(path: str, body: Body | None = None, **fields: str) -> Request:
    pairs = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    asked = request("POST", path, headers=(("Host", "h.test"), *pairs))
    return dataclasses.replace(asked, body=body or Body.of(b""), client=None)


async def send(
    client: Http2Client, server: Http2Server, asked: Request, **options: Any
) -> Response:
    async with asyncio.timeout(30):
        host, port = server.address
        return await client.send(asked, backend="b", host=host, port=port, **options)


async def failing(
    client: Http2Client, server: Http2Server, asked: Request, **options: Any
) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await send(client, server, asked, **options)
    return caught.value


async def test_request_and_response(client: Http2Client, server: Http2Server) -> None:
    """Fields both ways, without those of the connection; interim responses are skipped."""
    response = await send(
        client,
        server,
        ask(
            "/echo?q", Body.of(b"hello"), X_One="1", Connection="close", TE="trailers", Upgrade="x"
        ),
    )
    assert response.status == 200
    assert list(response.headers) == [("x-two", "1"), ("x-two", "2")]
    assert response.peer == server.address
    [fields] = server.requests
    assert fields[:4] == [
        *((":method", "POST"), (":scheme", "http"), (":authority", "h.test")),
        (":path", "/echo?q"),
    ]
    assert fields[4:] == [("x-one", "1"), ("te", "trailers"), ("content-length", "5")]
    await response.body.aclose()


async def test_trailers_go_both_ways(client: Http2Client, server: Http2Server) -> None:
    body = Body(Pieces(b"a", b"b" * 50_000, trailers=(("X-Sum", "1"),)), None)
    response = await send(client, server, ask("/echo", body))
    assert response.body.length is None
    assert await response.body.whole(1 << 20) == b"a" + b"b" * 50_000
    assert list(response.body.trailers) == [("grpc-status", "0"), ("grpc-message", "ok")]
    assert server.trailers == [[("x-sum", "1")]]
    assert "content-length" not in dict(server.requests[0])


async def test_both_sides_at_the_same_time(client: Http2Client, server: Http2Server) -> None:
    """What the response says can decide what the request says next."""
    ball: asyncio.Queue[bytes] = asyncio.Queue()

    async def pieces() -> AsyncIterator[bytes]:
        while piece := await ball.get():
            yield piece

    response = await send(client, server, ask("/echo", Body(pieces(), None)))
    for round_ in range(3):
        ball.put_nowait(b"ping %d" % round_)
        assert await response.body.read() == b"ping %d" % round_
    ball.put_nowait(b"")
    assert await response.body.read() == b""
    assert response.body.trailers.get("grpc-status") == "0"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1 << 20])
async def test_sizes(client: Http2Client, server: Http2Server, size: int) -> None:
    """More than any window of flow control holds, on both sides."""
    content = b"x" * size
    response = await send(client, server, ask("/echo", Body(Pieces(content), None)))
    assert await response.body.whole(1 << 21) == content


async def test_a_slow_backend_holds_back_the_request(
    client: Http2Client, server: Http2Server
) -> None:
    given = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(20):
            given += 1
            yield b"x" * 10_000

    response = await send(client, server, ask("/waits", Body(pieces(), None)))
    await asyncio.sleep(0.05)  # for what must not happen
    assert given == 7  # 65 535 bytes are all that it takes
    server.release.set()
    assert await response.body.whole(99) == b""
    assert given == 20


async def test_a_slow_reader_holds_back_the_response(
    client: Http2Client, server: Http2Server
) -> None:
    response = await send(client, server, ask("/large"))
    first = await response.body.read()
    await asyncio.sleep(0.05)
    rest = await response.body.whole(1 << 20)
    assert rest is not None
    assert len(first) + len(rest) == 300_000


@pytest.mark.parametrize(
    ("path", "status", "fields"),
    [
        ("/trailers-only", 200, [("grpc-status", "12"), ("content-type", "application/grpc")]),
        ("/empty", 204, [("x", "y")]),
        ("/early", 413, []),
    ],
)
async def test_responses_without_content(
    client: Http2Client,
    server: Http2Server,
    path: str,
    status: int,
    fields: list[tuple[str, str]],
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b"x" * 1000

    response = await send(client, server, ask(path, Body(endless(), None)))
    assert (response.status, list(response.headers)) == (status, fields)
    assert await response.body.whole(0) == b""


@pytest.mark.parametrize(
    ("path", "fault", "detail"),
    [
        ("/refused", BackendFault.CLOSED, "the stream was reset: REFUSED_STREAM"),
        ("/away", BackendFault.CLOSED, "the backend went away: INTERNAL_ERROR"),
        ("/closed", BackendFault.CLOSED, ""),
        ("/huge", BackendFault.INVALID, "not HTTP/2"),
        ("/odd", BackendFault.INVALID, "expected a status, got b'2x0'"),
    ],
)
async def test_no_response(
    client: Http2Client, server: Http2Server, path: str, fault: BackendFault, detail: str
) -> None:
    error = await failing(client, server, ask(path))
    assert error.fault is fault
    assert detail in str(error)


async def test_no_response_in_time(client: Http2Client, server: Http2Server) -> None:
    error = await failing(client, server, ask("/none"), first_byte_timeout_s=0.01)
    assert error.fault is BackendFault.TIMEOUT


@pytest.mark.parametrize(("path", "timed_out"), [("/cut", False), ("/stalled", True)])
async def test_a_response_that_breaks_off(
    client: Http2Client, server: Http2Server, path: str, timed_out: bool
) -> None:
    response = await send(client, server, ask(path), between_bytes_timeout_s=0.05)
    assert await response.body.read() == b"part"
    with pytest.raises(BodyError) as caught:
        await response.body.read()
    assert caught.value.timed_out is timed_out


async def test_nobody_there(client: Http2Client, server: Http2Server) -> None:
    server.address = ("127.0.0.1", 1)
    assert (await failing(client, server, ask("/"))).fault is BackendFault.UNREACHABLE


async def test_a_backend_that_speaks_http_1(client: Http2Client) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    old = await asyncio.start_server(answer, "127.0.0.1", 0)
    server = Http2Server()
    server.address = old.sockets[0].getsockname()
    async with old:
        assert (await failing(client, server, ask("/"))).fault is BackendFault.INVALID


async def test_a_request_that_cannot_be(client: Http2Client, server: Http2Server) -> None:
    error = await failing(client, server, ask("/echo", X_Bad="a\nb"))
    assert error.fault is BackendFault.INVALID
    assert server.requests == []


async def test_a_request_whose_body_breaks_off(client: Http2Client, server: Http2Server) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        raise BodyError("cut off")

    error = await failing(client, server, ask("/slow-head", Body(pieces(), None)))
    assert (error.fault, "cut off" in str(error)) == (BackendFault.CLOSED, True)


async def test_giving_up_closes_the_connection(client: Http2Client, server: Http2Server) -> None:
    """By cancelling, by closing the body, or by closing the client."""
    waiting = asyncio.create_task(send(client, server, ask("/none")))
    await server.asked.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    response = await send(client, server, ask("/stalled"))
    await response.body.aclose()
    response = await send(client, server, ask("/stalled"))
    async with asyncio.timeout(10):
        await client.close()
    assert await response.body.read() == b"part"
    with pytest.raises(BodyError):
        await response.body.read()


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
async def test_tls(client: Http2Client, tmp_path: Path, alpn: str) -> None:
    """The backend has to choose HTTP/2 (RFC 7301)."""
    authority = Authority()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(*authority.issue_files("localhost", tmp_path))
    ours = ssl.create_default_context(cadata=authority.pem)
    async with Http2Server.running(theirs) as server:
        theirs.set_alpn_protocols([alpn])
        ours.set_alpn_protocols(["h2", "http/1.1"])
        options: dict[str, Any] = {"tls": ours, "server_hostname": "localhost"}
        if alpn == "h2":
            response = await send(client, server, ask("/echo", Body.of(b"x")), **options)
            assert await response.body.whole(9) == b"x"
        else:
            error = await failing(client, server, ask("/echo"), **options)
            assert (error.fault, "does not speak HTTP/2" in str(error)) == (
                *(BackendFault.INVALID, True),
            )
