"""Reaches backends by name: where a request goes, what it says there, and what is this process.

The requests that go out follow compute-host §2.2, "Outgoing request rules". A backend called
`self`, and any whose URL is an address of the simulator, is entered without a socket.
"""

import dataclasses
import ipaddress
import ssl
from collections.abc import Iterable, Mapping
from typing import Protocol

from grip.headers import Headers
from host_sim.config.backends import Backend, parse_backend
from host_sim.config.table import InvalidError
from host_sim.edge.loopback import Loopback
from host_sim.edge.tls import context_for
from host_sim.errors import BackendError, BackendFault
from host_sim.messages import Address, Handler, Request, Response, Upstream
from host_sim.trace import Trace

__all__ = ["MAX_HOPS", "SELF", "Backends", "HttpSender"]

SELF = "self"
"""Name of the backend that is always this process."""

MAX_HOPS = 8
"""How often a request may come back before it counts as a loop."""


class HttpSender(Protocol):
    """What is asked of an HTTP client (`http1.client`, `http2.client`)."""

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
        """Send a request; `BackendError` when there is no response head."""


class Backends:
    """Implements `messages.Upstream` for the backends of a manifest."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        client: HttpSender,
        http2_client: HttpSender | None = None,
    ) -> None:
        """Reach `backends` through `client`; `enter_at` says what is here.

        Args:
            backends: by name.
            client: speaks HTTP/1.1.
            http2_client: speaks HTTP/2, to gRPC backends only; None: they cannot be reached.
        """
        self._backends = backends
        self._client = client
        self._http2_client = http2_client
        self._loopback: Loopback | None = None
        self._own: list[Address] = []
        self._contexts: dict[object, ssl.SSLContext] = {}

    def enter_at(self, handler: Handler, addresses: Iterable[Address]) -> None:
        """Give requests to `handler` that would come back to this process.

        Args:
            handler: the edge.
            addresses: where it listens.
        """
        self._loopback = Loopback(handler)
        self._own = list(addresses)

    @property
    def elsewhere(self) -> Upstream:
        """Reaches origins such as `https://example.com:8443`, given in place of a name.

        For links that a backend gives; never for names that a client can choose.
        """
        return _Origins(self)

    @property
    def patient(self) -> Upstream:
        """Reaches backends by name as this does, but waits for them without limit.

        For clients that were handed off (compute-host §3.2).
        """
        return _Patient(self)

    async def send(self, request: Request, backend: str, *, patient: bool = False) -> Response:
        """Send to a backend by name; `patient`: without its time-outs.

        Raises:
            BackendError: there is no such backend, no response head from it, or a loop.
        """
        known = self._backends.get(backend)
        if known is None and (backend != SELF or self._loopback is None):
            raise BackendError(
                backend, BackendFault.UNKNOWN, "it is not in [local_server.backends]"
            )
        if known is not None and patient:
            known = dataclasses.replace(
                known, first_byte_timeout_ms=None, between_bytes_timeout_ms=None
            )
        return await self.send_to(known, request, backend)

    async def send_to(self, known: Backend | None, request: Request, backend: str) -> Response:
        """Send to a backend as described, or to this process for None.

        Raises:
            BackendError: there is no response head, or a loop.
        """
        outgoing = request if known is None else _outgoing_request(request, known)
        if self._loopback is not None and (backend == SELF or known is None or self._is_own(known)):
            return await self._enter(self._loopback, outgoing, backend)
        assert known is not None
        client = self._http2_client if known.grpc else self._client
        if client is None:
            detail = "a gRPC backend needs HTTP/2, which is not spoken here"
            raise BackendError(backend, BackendFault.INVALID, detail)
        return await client.send(
            outgoing,
            backend=backend,
            host=known.host,
            port=known.port,
            tls=self._context(known, backend),
            server_hostname=(known.cert_host or known.host) if known.use_sni else "",
            first_byte_timeout_s=_seconds(known.first_byte_timeout_ms),
            between_bytes_timeout_s=_seconds(known.between_bytes_timeout_ms),
        )

    async def _enter(self, loopback: Loopback, request: Request, backend: str) -> Response:
        if request.hops >= MAX_HOPS:
            detail = f"after {MAX_HOPS} hops; does the service hand off what was handed off before?"
            raise BackendError(backend, BackendFault.LOOP, detail)
        trace = Trace(method=request.method, target=request.target, internal=True)
        inner = dataclasses.replace(
            request,
            authority=request.headers.get("host") or request.authority,
            trace=trace,
            hops=request.hops + 1,
            visits=request.visits + 1,
        )
        return await loopback.call(inner, backend)

    def _is_own(self, backend: Backend) -> bool:
        if backend.is_tls:
            return False
        return any(
            backend.port == port and _same_host(backend.host, host) for host, port in self._own
        )

    def _context(self, known: Backend, backend: str) -> ssl.SSLContext | None:
        if not known.is_tls:
            return None
        key = (
            known.ca_certificates,
            known.client_certificate,
            known.grpc,
            known.tls_min_version,
            known.tls_max_version,
            None if known.use_sni else known.cert_host or known.host,
        )
        if key not in self._contexts:
            try:
                self._contexts[key] = context_for(known)
            except ssl.SSLError as error:
                detail = f"its certificates cannot be used: {error}"
                raise BackendError(backend, BackendFault.UNREACHABLE, detail) from error
        return self._contexts[key]


class _Patient:
    """Implements `messages.Upstream` without time-outs."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def send(self, request: Request, backend: str) -> Response:
        """Send to a backend by name.

        Raises:
            BackendError: there is no such backend, no response head from it, or a loop.
        """
        return await self._backends.send(request, backend, patient=True)


class _Origins:
    """Implements `messages.Upstream` for origins that are in no manifest."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def send(self, request: Request, backend: str) -> Response:
        """Send to the origin that `backend` is.

        Raises:
            BackendError: it is no origin, or there is no response head, or a loop.
        """
        try:
            known = parse_backend({"url": backend})
        except InvalidError as error:
            raise BackendError(backend, BackendFault.UNKNOWN, str(error)) from error
        return await self._backends.send_to(known, request, backend)


def _outgoing_request(request: Request, backend: Backend) -> Request:
    """Return a request as the backend gets it: `Host`, path and length (compute-host §2.2)."""
    headers = request.headers
    host = backend.override_host or headers.get("host") or request.authority or backend.authority
    if request.client is None and request.body.length == 0:
        # What a guest sends always has a length, also a GET; what comes from a client keeps the
        # framing it came with.
        headers = headers.without("content-length").plus(("content-length", "0"))
    return dataclasses.replace(
        request,
        scheme="https" if backend.is_tls else "http",
        target=request.target if request.target == "*" else backend.path + request.target,
        headers=_with_host(headers, host),
    )


def _with_host(headers: Headers, host: str) -> Headers:
    """Put the one `Host` in the place of the one that is there, else at the end."""
    if not headers.has("host"):
        return headers.plus(("host", host))
    first = next(index for index, (name, _) in enumerate(headers) if name.lower() == "host")
    return Headers(
        (name, host if index == first else value)
        for index, (name, value) in enumerate(headers)
        if index == first or name.lower() != "host"
    )


def _same_host(host: str, own: str) -> bool:
    """Tell whether a URL's host is where a listener is bound, as far as that can be said."""
    if host == own:
        return True
    try:
        bound = ipaddress.ip_address(own)
        wanted = None if host == "localhost" else ipaddress.ip_address(host)
    except ValueError:
        return False
    if wanted is None or wanted.is_loopback:
        return bound.is_loopback or bound.is_unspecified
    return False


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
