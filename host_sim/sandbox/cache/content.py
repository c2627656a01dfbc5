"""The bytes of a cached object: written by one, read by many, also while they are being written.

Only the cache changes a content, under its lock; anybody reads one, on any thread, without a lock.
"""

import asyncio
import bisect
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from host_sim.body import Body
from host_sim.errors import BodyError

__all__ = ["Content", "Owner", "byte_range"]


class Owner(Protocol):
    """Who looks up or reads: a sandbox's `Waiting`, or anything that can be rung for."""

    def notify(self) -> None:
        """Take note that something has happened; from any thread."""

    def wait_for(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until `ready`; needed where an entry or a content is waited for."""


class Content:
    """Bytes that grow until they are complete or given up.

    Attributes:
        declared: how many there will be, as the writer said; None if it did not.
        size: how many there are.
        ended: no more will come.
        failed: why it was given up, None if it was not; then it has `ended` as well.
        listeners: called, on any thread, after each change.
    """

    def __init__(self, declared: int | None = None) -> None:
        self.declared = declared
        self.size = 0
        self.ended = False
        self.failed: str | None = None
        self.listeners: set[Callable[[], None]] = set()
        self._parts: tuple[list[int], list[bytes]] = ([], [])  # where each begins, and itself

    @property
    def length(self) -> int | None:
        """How many bytes a complete reading gives, None where that is not known yet."""
        return self.size if self.ended and self.failed is None else self.declared

    def reaches(self, size: int) -> bool:
        """Whether there are `size` bytes, or never will be."""
        return self.ended or self.size >= size

    def piece(self, start: int, stop: int | None = None) -> bytes:
        """Return some bytes from `start` on, before `stop`; none if there are none (yet)."""
        if start >= self.size or (stop is not None and start >= stop):
            return b""
        starts, chunks = self._parts
        place = bisect.bisect_right(starts, start) - 1
        begin = starts[place]
        if start == begin and (stop is None or stop >= begin + len(chunks[place])):
            return chunks[place]
        return chunks[place][start - begin : None if stop is None else stop - begin]

    def body(self, start: int = 0, stop: int | None = None) -> Body:
        """Return a reader of a part; it breaks off when the content is given up."""
        if self.ended and self.failed is None:
            return Body.of(self.piece(start, stop))
        length = self.length
        if length is not None:
            length = max(0, (length if stop is None else min(stop, length)) - start)
        return Body(_stream(self, start, stop), length)

    def wait_for(self, size: int, owner: Owner) -> None:
        """Wait until it `reaches` a size, on the owner's thread.

        Raises:
            Stopped: the owner may not go on.
        """
        self.listeners.add(owner.notify)
        try:
            owner.wait_for(lambda: self.reaches(size))
        finally:
            self.listeners.discard(owner.notify)

    # The cache's side.

    def add(self, chunk: bytes) -> None:
        """Put a chunk at the end; the cache only."""
        starts, chunks = self._parts
        starts.append(self.size)
        chunks.append(chunk)
        self.size += len(chunk)  # only now may a reader look at it

    def finish(self) -> None:
        """Complete it; the cache only."""
        _, chunks = self._parts
        if len(chunks) > 1:
            self._parts = ([0], [b"".join(chunks)])
        self.ended = True

    def fail(self, reason: str) -> None:
        """Give it up; the cache only."""
        self.failed = reason
        self.ended = True


async def _stream(content: Content, start: int, stop: int | None) -> AsyncIterator[bytes]:
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def ring() -> None:
        try:
            loop.call_soon_threadsafe(changed.set)
        except RuntimeError:  # the event loop has ended, and the reader with it
            return

    content.listeners.add(ring)
    try:
        while stop is None or start < stop:
            changed.clear()
            ended = content.ended  # before looking for bytes: those come first
            if piece := content.piece(start, stop):
                start += len(piece)
                yield piece
            elif content.failed is not None:
                raise BodyError(content.failed)
            elif ended:
                return
            else:
                await changed.wait()
    finally:
        content.listeners.discard(ring)


def byte_range(length: int, first: int | None, last: int | None) -> tuple[int, int] | None:
    """Return begin and end of a range of `length` bytes, the end not included; None if it is none.

    `first` and `last` are counted from 0 and both included; without `first`, `last` says how many
    bytes from the end.
    """
    if first is None:
        if last is None or not 0 < last <= length:
            return None
        return length - last, length
    if first >= length or (last is not None and not first <= last < length):
        return None
    return first, length if last is None else last + 1
