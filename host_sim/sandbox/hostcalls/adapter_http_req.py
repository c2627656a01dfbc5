"""Facts about the client's request for core modules that an adapter made components.

`viceroy adapt` adds these imports: the functions of the older, C-like interface that name no
request and mean the client's. SDKs for JavaScript and Rust build such modules.
"""

from host_sim.sandbox.hostcalls import http_downstream, interface
from host_sim.sandbox.objects.messages import GuestRequest
from host_sim.sandbox.state import Sandbox

__all__ = ["no_tls", "original_header_count", "original_header_names"]

hostcall = interface("fastly:adapter/adapter-http-req")


def _clients(sandbox: Sandbox) -> GuestRequest:
    return GuestRequest.incoming(sandbox.exchange.request, sandbox.exchange.number)


@hostcall("get-original-header-names")
def original_header_names(sandbox: Sandbox, max_len: int, cursor: int) -> tuple[str, int | None]:
    """Return the names of the client's header fields, as `http-downstream` does."""
    return http_downstream.original_header_names(sandbox, _clients(sandbox), max_len, cursor)


@hostcall("original-header-count")
def original_header_count(sandbox: Sandbox) -> int:
    """Return how many header fields the client sent."""
    return http_downstream.original_header_count(sandbox, _clients(sandbox))


@hostcall("downstream-tls-cipher-openssl-name")
@hostcall("downstream-tls-protocol")
@hostcall("downstream-tls-raw-client-certificate-deprecated")
def no_tls(_sandbox: Sandbox, _max_len: int) -> None:
    """Return nothing: the connection is without TLS."""
