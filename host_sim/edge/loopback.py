"""Calls a handler of this process as if it were a backend: its answer becomes a `Response`.

No socket and no second look at HTTP framing in between; what a socket does is kept: the answer is
streamed with backpressure, each side notices when the other one stops, and `101` opens a tunnel.
"""

import asyncio
import logging
from collections.abc import Callable

from grip.headers import Headers
from host_sim.body import NO_TRAILERS, Body
from host_sim.edge.tunnels import tunnel_pair
from host_sim.errors import BackendError, BackendFault
from host_sim.inbox import READ_AHEAD, Inbox
from host_sim.messages import Handler, Piece, Request, Response, Tunnel

__all__ = ["Loopback", "LoopbackDownstream"]

log = logging.getLogger("host_sim.edge")

_NOT_PASSED_ON = (
    *("connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding"),
)


class Loopback:
    """A handler of this process, to be called like a backend."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._running: set[asyncio.Task[None]] = set()  # the event loop keeps no strong reference

    async def call(self, request: Request, backend: str) -> Response:
        """Let the handler answer; return when the head of its answer is there.

        Cancelling tells the handler that its client has gone.

        Raises:
            BackendError: the handler broke its answer off before the head.
        """
        downstream = LoopbackDownstream(request, backend)
        task = asyncio.create_task(self._run(request, downstream))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await downstream.response
        except asyncio.CancelledError:
            downstream.gone()
            raise

    async def _run(self, request: Request, downstream: "LoopbackDownstream") -> None:
        try:
            await self._handler(request, downstream)
        except Exception:
            log.exception("request %d failed in its handler", request.trace.id)
            downstream.fail()


class LoopbackDownstream:
    """Implements `messages.Downstream` without a connection.

    Attributes:
        response: what the handler answers, once it does.
    """

    def __init__(self, request: Request, backend: str) -> None:
        """Take the answer to `request`, which was sent to `backend`."""
        self.response: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._backend = backend
        self._trace = request.trace
        self._method = request.method
        self._inbox = Inbox(self._wanted, self.gone)
        self._has_body = False
        self._left: int | None = None
        self._over = False
        self._on_gone: list[Callable[[], None]] | None = []
        self._drained: asyncio.Event | None = None

    @property
    def closed(self) -> bool:
        """Whether nobody reads on, or the answer is complete."""
        return self._over

    @property
    def buffered(self) -> int:
        """Bytes written and not yet read."""
        return self._inbox.size

    @property
    def sink(self) -> None:
        """None: there are no chunks here."""

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` as soon as nobody reads on before the answer is complete."""
        if not self._over:
            assert self._on_gone is not None
            self._on_gone.append(callback)
        elif self._on_gone is not None:
            asyncio.get_running_loop().call_soon(callback)

    def gone(self) -> None:
        """Hear that nobody reads on."""
        if self._over:
            return
        self._over = True
        self._wake()
        callbacks, self._on_gone = self._on_gone or [], []
        for callback in callbacks:
            callback()

    def send_head(self, status: int, reason: str, headers: Headers, length: int | None) -> None:
        """Give the head of the answer; see `messages.Downstream`."""
        if self._over:
            return
        assert not self.response.done() or self.response.cancelled(), "the head was sent already"
        self._trace.status = status
        self._has_body = self._method != "HEAD" and status not in (204, 304)
        if self._has_body:
            self._left = length
            body, kept = Body(self._inbox, length), headers.without(*_NOT_PASSED_ON)
        else:
            body = Body.of(b"")
            kept = headers.where(lambda n: n == "content-length" or n not in _NOT_PASSED_ON)
        self._answer(Response(status=status, reason=reason, headers=kept, body=body))

    def write(self, data: bytes | Piece) -> None:
        """Give a part of the body."""
        content = data.content if isinstance(data, Piece) else data
        if self._over or not self._has_body:
            return
        if self._left is not None:
            content = content[: self._left]
            self._left -= len(content)
        if content:
            self._inbox.feed(content)

    async def drain(self) -> None:
        """Wait until it was read, if much is waiting to be."""
        if not self._over and self._inbox.size >= READ_AHEAD:
            self._drained = self._drained or asyncio.Event()
            await self._drained.wait()

    def _wanted(self) -> None:
        """Hear that the reader has taken everything."""
        self._wake()

    def _wake(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.set()

    def finish(self, trailers: Headers = NO_TRAILERS) -> None:
        """End the answer properly, or break it off if it is too short."""
        if self._left or not self.response.done():
            self.abort()
        elif not self._over:
            self._end()
            self._inbox.end(trailers if self._left is None else NO_TRAILERS)

    def abort(self) -> None:
        """Break the answer off."""
        if self._over:
            return
        self._end()
        detail = "the answer broke off"
        self._inbox.fail(detail)
        if not self.response.done():
            self.response.set_exception(BackendError(self._backend, BackendFault.CLOSED, detail))

    def fail(self) -> None:
        """Answer 500 in place of the handler, or break an answer off that has begun."""
        if self._over or self.response.done():
            self.abort()
            return
        content = f"Internal Server Error: see the log for request {self._trace.id}\n".encode()
        headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
        self.send_head(500, "Internal Server Error", headers, len(content))
        self.write(content)
        self.finish()

    def upgrade(self, headers: Headers) -> Tunnel:
        """Answer 101 and return the handler's end of a tunnel."""
        near, far = tunnel_pair()
        if self._over:
            near.close()
            return near
        self._trace.status = 101
        reason = "Switching Protocols"
        response = Response(
            status=101, reason=reason, headers=headers, body=Body.of(b""), tunnel=far
        )
        self._answer(response)
        self._end()
        return near

    def _answer(self, response: Response) -> None:
        if not self.response.done():  # it is when the caller was cancelled a moment ago
            self.response.set_result(response)

    def _end(self) -> None:
        self._over = True
        self._on_gone = None
        self._wake()
