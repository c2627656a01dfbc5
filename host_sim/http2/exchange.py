"""One request and its response on an HTTP/2 connection, possibly at the same time (RFC 9113).

h2 frames and parses; this class moves bytes and keeps to the flow control of both sides.
"""

import asyncio
import re
from collections.abc import Callable, Iterable

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BackendFault, BodyError
from host_sim.inbox import Inbox
from host_sim.messages import Request, Response
from host_sim.outbound import Failure, Outbound

__all__ = ["MAX_HEAD_BYTES", "Exchange", "UnfitError"]

MAX_HEAD_BYTES = 69 << 10
"""How long a response head may be: what production takes (compute-host §8)."""

_CONNECTION_FIELDS = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding"}
)
"""Fields that the framing of HTTP/2 has in other places, or not at all (RFC 9113 §8.2.2)."""

_SETTINGS = 4
"""Type of the first frame on a connection, its fourth byte (RFC 9113 §3.4, §4.1)."""

_BAD_VALUE = re.compile(rb"[\0\r\n]")  # RFC 9113 §8.2.1

_NOT_SENT = _CONNECTION_FIELDS | {"host", "http2-settings", "upgrade"}


class UnfitError(Exception):
    """A request that HTTP cannot carry."""


class Exchange(Outbound):
    """Drives one connection, on which there is one stream."""

    def __init__(self, lost: Callable[["Exchange"], None], between_bytes_s: float | None) -> None:
        """Tell `lost` when the connection has ended; bound the time a reader of the body waits."""
        super().__init__(between_bytes_s)
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        self._h2.local_settings = h2.settings.Settings(
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
            }
        )
        self._lost = lost
        self._stream = 0
        self._method = ""
        self._failure: Failure | None = None
        self._greeting: bytes | None = b""  # of the backend, as long as it is not understood
        self._trailers = Headers()
        self._unacknowledged = 0
        self._room = asyncio.Event()  # set when the backend may have given some

    async def ask(self, request: Request) -> Response:
        """Send `request` and return the response as soon as its head is there.

        Raises:
            Failure: there is none.
            UnfitError: the request cannot be put on the wire.
        """
        if self._failure is not None:  # some backends complain about the greeting
            raise self._failure
        self._head = asyncio.get_running_loop().create_future()
        self._method = request.method
        empty = request.body.length == 0
        try:
            self._stream = self._h2.get_next_available_stream_id()
            self._h2.send_headers(self._stream, _request_fields(request), end_stream=empty)
            self._flush()
            if not empty:
                self._upload = asyncio.create_task(self._send_body(request.body))
            return await self._head
        except h2.exceptions.ProtocolError as error:
            self.abort()
            raise UnfitError(str(error)) from error
        except BaseException:  # cancellation too
            self.abort()
            raise

    # The request.

    async def _send_body(self, body: Body) -> None:
        try:
            while piece := await body.read():
                await self._send_piece(piece)
            trailers = _encoded((name.lower(), value) for name, value in body.trailers)
            if trailers:
                self._h2.send_headers(self._stream, trailers, end_stream=True)
            else:
                self._h2.end_stream(self._stream)
        except h2.exceptions.StreamClosedError:
            pass  # the backend has its answer, and wants no more
        except (BodyError, h2.exceptions.ProtocolError) as error:
            self._break(BackendFault.CLOSED, f"the body of the request broke off: {error}")
            return
        self._flush()
        self._upload = None
        self._settle()

    async def _send_piece(self, piece: bytes) -> None:
        while piece:
            self._room.clear()
            window = self._h2.local_flow_control_window(self._stream)
            size = min(window, self._h2.max_outbound_frame_size, len(piece))
            if size <= 0:
                await self._room.wait()
                continue
            self._h2.send_data(self._stream, piece[:size])
            piece = piece[size:]
            self._flush()
            if self._drained is not None:
                await self._drained.wait()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    # The response.

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self._begin(event)
            case h2.events.DataReceived():
                self._stop_timer()
                self._unacknowledged += event.flow_controlled_length or 0
                if self._inbox is not None and event.data:
                    self._inbox.feed(event.data)
                if self._inbox is None or not self._inbox.full:
                    self._acknowledge()
            case h2.events.TrailersReceived():
                self._trailers = _fields(event.headers or [])
            case h2.events.StreamEnded():
                if self._inbox is not None:
                    self._inbox.end(self._trailers)
                    self._inbox = None
                self._settle()
            case h2.events.StreamReset():
                self._break(BackendFault.CLOSED, f"the stream was reset: {_name(event.error_code)}")
            case h2.events.ConnectionTerminated():
                if (event.last_stream_id or 0) < self._stream or event.error_code:
                    said = _name(event.error_code)
                    self._break(BackendFault.CLOSED, f"the backend went away: {said}")
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._room.set()

    def _begin(self, event: h2.events.ResponseReceived) -> None:
        given = event.headers or []
        code = bytes(dict(given).get(b":status", b""))
        if not re.fullmatch(rb"[2-9]\d\d", code):
            self._break(BackendFault.INVALID, f"expected a status, got {code[:16]!r}")
            return
        status = int(code)
        headers = _fields((name, value) for name, value in given if not name.startswith(b":"))
        if event.stream_ended is not None or self._method == "HEAD" or status in (204, 304):
            body = Body.of(b"")
        else:
            # What may have trailers does not tell its length (`body`).
            self._inbox = Inbox(self._demand, self.abort)
            body = Body(self._inbox, None)
        self._answer(
            Response(status=status, reason="", headers=headers, body=body, peer=self._peer)
        )

    def _demand(self) -> None:
        """Get more of a response body that somebody reads."""
        self._acknowledge()
        self._flush()
        self._start_timer()

    def _acknowledge(self) -> None:
        """Let the backend send as much again as has been taken."""
        taken, self._unacknowledged = self._unacknowledged, 0
        if taken:
            self._h2.acknowledge_received_data(taken, self._stream)

    # The end.

    def _settle(self) -> None:
        """After one side is done: say goodbye if the response is complete."""
        if self._head is not None or self._inbox is not None:
            return
        if self._upload is not None:  # the rest of the request is not wanted
            self.abort()
            return
        self._stop()
        if self._transport is not None:
            self._h2.close_connection()
            self._flush()
            self._transport.close()

    def _break(self, fault: BackendFault, detail: str) -> None:
        self._failure = self._failure or Failure(fault, detail)
        self._fail(self._failure)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, before anything the backend says is answered."""
        super().connection_made(transport)
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Parse on, and send what HTTP/2 wants to be answered."""
        if self._greeting is not None:
            self._greeting += data
            if len(self._greeting) < 4:
                return
            data, self._greeting = self._greeting, None
            if data[3] != _SETTINGS:  # h2 would wait for a very long frame
                self._break(BackendFault.INVALID, f"not HTTP/2: it begins with {data[:16]!r}")
                return
        try:
            for event in self._h2.receive_data(data):
                self._handle(event)
        except h2.exceptions.ProtocolError as error:
            self._break(BackendFault.INVALID, f"not HTTP/2: {error or type(error).__name__}")
            return
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for an answer."""
        self._transport = None
        self._break(BackendFault.CLOSED, str(exc or "the connection was closed"))
        self._lost(self)


def _request_fields(request: Request) -> list[tuple[bytes, bytes]]:
    """Return the fields of a request, those first that are its line in HTTP/1 (RFC 9113 §8.3.1)."""
    headers, length = request.headers, request.body.length
    fields = [
        (":method", request.method),
        (":scheme", request.scheme),
        (":authority", headers.get("host") or request.authority),
        (":path", request.target),
    ]
    fields += [(name.lower(), value) for name, value in headers.without(*_NOT_SENT)]
    if length or (length == 0 and headers.has("content-length")):
        fields.append(("content-length", str(length)))
    return _encoded(pair for pair in fields if pair[0] != "te" or pair[1].lower() == "trailers")


def _fields(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    return Headers((_decode(name), _decode(value)) for name, value in pairs)


def _encoded(pairs: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return fields as they go out; h2 does not look at their values."""
    fields = [(_encode(name), _encode(value)) for name, value in pairs]
    for name, value in fields:
        if _BAD_VALUE.search(value):
            raise h2.exceptions.ProtocolError(f"{name!r} has a value with a line end or NUL")
    return fields


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(raw: bytes) -> str:
    return bytes(raw).decode("utf-8", "surrogateescape")


def _name(code: int | None) -> str:
    """Return an error code as RFC 9113 §7 writes it."""
    try:
        return h2.errors.ErrorCodes(code or 0).name
    except ValueError:
        return str(code)
