"""The HTTP cache, which there is none of here: SDKs fall back to sending. Host contract §2.11."""

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.messages import GuestRequest
from host_sim.sandbox.state import Sandbox

__all__ = ["get_suggested_cache_key", "is_request_cacheable", "transaction_lookup"]

hostcall = interface("http-cache")


@hostcall("is-request-cacheable")
def is_request_cacheable(_sandbox: Sandbox, _request: GuestRequest) -> bool:
    """Refuse, so that the SDK sends the request itself."""
    raise WitError("unsupported")


@hostcall("get-suggested-cache-key")
def get_suggested_cache_key(_sandbox: Sandbox, _request: GuestRequest, _max_len: int) -> bytes:
    """Refuse, likewise."""
    raise WitError("unsupported")


@hostcall("[static]entry.transaction-lookup")
def transaction_lookup(_sandbox: Sandbox, _request: GuestRequest, _options: object) -> object:
    """Refuse; so there is never an entry whose methods could be called."""
    raise WitError("unsupported")
