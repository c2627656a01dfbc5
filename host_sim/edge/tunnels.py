"""Two tunnels joined, and a tunnel without a socket between two parts of the simulator."""

import asyncio
import collections
from collections.abc import Callable

from host_sim.messages import Tunnel

__all__ = ["join", "tunnel_pair"]

_HIGH_WATER = 64 << 10
"""Bytes on their way before a writer has to wait."""


def join(one: Tunnel, other: Tunnel) -> None:
    """Copy bytes in both directions until either side closes (compute-host §3.3)."""
    _Copy(one, other).start()
    _Copy(other, one).start()


class _Copy:
    """One direction: a source is not read faster than the sink takes it."""

    def __init__(self, source: Tunnel, sink: Tunnel) -> None:
        self._source = source
        self._sink = sink
        self._waiting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to copy."""
        self._source.start(self._copy, self._sink.close)

    def _copy(self, data: bytes) -> None:
        self._sink.write(data)
        if self._sink.buffered > _HIGH_WATER and self._waiting is None:
            self._source.pause_reading()
            self._waiting = asyncio.create_task(self._resume())

    async def _resume(self) -> None:
        await self._sink.drain()
        self._waiting = None
        self._source.resume_reading()


def tunnel_pair() -> tuple[Tunnel, Tunnel]:
    """Return the two ends of a tunnel inside the process."""
    one, other = _Lane(), _Lane()
    return _End(incoming=one, outgoing=other), _End(incoming=other, outgoing=one)


class _Lane:
    """One direction: bytes wait here until their reader takes them."""

    def __init__(self) -> None:
        self._pieces: collections.deque[bytes] = collections.deque()
        self._drained = asyncio.Event()
        self._drained.set()
        self._reading = False
        self._scheduled = False
        self._on_data: Callable[[bytes], None] | None = None
        self._on_gone: Callable[[], None] | None = None
        self.closed = False
        self.size = 0

    def read(self, on_data: Callable[[bytes], None], on_gone: Callable[[], None]) -> None:
        self._on_data, self._on_gone = on_data, on_gone
        self.switch(reading=True)

    def switch(self, *, reading: bool) -> None:
        self._reading = reading
        self._schedule()

    def write(self, data: bytes) -> None:
        if data and not self.closed:
            self._pieces.append(data)
            self.size += len(data)
            if self.size > _HIGH_WATER:
                self._drained.clear()
            self._schedule()

    async def drain(self) -> None:
        await self._drained.wait()

    def close(self, *, at_once: bool) -> None:
        if at_once:
            self._pieces.clear()
            self.size = 0
        self.closed = True
        self._drained.set()
        self._schedule()

    def _schedule(self) -> None:
        # Never within the caller's own call: it may be in the middle of something.
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        while self._reading and self._pieces and self._on_data is not None:
            piece = self._pieces.popleft()
            self.size -= len(piece)
            self._on_data(piece)
        if self.size <= _HIGH_WATER:
            self._drained.set()
        if self.closed and not self._pieces and self._on_gone is not None:
            on_gone, self._on_gone, self._on_data = self._on_gone, None, None
            on_gone()


class _End:
    """Implements `messages.Tunnel` on two lanes."""

    def __init__(self, *, incoming: _Lane, outgoing: _Lane) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    @property
    def buffered(self) -> int:
        """Bytes that the other end has not taken yet."""
        return self._outgoing.size

    @property
    def sink(self) -> None:
        """None: there is no transport here."""

    def start(self, on_data: Callable[[bytes], None], on_gone: Callable[[], None]) -> None:
        """Deliver bytes to `on_data`; then `on_gone`, once."""
        self._incoming.read(on_data, on_gone)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._outgoing.write(data)

    async def drain(self) -> None:
        """Wait until little enough is buffered, or the tunnel has ended."""
        await self._outgoing.drain()

    def pause_reading(self) -> None:
        """Take no more bytes until `resume_reading`."""
        self._incoming.switch(reading=False)

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._incoming.switch(reading=True)

    def close(self) -> None:
        """End the tunnel; what was written still arrives."""
        self._incoming.close(at_once=True)
        self._outgoing.close(at_once=False)

    def abort(self) -> None:
        """End the tunnel at once."""
        self._incoming.close(at_once=True)
        self._outgoing.close(at_once=True)
