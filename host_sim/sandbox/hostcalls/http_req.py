"""Requests: reading the client's, making one's own, sending it, giving the client away.

Host contract §2.2 and §3.1.
"""

import re
import zlib
from collections.abc import AsyncIterator
from typing import Any

from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.messages import HandedOff, Response
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.hostcalls._fields import register
from host_sim.sandbox.objects.bodies import GuestBody, close_soon
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.objects.lookups import Backend
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse, Uri, request_of
from host_sim.sandbox.state import Sandbox
from host_sim.sandbox.waiting import Pending, Waiting

__all__ = [
    "PendingResponse",
    "await_response",
    "close",
    "get_method",
    "get_uri",
    "new",
    "redirect_to_grip_proxy",
    "redirect_to_websocket_proxy",
    "send",
    "send_async",
    "send_async_streaming",
    "set_auto_decompress",
    "set_cache_override",
    "set_method",
    "set_uri",
    "upgrade_websocket",
]

hostcall = interface("http-req")
register(hostcall, "request")

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §9.1: token

type Answer = tuple[GuestResponse, GuestBody]


class PendingResponse:
    """A request on its way to a backend, as a handle."""

    def __init__(self, waiting: Waiting, pending: Pending[Response], request: GuestRequest) -> None:
        self._waiting = waiting
        self._pending = pending
        self._decode_gzip = request.decode_gzip

    @property
    def ready(self) -> bool:
        """Whether the head of the response is here, or none will come."""
        return self._pending.ready

    def result(self, sandbox: Sandbox) -> Answer:
        """Wait for the response.

        Raises:
            WitError: there is none; the error is a record.
        """
        try:
            response = self._pending.result()
        except BackendError as error:
            raise WitError(_send_error(error)) from error
        answer, body = GuestResponse.incoming(response), response.body
        codings = [value.lower() for value in answer.headers.all("content-encoding")]
        if self._decode_gzip and codings and codings[0] in (b"gzip", b"x-gzip"):
            answer.headers.remove("content-encoding")
            answer.headers.remove("content-length")
            body = Body(_gunzip(body), None)
        return answer, GuestBody(sandbox.waiting, body)

    def dropped(self) -> None:
        """Give up on the response."""
        unread = self._pending.cancel()
        if unread is not None:
            self._waiting.post(close_soon, unread.body)


async def _gunzip(body: Body) -> AsyncIterator[bytes]:
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        async for piece in body:
            if plain := decoder.decompress(piece):
                yield plain
    except zlib.error as error:
        raise BodyError(f"the body is not what its Content-Encoding says: {error}") from error
    finally:
        await body.aclose()


def _send_error(error: BackendError) -> dict[str, Any]:
    """Return `error-with-detail`. Host contract §2.0, last table."""
    match error.fault:
        case BackendFault.UNKNOWN:
            detail, case = "destination-not-found", "generic-error"
        case BackendFault.UNREACHABLE:
            detail, case = "connection-refused", "generic-error"
        case BackendFault.CLOSED:
            detail, case = "connection-terminated", "http-incomplete"
        case BackendFault.INVALID:
            detail, case = "http-protocol-error", "http-invalid"
        case BackendFault.TIMEOUT:
            detail, case = "http-response-timeout", "generic-error"
        case BackendFault.LOOP:
            detail, case = "internal-error", "generic-error"
    return {"detail": detail, "error": case}


@hostcall("[static]request.new")
def new(_sandbox: Sandbox) -> GuestRequest:
    """Make a GET of `/`."""
    return GuestRequest()


@hostcall("[method]request.get-method")
def get_method(_sandbox: Sandbox, request: GuestRequest, max_len: int) -> str:
    """Return the method."""
    return fitting(request.method, max_len)


@hostcall("[method]request.set-method")
def set_method(_sandbox: Sandbox, request: GuestRequest, method: str) -> None:
    """Set the method, any token."""
    if not _METHOD.fullmatch(method):
        raise WitError("generic-error")
    request.method = method


@hostcall("[method]request.get-uri")
def get_uri(_sandbox: Sandbox, request: GuestRequest, max_len: int) -> str:
    """Return the URI, absolute where scheme and authority are known."""
    return fitting(str(request.uri), max_len)


@hostcall("[method]request.set-uri")
def set_uri(_sandbox: Sandbox, request: GuestRequest, uri: str) -> None:
    """Set the URI."""
    request.uri = Uri.parse(uri)


@hostcall("[method]request.set-cache-override")
def set_cache_override(_sandbox: Sandbox, _request: GuestRequest, _override: object) -> None:
    """Accept the wish; there is no cache in front of backends."""


@hostcall("[method]request.set-auto-decompress-response")
def set_auto_decompress(_sandbox: Sandbox, request: GuestRequest, encodings: set[str]) -> None:
    """Ask for gzip to be decoded; other encodings are passed on as they are."""
    request.decode_gzip = "gzip" in encodings


@hostcall("[method]request.redirect-to-grip-proxy")
def redirect_to_grip_proxy(sandbox: Sandbox, request: GuestRequest, backend: Backend) -> None:
    """Give the client to the Fanout proxy."""
    _hand_off(sandbox, request, backend, to_fanout=True)


@hostcall("[method]request.redirect-to-websocket-proxy")
def redirect_to_websocket_proxy(sandbox: Sandbox, request: GuestRequest, backend: Backend) -> None:
    """Connect the client to a backend, WebSocket and all."""
    _hand_off(sandbox, request, backend, to_fanout=False)


def _hand_off(
    sandbox: Sandbox, request: GuestRequest, backend: Backend, *, to_fanout: bool
) -> None:
    sandbox.exchange.hand_off(
        HandedOff(
            backend=backend.name,
            to_fanout=to_fanout,
            method=request.method,
            target=request.uri.target,
            headers=request.headers.headers(),
        )
    )


@hostcall("upgrade-websocket")
def upgrade_websocket(_sandbox: Sandbox, _backend: Backend) -> None:
    """Refuse: `redirect-to-websocket-proxy` has replaced it."""
    raise WitError("generic-error")


@hostcall("send")
@hostcall("send-uncached")
def send(sandbox: Sandbox, request: GuestRequest, body: GuestBody, backend: Backend) -> Answer:
    """Send a request and wait for the head of the response."""
    return send_async(sandbox, request, body, backend).result(sandbox)


@hostcall("send-async")
@hostcall("send-async-uncached")
def send_async(
    sandbox: Sandbox, request: GuestRequest, body: GuestBody, backend: Backend
) -> PendingResponse:
    """Send a request."""
    return _start(sandbox, request, body.send(), backend)


@hostcall("send-async-streaming")
@hostcall("send-async-uncached-streaming")
def send_async_streaming(
    sandbox: Sandbox, request: GuestRequest, body: GuestBody, backend: Backend
) -> PendingResponse:
    """Send a request whose body the guest goes on writing."""
    return _start(sandbox, request, body.open_stream(), backend)


def _start(
    sandbox: Sandbox, request: GuestRequest, body: Body, backend: Backend
) -> PendingResponse:
    outgoing = request_of(request, body, sandbox.exchange.request)
    if backend.dynamic is not None and sandbox.send_dynamic is not None:
        sending = sandbox.send_dynamic(outgoing, backend.dynamic)
    else:
        sending = sandbox.upstream.send(outgoing, backend.name)
    return PendingResponse(sandbox.waiting, sandbox.waiting.start(sending), request)


@hostcall("await-response")
def await_response(sandbox: Sandbox, pending: PendingResponse) -> Answer:
    """Wait for the head of a response."""
    return pending.result(sandbox)


@hostcall("close")
def close(_sandbox: Sandbox, _request: GuestRequest) -> None:
    """Free a request."""
