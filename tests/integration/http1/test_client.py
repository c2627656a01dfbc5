"""The HTTP client against backends that speak plain bytes (RFC 9110, RFC 9112)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.http1.client import HttpClient
from host_sim.inbox import READ_AHEAD, Inbox
from host_sim.messages import Request, Response
from tests.support.backend import Backend
from tests.support.certificates import Authority
from tests.support.raw import Raw
from tests.support.requests import request
from tests.support.waiting import PATIENCE_S, soon

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


async def ask(
    client: HttpClient, backend: Backend, asked: Request | None = None, **options: Any
) -> Response:
    host, port = backend.address
    async with asyncio.timeout(PATIENCE_S):
        return await client.send(asked or request(), backend="b", host=host, port=port, **options)


async def content(response: Response) -> bytes | None:
    async with asyncio.timeout(PATIENCE_S):
        return await response.body.whole(1 << 30)


class Canned:
    """Answers every request of a connection with the same bytes; keeps the heads."""

    def __init__(self, answer: bytes = OK, *, close: bool = False) -> None:
        self.answer = answer
        self.close = close
        self.heads: list[bytes] = []

    async def __call__(self, peer: Raw) -> None:
        while True:
            self.heads.append(await peer.until(b"\r\n\r\n"))
            peer.send(self.answer)
            if self.close:
                return


async def slow_source(*pieces: bytes, go: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        if go is not None:
            await go.wait()


# Requests.


async def test_request_head_goes_out_as_given(client: HttpClient) -> None:
    """Nothing is added, order, case, repetition and obs-text stay (compute-host §2.2)."""
    script = Canned()
    headers = Headers.from_wire([(b"hOst", b"a:1"), (b"X-b", b"\xe9\xff"), (b"x-B", b"2")])
    asked = request("PURGE", "/a%20b?x=%ff&y", tuple(headers))
    async with Backend(script) as backend:
        assert await content(await ask(client, backend, asked)) == b"hi"
    assert script.heads == [
        b"PURGE /a%20b?x=%ff&y HTTP/1.1\r\nhOst: a:1\r\nX-b: \xe9\xff\r\nx-B: 2\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("fields", "body", "sent"),
    [
        ((), b"", b"\r\n\r\n"),
        ((("content-length", "0"), ("X", "y")), b"", b"content-length: 0\r\nX: y\r\n\r\n"),
        ((("content-length", "9"), ("X", "y")), b"abc", b"content-length: 3\r\nX: y\r\n\r\nabc"),
        ((("Transfer-Encoding", "chunked"),), b"abc", b"Content-Length: 3\r\n\r\nabc"),
        (
            (("Content-Length", "9"),),
            None,
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\n!\r\n0\r\n\r\n",
        ),
        ((("transfer-encoding", "gzip"),), None, b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    ],
)
async def test_framing_follows_from_the_body(
    client: HttpClient, fields: tuple[tuple[str, str], ...], body: bytes | None, sent: bytes
) -> None:
    """RFC 9112 §6: a known size as `Content-Length`, else chunked."""
    received = asyncio.get_running_loop().create_future()

    async def script(peer: Raw) -> None:
        received.set_result(await peer.until(sent))
        peer.send(OK)

    source = Body(slow_source(b"abc", b"!"), None) if body is None else Body.of(body)
    asked = request("POST", "/", (("Host", "h"), *fields), source)
    async with Backend(script) as backend:
        await content(await ask(client, backend, asked))
    assert received.result() in (
        b"POST / HTTP/1.1\r\nHost: h\r\n" + sent, b"POST / HTTP/1.1\r\nHost: h" + sent
    )  # fmt: skip


async def test_a_request_http_cannot_carry_is_refused(client: HttpClient) -> None:
    async with Backend(Canned()) as backend:
        for asked in (
            request(headers=(("Host", "h"), ("X", "a\r\nb"))),
            request(target="/a b"),
            request(method="a b"),
        ):
            with pytest.raises(BackendError, match="unfit request") as caught:
                await ask(client, backend, asked)
            assert caught.value.fault is BackendFault.INVALID


async def test_a_body_is_sent_piece_by_piece(client: HttpClient) -> None:
    go = asyncio.Event()

    async def script(peer: Raw) -> None:
        await peer.until(b"1\r\na\r\n")
        go.set()
        await peer.until(b"1\r\nb\r\n0\r\n\r\n")
        peer.send(OK)

    body = Body(slow_source(b"a", b"b", go=go), None)
    async with Backend(script) as backend:
        response = await ask(client, backend, request("POST", body=body))
        assert await content(response) == b"hi"


async def test_a_backend_that_does_not_read_stops_the_source(client: HttpClient) -> None:
    pulled = 0
    go = asyncio.Event()
    size, count = 1 << 16, 400

    async def source() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(count):
            pulled += 1
            yield bytes(size)

    async def script(peer: Raw) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go.wait()
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await peer.until(b"\r\n\r\n")
        await peer.exactly(size * count)
        peer.send(OK)

    async with Backend(script) as backend:
        asked = request("POST", body=Body(source(), size * count))
        asking = asyncio.create_task(ask(client, backend, asked))
        seen = -1
        while pulled != seen:  # until it stops
            seen = pulled
            for _ in range(50):
                await asyncio.sleep(0)
        assert pulled < count
        go.set()
        assert await content(await asking) == b"hi"


@pytest.mark.parametrize("length", [None, 2, 9])
async def test_a_body_that_breaks_off_or_lies_breaks_the_request(
    client: HttpClient, length: int | None
) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"abc"
        if length is None:
            raise OSError("the client has gone")

    async def script(peer: Raw) -> None:
        assert not (await peer.rest()).endswith(b"0\r\n\r\n")

    async with Backend(script) as backend:
        with pytest.raises(BackendError, match="the body of the request broke off") as caught:
            await ask(client, backend, request("POST", body=Body(source(), length)))
    assert caught.value.fault is BackendFault.CLOSED


# Responses.


async def test_response_head_arrives_as_sent(client: HttpClient) -> None:
    """Less the fields of the connection (`messages.Response`)."""
    answer = (
        b"HTTP/1.1 299 Tr\xe8s bien\r\nsEt-cookie: a\r\nConnection: keep-alive\r\nX: \xff\r\n"
        b"Keep-Alive: timeout=5\r\nSet-Cookie: b\r\ncontent-length: 2\r\n\r\nhi"
    )
    async with Backend(Canned(answer)) as backend:
        response = await ask(client, backend)
        assert await content(response) == b"hi"
    assert response.status == 299
    assert response.reason.encode("utf-8", "surrogateescape") == b"Tr\xe8s bien"
    assert response.headers.to_wire() == [
        (b"sEt-cookie", b"a"), (b"X", b"\xff"), (b"Set-Cookie", b"b"), (b"content-length", b"2")
    ]  # fmt: skip
    assert response.body.length == 2


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
    ],
)
async def test_responses_without_a_body(client: HttpClient, method: str, answer: bytes) -> None:
    """RFC 9112 §6.3."""
    async with Backend(Canned(answer)) as backend:
        for _ in range(2):
            response = await ask(client, backend, request(method))
            assert await content(response) == b""
            assert response.headers == Headers([("Content-Length", "7")])
        assert backend.connections == 1


@pytest.mark.parametrize(
    ("answer", "body", "length", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", 5, 1),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"", 0, 1),
        (
            CHUNKED + b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n",
            b"hello",
            None,
            1,
        ),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello", 5, 2),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello", None, 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", 5, 2),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
            b"hi",
            2,
            1,
        ),
    ],
)
async def test_bodies_and_reuse(
    client: HttpClient, answer: bytes, body: bytes, length: int | None, connections: int
) -> None:
    """RFC 9112 §6.3 (length), §9.3 (a connection is reused when both sides are done with it)."""
    async with Backend(Canned(answer, close=connections == 2)) as backend:
        for _ in range(2):
            response = await ask(client, backend)
            assert (response.status, response.body.length) == (200, length)
            assert await content(response) == body
        assert backend.connections == connections


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\nxyz\r\n",
    ],
)
async def test_a_body_that_breaks_off_is_an_error_for_its_reader(
    client: HttpClient, answer: bytes
) -> None:
    """RFC 9112 §8."""
    async with Backend(Canned(answer, close=True)) as backend:
        response = await ask(client, backend)
        assert await response.body.read() == b"hello"
        with pytest.raises(BodyError):
            await response.body.read()


async def test_a_body_without_length_is_broken_off_by_a_reset(client: HttpClient) -> None:
    """Its proper end is the end of the connection; a reset is not one."""

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await go.wait()
        peer.reset()

    go = asyncio.Event()
    async with Backend(script) as backend:
        response = await ask(client, backend)
        assert await response.body.read() == b"hello"
        go.set()
        with pytest.raises(BodyError):
            await response.body.read()


async def test_an_unread_body_stops_the_backend(client: HttpClient) -> None:
    size = 16 << 20
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    async with Backend(Canned(answer)) as backend:
        response = await ask(client, backend)
        inbox = response.body._tape.source
        assert isinstance(inbox, Inbox)
        await soon(lambda: inbox.full)
        for _ in range(100):  # more turns of the loop bring no more
            await asyncio.sleep(0)
        assert inbox.size < READ_AHEAD + (256 << 10)  # and one read of a socket
        assert len(await content(response) or b"") == size
        assert (await ask(client, backend)).status == 200
        assert backend.connections == 1


async def test_an_early_answer_is_handed_over_while_the_request_goes_on(
    client: HttpClient,
) -> None:
    """RFC 9112 §9.3: and the connection serves again when the request is complete, too."""
    go = asyncio.Event()

    async def script(peer: Raw) -> None:
        await peer.until(b"1\r\na\r\n")
        peer.send(CHUNKED + b"5\r\nearly\r\n")
        await peer.until(b"1\r\nb\r\n0\r\n\r\n")
        peer.send(b"4\r\nlate\r\n0\r\n\r\n")
        await peer.until(b"\r\n\r\n")
        peer.send(OK)

    async with Backend(script) as backend:
        asked = request("POST", body=Body(slow_source(b"a", b"b", go=go), None))
        response = await ask(client, backend, asked)
        assert await response.body.read() == b"early"
        go.set()
        assert await content(response) == b"late"
        assert await content(await ask(client, backend)) == b"hi"
        assert backend.connections == 1


async def test_an_answer_complete_before_its_request_ends_the_connection(
    client: HttpClient,
) -> None:
    """RFC 9112 §9.6: what is left of the request is not sent, its source is let go."""
    closed = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def script(peer: Raw) -> None:
        await peer.until(b"1\r\na\r\n")
        peer.send(OK)
        assert await peer.rest() == b""

    async with Backend(script) as backend:
        response = await ask(client, backend, request("POST", body=Body(source(), None)))
        assert await content(response) == b"hi"
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()


async def test_a_reader_that_wants_no_more_ends_the_connection(client: HttpClient) -> None:
    ended = asyncio.Event()

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await peer.rest()
        ended.set()

    async with Backend(script) as backend:
        response = await ask(client, backend)
        await response.body.aclose()
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
        with pytest.raises(BodyError):
            await response.body.read()


# Failures.


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", BackendFault.CLOSED),
        (b"HTTP/1.1 200 OK\r\nX", BackendFault.CLOSED),
        (b"SSH-2.0-OpenSSH\r\n\r\n", BackendFault.INVALID),
        (b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", BackendFault.INVALID),
        (b"HTTP/1.1 099 Low\r\n\r\n", BackendFault.INVALID),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", BackendFault.INVALID),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", BackendFault.INVALID),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", BackendFault.INVALID),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (70 << 10) + b"\r\n\r\n", BackendFault.INVALID),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (70 << 10), BackendFault.INVALID),
    ],
)
async def test_what_is_no_response_is_a_fault(
    client: HttpClient, answer: bytes, fault: BackendFault
) -> None:
    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(answer)
        if fault is BackendFault.INVALID:
            await peer.rest()

    async with Backend(script) as backend:
        with pytest.raises(BackendError, match=r"^backend 'b': ") as caught:
            await ask(client, backend)
    assert caught.value.fault is fault


async def test_nobody_listens(client: HttpClient) -> None:
    async with Backend(Canned()) as backend:
        pass
    with pytest.raises(BackendError, match=f"127.0.0.1:{backend.address[1]}") as caught:
        await ask(client, backend)
    assert caught.value.fault is BackendFault.UNREACHABLE


async def test_a_name_that_is_none(client: HttpClient) -> None:
    for host in ("no-such-host.invalid", "a" * 300, "a..b"):
        with pytest.raises(BackendError) as caught:
            await client.send(request(), backend="b", host=host, port=80)
        assert caught.value.fault is BackendFault.UNREACHABLE


async def test_first_byte_timeout(client: HttpClient) -> None:
    """compute-host §2.2: it covers everything up to the response head; the connection ends."""
    ended = asyncio.Event()

    async def script(peer: Raw) -> None:
        try:
            await peer.until(b"\r\n\r\n")  # on a busy machine the time is up before
            peer.send(b"HTTP/1.1 200 OK\r\n")
            await peer.rest()
        finally:
            ended.set()

    async with Backend(script) as backend:
        with pytest.raises(BackendError, match=r"no response head within 0\.01 s") as caught:
            await ask(client, backend, first_byte_timeout_s=0.01)
        assert caught.value.fault is BackendFault.TIMEOUT
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()


async def test_between_bytes_timeout(client: HttpClient) -> None:
    """compute-host §2.2: it applies to the reads of the body."""

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await peer.rest()

    async with Backend(script) as backend:
        response = await ask(client, backend, between_bytes_timeout_s=0.01)
        assert await response.body.read() == b"hello"
        with pytest.raises(BodyError, match=r"no byte of the body within 0\.01 s"):
            await response.body.read()


async def test_cancelling_ends_the_connection(client: HttpClient) -> None:
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        arrived.set()
        await peer.rest()
        ended.set()

    async with Backend(script) as backend:
        asking = asyncio.create_task(ask(client, backend))
        await arrived.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()


# Reused connections.


@pytest.mark.parametrize(
    ("asked", "repeated"),
    [
        (request("GET"), True),
        (request("PUT", body=b"again"), True),
        (request("POST"), False),
        (request("GET", body=Body(None, None)), True),
    ],
    ids=["GET", "PUT with a body", "POST", "GET with a chunked body"],
)
async def test_a_request_is_repeated_when_that_is_safe(
    client: HttpClient, asked: Request, repeated: bool
) -> None:
    """RFC 9110 §9.2.2, RFC 9112 §9.3.1: reused connection, no byte of an answer, idempotent."""

    async def once(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(OK)
        await peer.until(b"\r\n\r\n")  # the second request gets no answer

    script = Canned()
    async with Backend(once, script) as backend:
        await content(await ask(client, backend))
        if repeated:
            assert await content(await ask(client, backend, asked)) == b"hi"
            assert script.heads
        else:
            with pytest.raises(BackendError) as caught:
                await ask(client, backend, asked)
            assert caught.value.fault is BackendFault.CLOSED
            assert backend.connections == 1


async def test_a_request_on_a_fresh_connection_is_never_repeated(client: HttpClient) -> None:
    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")

    async with Backend(script) as backend:
        with pytest.raises(BackendError):
            await ask(client, backend)
        assert backend.connections == 1


async def test_a_request_is_not_repeated_after_a_first_byte(client: HttpClient) -> None:
    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(OK)
        await peer.until(b"\r\n\r\n")
        peer.send(b"H")

    async with Backend(script) as backend:
        await content(await ask(client, backend))
        with pytest.raises(BackendError):
            await ask(client, backend)
        assert backend.connections == 1


async def test_what_comes_unasked_ends_an_idle_connection(client: HttpClient) -> None:
    """A time-out notice (408) of one request must not answer the next."""
    go, ended = asyncio.Event(), asyncio.Event()

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(OK)
        await go.wait()
        peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await peer.rest()
        ended.set()

    async with Backend(script, Canned()) as backend:
        await content(await ask(client, backend))
        go.set()
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
        assert (await ask(client, backend)).status == 200
        assert backend.connections == 2


async def test_idle_connections_are_closed_after_a_while() -> None:
    ended = asyncio.Event()

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(OK)
        await peer.rest()
        ended.set()

    client = HttpClient(keep_idle_s=0.01)
    async with Backend(script) as backend:
        await content(await ask(client, backend))
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
    await client.close()


async def test_requests_at_the_same_time_have_a_connection_each(client: HttpClient) -> None:
    async with Backend(Canned()) as backend:
        responses = await asyncio.gather(*(ask(client, backend) for _ in range(5)))
        assert [await content(response) for response in responses] == [b"hi"] * 5
        assert backend.connections == 5
        await asyncio.gather(*(ask(client, backend) for _ in range(5)))
        assert backend.connections == 5


# Upgrades and TLS.


async def test_101_gives_the_connection_away(client: HttpClient) -> None:
    """RFC 9110 §7.8."""

    async def script(peer: Raw) -> None:
        assert b"\r\nConnection: Upgrade\r\n" in await peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nfirst")
        assert await peer.exactly(4) == b"ping"
        peer.send(b"pong")

    heard = b""
    gone = asyncio.Event()

    def hear(data: bytes) -> None:
        nonlocal heard
        heard += data

    async with Backend(script) as backend:
        fields = (("Host", "h"), ("Connection", "Upgrade"), ("Upgrade", "x"))
        response = await ask(client, backend, request(headers=fields))
        assert (response.status, response.reason) == (101, "Go")
        assert response.headers == Headers([("Upgrade", "x"), ("Connection", "Upgrade")])
        assert response.tunnel is not None
        response.tunnel.start(hear, gone.set)
        response.tunnel.write(b"ping")
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    assert heard == b"firstpong"


async def test_closing_the_client_closes_tunnels_and_bodies() -> None:
    async def script(peer: Raw) -> None:
        head = await peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 101 Go\r\n\r\n" if b"Upgrade" in head else b"HTTP/1.1 200 OK\r\n\r\n")
        await peer.rest()

    gone = asyncio.Event()
    client = HttpClient()
    async with Backend(script) as backend:
        fields = (("Host", "h"), ("Connection", "Upgrade"), ("Upgrade", "x"))
        upgraded = await ask(client, backend, request(headers=fields))
        assert upgraded.tunnel is not None
        upgraded.tunnel.start(lambda _: None, gone.set)
        streamed = await ask(client, backend)
        async with asyncio.timeout(PATIENCE_S):
            await client.close()
            await gone.wait()
        with pytest.raises(BodyError):
            await streamed.body.read()
        await client.close()


async def test_tls(client: HttpClient, tmp_path: Path) -> None:
    """The certificate is checked against the name given; a wrong one is no connection."""
    authority = Authority()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue_files("backend.test", tmp_path))
    tls = ssl.create_default_context(cadata=authority.pem)
    names: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)

    async with Backend(Canned(), tls=server) as backend:
        options: Any = {"backend": "b", "host": "127.0.0.1", "port": backend.address[1]}
        response = await client.send(request(), **options, tls=tls, server_hostname="backend.test")
        assert await content(response) == b"hi"
        assert names == ["backend.test"]
        for wrong in (
            {"tls": tls, "server_hostname": "other.test"},
            {"tls": tls},
            {"tls": ssl.create_default_context(), "server_hostname": "backend.test"},
        ):
            with pytest.raises(BackendError, match="certificate verify failed") as caught:
                await client.send(request(), **options, **wrong)
            assert caught.value.fault is BackendFault.UNREACHABLE
        await client.close()
