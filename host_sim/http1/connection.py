"""One client's connection to a listener: its parser, its flow control, its one request at a time.

h11 parses and writes; this class moves bytes and decides when to read on. A pipelined request
waits in h11's buffer until the one before it is answered (RFC 9112 §9.3.2).

A client that ends its sending direction has usually gone: TCP does not tell `close` from
`shutdown`. Like hyper and nginx we take it for gone as soon as its answer waits for something that
may never come: when the handler has returned and left it held. While the handler still works, the
client may be one like `nc -N` that half-closes and then reads, so it keeps its answer for as long
as something is sent to it every `HALF_CLOSED_S`. Under TLS there is no half-closed state.
"""

import asyncio
import functools
import logging
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

import h11

from grip.headers import Headers
from host_sim.body import REPLAY_LIMIT, SPILL_LIMIT, Body
from host_sim.http1 import wire
from host_sim.http1.exchange import Exchange
from host_sim.http1.tunnel import SocketTunnel
from host_sim.inbox import READ_AHEAD, Inbox
from host_sim.messages import Address, Handler, Request, Sink, Tunnel
from host_sim.trace import Trace

__all__ = ["HALF_CLOSED_S", "Connection", "Owner"]

log = logging.getLogger("host_sim.http1")

HALF_CLOSED_S = 5.0
"""Seconds without output after which a half-closed client counts as gone."""

LINGER_S = 2.0
"""Seconds in which a client may still send what will not be read, to receive its answer."""

DISCARD_LIMIT = 1 << 20
"""Bytes of an unread request body that are taken in to keep the connection."""

_REQUEST_UNDER_WAY = (h11.IDLE, h11.SEND_BODY, h11.ERROR)


class Owner(Protocol):
    """The listener, as its connections see it."""

    address: Address
    closing: bool
    handler: Handler
    idle_timeout_s: float
    max_head_bytes: int
    scheme: str

    def opened(self, transport: asyncio.Transport) -> None:
        """Hear of a new connection."""

    def lost(self, transport: asyncio.Transport) -> None:
        """Hear that a connection has ended."""

    def run(self, handling: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run what handles one request."""


class Connection(asyncio.Protocol):
    """Drives one h11 server connection; see the module."""

    __slots__ = (
        "_discarded", "_drained", "_exchange", "_half_closed", "_http", "_inbox", "_lingering",
        "_owner", "_peer", "_refusing", "_task", "_timer", "_transport", "_unparsed", "_wrote",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=owner.max_head_bytes)
        self._transport: asyncio.Transport | None = None
        self._peer: Address | None = None
        self._exchange: Exchange | None = None
        self._inbox: Inbox | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Event | None = None  # there while the client reads too slowly
        self._unparsed = 0  # bytes waiting in h11 behind a request that is not answered yet
        self._discarded = 0  # bytes of a request body that came after its answer
        self._half_closed = False
        self._lingering = False
        self._refusing = False
        self._wrote = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start waiting for a request. TCP_NODELAY is set by the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        peer = transport.get_extra_info("peername")
        self._peer = peer[:2] if peer else None
        self._owner.opened(self._transport)
        self._wait_idle(self._transport)

    def data_received(self, data: bytes) -> None:
        """Parse on, or leave in h11 what belongs to the next request."""
        if self._deaf:
            return
        self._http.receive_data(data)
        if self._exchange is not None and self._http.their_state not in _REQUEST_UNDER_WAY:
            self._unparsed += len(data)
            if self._unparsed > READ_AHEAD:
                self._pause_reading()
        self._advance()

    def eof_received(self) -> bool:
        """Decide what a client that sends no more is; true keeps the connection open."""
        transport = self._transport
        if transport is None or self._lingering:
            return False
        self._http.receive_data(b"")
        self._advance()
        if self._task is None:  # idle, or held
            return False
        if transport.get_extra_info("sslcontext") is not None:
            return False
        self._half_closed = True
        self._restart_timer(HALF_CLOSED_S, self._check_half_closed)
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio calls it so
        """Tell everybody that the client is gone."""
        transport, self._transport = self._transport, None
        self._stop_timer()
        self._let_go("the client has gone")
        if transport is not None:
            self._owner.lost(transport)

    def pause_writing(self) -> None:
        """Hold back writers: the client reads too slowly."""
        self._drained = asyncio.Event()

    def resume_writing(self) -> None:
        """Let writers go on."""
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    # From the socket to the handler.

    def _advance(self) -> None:
        """Act on everything h11 has understood so far."""
        while self._transport is not None and not self._deaf:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._broken(error)
                return
            # By type: events of h11 are abstract base classes, which answer `match` slowly.
            if type(event) is h11.Request:
                self._begin(event)
            elif type(event) is h11.Data:
                self._take(bytes(event.data))
            elif type(event) is h11.EndOfMessage:
                if self._inbox is not None:
                    self._inbox.end(wire.trailers_of(event))
                    self._inbox = None
                if self._exchange is not None:
                    return  # what follows waits for the answer
                self._start_next_cycle()  # it was answered early and the rest discarded
            else:
                if type(event) is h11.ConnectionClosed and self._exchange is None:
                    self._transport.close()
                return  # or NEED_DATA or PAUSED

    @property
    def _deaf(self) -> bool:
        """Whether nothing that comes matters: the connection ends, or will after the answer."""
        return self._lingering or self._http.their_state is h11.MUST_CLOSE

    def _begin(self, event: h11.Request) -> None:
        """Start the handler for a request whose head is complete."""
        self._stop_timer()
        if self._half_closed:  # it was sent together with the request before it
            self._restart_timer(HALF_CLOSED_S, self._check_half_closed)
        method, target = event.method.decode("ascii"), event.target.decode("ascii")
        fields = event.headers.raw_items()
        headers = Headers.from_wire(fields)
        trace = Trace(method=method, target=target)
        exchange = Exchange(self, method, trace, http_1_0=event.http_version == b"1.0")
        self._exchange = exchange
        try:
            wire.check_request(event, fields, self._owner.max_head_bytes)
            authority, target = wire.split_target(target, headers.get("host"), self._owner.address)
        except wire.Refusal as refusal:
            trace.note = refusal.detail
            self._refuse(exchange, refusal)
            trace.emit()
            return
        request = Request(
            method=method,
            scheme=self._owner.scheme,
            authority=authority,
            target=target,
            headers=headers,
            body=self._body(fields),
            client=self._peer,
            server=self._owner.address,
            trace=trace,
        )
        self._task = self._owner.run(self._handle(request, exchange))

    def _body(self, fields: wire.Pairs) -> Body:
        chunked, length = wire.framing(fields)
        if not chunked and not length:
            return Body.of(b"")
        self._inbox = Inbox(self._demand)
        return Body(self._inbox, length, keep=REPLAY_LIMIT, spill=SPILL_LIMIT)

    async def _handle(self, request: Request, exchange: Exchange) -> None:
        try:
            await self._owner.handler(request, exchange)
        except Exception:
            log.exception("request %d failed in its handler", request.trace.id)
            exchange.fail()
        finally:
            if self._exchange is exchange:  # held, until somebody else finishes it
                self._task = None
                if self._half_closed:
                    self._end("the client has gone")

    def _take(self, data: bytes) -> None:
        if self._inbox is None:
            self._discarded += len(data)
            if self._discarded > DISCARD_LIMIT:
                self._linger()
            return
        self._inbox.feed(data)
        if self._inbox.full:
            self._pause_reading()

    def _demand(self) -> None:
        """Get more of a body that somebody reads."""
        if self._http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, reason=b"Continue", headers=[])
            self.write(self.framed(go_on))
        self._resume_reading()

    # From the handler to the socket: what an exchange asks for (`exchange.Carrier`).

    @property
    def buffered(self) -> int:
        """Bytes written and not yet sent."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def sink(self) -> Sink | None:
        """The transport, while there is one."""
        return self._transport

    @property
    def closing(self) -> bool:
        """Whether the connection is to be closed after this answer."""
        # A client that still waits for 100 may send its body or not: nobody could tell that body
        # from a next request (RFC 9110 §10.1.1).
        waits = self._http.they_are_waiting_for_100_continue
        return waits or self._refusing or self._owner.closing

    def framed(self, event: h11.Event) -> bytes:
        """Return what h11 makes of `event`, to be written next."""
        return self._http.send(event) or b""

    def write(self, data: bytes) -> None:
        """Write bytes that are framed already."""
        # Joined: `writelines` of CPython up to 3.13.1 never tells that a client is too slow.
        if data and self._transport is not None:
            self._transport.write(data)
            self._wrote = True

    async def drain(self) -> None:
        """Wait until little enough is buffered."""
        if self._drained is not None:
            await self._drained.wait()

    def answered(self) -> None:
        """Go on to the next request, or close."""
        self._exchange = self._task = None
        if self._inbox is not None:
            self._inbox.fail("the answer was complete before the body was read")
            self._inbox = None
        if self._transport is None:
            return
        if self._http.their_state not in _REQUEST_UNDER_WAY:
            if self._start_next_cycle():
                self._advance()
                self._read_on()
        elif self._http.our_state is h11.DONE:
            self._discarded = 0
            self._wait_idle(self._transport)
            self._resume_reading()  # take in the rest of the body, within limits
        else:
            self._linger()

    def cut(self, *, reset: bool) -> None:
        """Close in the middle of the answer; with `reset` as an error that TCP shows."""
        transport = self._transport
        if transport is None:
            return
        if reset or self._drained is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            self._restart_timer(LINGER_S, transport.abort)
            transport.close()  # as soon as what is buffered has been sent
        self._let_go("the answer broke off")

    def switch(self) -> Tunnel:
        """Give the connection away."""
        early, _ = self._http.trailing_data
        self._exchange = self._task = None
        self._stop_timer()
        transport, self._transport = self._transport, None
        if transport is None:
            return SocketTunnel(None, b"", lambda: None)
        return SocketTunnel(transport, early, functools.partial(self._owner.lost, transport))

    # Between requests, and the end.

    def stop(self) -> None:
        """Close now if nothing is under way, else after the answer."""
        if self._exchange is None and self._transport is not None:
            self._transport.close()

    def _start_next_cycle(self) -> bool:
        """Make ready for the next request, or close if there can be none."""
        assert self._transport is not None
        done = (self._http.our_state, self._http.their_state) == (h11.DONE, h11.DONE)
        if not done or self._owner.closing:
            self._transport.close()
            return False
        self._http.start_next_cycle()
        self._wait_idle(self._transport)
        return True

    def _read_on(self) -> None:
        """Read, unless the present request has enough waiting behind it already."""
        pipelined, _ = self._http.trailing_data
        self._unparsed = len(pipelined)
        flooded = self._exchange is not None and self._unparsed > READ_AHEAD
        if not flooded and (self._inbox is None or not self._inbox.full):
            self._resume_reading()

    def _broken(self, error: h11.RemoteProtocolError) -> None:
        """Answer a client that broke the protocol, as far as that is possible."""
        if self._inbox is not None:
            self._inbox.fail(str(error))
        exchange = self._exchange or Exchange(self, "", None, http_1_0=False)
        _, ended = self._http.trailing_data
        if ended or self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._end(str(error))
        else:
            self._refuse(exchange, wire.Refusal(error.error_status_hint, str(error)))

    def _refuse(self, exchange: Exchange, refusal: wire.Refusal) -> None:
        log.info("refused a request with %d: %s", refusal.status, refusal.detail)
        self._refusing = True
        exchange.refuse(refusal.status, refusal.detail)

    def _end(self, reason: str) -> None:
        if self._exchange is not None:
            self._exchange.flush()
        if self._transport is not None:
            self._transport.close()
        self._let_go(reason)

    def _linger(self) -> None:
        """Close so that the answer arrives although unread bytes do too (RFC 9112 §9.6)."""
        transport = self._transport
        if transport is None:
            return
        if not transport.can_write_eof():
            transport.close()
            return
        self._lingering = True
        self._resume_reading()
        transport.write_eof()
        self._restart_timer(LINGER_S, transport.abort)

    def _let_go(self, reason: str) -> None:
        """Leave the request there is: its client is gone."""
        if self._inbox is not None:
            self._inbox.fail(reason)
            self._inbox = None
        self.resume_writing()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.gone()

    def _check_half_closed(self) -> None:
        if self._wrote:
            self._wrote = False
            self._restart_timer(HALF_CLOSED_S, self._check_half_closed)
        else:
            self._end("the client has gone")

    def _wait_idle(self, transport: asyncio.Transport) -> None:
        self._restart_timer(self._owner.idle_timeout_s, transport.close)

    def _restart_timer(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, callback)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
