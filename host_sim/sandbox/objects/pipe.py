"""A stream the guest writes and the event loop reads: eight chunks, then the writer waits.

The writer is a guest's thread, the reader the one task that sends the body on; neither ever blocks
the other's thread. Host contract §1.3, `send-downstream-streaming`.
"""

import collections
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from host_sim.body import NO_TRAILERS
from host_sim.errors import BodyError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.waiting import Waiting

if TYPE_CHECKING:
    import asyncio

__all__ = ["Pipe", "Sink"]

CHUNKS = 8
"""What a stream holds before its writer waits, in chunks."""


class Sink(Protocol):
    """What a guest can write a stream into."""

    @property
    def room(self) -> bool:
        """Whether a chunk can be put without waiting."""

    def put(self, chunk: bytes) -> None:
        """Add a chunk, or raise `WitError`."""

    def finish(self) -> None:
        """End the stream properly."""

    def abort(self) -> None:
        """Break the stream off, unless it has ended."""


class Pipe:
    """Chunks on their way from a guest's thread to one reader on the event loop.

    Attributes:
        closed: whether the reader has gone.
        trailers: fields that come after the last chunk; the writer's, until `finish`.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._chunks: collections.deque[bytes] = collections.deque()
        self._reader: asyncio.Future[None] | None = None  # the reader's, while it waits
        self._end: BaseException | None = None  # what the reader gets after the last chunk
        self.closed = False
        self.trailers = NO_TRAILERS

    # The guest's side.

    @property
    def room(self) -> bool:
        """Whether a chunk can be put without waiting."""
        return self.closed or len(self._chunks) < CHUNKS

    def put(self, chunk: bytes) -> None:
        """Add a chunk, waiting for room.

        Raises:
            WitError: `generic-error`, the reader has gone.
        """
        self._waiting.wait_for(lambda: self.room)
        if self.closed:
            raise WitError("generic-error")
        self._chunks.append(chunk)
        self._waiting.post(self._wake)

    def finish(self) -> None:
        """End the stream properly, after what is in it."""
        self._stop(StopAsyncIteration())

    def abort(self) -> None:
        """Break the stream off, after what is in it."""
        self._stop(BodyError("the guest ended or dropped the body before closing it"))

    def _stop(self, end: BaseException) -> None:
        if self._end is None:
            self._end = end
            self._waiting.post(self._wake)

    # The event loop's side.

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk.

        Raises:
            StopAsyncIteration: the guest closed the body.
            BodyError: the guest went without closing it.
        """
        while not self._chunks:
            if self._end is not None and not self._chunks:
                raise self._end
            self._reader = self._waiting.loop.create_future()
            if not self._chunks and self._end is None:  # else a wake may have come before
                await self._reader
            self._reader = None
        chunk = self._chunks.popleft()
        self._waiting.notify()
        return chunk

    async def aclose(self) -> None:
        """Say that nobody reads on: the guest's next write fails."""
        self.closed = True
        self._chunks.clear()
        self._waiting.notify()
