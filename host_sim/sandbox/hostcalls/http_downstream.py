"""Facts about the client's request, and asking for the next one.

Host contract §2.6 and §1.4. There is no TLS towards clients here, so nothing is known about it.
"""

from typing import Any

from host_sim.messages import Request
from host_sim.sandbox.border.values import Case, WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.addresses import from_text
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.headers import HeaderTable, fitting, nul_names
from host_sim.sandbox.objects.messages import GuestRequest
from host_sim.sandbox.reuse import PendingRequest
from host_sim.sandbox.state import Sandbox

__all__ = [
    "await_request",
    "client_ddos_detected",
    "client_ip_addr",
    "client_request_id",
    "compliance_region",
    "downstream_of",
    "fastly_key_is_valid",
    "fingerprint",
    "next_request",
    "no_tls",
    "no_tls_either",
    "original_header_count",
    "original_header_names",
    "server_ip_addr",
    "visits",
]

hostcall = interface("http-downstream")


@hostcall("next-request")
def next_request(sandbox: Sandbox, options: dict[str, Any]) -> PendingRequest:
    """Ask for another request, to be served by this sandbox."""
    timeout_ms = options["timeout-ms"]
    return sandbox.parking.park(sandbox, None if timeout_ms is None else timeout_ms / 1000)


@hostcall("await-request")
def await_request(
    sandbox: Sandbox, pending: PendingRequest
) -> tuple[GuestRequest, GuestBody] | None:
    """Wait for another request; none when none comes."""
    if sandbox.exchange.unsent:
        pending.dropped()
        raise WitError("unsupported")
    exchange = pending.take()
    if exchange is None:
        return None
    sandbox.serve(exchange)
    return sandbox.incoming()


def downstream_of(request: GuestRequest) -> Request:
    """Return what the client sent.

    Raises:
        WitError: `generic-error`, the guest made the request itself.
    """
    if request.downstream is None:
        raise WitError("generic-error")
    return request.downstream


@hostcall("downstream-original-header-names")
def original_header_names(
    _sandbox: Sandbox, request: GuestRequest, max_len: int, cursor: int
) -> tuple[str, int | None]:
    """Return the names of the client's header fields as a list with NULs, in lower case."""
    return nul_names(HeaderTable.of(downstream_of(request).headers), max_len, cursor)


@hostcall("downstream-original-header-count")
def original_header_count(_sandbox: Sandbox, request: GuestRequest) -> int:
    """Return how many header fields the client sent."""
    return len(downstream_of(request).headers)


@hostcall("downstream-client-ip-addr")
def client_ip_addr(_sandbox: Sandbox, request: GuestRequest) -> Case | None:
    """Return the client's address."""
    downstream = request.downstream
    return from_text(downstream.client[0]) if downstream and downstream.client else None


@hostcall("downstream-server-ip-addr")
def server_ip_addr(_sandbox: Sandbox, request: GuestRequest) -> Case | None:
    """Return the address the client connected to."""
    downstream = request.downstream
    return from_text(downstream.server[0]) if downstream and downstream.server else None


@hostcall("downstream-client-request-id")
def client_request_id(_sandbox: Sandbox, request: GuestRequest, max_len: int) -> str:
    """Return the number of the request as 32 hexadecimal digits."""
    downstream_of(request)
    return fitting(request.number, max_len)


@hostcall("downstream-client-ddos-detected")
def client_ddos_detected(_sandbox: Sandbox, _request: GuestRequest) -> bool:
    """Tell that nothing was detected."""
    return False


@hostcall("downstream-compliance-region")
def compliance_region(_sandbox: Sandbox, request: GuestRequest, max_len: int) -> str:
    """Return the name of no region."""
    downstream_of(request)
    return fitting("none", max_len)


@hostcall("fastly-key-is-valid")
def fastly_key_is_valid(sandbox: Sandbox, request: GuestRequest) -> bool:
    """Tell whether the request, as it is now, carries a key that the configuration allows."""
    if request.downstream is None:
        return False
    return any(
        value.decode("latin-1") in sandbox.data.fastly_keys
        for value in request.headers.all("fastly-key")[:1]
    )


@hostcall("downstream-client-h2-fingerprint")
@hostcall("downstream-client-oh-fingerprint")
def fingerprint(_sandbox: Sandbox, _request: GuestRequest, _max_len: int) -> str:
    """Refuse, as Viceroy does."""
    raise WitError("generic-error")


@hostcall("downstream-tls-cipher-openssl-name")
@hostcall("downstream-tls-protocol")
@hostcall("downstream-tls-client-hello")
@hostcall("downstream-tls-raw-client-certificate")
@hostcall("downstream-tls-client-servername")
@hostcall("downstream-tls-ja4")
def no_tls(_sandbox: Sandbox, request: GuestRequest, _max_len: int) -> None:
    """Return nothing: the connection is without TLS."""
    downstream_of(request)


@hostcall("downstream-tls-client-cert-verify-result")
@hostcall("downstream-tls-ja3-md5")
def no_tls_either(_sandbox: Sandbox, request: GuestRequest) -> None:
    """Return nothing: the connection is without TLS."""
    downstream_of(request)


@hostcall("downstream-visits-this-pop")
@hostcall("downstream-visits-this-service")
def visits(sandbox: Sandbox) -> int:
    """Return how often the request has been in this service before: it is its own backend."""
    return sandbox.exchange.request.visits
