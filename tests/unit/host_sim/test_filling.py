"""Writing into something that is not sent, partly by the guest and partly by the event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.filling import Filling
from host_sim.sandbox.waiting import Limits, Waiting
from tests.support.waiting import soon


class Notes:
    """A sink that notes what it gets."""

    room = True

    def __init__(self) -> None:
        self.got = b""
        self.end = ""
        self.threads: set[str] = set()
        self.refuses = False

    def put(self, chunk: bytes) -> None:
        self.threads.add(threading.current_thread().name)
        if self.refuses or self.end:
            raise WitError("generic-error")
        self.got += chunk

    def finish(self) -> None:
        self.end = self.end or "finished"

    def abort(self) -> None:
        self.end = self.end or "aborted"


class Source:
    """A body whose pieces come when a test says so."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.closed = False
        self.body = Body(self._read(), None)

    async def _read(self) -> AsyncIterator[bytes]:
        try:
            while piece := await self.pieces.get():
                yield piece
            if piece is None:
                raise BodyError("broke off")
        finally:
            self.closed = True

    def is_closed(self) -> bool:
        """Tell whether nobody will read it again."""
        return self.closed or self.body._tape.error is not None


@pytest.fixture
async def filling() -> tuple[Filling, Notes]:
    notes = Notes()
    return Filling(Waiting(asyncio.get_running_loop(), Limits()), notes), notes


async def test_what_is_there_is_written_at_once(filling: tuple[Filling, Notes]) -> None:
    sink, notes = filling
    await asyncio.to_thread(sink.put, b"one ")
    sink.take(Body.of(b"two "))
    sink.put(b"three")
    assert notes.got == b"one two three"
    sink.finish()
    sink.abort()
    assert notes.end == "finished"


async def test_what_arrives_keeps_its_place(filling: tuple[Filling, Notes]) -> None:
    """The guest does not wait, and ends before all is there."""
    sink, notes = filling
    first, second = Source(), Source()

    def guest() -> None:
        sink.put(b"0")
        sink.take(first.body)
        sink.put(b"3")
        sink.take(second.body)
        sink.put(b"5")
        sink.finish()
        sink.abort()

    await asyncio.to_thread(guest)
    assert (notes.got, notes.end) == (b"0", "")
    for piece in (b"1", b"2", b""):
        first.pieces.put_nowait(piece)
    await soon(lambda: notes.got == b"0123")
    second.pieces.put_nowait(b"4")
    await soon(lambda: notes.got == b"01234")
    assert notes.end == ""
    second.pieces.put_nowait(b"")
    await soon(lambda: notes.end == "finished")
    assert notes.got == b"012345"
    assert len(notes.threads) == 2


async def test_the_guest_writes_itself_again_when_all_has_arrived(
    filling: tuple[Filling, Notes],
) -> None:
    sink, notes = filling
    sources = [Source(), Source()]
    for source in sources:
        sink.take(source.body)
        source.pieces.put_nowait(b"+")
        source.pieces.put_nowait(b"")
        await soon(source.is_closed)
        await asyncio.to_thread(sink.put, b"-")
    await soon(lambda: notes.got == b"+-+-")


async def test_a_source_that_breaks_off(filling: tuple[Filling, Notes]) -> None:
    """What is behind it is given up, and the next call of the guest fails."""
    sink, notes = filling
    source, next_ = Source(), Source()
    sink.take(source.body)
    sink.take(next_.body)
    sink.put(b"behind")
    source.pieces.put_nowait(b"half")
    source.pieces.put_nowait(None)
    await soon(lambda: notes.end == "aborted")
    with pytest.raises(WitError, match="generic-error"):
        sink.put(b"more")
    assert notes.got == b"half"
    await soon(next_.is_closed)


async def test_a_sink_that_takes_no_more(filling: tuple[Filling, Notes]) -> None:
    sink, notes = filling
    source = Source()
    sink.take(source.body)
    notes.refuses = True
    source.pieces.put_nowait(b"much")
    await soon(source.is_closed)
    await soon(lambda: notes.end == "aborted")


@pytest.mark.parametrize("began", [False, True])
async def test_a_guest_that_gives_up(filling: tuple[Filling, Notes], began: bool) -> None:
    """Its sources stop, whether the event loop has begun or not."""
    sink, notes = filling
    source, next_ = Source(), Source()
    sink.take(source.body)
    sink.take(next_.body)
    if began:
        source.pieces.put_nowait(b"half")
        await soon(lambda: notes.got == b"half")
    sink.abort()
    assert notes.end == "aborted"
    await soon(source.is_closed)
    await soon(next_.is_closed)
