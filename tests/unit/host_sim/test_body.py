"""Bodies: read once piece by piece, kept up to a limit, read again (compute-host §1.1, §3.2)."""

import asyncio
import errno
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BodyError


class Source(AsyncIterator[bytes]):
    """Yields pieces; counts what was pulled, and fails at the end if told to."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = list(pieces)
        self.error = error
        self.pulled = 0
        self.closed = False

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        if self.pulled < len(self.pieces):
            self.pulled += 1
            return self.pieces[self.pulled - 1]
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


async def test_the_cause_is_what_happened_first() -> None:
    """A time-out is told from a lost connection by it, also through a body made of another."""
    innermost = Body(Source(b"a", error=TimeoutError("too late")), None)
    body = Body(aiter(Body(aiter(innermost), None)), None)
    assert await body.read() == b"a"
    for _ in range(2):
        with pytest.raises(BodyError, match="too late") as caught:
            await body.read()
        assert isinstance(caught.value.__cause__, TimeoutError)


async def test_pieces_are_pulled_only_when_wanted() -> None:
    source = Source(b"a", b"b")
    body = Body(source, None)
    assert source.pulled == 0
    assert await body.read() == b"a"
    assert source.pulled == 1
    assert [piece async for piece in body] == [b"b"]
    assert await body.read() == b""
    assert await body.read() == b""


async def test_known_bytes_can_be_read_as_often_as_wanted() -> None:
    body = Body.of(b"hello")
    assert body.length == 5
    assert list(body.at_hand or ()) == [b"hello"]
    assert await body.whole(5) == b"hello"
    assert body.at_hand is not None
    assert len(body.at_hand) == 0
    assert await body.replay().whole(5) == b"hello"
    assert await Body.of(b"").whole(0) == b""


async def test_a_replay_starts_at_the_first_byte_and_pulls_on() -> None:
    source = Source(b"a", b"b", b"c")
    body = Body(source, 3, keep=3)
    await body.read()
    again = body.replay()
    assert again.length == 3
    assert [piece async for piece in again] == [b"a", b"b", b"c"]
    assert [piece async for piece in body] == [b"b", b"c"]
    assert source.pulled == 3


async def test_readers_at_the_same_time_share_what_is_pulled() -> None:
    source = Source(*(b"%d" % number for number in range(9)))
    body = Body(source, None, keep=9)
    texts = await asyncio.gather(*(reader.whole(99) for reader in (body, *map_replay(body, 3))))
    assert texts == [b"012345678"] * 4
    assert source.pulled == 9


def map_replay(body: Body, count: int) -> list[Body]:
    return [body.replay() for _ in range(count)]


async def test_more_than_is_kept_cannot_be_replayed() -> None:
    body = Body(Source(b"aa", b"bb", b"cc"), None, keep=3)
    late = body.replay()
    assert await body.read() == b"aa"
    assert await late.read() == b"aa"
    assert await body.read() == b"bb"  # passes the limit: from here there is one reader
    with pytest.raises(BodyError, match="too large to be kept"):
        body.replay()
    with pytest.raises(BodyError, match="too large to be kept"):
        await late.read()
    assert [piece async for piece in body] == [b"cc"]
    assert late.at_hand is None
    assert body.at_hand is not None
    assert len(body.at_hand) == 0


async def test_what_does_not_fit_into_memory_is_kept_in_a_file() -> None:
    """In order, for every reader, and without a trace when nobody reads any more."""
    pieces = [b"aa", b"bbb", b"c", b"dddd"]
    body = Body(Source(*pieces), None, keep=2, spill=8)
    assert await body.read() == b"aa"
    late = body.replay()
    assert [piece async for piece in body] == pieces[1:]
    assert body.at_hand is None  # not in memory
    assert [piece async for piece in late] == pieces
    assert await body.replay().whole(99) == b"aabbbcdddd"


async def test_a_file_has_an_end_too() -> None:
    body = Body(Source(b"aa", b"bb", b"cc", b"dd"), None, keep=2, spill=3)
    late = body.replay()
    assert [await body.read(), await body.read(), await body.read()] == [b"aa", b"bb", b"cc"]
    with pytest.raises(BodyError, match="too large to be kept"):
        await late.read()
    assert await body.whole(9) == b"dd"


async def test_a_full_disk_ends_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    body = Body(Source(b"aa", b"bb"), None, keep=2, spill=9)
    assert await body.whole(9) == b"aabb"
    with pytest.raises(BodyError, match="too large to be kept"):
        body.replay()


async def test_nothing_is_kept_unless_asked() -> None:
    body = Body(Source(b"a"), None)
    await body.read()
    with pytest.raises(BodyError):
        body.replay()


@pytest.mark.parametrize(
    ("length", "limit", "expected"),
    [(3, 3, b"abc"), (None, 3, b"abc"), (3, 2, None), (None, 2, None), (None, 0, None)],
)
async def test_whole_is_bounded(length: int | None, limit: int, expected: bytes | None) -> None:
    source = Source(b"a", b"bc")
    assert await Body(source, length).whole(limit) == expected
    if length is not None and expected is None:
        assert source.pulled == 0  # known before anything is read


async def test_a_source_that_fails_fails_for_every_reader() -> None:
    body = Body(Source(b"a", error=OSError("gone")), None, keep=9)
    again = body.replay()
    for reader in (body, again):
        assert await reader.read() == b"a"
        for _ in range(2):
            with pytest.raises(BodyError, match="gone"):
                await reader.read()
    assert body.at_hand is None


async def test_closing_tells_the_source_and_other_readers() -> None:
    source = Source(b"a", b"b")
    body = Body(source, None, keep=9)
    await body.read()
    other = body.replay()
    await body.aclose()
    assert source.closed
    assert await other.read() == b"a"
    with pytest.raises(BodyError, match="closed before its end"):
        await other.read()


async def test_closing_after_the_end_does_nothing() -> None:
    source = Source(b"a")
    body = Body(source, None, keep=9)
    await body.whole(9)
    await body.aclose()
    assert not source.closed
    assert await body.replay().whole(9) == b"a"


async def test_a_read_that_is_cancelled_can_be_repeated() -> None:
    body = Body(Source(b"a", b"b"), None)
    reading = asyncio.create_task(body.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert await body.whole(9) == b"ab"


async def test_a_generator_that_is_cancelled_does_not_look_complete() -> None:
    async def generate() -> AsyncGenerator[bytes]:
        await asyncio.Event().wait()
        yield b"never"

    body = Body(generate(), None)
    reading = asyncio.create_task(body.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    with pytest.raises(BodyError, match="broken off"):
        await body.read()


FIELDS = Headers([("X-End", "1")])


class WithTrailers(Source):
    """A source that knows at its end what came after it."""

    @property
    def trailers(self) -> Headers:
        return FIELDS if self.pulled == len(self.pieces) else Headers()


async def test_trailers_are_there_at_the_end() -> None:
    """RFC 9110 §6.5: for every reader, whoever found it."""
    body = Body(WithTrailers(b"a", b"b"), None, keep=9)
    again = body.replay()
    assert await body.read() == b"a"
    assert not body.trailers
    assert await body.whole(9) == b"b"
    assert body.trailers == again.trailers == FIELDS
    assert await again.whole(9) == b"ab"
    assert body.at_hand == ()


async def test_a_source_without_trailers_has_none() -> None:
    body = Body(Source(b"a"), 1)
    assert await body.whole(9) == b"a"
    assert body.trailers == Headers()


async def test_known_bytes_with_trailers_do_not_tell_their_length() -> None:
    body = Body.of(b"abc", trailers=FIELDS)
    assert (body.length, body.at_hand, body.trailers) == (None, (b"abc",), FIELDS)
    assert (Body.of(b"abc", trailers=Headers()).length, Body.of(b"abc").length) == (None, 3)


@pytest.mark.parametrize("keep", [0, 9])
async def test_a_reader_can_be_replaced_by_a_barer_one(keep: int) -> None:
    """It goes on where the other one was, also when nothing is kept."""
    body = Body(WithTrailers(b"a", b"b", b"c"), 3, keep=keep)
    assert await body.read() == b"a"
    unsized = body.unsized()
    assert unsized.length is None
    assert await unsized.read() == b"b"
    bare = unsized.bare()
    assert await bare.whole(9) == b"c"
    assert (unsized.trailers, bare.trailers) == (FIELDS, Headers())
    if keep:
        replayed = bare.replay()
        assert await replayed.whole(9) == b"abc"
        assert not replayed.trailers
    assert Body.of(b"x").bare().length == 1
