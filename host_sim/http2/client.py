"""An HTTP/2 client for gRPC backends: a connection of its own for each request.

Nothing shows of that but the time a handshake takes, and no request waits for another one's flow
control. Over TLS the backend has to choose `h2` (RFC 7301), over plain TCP it has to know that
HTTP/2 comes (RFC 9113 §3.3). Few services have such backends, so h2 is loaded with the first
request.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING

from host_sim.errors import BackendError, BackendFault, UnfitRequestError
from host_sim.messages import Request, Response
from host_sim.outbound import CONNECT_TIMEOUT_S, Failure, connect

if TYPE_CHECKING:
    from host_sim.http2.exchange import Exchange

__all__ = ["Http2Client"]


class Http2Client:
    """Sends requests; one for all backends. Event loop only."""

    def __init__(self) -> None:
        self._exchanges: set[Exchange] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def send(
        self,
        request: Request,
        *,
        backend: str,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        first_byte_timeout_s: float | None = None,
        between_bytes_timeout_s: float | None = None,
    ) -> Response:
        """Send `request` to `host`:`port` and return the response when its head is there.

        The request's body goes out while the response comes in; trailers go both ways. Arguments
        are as in `http1.client`.

        Raises:
            BackendError: there is no response head.
        """
        from host_sim.http2.exchange import Exchange, UnfitError

        exchange = Exchange(self._lost, between_bytes_timeout_s)
        try:
            async with asyncio.timeout(first_byte_timeout_s):
                await self._connect(exchange, host, port, tls, server_hostname)
                return await exchange.ask(request)
        except TimeoutError:  # ours: what the sockets raise comes as a Failure
            detail = f"no response head within {first_byte_timeout_s:g} s"
            raise BackendError(backend, BackendFault.TIMEOUT, detail) from None
        except Failure as failure:
            raise BackendError(backend, failure.fault, str(failure)) from failure
        except UnfitError as error:
            raise UnfitRequestError(backend, str(error)) from error

    async def close(self) -> None:
        """Close every connection, also those whose response is still being read."""
        for exchange in list(self._exchanges):
            exchange.abort()
        await self._idle.wait()

    async def _connect(
        self,
        exchange: "Exchange",
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        server_hostname: str | None,
    ) -> None:
        self._exchanges.add(exchange)  # until `_lost`
        self._idle.clear()
        try:
            transport, _ = await connect(
                lambda: exchange,
                host,
                port,
                tls=tls,
                server_hostname=server_hostname,
                timeout_s=CONNECT_TIMEOUT_S,
            )
        except BaseException:  # cancellation too
            self._lost(exchange)
            raise
        if tls is not None:
            chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
            if chosen != "h2":
                exchange.abort()
                raise Failure(BackendFault.INVALID, f"{host}:{port} does not speak HTTP/2")

    def _lost(self, exchange: "Exchange") -> None:
        self._exchanges.discard(exchange)
        if not self._exchanges:
            self._idle.set()
