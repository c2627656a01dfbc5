"""Message bodies in the guest's hands.

A body is a row of pieces: bytes the guest wrote, or a body that is still arriving on the event
loop. It can be read, grown at both ends, joined to another, sent whole, or turned into the write
end of a stream. What is known whole is sent whole, with its length and without being copied again.

Trailer fields (RFC 9110 §6.5) are those the guest appended and those that come with the bodies it
holds, which are known at their ends. Host contract §2.4.
"""

import collections
import zlib
from collections.abc import AsyncIterator, Iterable

from grip.headers import Headers
from host_sim.body import Body, close_soon
from host_sim.errors import BodyError
from host_sim.messages import NO_TRAILERS
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.filling import Filling
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.pipe import Pipe, Sink
from host_sim.sandbox.waiting import Pending, Waiting

__all__ = ["GuestBody"]


class _Arriving:
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


class _End:
    """Where a body ended that had arrived before the guest got it, and did not tell its length."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: Headers) -> None:
        self.trailers = trailers


class _Joined:
    """The pieces of a body that is sent, one after the other; on the event loop.

    Attributes:
        trailers: fields that come after it; those of its pieces once they have ended.
    """

    def __init__(
        self, pieces: Iterable[bytes | _Arriving | _End | Pipe], trailers: Headers
    ) -> None:
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
            if isinstance(piece, _Arriving | Pipe):
                await piece.aclose()


async def _next(piece: _Arriving | _End | Pipe) -> bytes:
    match piece:
        case _Arriving():
            return await piece.next()
        case Pipe():
            return await anext(piece, b"")
        case _End():
            return b""


class GuestBody:
    """A body behind a handle.

    Attributes:
        ended: whether a read has found the end; only then all trailers are there to be read.
        trailers: what the guest appended, and what came after what it has read to the end.
    """

    def __init__(self, waiting: Waiting, content: Body | None = None, *, ours: bool = True) -> None:
        """Start with `content`; `ours` says that nobody else may want to read it again."""
        self._waiting = waiting
        self._pieces: collections.deque[bytes | _Arriving | _End] = collections.deque()
        self._offset = 0  # bytes of the first piece that were read already
        self._pipe: Sink | None = None
        self.ended = False
        self.trailers = HeaderTable()
        if content is not None:
            at_hand = content.at_hand
            if at_hand is None:
                self._pieces.append(_Arriving(waiting, content, ours=ours))
            else:
                self._pieces.extend(at_hand)
                if content.length is None:
                    self._pieces.append(_End(content.trailers))

    @classmethod
    def into(cls, waiting: Waiting, sink: Sink) -> "GuestBody":
        """Return the write end of something that is not sent, for example a cached object."""
        body = cls(waiting)
        body._pipe = Filling(waiting, sink)
        return body

    @property
    def writes_stream(self) -> bool:
        """Whether this is the write end of a stream."""
        return self._pipe is not None

    @property
    def ready(self) -> bool:
        """Whether a read, or on a write end a write, would not wait."""
        if self._pipe is not None:
            return self._pipe.room
        first = self._pieces[0] if self._pieces else b""
        return first.ready if isinstance(first, _Arriving) else True

    @property
    def length(self) -> int | None:
        """Bytes still to be read, None where that is not known."""
        if self._pipe is not None:
            return None
        size = -self._offset
        for piece in self._pieces:
            match piece:
                case bytes():
                    size += len(piece)
                case _Arriving(left=int(left)):
                    size += left
                case _:
                    return None
        return size

    def read(self, size: int) -> bytes:
        """Return between one and `size` bytes, waiting for them; none at the end.

        Raises:
            WitError: `http-incomplete`, the body broke off; `invalid-argument`, it is a write end.
        """
        self._check_no_stream()
        while self._pieces:
            first = self._pieces[0]
            if isinstance(first, _Arriving):
                piece = first.read()
                if not piece:
                    self._pieces.popleft()
                    self.trailers.extend(first.trailers)
                elif len(piece) <= size:
                    return piece
                else:
                    self._pieces.appendleft(piece)
                continue
            if isinstance(first, _End):
                self._pieces.popleft()
                self.trailers.extend(first.trailers)
                continue
            taken = first[self._offset : self._offset + size]
            self._offset += len(taken)
            if self._offset >= len(first):
                self._pieces.popleft()
                self._offset = 0
            return taken
        self.ended = True
        return b""

    def write(self, data: bytes) -> None:
        """Add bytes at the end; on a write end this waits for room.

        Raises:
            WitError: `generic-error`, the reader of the stream has gone.
        """
        if not data:
            return
        if self._pipe is not None:
            self._pipe.put(data)
        else:
            self._pieces.append(data)

    def write_front(self, data: bytes) -> None:
        """Add bytes before the first one still to be read.

        Raises:
            WitError: `unsupported`, this is a write end.
        """
        if self._pipe is not None:
            raise WitError("unsupported")
        self._cut_offset()
        if data:
            self._pieces.appendleft(data)

    def append(self, other: "GuestBody") -> None:
        """Move the content of `other` to the end of this one, and its trailers.

        Raises:
            WitError: `generic-error`, the reader of the stream has gone, or `other` is a write end;
                `http-incomplete`, `other` broke off.
        """
        if other.writes_stream:
            raise WitError("generic-error")
        if self._pipe is None:
            self._pieces.extend(other.release())
        elif isinstance(self._pipe, Filling):
            self._pipe.take(other.send())
        else:
            while piece := other.read(1 << 16):
                self._pipe.put(piece)
        self.trailers.extend(other.trailers.headers())

    def release(self) -> list[bytes | _Arriving | _End]:
        """Give the content away, piece by piece."""
        self._cut_offset()
        pieces = list(self._pieces)
        self._pieces.clear()
        return pieces

    def _check_no_stream(self) -> None:
        if self._pipe is not None:
            raise WitError("invalid-argument")

    def _cut_offset(self) -> None:
        first = self._pieces[0] if self._pieces else None
        if self._offset and isinstance(first, bytes):
            self._pieces[0] = first[self._offset :]
        self._offset = 0

    def send(self) -> Body:
        """Give the content away, to be read on the event loop.

        Raises:
            WitError: `invalid-argument`, this is a write end, whose stream is broken off.
        """
        if self._pipe is not None:
            self.dropped()
            raise WitError("invalid-argument")
        length = self.length
        pieces = self.release()
        trailers = self.trailers.headers()
        if len(pieces) == 1 and isinstance(pieces[0], _Arriving) and not trailers:
            untouched = pieces[0].untouched
            if untouched is not None:
                return untouched
        if any(isinstance(piece, _Arriving) for piece in pieces):
            return Body(_Joined(pieces, trailers), None if trailers else length)
        content = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        for piece in pieces:
            if isinstance(piece, _End):
                trailers = trailers.plus(*piece.trailers)
        return Body.of(content, trailers=trailers if trailers or length is None else None)

    def open_stream(self) -> Body:
        """Become the write end of a stream; return its read end, which starts with the content.

        Raises:
            WitError: `invalid-argument`, it is one already.
        """
        self._check_no_stream()
        self._pipe = pipe = Pipe(self._waiting)
        return Body(_Joined([*self.release(), pipe], NO_TRAILERS), None)

    def close(self) -> None:
        """Finish it: a write end ends its stream properly."""
        if self._pipe is not None:
            if isinstance(self._pipe, Pipe):
                self._pipe.trailers = self.trailers.headers()
            self._pipe.finish()
        self.dropped()

    def dropped(self) -> None:
        """Give it up: a write end breaks its stream off."""
        if self._pipe is not None:
            self._pipe.abort()
        for piece in self._pieces:
            if isinstance(piece, _Arriving):
                piece.close()
        self._pieces.clear()
