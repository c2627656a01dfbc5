"""A message body that is read piece by piece and can be read again from its start.

Trailer fields (RFC 9110 §6.5) come from the source, which has them in an attribute `trailers` when
it has ended. A body with trailers never tells its length, because HTTP/1.1 has no place for them
where the length comes first.

Pieces are pulled from the source when a reader asks, so nothing is read ahead of need. What was
pulled is kept up to a limit, first in memory, then in a file, because a hand-off sends the original
body again whatever the guest did with it, and a long poll asks its backend more than once. Event
loop only.
"""

import asyncio
import tempfile
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from typing import BinaryIO, NamedTuple

from grip.headers import Headers
from host_sim.errors import BodyError

__all__ = ["NO_TRAILERS", "REPLAY_LIMIT", "SPILL_LIMIT", "Body", "close_soon"]

NO_TRAILERS = Headers()
"""No fields after a body."""

REPLAY_LIMIT = 8 << 20
"""Bytes of a body kept in memory for reading it again."""

SPILL_LIMIT = 1 << 30
"""Bytes of a body kept in a file beyond those."""

_TOO_LARGE = "the body was too large to be kept for reading it again"


class _Spilled(NamedTuple):
    """Where in the file a piece is."""

    offset: int
    size: int


class _Tape:
    """The pieces pulled so far, shared by all readers of one body."""

    __slots__ = (
        *("__weakref__", "_file", "_room", "_room_in_file", "_size_of_file"),
        *("ended", "error", "lock", "pieces", "sole_reader", "source", "trailers"),
    )

    def __init__(
        self, source: AsyncIterator[bytes] | None, pieces: list[bytes], room: int, spill: int = 0
    ) -> None:
        self.source = source
        self.pieces: list[bytes | _Spilled] = [*pieces]
        self._room = room
        self._room_in_file = spill
        self._file: BinaryIO | None = None  # once the memory is used up
        self._size_of_file = 0
        self.sole_reader: Body | None = None  # set once the limit is passed and pieces are gone
        self.ended = source is None
        self.error: BaseException | None = None
        self.lock = asyncio.Lock()
        self.trailers = NO_TRAILERS

    @property
    def spilled(self) -> bool:
        """Whether some pieces are in a file."""
        return self._file is not None

    def keep(self, piece: bytes) -> bool:
        """Keep a piece that was pulled; return whether there was room."""
        if not self.spilled and len(piece) <= self._room:
            self._room -= len(piece)
            self.pieces.append(piece)
            return True
        if len(piece) > self._room_in_file:
            return False
        try:
            self._write(piece)
        except OSError:  # the disk is full
            return False
        return True

    def _write(self, piece: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the tape
            weakref.finalize(self, self._file.close)
        self._file.seek(self._size_of_file)
        place = _Spilled(self._size_of_file, self._file.write(piece))
        if place.size < len(piece):
            raise OSError
        self.pieces.append(place)
        self._room_in_file -= len(piece)
        self._size_of_file += len(piece)

    def kept(self, position: int) -> bytes:
        """Return a piece that is kept.

        Raises:
            BodyError: the file cannot be read.
        """
        piece = self.pieces[position]
        if isinstance(piece, bytes):
            return piece
        assert self._file is not None
        try:
            self._file.seek(piece.offset)
            content = self._file.read(piece.size)
        except OSError as error:
            raise BodyError(f"what was kept of the body cannot be read: {error}") from error
        if len(content) < piece.size:
            raise BodyError("what was kept of the body is gone")
        return content

    def forget(self) -> None:
        """Keep nothing any more."""
        self.pieces.clear()
        if self._file is not None:
            self._file.close()


_EMPTY = _Tape(None, [], 0)  # never changes, so that all empty bodies can share it


class Body:
    """One reader of a message body.

    Attributes:
        length: size in bytes where it is known before reading (`Content-Length`), else None.
    """

    __slots__ = ("_bare", "_position", "_tape", "length")

    def __init__(
        self,
        source: AsyncIterator[bytes] | None,
        length: int | None,
        *,
        keep: int = 0,
        spill: int = 0,
        tape: _Tape | None = None,
    ) -> None:
        """Read from `source`; for `replay`, keep `keep` bytes in memory, `spill` more in a file."""
        self.length = length
        self._tape = tape or _Tape(source, [], keep, spill)
        self._position = 0
        self._bare = False

    @classmethod
    def of(cls, data: bytes, *, trailers: Headers | None = None) -> "Body":
        """Return a body of these bytes, which can be replayed whatever its size.

        With `trailers`, even without a field in them, it does not tell its length.
        """
        if trailers is None:
            return cls(None, len(data), tape=_Tape(None, [data], 0) if data else _EMPTY)
        tape = _Tape(None, [data] if data else [], 0)
        tape.trailers = trailers
        return cls(None, None, tape=tape)

    async def read(self) -> bytes:
        """Return the next piece, which is never empty before the end; `b""` at the end.

        Raises:
            BodyError: the source broke off, or another reader went past what is kept.
        """
        tape = self._tape
        if self._position < len(tape.pieces):
            return self._next_kept()
        if tape.ended and tape.sole_reader is None:
            return b""
        async with tape.lock:
            if self._position < len(tape.pieces):  # another reader pulled it meanwhile
                return self._next_kept()
            if tape.sole_reader not in (None, self):
                raise BodyError(_TOO_LARGE)
            return await self._pull(tape)

    def _next_kept(self) -> bytes:
        piece = self._tape.kept(self._position)
        self._position += 1
        return piece

    async def _pull(self, tape: _Tape) -> bytes:
        if tape.error is not None:
            raise BodyError(str(tape.error)) from _cause(tape.error)
        if tape.ended:
            return b""
        assert tape.source is not None
        try:
            piece = await anext(tape.source, b"")
        except asyncio.CancelledError:
            if isinstance(tape.source, AsyncGenerator):  # from now on it looks like one that ended
                tape.error = BodyError("reading the body was broken off")
            raise
        except Exception as error:  # noqa: BLE001 - raised again
            tape.error = error
            raise BodyError(str(error)) from _cause(error)
        if not piece:
            tape.trailers = getattr(tape.source, "trailers", NO_TRAILERS)
            tape.ended = True
        elif tape.sole_reader is None and tape.keep(piece):
            self._position += 1
        else:
            tape.sole_reader = self
            tape.forget()
            self._position = 0
        return piece

    def replay(self) -> "Body":
        """Return a reader that starts at the first byte.

        Raises:
            BodyError: more was read than the body keeps.
        """
        if self._tape.sole_reader is not None:
            raise BodyError(_TOO_LARGE)
        reader = Body(None, self.length, tape=self._tape)
        reader._bare = self._bare
        return reader

    def unsized(self) -> "Body":
        """Return a reader to go on with in place of this one, which does not tell the length."""
        return self._successor(None, bare=self._bare)

    def bare(self) -> "Body":
        """Return a reader to go on with in place of this one, which has no trailers."""
        return self._successor(self.length, bare=True)

    def _successor(self, length: int | None, *, bare: bool) -> "Body":
        reader = Body(None, length, tape=self._tape)
        reader._position = self._position
        reader._bare = bare
        if self._tape.sole_reader is self:
            self._tape.sole_reader = reader
        return reader

    @property
    def trailers(self) -> Headers:
        """Fields that came after the content; none before the end has been reached."""
        return NO_TRAILERS if self._bare else self._tape.trailers

    @property
    def at_hand(self) -> tuple[bytes, ...] | None:
        """The pieces still to be read, when all of them are in memory; else None."""
        tape = self._tape
        if not tape.ended or tape.spilled or tape.sole_reader not in (None, self):
            return None
        return tuple(piece for piece in tape.pieces[self._position :] if isinstance(piece, bytes))

    async def aclose(self) -> None:
        """Say that nobody reads on, so that the source stops; not while a `read` is pending.

        Whoever takes a response and does not read its body to the end calls this. Other readers of
        the same body get what is kept, then `BodyError`.
        """
        tape = self._tape
        if tape.ended or tape.error is not None:
            return
        tape.error = BodyError("the body was closed before its end")
        close = getattr(tape.source, "aclose", None)  # async generators have it
        if close is not None:
            await close()

    async def whole(self, limit: int, timeout_s: float | None = None) -> bytes | None:
        """Return all that is left, or None as soon as it is known to exceed `limit` bytes.

        Raises:
            BodyError: as `read`, or it takes more than `timeout_s` seconds until the end.
        """
        if self.length is not None and self.length > limit:
            return None
        if self.at_hand is not None:  # so there is nothing to wait for
            return await self._whole(limit)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._whole(limit)
        except TimeoutError as error:
            raise BodyError(f"the body was not complete within {timeout_s:g} s") from error

    async def _whole(self, limit: int) -> bytes | None:
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read():
            size += len(piece)
            if size > limit:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece


def _cause(error: BaseException) -> BaseException:
    """Return what happened first, where one body is the source of another."""
    return error.__cause__ or error if isinstance(error, BodyError) else error


def close_soon(body: Body) -> None:
    """Close a body nobody will read; on the event loop."""
    task = asyncio.ensure_future(body.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


_closing: set[asyncio.Future[None]] = set()  # the event loop keeps only weak references
