"""Requests: reading the client's, making one's own, sending it, giving the client away.

Host contract §2.2 and §3.1.
"""

import re

from host_sim.body import Body
from host_sim.messages import HandedOff
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.hostcalls._fields import register
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.objects.lookups import Backend
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse, Uri, request_of
from host_sim.sandbox.objects.pending import PendingResponse
from host_sim.sandbox.state import Sandbox

__all__ = [
    "ExtraCacheOverride",
    "await_response",
    "close",
    "get_method",
    "get_uri",
    "new",
    "new_extra_cache_override",
    "redirect_to_grip_proxy",
    "redirect_to_websocket_proxy",
    "send",
    "send_async",
    "send_async_streaming",
    "set_auto_decompress",
    "set_cache_override",
    "set_lookup_timeout",
    "set_method",
    "set_uri",
    "upgrade_websocket",
]

hostcall = interface("http-req")
register(hostcall, "request")

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §9.1: token

type Answer = tuple[GuestResponse, GuestBody]


class ExtraCacheOverride:
    """Room for additions to a cache override, as a handle."""


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


@hostcall("[static]extra-cache-override-details.new")
def new_extra_cache_override(_sandbox: Sandbox) -> ExtraCacheOverride:
    """Make room for additions to a cache override."""
    return ExtraCacheOverride()


@hostcall("[method]extra-cache-override-details.set-lookup-timeout")
def set_lookup_timeout(_sandbox: Sandbox, _extra: ExtraCacheOverride, _timeout_ms: int) -> None:
    """Accept the wish; there is no cache to look up in."""


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
    """Connect the client to a backend, WebSocket and all; a service can be without that."""
    if not sandbox.data.websockets and sandbox.exchange.unsent:
        raise WitError("unsupported")
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
    try:
        pending = send_async(sandbox, request, body, backend)
    except WitError as error:  # whose type is another one here
        raise WitError({"detail": None, "error": error.value}) from error
    return pending.result()


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
def await_response(_sandbox: Sandbox, pending: PendingResponse) -> Answer:
    """Wait for the head of a response."""
    return pending.result()


@hostcall("close")
def close(_sandbox: Sandbox, _request: GuestRequest) -> None:
    """Free a request."""
