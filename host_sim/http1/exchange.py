"""One request's answer on a server connection: the `messages.Downstream` that handlers get.

It frames the answer and knows when it is over; the connection below owns socket and parser. For a
held client this object and its connection are all that stays, so both have slots.
"""

import asyncio
import enum
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import h11

from grip.headers import Headers
from host_sim.body import NO_TRAILERS
from host_sim.http1 import wire
from host_sim.messages import Piece, Sink, Tunnel
from host_sim.trace import Trace

__all__ = ["Carrier", "Exchange"]

log = logging.getLogger("host_sim.http1")


class Carrier(Protocol):
    """What an exchange asks of its connection."""

    @property
    def buffered(self) -> int:
        """Bytes written and not yet sent."""

    @property
    def closing(self) -> bool:
        """Whether the connection is to be closed after this answer."""

    @property
    def sink(self) -> Sink | None:
        """Where bytes that are framed already are written to."""

    def framed(self, event: h11.Event) -> bytes:
        """Return what h11 makes of `event`, to be written next."""

    def write(self, data: bytes) -> None:
        """Write bytes that are framed already."""

    async def drain(self) -> None:
        """Wait until little enough is buffered."""

    def answered(self) -> None:
        """Hear that the answer is complete."""

    def cut(self, *, reset: bool) -> None:
        """Close in the middle of the answer; with `reset` as an error that TCP shows."""

    def switch(self) -> Tunnel:
        """Give the connection away."""


class _Framing(enum.Enum):
    """How the body of the answer is delimited (RFC 9112 §6)."""

    UNDECIDED = enum.auto()  # no head yet
    NONE = enum.auto()
    SIZED = enum.auto()
    CHUNKED = enum.auto()
    UNTIL_CLOSE = enum.auto()


class Exchange:
    """Implements `messages.Downstream`."""

    __slots__ = (
        "_carrier", "_framing", "_left", "_method", "_on_gone", "_over", "_trace", "_unsent",
        "_v1_0",
    )  # fmt: skip

    def __init__(
        self, carrier: Carrier, method: str, trace: Trace | None, *, http_1_0: bool
    ) -> None:
        """Answer a request with `method`; the status goes into `trace`."""
        self._carrier = carrier
        self._method = method
        self._trace = trace
        self._v1_0 = http_1_0
        self._framing = _Framing.UNDECIDED
        self._left = 0
        self._unsent = b""  # the head, which waits for what is sent in the same turn of the loop
        self._over = False
        self._on_gone: list[Callable[[], None]] | None = []

    @property
    def closed(self) -> bool:
        """Whether the client has gone, or the answer is complete."""
        return self._over

    @property
    def started(self) -> bool:
        """Whether a head was sent."""
        return self._framing is not _Framing.UNDECIDED

    @property
    def buffered(self) -> int:
        """Bytes written and not yet taken by the client's connection."""
        return 0 if self._over else self._carrier.buffered + len(self._unsent)

    @property
    def sink(self) -> Sink | None:
        """Where chunks that are framed already may be written; see `messages.Downstream`."""
        # h11 hears of the head and of the end only. Its chunked writer keeps no state between
        # pieces, so a chunk that was framed once for all clients may pass it by.
        if self._framing is not _Framing.CHUNKED or self._over:
            return None
        self.flush()  # nothing goes before the head
        return self._carrier.sink

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` as soon as the client goes before the answer is complete."""
        if not self._over:
            assert self._on_gone is not None
            self._on_gone.append(callback)
        elif self._on_gone is not None:  # gone already
            asyncio.get_running_loop().call_soon(callback)

    def gone(self) -> None:
        """Hear from the connection that the client is gone."""
        if self._over:
            return
        self._over = True
        self._trace = None
        callbacks, self._on_gone = self._on_gone or [], []
        for callback in callbacks:
            callback()

    def send_head(self, status: int, reason: str, headers: Headers, length: int | None) -> None:
        """Send the response head; see `messages.Downstream`."""
        if self._over:
            return
        assert not self.started, "the head was sent already"
        try:
            event = self._head(status, reason, headers, length)
        except h11.LocalProtocolError as error:
            log.error("the answer cannot be sent: %s", error)
            self.fail()
            return
        if self._trace is not None:
            self._trace.status = status
            self._trace = None
        self._unsent = self._carrier.framed(event)
        asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Send the head now, unless it was sent with something else."""
        if self._unsent:
            self._send(b"")

    def _send(self, data: bytes) -> None:
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        self._carrier.write(data)

    def _head(self, status: int, reason: str, headers: Headers, length: int | None) -> h11.Response:
        extra: list[tuple[bytes, bytes]] = []
        dropped = wire.CONNECTION_FIELDS
        if wire.bodiless(self._method, status):
            framing = _Framing.NONE
            known = str(length) if self._method == "HEAD" and length and status != 204 else None
            if known is not None and headers.get("content-length") != known:
                extra.append((b"Content-Length", known.encode()))  # what GET would have had
            else:
                dropped -= {"content-length"}
        elif length is not None:
            framing = _Framing.SIZED
            extra.append((b"Content-Length", b"%d" % length))
        else:
            framing = _Framing.UNTIL_CLOSE if self._v1_0 else _Framing.CHUNKED
        if self._carrier.closing:
            extra.append((b"Connection", b"close"))
        kept = headers.where(lambda name: name not in dropped)
        event = wire.response_event(status, reason, kept, extra)
        self._framing = framing
        self._left = length or 0
        return event

    def write(self, data: bytes | Piece) -> None:
        """Send a part of the body; empty data sends nothing. Ignored where none may be sent."""
        if self._over:
            return
        content = data.content if isinstance(data, Piece) else data
        if not content:
            return
        match self._framing:
            case _Framing.CHUNKED if isinstance(data, Piece):
                self._send(data.chunk)
            case _Framing.CHUNKED | _Framing.UNTIL_CLOSE:
                self._send(self._carrier.framed(h11.Data(data=content)))
            case _Framing.SIZED:
                if len(content) > self._left:
                    log.error("the answer is longer than its Content-Length; the rest is dropped")
                    content = content[: self._left]
                if content:
                    self._left -= len(content)
                    self._send(self._carrier.framed(h11.Data(data=content)))
            case _Framing.NONE:
                pass
            case _Framing.UNDECIDED:
                raise AssertionError("the head was not sent yet")

    async def drain(self) -> None:
        """Wait until little enough is buffered to write more."""
        if not self._over:
            await self._carrier.drain()

    def finish(self, trailers: Headers = NO_TRAILERS) -> None:
        """End the answer properly. One that is shorter than announced is aborted instead."""
        if self._over:
            return
        if not self.started:
            log.error("the answer to %s was ended before it began", self._method)
            self.fail()
            return
        if self._framing is _Framing.SIZED and self._left:
            log.error("the answer is %d bytes shorter than its Content-Length", self._left)
            self.abort()
            return
        end = wire.END
        if trailers and self._framing is _Framing.CHUNKED:
            try:
                end = wire.trailers_event(trailers)
            except h11.LocalProtocolError as error:
                log.error("the trailers cannot be sent: %s", error)
                self.abort()
                return
        self._end()
        self._send(self._carrier.framed(end))
        self._carrier.answered()

    def abort(self) -> None:
        """Cut the connection so that the client notices an incomplete answer."""
        if not self._over:
            self._end()
            self.flush()
            self._carrier.cut(reset=self._framing is _Framing.UNTIL_CLOSE)

    def upgrade(self, headers: Headers) -> Tunnel:
        """Answer 101 with exactly these fields and give the connection away (RFC 9110 §7.8).

        Raises:
            h11.LocalProtocolError: the client did not ask for an upgrade.
        """
        if self._over:
            return self._carrier.switch()  # a tunnel whose peer has gone
        event = h11.InformationalResponse(
            status_code=101, reason=b"Switching Protocols", headers=headers.to_wire()
        )
        if self._trace is not None:
            self._trace.status = 101
        self._carrier.write(self._carrier.framed(event))
        self._end()
        return self._carrier.switch()

    def fail(self) -> None:
        """Answer 500 in place of the handler, or cut an answer that has begun."""
        number = self._trace.id if self._trace is not None else 0
        self.refuse(500, f"see the log for request {number}")

    def refuse(self, status: int, detail: str) -> None:
        """Answer with an error and a line of text, or cut an answer that has begun."""
        if self._over:
            return
        if self.started:
            self.abort()
            return
        phrase = HTTPStatus(status).phrase
        content = f"{phrase}: {detail}\n".encode("utf-8", "replace")
        headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
        self.send_head(status, phrase, headers, len(content))
        self.write(content)
        self.finish()

    def _end(self) -> None:
        self._over = True
        self._on_gone = None
        self._trace = None
