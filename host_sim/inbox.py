"""The pieces of a body that arrived and nobody has read yet, with flow control.

A connection or a writer inside the simulator feeds it, a `Body` pulls from it. It never parses.
Some read-ahead is wanted: only by reading on does a connection notice that its peer has gone, so a
small body must be taken in whole even when its reader is late (RFC 9112 §9.5).
"""

import asyncio
import collections
from collections.abc import AsyncIterator, Callable

from grip.headers import Headers
from host_sim.body import NO_TRAILERS

__all__ = ["READ_AHEAD", "Inbox"]

READ_AHEAD = 64 << 10
"""Bytes taken from the socket ahead of the reader before reading pauses."""


class Inbox(AsyncIterator[bytes]):
    """A queue of pieces with one reader at a time; ends by `end` or `fail`."""

    __slots__ = ("_demand", "_ended", "_error", "_pieces", "_refuse", "_waiter", "size", "trailers")

    def __init__(
        self, demand: Callable[[], None], refuse: Callable[[], None] | None = None
    ) -> None:
        """Call `demand` when a reader wants more than there is, `refuse` when it wants no more."""
        self._demand = demand
        self._refuse = refuse
        self._pieces: collections.deque[bytes] = collections.deque()
        self._ended = False
        self._error: OSError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.size = 0
        self.trailers = NO_TRAILERS

    @property
    def full(self) -> bool:
        """Whether enough waits for the reader."""
        return self.size >= READ_AHEAD

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended or self._error is not None

    def feed(self, piece: bytes) -> None:
        """Add a piece, which is not empty; ignored once the body has ended."""
        if not self.ended:
            self._pieces.append(piece)
            self.size += len(piece)
            self._wake()

    def end(self, trailers: Headers = NO_TRAILERS) -> None:
        """Say that the body is complete, and what fields came after it."""
        self.trailers = trailers
        self._ended = True
        self._wake()

    def fail(self, reason: str, kind: type[OSError] = ConnectionError) -> None:
        """Say that the rest will never come; what has come can still be read."""
        if not self.ended:
            self._error = kind(reason)
            self._wake()

    async def aclose(self) -> None:
        """Forget what waits and refuse what would come (`Body.aclose`)."""
        self._pieces.clear()
        self.size = 0
        if not self.ended:
            self.fail("the body was closed by its reader")
            if self._refuse is not None:
                self._refuse()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            OSError: the body broke off; the message says why.
        """
        while not self._pieces:
            if self._ended:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            self._demand()
            try:
                await self._waiter
            finally:
                self._waiter = None
        piece = self._pieces.popleft()
        self.size -= len(piece)
        return piece
