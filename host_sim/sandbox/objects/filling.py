"""The write end of something that is not sent: bytes from the guest, and bodies still arriving.

A guest that appends a backend's body to a cached object need not stay until all of it is there: the
event loop moves it, and what the guest writes meanwhile waits its turn. So the object can be read,
and sent to a client, while it arrives.
"""

import asyncio
import collections
import logging
import threading

from host_sim.body import Body, close_soon
from host_sim.errors import BodyError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.pipe import Sink
from host_sim.sandbox.waiting import Waiting

__all__ = ["Filling"]

_log = logging.getLogger("host_sim.sandbox")


class Filling:
    """A `Sink` in front of another one that any thread may use."""

    room = True

    def __init__(self, waiting: Waiting, sink: Sink) -> None:
        self._waiting = waiting
        self._sink = sink
        self._lock = threading.Lock()
        self._queue: collections.deque[bytes | Body | None] = collections.deque()  # None: the end
        self._busy = False  # what is in the queue, or comes, is the event loop's
        self._task: asyncio.Future[None] | None = None
        self._finished = False

    # The guest's side.

    def put(self, chunk: bytes) -> None:
        """Add a chunk; what goes wrong later shows in the next call.

        Raises:
            WitError: as the sink's.
        """
        if not self._is_queued(chunk):
            self._sink.put(chunk)

    def take(self, body: Body) -> None:
        """Add a body, without waiting for it; if it breaks off, so does all of this.

        Raises:
            WitError: as the sink's.
        """
        if self._is_queued(body):
            return
        if (at_hand := body.at_hand) is not None:
            for piece in at_hand:
                self._sink.put(piece)
            return
        with self._lock:
            self._queue.append(body)
            self._busy = True
        self._waiting.post(self._begin)

    def finish(self) -> None:
        """End it properly, after what is on its way."""
        self._finished = True
        if not self._is_queued(None):
            self._sink.finish()

    def abort(self) -> None:
        """Break it off, unless it has ended."""
        if not self._finished:
            self._sink.abort()
            self._waiting.post(self._cancel)

    def _is_queued(self, item: bytes | Body | None) -> bool:
        """Queue an item behind others, if there are some."""
        with self._lock:
            if self._busy:
                self._queue.append(item)
            return self._busy

    # The event loop's side.

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._move())
        self._task.add_done_callback(self._ended)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _move(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._busy = False
                    return
                item = self._queue.popleft()
            if isinstance(item, Body):
                await self._pour(item)
            elif item is not None:
                self._sink.put(item)
            else:
                self._sink.finish()

    async def _pour(self, body: Body) -> None:
        try:
            while piece := await body.read():
                self._sink.put(piece)
        finally:
            await body.aclose()

    def _ended(self, task: asyncio.Future[None]) -> None:
        """Break off what could not be moved."""
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            return
        if not isinstance(error, BodyError | WitError | None):
            _log.error("moving a body failed", exc_info=error)
        self._sink.abort()
        with self._lock:
            left = [item for item in self._queue if isinstance(item, Body)]
            self._queue.clear()
            self._busy = False
        for body in left:
            close_soon(body)
