"""What the clients of HTTP/1.1 and HTTP/2 share: connecting, and a request with its response.

A connection asks one thing at a time. Who asked waits for the head of the response; the body is
read from an `Inbox`, while the request may still go out.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from host_sim.errors import BackendFault
from host_sim.messages import Address, Response

if TYPE_CHECKING:
    from host_sim.inbox import Inbox

__all__ = ["CONNECT_TIMEOUT_S", "Failure", "Outbound", "connect"]

CONNECT_TIMEOUT_S = 10.0
"""Seconds for TCP and TLS handshakes."""


class Failure(Exception):  # noqa: N818  turned into a BackendError, which knows the backend's name
    """There is no response head.

    Attributes:
        fault: what went wrong.
        silent: whether not a byte of an answer had come.
    """

    def __init__(self, fault: BackendFault, detail: str, *, silent: bool = False) -> None:
        super().__init__(detail)
        self.fault = fault
        self.silent = silent


async def connect[Connection: asyncio.Protocol](
    make: Callable[[], Connection],
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    server_hostname: str | None,
    timeout_s: float | None,
) -> tuple[asyncio.Transport, Connection]:
    """Connect, and return what is at our end.

    Args:
        make: makes the protocol.
        host: name or address to connect to.
        port: port to connect to.
        tls: settings for TLS, None for plain TCP.
        server_hostname: name for the certificate and SNI, None for `host`, empty for none.
        timeout_s: for TCP and TLS handshakes.

    Raises:
        Failure: there is nobody, or nobody to be trusted, or not in time.
    """
    if server_hostname is None:
        server_hostname = host
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return await asyncio.get_running_loop().create_connection(
                make,
                host,
                port,
                ssl=tls,
                server_hostname=None if tls is None else server_hostname,
            )
    except (OSError, UnicodeError) as error:  # those of TLS and time-outs are OSErrors, too
        if limit.expired():
            detail = f"no connection to {host}:{port} within {timeout_s:g} s"
            raise Failure(BackendFault.TIMEOUT, detail) from None
        raise Failure(BackendFault.UNREACHABLE, f"{host}:{port}: {error}") from error


class Outbound(asyncio.Protocol):
    """What a connection to a backend is whatever it speaks."""

    __slots__ = (
        "_between_bytes_s", "_drained", "_head", "_inbox", "_peer", "_timer", "_transport",
        "_upload",
    )  # fmt: skip

    def __init__(self, between_bytes_s: float | None = None) -> None:
        """Bound the time that a reader of the response body waits for the next byte."""
        self._between_bytes_s = between_bytes_s
        self._transport: asyncio.Transport | None = None
        self._peer: Address | None = None
        self._head: asyncio.Future[Response] | None = None  # there while a response is awaited
        self._inbox: Inbox | None = None  # there while a response body is coming in
        self._upload: asyncio.Task[None] | None = None
        self._drained: asyncio.Event | None = None  # there while the backend reads too slowly
        self._timer: asyncio.TimerHandle | None = None

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
        self._stop()

    def _answer(self, response: Response) -> None:
        """Give the response to who asked, now that its head is there."""
        head, self._head = self._head, None
        if head is not None and not head.done():
            head.set_result(response)

    def _start_timer(self) -> None:
        """Wait for more of the body, but not for ever."""
        if self._between_bytes_s is not None and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._between_bytes_s, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        detail = f"no byte of the body within {self._between_bytes_s:g} s"
        self._fail(Failure(BackendFault.TIMEOUT, detail))

    def _fail(self, failure: Failure) -> None:
        """Tell who waits for the head or the body, and close."""
        head, self._head = self._head, None
        if head is not None and not head.done():
            head.set_exception(failure)
        if self._inbox is not None:
            timed_out = failure.fault is BackendFault.TIMEOUT
            self._inbox.fail(str(failure), TimeoutError if timed_out else ConnectionError)
        self.abort()

    def _stop(self) -> None:
        """Let go of all who wait."""
        self._stop_timer()
        if self._inbox is not None:
            self._inbox.fail("the connection was closed")
            self._inbox = None
        if self._upload is not None and self._upload is not asyncio.current_task():
            self._upload.cancel()
        self._upload = None
        self.resume_writing()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to ask. TCP_NODELAY is set by the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._peer = transport.get_extra_info("peername")

    def pause_writing(self) -> None:
        """Hold back the request's body: the backend reads too slowly."""
        self._drained = asyncio.Event()

    def resume_writing(self) -> None:
        """Let the request's body go on."""
        if self._drained is not None:
            self._drained.set()
            self._drained = None
