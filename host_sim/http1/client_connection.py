"""One connection to a backend: a request out, a response in, possibly at the same time.

h11 frames and parses; this class moves bytes. A response may come before the request is complete
(RFC 9112 §9.3): it is handed over at once, and the rest of the request still goes out.
"""

import asyncio
from typing import Protocol

import h11

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BackendFault, BodyError
from host_sim.http1 import wire
from host_sim.http1.tunnel import SocketTunnel
from host_sim.inbox import READ_AHEAD, Inbox
from host_sim.messages import Request, Response
from host_sim.outbound import Failure, Outbound

__all__ = ["ClientConnection", "Pool"]

# Guests see framing fields as they came; whoever frames the body anew leaves them out.
_NOT_KEPT = wire.CONNECTION_FIELDS - wire.FRAMING_FIELDS


class Pool(Protocol):
    """The owner of connections, as they see it."""

    max_head_bytes: int

    def idle(self, connection: "ClientConnection") -> None:
        """Take back a connection that can serve another request."""

    def lost(self, connection: "ClientConnection") -> None:
        """Hear that a connection has ended."""


class ClientConnection(Outbound):
    """Drives one h11 client connection; see the module."""

    __slots__ = ("_http", "_method", "_pool", "_silent", "_tunnel", "reused")

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self._pool = pool
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=pool.max_head_bytes)
        self._tunnel: SocketTunnel | None = None  # has the transport, after 101
        self._method = ""
        self._silent = True
        self.reused = False

    @property
    def usable(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: Request, between_bytes_s: float | None) -> Response:
        """Send `request` and return the response as soon as its head is there.

        Args:
            request: `Content-Length` and `Transfer-Encoding` are made from `request.body.length`;
                of a body known to be empty only a given `Content-Length` is told.
            between_bytes_s: how long a reader of the response body waits for the next byte.

        Raises:
            Failure: there is none.
            h11.LocalProtocolError: the request cannot be put on the wire.
        """
        self._method = request.method
        self._between_bytes_s = between_bytes_s
        self._silent = True
        self._head = asyncio.get_running_loop().create_future()
        try:
            head = self._http.send(wire.request_event(request))
            content = _at_hand(request.body)
            if content is None:
                self._write(head)
                self._upload = asyncio.create_task(self._send_body(request.body))
            else:
                body = self._http.send(h11.Data(data=content)) if content else b""
                self._write(head + body + self._http.send(wire.END))
            return await self._head
        except BaseException:  # cancellation too: half a request cannot be taken back
            self.abort()
            raise

    def abort(self) -> None:
        """Close at once."""
        if self._transport is None and self._tunnel is not None:
            self._tunnel.abort()
        super().abort()

    # The request.

    async def _send_body(self, body: Body) -> None:
        try:
            while piece := await body.read():
                self._send(h11.Data(data=piece))
                if self._drained is not None:
                    await self._drained.wait()
            chunked = body.length is None
            self._send(wire.trailers_event(body.trailers) if chunked else wire.END)
        except (BodyError, h11.LocalProtocolError) as error:
            self._break(BackendFault.CLOSED, f"the body of the request broke off: {error}")
            return
        self._upload = None
        self._settle()

    def _send(self, event: h11.Data | h11.EndOfMessage) -> None:
        self._write(self._http.send(event))

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    # The response.

    def _advance(self) -> None:
        """Act on everything h11 has understood so far."""
        while self._transport is not None:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._broken(error)
                return
            # By type: events of h11 are abstract base classes, which answer `match` slowly.
            if type(event) is h11.Response:
                self._begin(event)
            elif type(event) is h11.Data:
                self._take(bytes(event.data))
            elif type(event) is h11.EndOfMessage:
                if self._inbox is not None:
                    self._inbox.end(wire.trailers_of(event))
                    self._inbox = None
                self._settle()
                return
            elif type(event) is h11.InformationalResponse:
                if event.status_code == 101:
                    self._switch(event)
                    return
                # 100 is answered by sending on; 103 is nobody's concern here
            else:  # NEED_DATA, PAUSED or ConnectionClosed
                return

    def _begin(self, event: h11.Response) -> None:
        fields = event.headers.raw_items()
        size = wire.head_size(b"HTTP/1.1 200", event.reason, fields=fields)
        if size > self._pool.max_head_bytes:
            limit = self._pool.max_head_bytes
            self._break(
                BackendFault.INVALID, f"expected a head of at most {limit} bytes, got {size}"
            )
            return
        if wire.bodiless(self._method, event.status_code):
            body = Body.of(b"")
        else:
            self._inbox = Inbox(self._demand, self.abort)
            chunked, length = wire.framing(fields)
            body = Body(self._inbox, None if chunked else length)
        headers = Headers.from_wire(fields).without(*_NOT_KEPT)
        self._answer(self._response(event, headers, body))

    def _response(
        self,
        event: h11.Response | h11.InformationalResponse,
        headers: Headers,
        body: Body,
        tunnel: SocketTunnel | None = None,
    ) -> Response:
        return Response(
            status=event.status_code,
            reason=wire.decode(bytes(event.reason)),
            headers=headers,
            body=body,
            tunnel=tunnel,
            peer=self._peer,
        )

    def _switch(self, event: h11.InformationalResponse) -> None:
        if self._http.our_state is not h11.SWITCHED_PROTOCOL:
            self._break(BackendFault.INVALID, "101 before the request was complete")
            return
        early, _ = self._http.trailing_data
        transport, self._transport = self._transport, None
        self._tunnel = SocketTunnel(transport, early, lambda: self._pool.lost(self))
        headers = Headers.from_wire(event.headers.raw_items())
        self._answer(self._response(event, headers, Body.of(b""), self._tunnel))

    def _take(self, data: bytes) -> None:
        self._stop_timer()
        if self._inbox is not None:
            self._inbox.feed(data)
            if self._inbox.full and self.usable:
                assert self._transport is not None
                self._transport.pause_reading()

    def _demand(self) -> None:
        """Get more of a response body that somebody reads."""
        if not self.usable:
            return
        assert self._transport is not None
        self._transport.resume_reading()
        self._start_timer()

    # The end of an exchange, or of the connection.

    def _settle(self) -> None:
        """After one side is done: keep the connection if the other one is, too."""
        if self._http.their_state is h11.SEND_BODY or self._head is not None:
            return  # the response is still coming
        self._stop_timer()
        if (self._http.our_state, self._http.their_state) == (h11.DONE, h11.DONE) and self.usable:
            self._http.start_next_cycle()
            assert self._transport is not None
            self._transport.resume_reading()
            self.reused = True
            self._pool.idle(self)
        else:  # one of them said `close`, or the rest of the request is not wanted
            self.abort()

    def _broken(self, error: h11.RemoteProtocolError) -> None:
        """Say what is wrong with a response that h11 does not understand."""
        _, ended = self._http.trailing_data
        if not ended:
            self._break(BackendFault.INVALID, str(error))
        elif self._head is None:
            self._break(BackendFault.CLOSED, str(error))
        else:
            came = "not a byte of it came" if self._silent else "it broke off in its head"
            self._break(BackendFault.CLOSED, came)

    def _break(self, fault: BackendFault, detail: str) -> None:
        self._fail(Failure(fault, detail, silent=self._silent))

    # What asyncio calls.

    def data_received(self, data: bytes) -> None:
        """Parse on; what comes without being asked for ends the connection."""
        if self._head is None and self._inbox is None:
            self.abort()
            return
        self._silent = False
        self._http.receive_data(data)
        self._advance()

    def eof_received(self) -> None:
        """End what ends with the connection, break off what does not."""
        if self._head is not None or self._inbox is not None:
            self._http.receive_data(b"")
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for an answer."""
        self._transport = None
        self._break(BackendFault.CLOSED, str(exc or "the connection was closed"))
        self._pool.lost(self)


def _at_hand(body: Body) -> bytes | None:
    """Return a short body that can go out with the head, None for one that has to be waited for."""
    pieces = body.at_hand
    if pieces is None or body.length is None or body.length > READ_AHEAD:
        return None
    content = b"".join(pieces)
    return content if len(content) == body.length else None
