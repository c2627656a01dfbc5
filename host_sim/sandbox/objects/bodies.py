"""Message bodies in the guest's hands.

A body is a row of `pieces`: bytes the guest wrote, or a body that is still arriving on the event
loop. It can be read, grown at both ends, joined to another, sent whole, or turned into the write
end of a stream. What is known whole is sent whole, with its length and without being copied again.

Trailer fields (RFC 9110 §6.5) are those the guest appended and those that come with the bodies it
holds, which are known at their ends. Host contract §2.4.
"""

import collections

from host_sim.body import NO_TRAILERS, Body
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.filling import Filling
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.pieces import Arriving, End, Joined, Piece
from host_sim.sandbox.objects.pipe import Pipe, Sink
from host_sim.sandbox.waiting import Waiting

__all__ = ["GuestBody"]


class GuestBody:
    """A body behind a handle.

    Attributes:
        ended: whether a read has found the end; only then all trailers are there to be read.
        trailers: what the guest appended, and what came after what it has read to the end.
    """

    def __init__(self, waiting: Waiting, content: Body | None = None, *, ours: bool = True) -> None:
        """Start with `content`; `ours` says that nobody else may want to read it again."""
        self._waiting = waiting
        self._pieces: collections.deque[Piece] = collections.deque()
        self._offset = 0  # bytes of the first piece that were read already
        self._pipe: Sink | None = None
        self.ended = False
        self.trailers = HeaderTable()
        if content is not None:
            at_hand = content.at_hand
            if at_hand is None:
                self._pieces.append(Arriving(waiting, content, ours=ours))
            else:
                self._pieces.extend(at_hand)
                if content.length is None:
                    self._pieces.append(End(content.trailers))

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
        return first.ready if isinstance(first, Arriving) else True

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
                case Arriving(left=int(left)):
                    size += left
                case _:
                    return None
        return size

    def read(self, size: int) -> bytes:
        """Return between one and `size` bytes, waiting for them; none at the end.

        Raises:
            WitError: `http-incomplete`, the body broke off; `generic-error`, it took too long, or
                is not what its encoding says; `invalid-argument`, it is a write end.
        """
        self._check_no_stream()
        while self._pieces:
            first = self._pieces[0]
            if isinstance(first, Arriving):
                piece = first.read()
                if not piece:
                    self._pieces.popleft()
                    self.trailers.extend(first.trailers)
                elif len(piece) <= size:
                    return piece
                else:
                    self._pieces.appendleft(piece)
                continue
            if isinstance(first, End):
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
                or what reading `other` raises.
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

    def release(self) -> list[Piece]:
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
        if len(pieces) == 1 and isinstance(pieces[0], Arriving) and not trailers:
            untouched = pieces[0].untouched
            if untouched is not None:
                return untouched
        if any(isinstance(piece, Arriving) for piece in pieces):
            return Body(Joined(pieces, trailers), None if trailers else length)
        content = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        for piece in pieces:
            if isinstance(piece, End):
                trailers = trailers.plus(*piece.trailers)
        return Body.of(content, trailers=trailers if trailers or length is None else None)

    def open_stream(self) -> Body:
        """Become the write end of a stream; return its read end, which starts with the content.

        Raises:
            WitError: `invalid-argument`, it is one already.
        """
        self._check_no_stream()
        self._pipe = pipe = Pipe(self._waiting)
        return Body(Joined([*self.release(), pipe], NO_TRAILERS), None)

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
            if isinstance(piece, Arriving):
                piece.close()
        self._pieces.clear()
