"""An HTTP/1.1 client that sends what it is given, to the byte, and keeps connections for reuse.

When a request is repeated (RFC 9110 §9.2.2, RFC 9112 §9.3.1): a connection kept open may be closed
by its backend at the moment it is used again, which says nothing about the request. So a request
that failed on a *reused* connection before a single byte of an answer came is sent once more, on a
*fresh* connection, if its method is idempotent and its body can be replayed. Nothing else is ever
repeated: no other method, no time-out, nothing after a first byte.
"""

import asyncio
import dataclasses
import ssl

import h11

from host_sim.errors import BackendError, BackendFault, BodyError, UnfitRequestError
from host_sim.http1.client_connection import ClientConnection
from host_sim.messages import Request, Response
from host_sim.outbound import CONNECT_TIMEOUT_S, Failure, connect

__all__ = ["KEEP_IDLE_S", "MAX_HEAD_BYTES", "HttpClient"]

MAX_HEAD_BYTES = 69 << 10
"""How long a response head may be: what production takes (compute-host §8)."""

KEEP_IDLE_S = 4.0
"""Seconds a connection is kept for reuse: less than the 5 after which many servers drop it."""

_IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})

type _Key = tuple[str, int, ssl.SSLContext | None, str | None]


class HttpClient:
    """Sends requests; one for all backends. Event loop only (`client_connection.Pool`)."""

    def __init__(
        self, *, max_head_bytes: int = MAX_HEAD_BYTES, keep_idle_s: float = KEEP_IDLE_S
    ) -> None:
        """Take response heads up to `max_head_bytes`, keep connections for `keep_idle_s`."""
        self.max_head_bytes = max_head_bytes
        self._keep_idle_s = keep_idle_s
        self._keys: dict[ClientConnection, _Key] = {}
        self._idle: dict[_Key, list[ClientConnection]] = {}
        self._idle_from: dict[ClientConnection, float] = {}  # the one idle for longest first
        self._sweeper: asyncio.TimerHandle | None = None  # one for all that are idle
        self._closing: asyncio.Event | None = None  # set when the last connection has ended

    async def send(
        self,
        request: Request,
        *,
        backend: str,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
        first_byte_timeout_s: float | None = None,
        between_bytes_timeout_s: float | None = None,
    ) -> Response:
        """Send `request` to `host`:`port` and return the response when its head is there.

        `request.headers` go out as they are, but for `Content-Length` and `Transfer-Encoding`,
        which are made from `request.body.length`; a body known to be empty gets `Content-Length: 0`
        only where `Content-Length` was given. Scheme and authority of the request are not looked
        at. Interim responses are skipped. Cancelling closes the connection.

        Args:
            request: its body must not have been read yet.
            backend: name for error messages.
            host: name or address to connect to.
            port: port to connect to.
            tls: settings for TLS, None for plain TCP.
            server_hostname: the name the certificate is checked for and that is sent as SNI;
                default `host`. Empty: neither, which needs `tls.check_hostname` to be off.
            connect_timeout_s: for TCP and TLS handshakes.
            first_byte_timeout_s: from here to the end of the response head.
            between_bytes_timeout_s: how long a reader of the body waits for more of it, after
                which it gets a `BodyError`.

        Raises:
            BackendError: there is no response head.
        """
        key = (host, port, tls, server_hostname)
        asking = self._ask(request, key, connect_timeout_s, between_bytes_timeout_s)
        try:
            if first_byte_timeout_s is None:
                return await asking
            async with asyncio.timeout(first_byte_timeout_s):
                return await asking
        except TimeoutError:  # ours: what the sockets raise comes as a Failure
            detail = f"no response head within {first_byte_timeout_s:g} s"
            raise BackendError(backend, BackendFault.TIMEOUT, detail) from None
        except Failure as failure:
            raise BackendError(backend, failure.fault, str(failure)) from failure
        except h11.LocalProtocolError as error:
            raise UnfitRequestError(backend, str(error)) from error

    async def close(self) -> None:
        """Close every connection, also those whose response is still being read."""
        self._closing = asyncio.Event()
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._keys:
            for connection in list(self._keys):
                connection.abort()
            await self._closing.wait()

    async def _ask(
        self,
        request: Request,
        key: _Key,
        connect_timeout_s: float | None,
        between_bytes_s: float | None,
    ) -> Response:
        connection = self._take(key) or await self._connect(key, connect_timeout_s)
        reused = connection.reused
        try:
            return await connection.ask(request, between_bytes_s)
        except Failure as failure:
            closed_idle = reused and failure.silent and failure.fault is BackendFault.CLOSED
            if not closed_idle or request.method not in _IDEMPOTENT:
                raise
            try:
                again = dataclasses.replace(request, body=request.body.replay())
            except BodyError:
                raise failure from None
        connection = await self._connect(key, connect_timeout_s)
        return await connection.ask(again, between_bytes_s)

    async def _connect(self, key: _Key, timeout_s: float | None) -> ClientConnection:
        host, port, tls, server_hostname = key
        _, connection = await connect(
            lambda: ClientConnection(self),
            host,
            port,
            tls=tls,
            server_hostname=server_hostname,
            timeout_s=timeout_s,
        )
        self._keys[connection] = key
        return connection

    def _take(self, key: _Key) -> ClientConnection | None:
        """Return the connection used last, which is the likeliest to be still open."""
        kept = self._idle.get(key, [])
        while kept:
            connection = kept.pop()
            self._idle_from.pop(connection, None)
            if connection.usable:
                return connection
        return None

    # What connections call.

    def idle(self, connection: ClientConnection) -> None:
        """Take back a connection that can serve another request."""
        if self._closing is not None:
            connection.abort()
            return
        self._idle.setdefault(self._keys[connection], []).append(connection)
        loop = asyncio.get_running_loop()
        self._idle_from[connection] = loop.time()
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._keep_idle_s, self._sweep)

    def lost(self, connection: ClientConnection) -> None:
        """Hear that a connection has ended."""
        key = self._keys.pop(connection, None)
        if self._closing is not None and not self._keys:
            self._closing.set()
        self._idle_from.pop(connection, None)
        if key is not None and connection in self._idle.get(key, ()):
            self._idle[key].remove(connection)
            if not self._idle[key]:
                del self._idle[key]

    def _sweep(self) -> None:
        """Close what has been idle for too long, and look again when the next one may be."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        while self._idle_from:
            connection, since = next(iter(self._idle_from.items()))
            due = since + self._keep_idle_s
            if due > loop.time():
                self._sweeper = loop.call_at(due, self._sweep)
                return
            del self._idle_from[connection]
            connection.abort()
