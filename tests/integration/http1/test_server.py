"""The HTTP server, byte by byte over real sockets (RFC 9110, RFC 9112, compute-host §1.1)."""

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
from pathlib import Path

import pytest

from grip.headers import Headers
from host_sim.errors import BodyError, StartError
from host_sim.http1.connection import Connection
from host_sim.http1.exchange import Exchange
from host_sim.http1.server import serve
from host_sim.inbox import READ_AHEAD, Inbox
from host_sim.messages import Downstream, Piece, Request, Tunnel
from tests.integration.http1.conftest import Connect, Listen
from tests.support.certificates import Authority
from tests.support.raw import Raw
from tests.support.waiting import PATIENCE_S, soon

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def answer(downstream: Downstream, content: bytes, status: int = 200) -> None:
    downstream.send_head(status, "OK", Headers(), len(content))
    downstream.write(content)
    downstream.finish()


class Recorder:
    """A handler that keeps what it was asked, body included, and answers with a number."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.bodies: list[bytes | None] = []

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        self.requests.append(request)
        self.bodies.append(await request.body.whole(1 << 30))
        answer(downstream, b"%d" % len(self.requests))


class Holder:
    """A handler that leaves every client waiting."""

    def __init__(self) -> None:
        self.held: list[Downstream] = []
        self.gone = 0

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        downstream.on_gone(self.lost)
        self.held.append(downstream)

    def lost(self) -> None:
        self.gone += 1


# Heads.


async def test_request_head_arrives_as_sent(listen: Listen, connect: Connect) -> None:
    """RFC 9110 §5: order, case, repetition and obs-text of fields; the target byte for byte."""
    handler = Recorder()
    listener = await listen(handler)
    client = await connect(listener.address)
    client.send(
        b"PURGE /a%20b/%2F//../x?q=1&q=%ff HTTP/1.1\r\nx-B: 2\r\nHOST: example.com:81\r\n"
        b"X-a:   caf\xe9\xff  \r\nx-b: 1\r\nX-Empty:\r\n\r\n"
    )
    await client.answer()
    request = handler.requests[0]
    assert request.method == "PURGE"
    assert request.target == "/a%20b/%2F//../x?q=1&q=%ff"
    assert (request.scheme, request.authority) == ("http", "example.com:81")
    assert request.headers.to_wire() == [
        (b"x-B", b"2"),
        (b"HOST", b"example.com:81"),
        (b"X-a", b"caf\xe9\xff"),
        (b"x-b", b"1"),
        (b"X-Empty", b""),
    ]
    assert request.client == client.writer.get_extra_info("sockname")
    assert request.server == listener.address
    assert request.trace.status == 200


async def test_response_head_leaves_as_given(listen: Listen, connect: Connect) -> None:
    """No field is added but framing; reason phrase, order, case, obs-text stay."""
    headers = Headers.from_wire(
        [(b"sEt-cookie", b"a=1"), (b"X", b"\xe9\xc3\xa9"), (b"Set-Cookie", b"b=2")]
    )

    async def handler(request: Request, downstream: Downstream) -> None:
        extra = (("Connection", "upgrade"), ("Transfer-Encoding", "gzip"), ("content-length", "9"))
        downstream.send_head(299, "Très bien", headers.plus(*extra), 2)
        downstream.write(b"hi")
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(GET)
    expected = (
        b"HTTP/1.1 299 Tr\xc3\xa8s bien\r\nsEt-cookie: a=1\r\nX: \xe9\xc3\xa9\r\n"
        b"Set-Cookie: b=2\r\nContent-Length: 2\r\n\r\nhi"
    )
    assert await client.exactly(len(expected)) == expected


@pytest.mark.parametrize(
    ("head", "authority", "target"),
    [
        (b"GET http://Other:8/x?y HTTP/1.1\r\nHost: h", "Other:8", "/x?y"),
        (b"GET HTTPS://other?y HTTP/1.1\r\nHost: h", "other", "/?y"),
        (b"GET http://other HTTP/1.1\r\nHost: h", "other", "/"),
        (b"GET /http://other/ HTTP/1.1\r\nHost: h", "h", "/http://other/"),
        (b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80", "[::1]:80", "*"),
        (b"GET // HTTP/1.0\r\nHost: old", "old", "//"),
    ],
)
async def test_authority_and_target(
    listen: Listen, head: bytes, authority: str, target: str, connect: Connect
) -> None:
    """RFC 9112 §3.2, §3.3."""
    handler = Recorder()
    client = await connect((await listen(handler)).address)
    client.send(head + b"\r\n\r\n")
    await client.answer()
    assert (handler.requests[0].authority, handler.requests[0].target) == (authority, target)


async def test_http_1_0_without_host_means_the_listener(listen: Listen, connect: Connect) -> None:
    handler = Recorder()
    listener = await listen(handler)
    client = await connect(listener.address)
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert (await client.rest()).endswith(b"\r\n\r\n1")
    assert handler.requests[0].authority == "{}:{}".format(*listener.address)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: caf\xc3\xa9\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # the start of a TLS handshake
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_a_bad_request_is_told_and_the_connection_closed(
    listen: Listen, sent: bytes, status: int, connect: Connect
) -> None:
    """compute-host §1.1: the guest is not started; RFC 9112 §2.2, §3, §6.3."""
    handler = Recorder()
    client = await connect((await listen(handler, max_head_bytes=8192)).address)
    client.send(sent)
    answered = await client.rest()
    assert answered.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in answered
    assert b"\r\nContent-Type: text/plain" in answered
    assert not handler.bodies


# Bodies.


@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_request_bodies_are_streamed(listen: Listen, step: int, connect: Connect) -> None:
    """RFC 9112 §6: sized and chunked, cut anywhere; trailers and extensions are dropped."""
    handler = Recorder()
    client = await connect((await listen(handler)).address)
    sent = (
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;x=1\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
    )
    for at in range(0, len(sent), step):
        client.send(sent[at : at + step])
        await asyncio.sleep(0)
    assert [(await client.answer())[1] for _ in range(3)] == [b"1", b"2", b"3"]
    assert handler.bodies == [b"hello", b"hello!", b""]
    assert [request.body.length for request in handler.requests] == [5, None, 0]


async def test_a_piece_is_readable_before_the_rest_has_come(
    listen: Listen, connect: Connect
) -> None:
    read: list[bytes] = []

    async def handler(request: Request, downstream: Downstream) -> None:
        while piece := await request.body.read():
            read.append(piece)
        answer(downstream, b"")

    client = await connect((await listen(handler)).address)
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await soon(lambda: read == [b"abc"])
    client.send(b"0\r\n\r\n")
    await client.answer()


async def test_an_unread_body_stops_its_sender(listen: Listen, connect: Connect) -> None:
    """Little is read ahead, and nothing is lost, when the handler takes its time."""
    size = 16 << 20
    inboxes: list[Inbox] = []
    go = asyncio.Event()
    total = 0

    async def handler(request: Request, downstream: Downstream) -> None:
        nonlocal total
        source = request.body._tape.source
        assert isinstance(source, Inbox)
        inboxes.append(source)
        await go.wait()
        async for piece in request.body:
            total += len(piece)
        answer(downstream, b"done")

    client = await connect((await listen(handler)).address)
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    await soon(lambda: inboxes and inboxes[0].full)
    for _ in range(100):  # more turns of the loop bring no more
        await asyncio.sleep(0)
    assert inboxes[0].size < READ_AHEAD + (256 << 10)  # and one read of a socket
    go.set()
    assert (await client.answer())[1] == b"done"
    assert total == size


async def test_a_body_that_breaks_off_is_an_error_for_its_reader(
    listen: Listen, connect: Connect
) -> None:
    errors: list[BodyError] = []

    async def handler(request: Request, downstream: Downstream) -> None:
        try:
            await request.body.whole(100)
        except BodyError as error:
            errors.append(error)

    client = await connect((await listen(handler)).address)
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel")
    await client.close()
    await soon(lambda: errors)
    assert "received 3 bytes, expected 5" in str(errors[0])


async def test_continue_is_said_when_the_body_is_wanted(listen: Listen, connect: Connect) -> None:
    """RFC 9110 §10.1.1."""
    handler = Recorder()
    client = await connect((await listen(handler)).address)
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    client.send(head)
    assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hi")
    head, body = await client.answer()
    assert (body, handler.bodies) == (b"1", [b"hi"])
    assert b"Connection" not in head


async def test_continue_is_not_said_to_a_client_that_is_answered(
    listen: Listen, connect: Connect
) -> None:
    """RFC 9110 §10.1.1: and then nobody knows whether a body follows, so the connection ends."""

    async def handler(request: Request, downstream: Downstream) -> None:
        answer(downstream, b"no", 413)

    client = await connect((await listen(handler)).address)
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    answered = await client.rest()
    assert answered.startswith(b"HTTP/1.1 413 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answered


@pytest.mark.parametrize(("size", "stays"), [(1000, True), (3 << 20, False)])
async def test_an_early_answer_arrives_whatever_is_left_of_the_body(
    listen: Listen, size: int, stays: bool, connect: Connect
) -> None:
    """RFC 9112 §9.6: a little is read to keep the connection; else it is closed gently."""

    async def handler(request: Request, downstream: Downstream) -> None:
        answer(downstream, b"early")

    client = await connect((await listen(handler)).address)
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
    assert (await client.answer())[1] == b"early"
    client.send(bytes(size))
    if stays:
        client.send(GET)
        assert (await client.answer())[1] == b"early"
    else:
        assert await client.rest() == b""


# Framing of answers.


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("status", [200, 204, 304])
async def test_answers_without_a_body(
    listen: Listen, method: bytes, status: int, connect: Connect
) -> None:
    """RFC 9112 §6.3: no body, but the origin's `Content-Length` stays."""

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.send_head(status, "Fine", Headers([("Content-Length", "4"), ("X", "y")]), 4)
        downstream.write(b"body")
        downstream.write(Piece(b"!"))
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(method + GET[3:])
    head = await client.until(b"\r\n\r\n")
    if method == b"GET" and status == 200:
        assert head == b"HTTP/1.1 200 Fine\r\nX: y\r\nContent-Length: 4\r\n\r\n"
        assert await client.exactly(4) == b"body"
    else:
        assert head == b"HTTP/1.1 %d Fine\r\nContent-Length: 4\r\nX: y\r\n\r\n" % status
    client.send(b"HEAD" + GET[3:])  # the connection is still in step
    assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 %d " % status)


async def test_head_is_told_the_length_that_get_would_have(
    listen: Listen, connect: Connect
) -> None:
    async def handler(request: Request, downstream: Downstream) -> None:
        answer(downstream, b"hello")

    client = await connect((await listen(handler)).address)
    client.send(b"HEAD" + GET[3:])
    assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "length", "given", "sent"),
    [
        (200, 5, b"9", b"Content-Length: 5\r\n"),  # what is known, not what is said
        (200, 0, b"9", b"Content-Length: 9\r\n"),  # a backend's answer to HEAD
        (304, 0, b"9", b"Content-Length: 9\r\n"),
        (204, 5, None, b""),
    ],
)
async def test_head_is_told_what_is_known(
    listen: Listen,
    connect: Connect,
    status: int,
    length: int,
    given: bytes | None,
    sent: bytes,
) -> None:
    async def handler(request: Request, downstream: Downstream) -> None:
        headers = Headers([] if given is None else [("Content-Length", given.decode())])
        downstream.send_head(status, "Fine", headers, length)
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(b"HEAD" + GET[3:])
    assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 %d Fine\r\n%s\r\n" % (status, sent)


async def test_unknown_length_is_chunked_and_pieces_are_framed_alike(
    listen: Listen, connect: Connect
) -> None:
    """RFC 9112 §7.1; a shared `Piece` gives the same bytes as its content."""

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), None)
        for data in (b"hello", Piece(b"hello"), b"", Piece(b""), Piece(b"x" * 20)):
            downstream.write(data)
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(GET)
    head, body = await client.answer()
    assert head == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert body == b"5\r\nhello\r\n" * 2 + b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n"


async def test_http_1_0_gets_no_chunks(listen: Listen, connect: Connect) -> None:
    """RFC 9112 §6.1: the end of the connection ends the body."""

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), None)
        downstream.write(b"a")
        downstream.write(Piece(b"b"))
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert await client.rest() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab"


@pytest.mark.parametrize("length", [None, 10])
async def test_an_aborted_answer_looks_incomplete(
    listen: Listen, length: int | None, connect: Connect
) -> None:
    """RFC 9112 §8: what was written arrives, the end does not."""

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), length)
        downstream.write(b"part")
        downstream.abort()
        downstream.write(b"more")
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(GET)
    answered = await client.rest()
    assert answered.endswith(b"4\r\npart\r\n" if length is None else b"\r\n\r\npart")


async def test_an_aborted_answer_to_http_1_0_resets_the_connection(
    listen: Listen, connect: Connect
) -> None:
    """Its proper end is the end of the connection: only a reset tells them apart."""

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), None)
        downstream.write(b"part")
        downstream.abort()

    client = await connect((await listen(handler)).address)
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await client.rest()


async def test_an_answer_shorter_than_announced_is_aborted(
    listen: Listen, caplog: pytest.LogCaptureFixture, connect: Connect
) -> None:
    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), 5)
        downstream.write(b"four")
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(GET)
    assert (await client.rest()).endswith(b"\r\n\r\nfour")
    assert "1 bytes shorter than its Content-Length" in caplog.text


async def test_an_answer_longer_than_announced_is_cut(
    listen: Listen, caplog: pytest.LogCaptureFixture, connect: Connect
) -> None:
    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), 3)
        downstream.write(b"four")
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(GET + GET)
    assert [(await client.answer())[1] for _ in range(2)] == [b"fou", b"fou"]
    assert "longer than its Content-Length" in caplog.text


async def test_a_client_that_does_not_read_stops_its_writer(
    listen: Listen, connect: Connect
) -> None:
    """`write` never waits, `drain` does; everything arrives in the end."""
    block = bytes(1 << 16)
    blocks = 400
    written = 0
    held: list[Downstream] = []

    async def handler(request: Request, downstream: Downstream) -> None:
        nonlocal written
        held.append(downstream)
        downstream.send_head(200, "OK", Headers(), blocks * len(block))
        for _ in range(blocks):
            downstream.write(block)
            written += 1
            await downstream.drain()
        downstream.finish()

    client = await connect((await listen(handler)).address, limit=1 << 10)
    client.send(GET)
    await soon(lambda: held and held[0].buffered > len(block))
    assert written < blocks
    assert held[0].buffered <= 3 * len(block)
    assert len((await client.answer())[1]) == blocks * len(block)
    assert held[0].closed
    assert held[0].buffered == 0


# Connections.


async def test_pipelined_requests_are_answered_one_after_the_other(
    listen: Listen, connect: Connect
) -> None:
    """RFC 9112 §9.3.2: the next one starts when the one before it is answered."""
    handler = Holder()
    client = await connect((await listen(handler)).address)
    client.send(GET * 3)
    for number in range(3):
        await soon(lambda number=number: len(handler.held) == number + 1)  # type: ignore[misc]
        answer(handler.held[number], b"%d" % number)
        assert (await client.answer())[1] == b"%d" % number
    assert len(handler.held) == 3
    assert handler.gone == 0


async def test_a_flood_behind_a_held_request_is_not_taken_in(
    listen: Listen, connect: Connect
) -> None:
    handler = Holder()
    client = await connect((await listen(handler)).address)
    client.send(GET)
    await soon(lambda: len(handler.held) == 1)
    client.send(GET * 400_000)  # 11 MB, more than a socket buffers
    transport = client.writer.transport
    size = transport.get_write_buffer_size()
    for _ in range(200):
        await asyncio.sleep(0)
    assert 0 < transport.get_write_buffer_size() <= size
    assert len(handler.held) == 1


async def test_a_flood_of_pipelined_requests_is_taken_in_bit_by_bit(
    listen: Listen, connect: Connect
) -> None:
    """All are answered; meanwhile little more than one read of the socket waits."""
    count, most = 6_000, 0

    async def handler(request: Request, downstream: Downstream) -> None:
        nonlocal most
        assert isinstance(downstream, Exchange)
        connection = downstream._carrier
        assert isinstance(connection, Connection)
        most = max(most, len(connection._http.trailing_data[0]))
        downstream.send_head(204, "", Headers(), None)
        downstream.finish()

    client = await connect((await listen(handler)).address)
    request = GET[:-2] + b"X: " + b"x" * 200 + b"\r\n\r\n"
    client.send(request * count)
    for _ in range(count):
        assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 204 \r\n\r\n"
    assert most <= READ_AHEAD + 2 * (256 << 10)


async def test_a_long_head_behind_a_long_wait_is_read_to_its_end(
    listen: Listen, connect: Connect
) -> None:
    """Reading had paused in the middle of it."""
    handler = Holder()
    client = await connect((await listen(handler, max_head_bytes=1 << 20)).address)
    client.send(GET)
    await soon(lambda: len(handler.held) == 1)
    client.send(GET[:-2] + b"X: " + b"x" * 900_000 + b"\r\n\r\n")
    for _ in range(50):
        await asyncio.sleep(0)
    answer(handler.held[0], b"1")
    await client.answer()
    await soon(lambda: len(handler.held) == 2)
    answer(handler.held[1], b"2")
    assert (await client.answer())[1] == b"2"


async def test_close_is_obeyed_and_said(listen: Listen, connect: Connect) -> None:
    """RFC 9112 §9.6."""
    client = await connect((await listen(Recorder())).address)
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + GET)
    answered = await client.rest()
    assert answered.count(b"HTTP/1.1 200") == 1
    assert b"\r\nConnection: close\r\n" in answered


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_held_client_that_goes_is_noticed(
    listen: Listen, how: str, connect: Connect
) -> None:
    handler = Holder()
    client = await connect((await listen(handler)).address)
    client.send(GET)
    await soon(lambda: len(handler.held) == 1)
    held = handler.held[0]
    held.send_head(200, "OK", Headers(), None)
    held.write(b"hello")
    await client.until(b"hello")
    if how == "reset":
        client.abort()
    else:
        await client.close()
    await soon(lambda: handler.gone == 1)
    assert held.closed
    held.write(b"nobody hears this")
    held.finish()
    held.abort()
    assert held.buffered == 0
    await held.drain()
    held.on_gone(handler.lost)  # too late: told at once
    await soon(lambda: handler.gone == 2)


async def test_a_client_that_resets_is_noticed_while_the_handler_works(
    listen: Listen, connect: Connect
) -> None:
    gone = asyncio.Event()
    finished = asyncio.Event()

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.on_gone(gone.set)
        await gone.wait()
        finished.set()

    client = await connect((await listen(handler)).address)
    client.send(GET)
    await soon(lambda: not finished.is_set())
    client.reset()
    async with asyncio.timeout(PATIENCE_S):
        await finished.wait()


async def test_a_client_that_half_closes_still_gets_its_answer(
    listen: Listen, connect: Connect
) -> None:
    """Like `nc -N`: the request is complete, the answer comes after the end of sending."""
    go = asyncio.Event()

    async def handler(request: Request, downstream: Downstream) -> None:
        await go.wait()
        answer(downstream, b"late")

    client = await connect((await listen(handler)).address)
    client.send(GET + GET)
    client.writer.write_eof()
    asyncio.get_running_loop().call_later(0.02, go.set)
    assert (await client.rest()).count(b"late") == 2


async def test_a_client_that_half_closes_is_not_held(listen: Listen, connect: Connect) -> None:
    handler = Holder()
    client = await connect((await listen(handler)).address)
    client.send(GET)
    client.writer.write_eof()
    await soon(lambda: handler.gone == 1)
    assert await client.rest() == b""


async def test_a_client_that_half_closed_does_not_wait_for_ever(
    listen: Listen, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent to it for a while, so it has probably gone."""
    monkeypatch.setattr("host_sim.http1.connection.HALF_CLOSED_S", 0.01)
    gone = asyncio.Event()

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.on_gone(gone.set)
        downstream.send_head(200, "OK", Headers(), None)  # counts for one turn of the clock
        await gone.wait()

    client = await connect((await listen(handler)).address)
    client.send(GET)
    client.writer.write_eof()
    assert (await client.rest()).endswith(b"chunked\r\n\r\n")
    async with asyncio.timeout(PATIENCE_S):
        await gone.wait()


async def test_an_idle_connection_is_closed(listen: Listen, connect: Connect) -> None:
    client = await connect((await listen(Recorder(), idle_timeout_s=0.01)).address)
    client.send(b"GET / HTTP/1.1\r\n")
    assert await client.rest() == b""


async def test_a_handler_that_fails_costs_its_request_only(
    listen: Listen, caplog: pytest.LogCaptureFixture, connect: Connect
) -> None:
    """compute-host §1.2: a status and a number for the client, the reason in the log."""

    async def handler(request: Request, downstream: Downstream) -> None:
        if request.target == "/late":
            downstream.send_head(200, "OK", Headers(), None)
        if request.target != "/fine":
            raise LookupError("secret detail")
        answer(downstream, b"fine")

    client = await connect((await listen(handler)).address)
    client.send(GET)
    head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"secret" not in body
    assert "secret detail" in caplog.text
    client.send(GET.replace(b"/ ", b"/fine "))
    assert (await client.answer())[1] == b"fine"
    client.send(GET.replace(b"/ ", b"/late "))
    assert (await client.rest()).endswith(b"chunked\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        (200, "OK", Headers([("X", "a\r\nb")]), 0),
        (200, "OK", Headers([("X Y", "a")]), 0),
        (200, "OK\r\n", Headers(), 0),
        (199, "", Headers(), 0),
    ],
)
async def test_an_answer_that_http_cannot_carry_is_a_500(
    listen: Listen, head: tuple[int, str, Headers, int], connect: Connect
) -> None:
    downstreams: list[Downstream] = []

    async def handler(request: Request, downstream: Downstream) -> None:
        downstreams.append(downstream)
        downstream.send_head(*head)
        downstream.finish()

    client = await connect((await listen(handler)).address)
    client.send(GET)
    assert (await client.answer())[0].startswith(b"HTTP/1.1 500 ")
    assert downstreams[0].closed


# Upgrades.


class Talk:
    """A handler that upgrades, and what its tunnel hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.gone = 0
        self.tunnel: Tunnel | None = None
        self.go = asyncio.Event()

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        await self.go.wait()
        self.tunnel = downstream.upgrade(Headers([("uPgrade", "x"), ("Connection", "Upgrade")]))
        assert downstream.closed
        self.tunnel.start(self.hear, self.lost)

    def hear(self, data: bytes) -> None:
        self.heard += data

    def lost(self) -> None:
        self.gone += 1


UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"


@pytest.mark.parametrize("early", [b"", b"first "])
async def test_upgrade_gives_the_connection_away(
    listen: Listen, early: bytes, connect: Connect
) -> None:
    """RFC 9110 §7.8: the fields as given; bytes sent with the request come first."""
    talk = Talk()
    client = await connect((await listen(talk)).address)
    client.send(UPGRADE + early)
    talk.go.set()
    assert await client.until(b"\r\n\r\n") == (
        b"HTTP/1.1 101 Switching Protocols\r\nuPgrade: x\r\nConnection: Upgrade\r\n\r\n"
    )
    client.send(b"second")
    await soon(lambda: talk.heard == early + b"second")
    assert talk.tunnel is not None
    talk.tunnel.write(b"back")
    assert await client.exactly(4) == b"back"
    talk.tunnel.pause_reading()
    client.send(bytes(1 << 22))
    talk.tunnel.resume_reading()
    await soon(lambda: len(talk.heard) == len(early) + 6 + (1 << 22))
    talk.tunnel.write(b"bye")
    talk.tunnel.close()
    assert await client.rest() == b"bye"
    await soon(lambda: talk.gone == 1)


async def test_a_tunnel_tells_once_that_its_client_has_gone(
    listen: Listen, connect: Connect
) -> None:
    talk = Talk()
    talk.go.set()
    client = await connect((await listen(talk)).address)
    client.send(UPGRADE)
    await client.until(b"\r\n\r\n")
    await client.close()
    await soon(lambda: talk.gone == 1)
    assert talk.tunnel is not None
    talk.tunnel.write(b"nobody hears this")
    talk.tunnel.pause_reading()
    talk.tunnel.resume_reading()
    talk.tunnel.close()
    talk.tunnel.abort()
    assert talk.tunnel.buffered == 0
    assert talk.gone == 1


async def test_upgrade_after_the_client_has_gone_ends_at_once(
    listen: Listen, connect: Connect
) -> None:
    talk = Talk()
    gone = asyncio.Event()

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.on_gone(gone.set)
        await talk(request, downstream)

    client = await connect((await listen(handler)).address)
    client.send(UPGRADE)
    await asyncio.sleep(0)
    client.reset()
    async with asyncio.timeout(PATIENCE_S):
        await gone.wait()
    talk.go.set()
    await soon(lambda: talk.gone == 1)


async def test_a_declined_upgrade_is_an_ordinary_answer(listen: Listen, connect: Connect) -> None:
    client = await connect((await listen(Recorder())).address)
    client.send(UPGRADE + GET)
    assert [(await client.answer())[1] for _ in range(2)] == [b"1", b"2"]


# The listener.


async def test_https(tmp_path: Path) -> None:
    authority = Authority()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue_files("localhost", tmp_path))
    handler = Recorder()
    listener = await serve(handler, "127.0.0.1", 0, tls=tls)
    reader, writer = await asyncio.open_connection(
        *listener.address,
        ssl=ssl.create_default_context(cadata=authority.pem),
        server_hostname="localhost",
    )
    client = Raw(reader, writer)
    client.send(GET)
    assert (await client.answer())[1] == b"1"
    assert handler.requests[0].scheme == "https"
    await client.close()
    await listener.close(PATIENCE_S)


async def test_a_taken_port_is_named() -> None:
    first = await serve(Recorder(), "127.0.0.1", 0)
    port = first.address[1]
    with pytest.raises(StartError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: the port is"):
        await serve(Recorder(), "127.0.0.1", port)
    await first.close(0)


async def test_close_lets_requests_finish_and_idle_connections_go(connect: Connect) -> None:
    go = asyncio.Event()
    started = asyncio.Event()

    async def handler(request: Request, downstream: Downstream) -> None:
        started.set()
        await go.wait()
        answer(downstream, b"done")

    listener = await serve(handler, "127.0.0.1", 0)
    idle, busy = await connect(listener.address), await connect(listener.address)
    busy.send(GET)
    await started.wait()
    closing = asyncio.create_task(listener.close(PATIENCE_S))
    assert await idle.rest() == b""
    go.set()
    answered = await busy.rest()
    assert answered.endswith(b"done")
    assert b"\r\nConnection: close\r\n" in answered
    await closing
    with pytest.raises(ConnectionRefusedError):
        await connect(listener.address)


async def test_close_cuts_what_does_not_finish_in_time(connect: Connect) -> None:
    handler = Holder()
    cancelled = asyncio.Event()

    async def stubborn(request: Request, downstream: Downstream) -> None:
        await handler(request, downstream)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    listener = await serve(stubborn, "127.0.0.1", 0)
    client = await connect(listener.address)
    client.send(GET)
    await soon(lambda: len(handler.held) == 1)
    await listener.close(0.01)
    assert cancelled.is_set()
    assert handler.gone == 1
    assert await client.rest() == b""
    await listener.close(1)  # again: nothing happens


@pytest.mark.parametrize("turns", range(5))
async def test_close_ends_connections_that_come_at_that_moment(turns: int) -> None:
    """However far the event loop has come with them; none is left to be collected as garbage."""
    listener = await serve(Recorder(), "127.0.0.1", 0)
    clients = [socket.create_connection(listener.address) for _ in range(3)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await listener.close(PATIENCE_S)
    gc.collect()  # warns of transports that nobody has closed
    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):
            client.settimeout(PATIENCE_S)
            assert client.recv(1) == b""


async def test_nothing_is_logged_above_info_for_what_clients_do(
    listen: Listen, caplog: pytest.LogCaptureFixture, connect: Connect
) -> None:
    listener = await listen(Recorder())
    for sent in (b"", b"GET", b"\0\0\0\0", GET + b"\xff\xff\r\n\r\n", GET[:-2]):
        client = await connect(listener.address)
        client.send(sent)
        client.writer.write_eof()
        await client.rest()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
