"""What bodies in the guest's hands are made of: pieces, of which some are still to come.

A piece is bytes the guest wrote, a body that is arriving on the event loop, or the end of one that
had arrived before. They are read one by one on the guest's thread, or joined on the event loop.
"""

import collections
import zlib
from collections.abc import AsyncIterator, Iterable

from grip.headers import Headers
from host_sim.body import Body, close_soon
from host_sim.errors import BodyError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.pipe import Pipe
from host_sim.sandbox.waiting import Pending, Waiting

__all__ = ["Arriving", "End", "Joined", "Piece"]


class Arriving:
    """A body on the event loop, read from the guest's thread.

    Attributes:
        left: bytes still to come, None where that is not known.
    """

    __slots__ = ("_body", "_ours", "_reading", "_touched", "_waiting", "left")

    def __init__(self, waiting: Waiting, body: Body, *, ours: bool) -> None:
        self._waiting = waiting
        self._body = body
        self._ours = ours
        self._reading: Pending[bytes] | None = None
        self._touched = False
        self.left = body.length

    def _read(self) -> Pending[bytes]:
        if self._reading is None:
            self._touched = True
            self._reading = self._waiting.start(self._body.read())
        return self._reading

    @property
    def ready(self) -> bool:
        """Whether `read` would not wait; starts reading ahead."""
        return self._read().ready

    def read(self) -> bytes:
        """Return the next piece, empty at the end.

        Raises:
            WitError: `http-incomplete`, the body broke off; `generic-error`, it took too long, or
                is not what its encoding says.
        """
        reading = self._read()
        self._reading = None
        try:
            piece = reading.result()
        except BodyError as error:
            other = isinstance(error.__cause__, TimeoutError | zlib.error)
            raise WitError("generic-error" if other else "http-incomplete") from None
        if self.left is not None:
            self.left -= len(piece)
        return piece

    @property
    def trailers(self) -> Headers:
        """Fields that came after it; none before its end."""
        return self._body.trailers

    @property
    def untouched(self) -> Body | None:
        """The body itself, if nothing of it has been read."""
        return None if self._touched else self._body

    async def next(self) -> bytes:
        """Return the next piece, empty at the end; on the event loop."""
        reading, self._reading = self._reading, None
        return await (self._body.read() if reading is None else reading.arrived())

    async def aclose(self) -> None:
        """Stop its source, unless somebody else may want to read it again; on the event loop."""
        if self._ours:
            await self._body.aclose()

    def close(self) -> None:
        """Stop its source, unless somebody else may want to read it again."""
        if self._ours:
            self._waiting.post(close_soon, self._body)


class End:
    """Where a body ended that had arrived before the guest got it, and did not tell its length."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: Headers) -> None:
        self.trailers = trailers


type Piece = bytes | Arriving | End


class Joined:
    """The pieces of a body that is sent, one after the other; on the event loop.

    Attributes:
        trailers: fields that come after it; those of its pieces once they have ended.
    """

    def __init__(self, pieces: Iterable[Piece | Pipe], trailers: Headers) -> None:
        self._pieces = collections.deque(pieces)
        self.trailers = trailers

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self._pieces:
            first = self._pieces[0]
            if isinstance(first, bytes):
                self._pieces.popleft()
                return first
            if piece := await _next(first):
                return piece
            self.trailers = self.trailers.plus(*first.trailers)
            self._pieces.popleft()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop the sources of what is left."""
        while self._pieces:
            piece = self._pieces.popleft()
            if isinstance(piece, Arriving | Pipe):
                await piece.aclose()


async def _next(piece: Arriving | End | Pipe) -> bytes:
    match piece:
        case Arriving():
            return await piece.next()
        case Pipe():
            return await anext(piece, b"")
        case End():
            return b""
