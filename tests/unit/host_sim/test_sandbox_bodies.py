"""Bodies and streams in the guest's hands, without a guest. Host contract §1.3, §2.4."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.pipe import CHUNKS
from host_sim.sandbox.waiting import Limits, Waiting
from tests.support.waiting import soon


async def source(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.fixture
async def waiting() -> Waiting:
    """A guest's bell, on this test's event loop."""
    made = Waiting(asyncio.get_running_loop(), Limits(cpu_s=60, request_timeout_s=60))
    made.start_cpu()
    return made


async def whole(body: Body) -> bytes:
    content = await body.whole(1 << 20)
    assert content is not None
    return content


async def test_one_piece_is_sent_without_a_copy(waiting: Waiting) -> None:
    body, content = GuestBody(waiting), b"x" * 1000
    body.write(content)
    assert await body.send().read() is content


async def test_what_was_read_is_not_sent(waiting: Waiting) -> None:
    body = GuestBody(waiting, Body.of(b"abcdef"))
    assert body.read(2) == b"ab"
    sent = body.send()
    assert sent.length == 4
    assert await whole(sent) == b"cdef"
    assert body.read(9) == b""


async def test_a_client_s_body_can_be_read_again(waiting: Waiting) -> None:
    content = Body.of(b"abc")
    body = GuestBody(waiting, content, ours=False)
    assert body.read(9) == b"abc"
    body.dropped()
    assert await whole(content.replay()) == b"abc"


async def test_pieces_of_all_kinds_join(waiting: Waiting) -> None:
    """Bytes and a body still arriving; the length is known while all of theirs are."""
    body = GuestBody(waiting, Body(source([b"cd", b"e"]), 3))
    body.write_front(b"ab")
    body.write(b"f")
    assert body.length == 6
    assert await asyncio.to_thread(body.read, 3) == b"ab"
    assert await asyncio.to_thread(body.read, 1) == b"c"
    assert body.length == 3
    sent = body.send()
    assert sent.length == 3
    assert await whole(sent) == b"def"


async def test_a_body_of_unknown_length_makes_the_whole_unknown(waiting: Waiting) -> None:
    body = GuestBody(waiting, Body(source([b"x"]), None))
    body.write(b"y")
    assert body.length is None
    assert await whole(body.send()) == b"xy"


async def test_a_body_that_was_polled_loses_nothing_when_it_is_sent(waiting: Waiting) -> None:
    """`ready` starts to read ahead; that piece is the first to be sent."""
    body = GuestBody(waiting, Body(source([b"one", b"two"]), None))
    await soon(lambda: body.ready)
    assert await whole(body.send()) == b"onetwo"


async def test_closing_what_is_sent_closes_what_it_came_from(waiting: Waiting) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.set()

    body = GuestBody(waiting, Body(endless(), None))
    body.write_front(b"head")
    sent = body.send()
    assert [await sent.read() for _ in range(2)] == [b"head", b"x"]
    await sent.aclose()
    assert closed.is_set()


async def test_a_stream_holds_eight_chunks(waiting: Waiting) -> None:
    """§1.3: the writer waits for room, not for the end."""
    body = GuestBody(waiting)
    read_end = body.open_stream()
    for _ in range(CHUNKS):
        body.write(b"x")
    assert not body.ready
    ninth = asyncio.create_task(asyncio.to_thread(body.write, b"y"))
    assert await read_end.read() == b"x"
    await ninth
    body.close()
    assert await whole(read_end) == b"x" * 7 + b"y"


async def test_a_stream_whose_reader_has_gone_takes_nothing(waiting: Waiting) -> None:
    body = GuestBody(waiting)
    read_end = body.open_stream()
    for _ in range(CHUNKS):
        body.write(b"x")
    blocked = asyncio.create_task(asyncio.to_thread(body.write, b"y"))
    await read_end.aclose()
    with pytest.raises(WitError, match="generic-error"):
        await blocked
    with pytest.raises(WitError, match="generic-error"):
        body.write(b"z")


@pytest.mark.parametrize("chunks", [0, 3])
async def test_a_stream_that_is_dropped_breaks_off_after_what_is_in_it(
    waiting: Waiting, chunks: int
) -> None:
    body = GuestBody(waiting)
    read_end = body.open_stream()
    for _ in range(chunks):
        body.write(b"x")
    body.dropped()
    for _ in range(chunks):
        assert await read_end.read() == b"x"
    with pytest.raises(BodyError, match="before closing it"):
        await read_end.read()


async def test_a_closed_stream_stays_closed_when_it_is_dropped(waiting: Waiting) -> None:
    body = GuestBody(waiting)
    read_end = body.open_stream()
    body.write(b"all")
    body.close()
    body.dropped()
    assert await whole(read_end) == b"all"


async def test_a_body_moves_into_a_stream(waiting: Waiting) -> None:
    body, other = GuestBody(waiting), GuestBody(waiting, Body(source([b"b", b"c"]), None))
    other.write(b"d")
    body.write(b"a")
    read_end = body.open_stream()
    await asyncio.to_thread(body.append, other)
    body.close()
    assert await whole(read_end) == b"abcd"
    with pytest.raises(WitError, match="unsupported"):
        body.write_front(b"x")
    with pytest.raises(WitError, match="invalid-argument"):
        body.read(1)
    with pytest.raises(WitError, match="generic-error"):
        other.append(body)
