"""A handler called as if it were a backend, and tunnels inside the process."""

import asyncio
from collections.abc import Callable

import pytest

from grip.headers import Headers
from host_sim.edge.loopback import Loopback
from host_sim.edge.tunnels import join, tunnel_pair
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.inbox import READ_AHEAD
from host_sim.messages import Downstream, Piece, Request, Response, Tunnel
from tests.support.requests import request
from tests.support.waiting import PATIENCE_S, soon


async def call(handler: Callable[[Downstream], None], asked: Request | None = None) -> Response:
    """Let a function write the answer."""

    async def handle(request: Request, downstream: Downstream) -> None:
        handler(downstream)

    async with asyncio.timeout(PATIENCE_S):
        return await Loopback(handle).call(asked or request(), "self")


async def test_an_answer_becomes_a_response() -> None:
    """`messages.Response`: without the fields of framing and connection."""
    asked = request()

    def handler(downstream: Downstream) -> None:
        headers = Headers([("X", "1"), ("Connection", "close"), ("x", "2"), ("Keep-Alive", "5")])
        downstream.send_head(299, "Fine", headers, 6)
        downstream.write(b"ab")
        downstream.write(Piece(b"cd"))
        downstream.write(b"")
        downstream.write(b"efgh")  # two more than announced
        downstream.finish()
        assert downstream.closed

    response = await call(handler, asked)
    assert (response.status, response.reason) == (299, "Fine")
    assert response.headers == Headers([("X", "1"), ("x", "2")])
    assert response.body.length == 6
    assert await response.body.whole(99) == b"abcdef"
    assert asked.trace.status == 299


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_answers_without_a_body_keep_their_length_field(method: str, status: int) -> None:
    def handler(downstream: Downstream) -> None:
        downstream.send_head(status, "", Headers([("Content-Length", "3")]), 3)
        downstream.write(b"abc")
        downstream.finish()

    response = await call(handler, request(method))
    assert await response.body.whole(9) == b""
    assert response.headers == Headers([("Content-Length", "3")])


async def test_a_stream_is_read_as_it_is_written() -> None:
    held: list[Downstream] = []

    def handler(downstream: Downstream) -> None:
        held.append(downstream)
        downstream.send_head(200, "OK", Headers(), None)

    response = await call(handler)
    for content in (b"a", b"b"):
        held[0].write(content)
        assert await response.body.read() == content
    held[0].finish()
    assert await response.body.read() == b""


async def test_a_slow_reader_stops_the_writer() -> None:
    written = 0

    async def handler(request: Request, downstream: Downstream) -> None:
        nonlocal written
        downstream.send_head(200, "OK", Headers(), None)
        for _ in range(100):
            downstream.write(bytes(READ_AHEAD // 4))
            written += 1
            await downstream.drain()
        downstream.finish()

    response = await Loopback(handler).call(request(), "self")
    for _ in range(50):
        await asyncio.sleep(0)
    assert written == 4
    assert len(await response.body.whole(1 << 30) or b"") == 25 * READ_AHEAD
    assert written == 100


@pytest.mark.parametrize("length", [None, 5])
async def test_an_answer_that_breaks_off(length: int | None) -> None:
    def handler(downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), length)
        downstream.write(b"part")
        if length is None:
            downstream.abort()
        else:
            downstream.finish()  # one byte is missing

    response = await call(handler)
    assert await response.body.read() == b"part"
    with pytest.raises(BodyError, match="broke off"):
        await response.body.read()


@pytest.mark.parametrize("end", ["abort", "finish"])
async def test_an_answer_that_ends_before_its_head(end: str) -> None:
    with pytest.raises(BackendError, match=r"backend 'self': .* broke off") as caught:
        await call(lambda downstream: getattr(downstream, end)())
    assert caught.value.fault is BackendFault.CLOSED


async def test_a_handler_that_fails_answers_500(caplog: pytest.LogCaptureFixture) -> None:
    """As it would over a socket."""

    def handler(downstream: Downstream) -> None:
        raise LookupError("secret detail")

    response = await call(handler)
    assert response.status == 500
    assert b"secret" not in (await response.body.whole(999) or b"")
    assert "secret detail" in caplog.text


async def test_a_handler_that_fails_late_breaks_its_answer_off() -> None:
    def handler(downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), None)
        raise LookupError

    response = await call(handler)
    with pytest.raises(BodyError):
        await response.body.read()


async def test_a_reader_that_closes_has_gone_for_the_handler() -> None:
    calls: list[str] = []
    held: list[Downstream] = []

    def handler(downstream: Downstream) -> None:
        held.append(downstream)
        downstream.on_gone(lambda: calls.append("gone"))
        downstream.send_head(200, "OK", Headers(), None)

    response = await call(handler)
    await response.body.aclose()
    assert calls == ["gone"]
    downstream = held[0]
    assert downstream.closed
    downstream.write(b"nobody reads this")
    assert downstream.buffered == 0
    await downstream.drain()
    downstream.finish()
    downstream.abort()
    downstream.on_gone(lambda: calls.append("late"))
    await soon(lambda: calls == ["gone", "late"])


async def test_a_caller_that_is_cancelled_has_gone_for_the_handler() -> None:
    gone = asyncio.Event()
    held: list[Downstream] = []

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.on_gone(gone.set)
        held.append(downstream)

    calling = asyncio.create_task(Loopback(handler).call(request(), "self"))
    await soon(lambda: held)
    calling.cancel()
    held[0].send_head(200, "OK", Headers(), 0)  # it does not know yet
    await asyncio.gather(calling, return_exceptions=True)
    assert gone.is_set()
    near = held[0].upgrade(Headers())
    ended = asyncio.Event()
    near.start(lambda _: None, ended.set)
    async with asyncio.timeout(PATIENCE_S):
        await ended.wait()


class Heard:
    """What one end of a tunnel hears."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.data = b""
        self.gone = 0
        tunnel.start(self.hear, self.lost)

    def hear(self, data: bytes) -> None:
        self.data += data

    def lost(self) -> None:
        self.gone += 1


async def test_an_upgrade_opens_a_tunnel() -> None:
    tunnels: list[Tunnel] = []
    asked = request()

    def handler(downstream: Downstream) -> None:
        tunnels.append(downstream.upgrade(Headers([("Upgrade", "x")])))
        tunnels[0].write(b"first")

    response = await call(handler, asked)
    assert (response.status, asked.trace.status) == (101, 101)
    assert response.headers == Headers([("Upgrade", "x")])
    assert response.tunnel is not None
    client, server = Heard(response.tunnel), Heard(tunnels[0])
    response.tunnel.write(b"hello")
    response.tunnel.write(b"")
    await soon(lambda: (client.data, server.data) == (b"first", b"hello"))
    response.tunnel.write(b"bye")
    response.tunnel.close()
    response.tunnel.write(b"too late")
    await soon(lambda: client.gone and server.gone)
    assert server.data == b"hellobye"
    response.tunnel.close()
    assert (client.gone, server.gone) == (1, 1)


async def test_abort_drops_what_is_under_way() -> None:
    one, other = tunnel_pair()
    one.write(b"lost")
    one.abort()
    heard = Heard(other)
    await soon(lambda: heard.gone == 1)
    assert heard.data == b""


async def test_a_paused_end_is_not_flooded() -> None:
    one, other = tunnel_pair()
    heard = Heard(other)
    other.pause_reading()
    one.write(bytes(100_000))
    draining = asyncio.create_task(one.drain())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    assert one.buffered == 100_000
    other.resume_reading()
    async with asyncio.timeout(PATIENCE_S):
        await draining
    assert (one.buffered, len(heard.data)) == (0, 100_000)


async def test_joined_tunnels_copy_until_one_side_closes() -> None:
    """compute-host §3.3; and a side that does not read holds up the other one only."""
    left_far, left_near = tunnel_pair()
    right_near, right_far = tunnel_pair()
    join(left_near, right_near)
    left, right = Heard(left_far), Heard(right_far)
    left_far.write(b"to the right")
    right_far.write(b"to the left")
    await soon(lambda: left.data == b"to the left" and right.data == b"to the right")
    right_far.pause_reading()
    sent = 0
    while left_far.buffered < 100_000:  # until it is held up all the way
        left_far.write(bytes(10_000))
        sent += 10_000
        await asyncio.sleep(0)
    assert sent < 1_000_000
    right_far.resume_reading()
    await soon(lambda: len(right.data) == sent + len(b"to the right"))
    right_far.close()
    await soon(lambda: left.gone and right.gone)


@pytest.mark.parametrize("length", [None, 3])
async def test_trailers_come_after_an_answer_of_untold_length(length: int | None) -> None:
    """As over a connection, where only chunks can carry them."""
    fields = Headers([("X-End", "1")])

    async def handler(request: Request, downstream: Downstream) -> None:
        downstream.send_head(200, "OK", Headers(), length)
        downstream.write(b"abc")
        downstream.finish(fields)

    response = await Loopback(handler).call(request(), "b")
    assert await response.body.whole(9) == b"abc"
    assert response.body.trailers == (fields if length is None else Headers())
