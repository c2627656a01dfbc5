"""The HTTP cache: transactions with requests and responses, and what HTTP advises about them.

Viceroy has none of it: there every function is `unsupported` and SDKs send requests past the cache,
which `Sandboxes(http_cache=False)` brings back. Host contract §2.11.
"""

from typing import Any

from host_sim.sandbox.border.values import HostFunction, WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.http_caching.storing import Suggestion, cache_key, is_cacheable
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.cached import Step
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.objects.http_entries import HttpEntry
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse
from host_sim.sandbox.state import Sandbox

__all__ = [
    "close_entry",
    "get_age_ns",
    "get_found_response",
    "get_hits",
    "get_length",
    "get_state",
    "get_suggested_backend_request",
    "get_suggested_cache_key",
    "get_suggested_write_options",
    "get_surrogate_keys",
    "get_vary_rule",
    "is_request_cacheable",
    "prepare_response_for_storage",
    "step",
    "suggested_surrogate_keys",
    "suggested_vary_rule",
    "transaction_abandon",
    "transaction_choose_stale",
    "transaction_insert",
    "transaction_insert_and_stream_back",
    "transaction_lookup",
    "transaction_record_not_cacheable",
    "transaction_update",
    "transaction_update_and_return_fresh",
]

hostcall = interface("http-cache")

KEY_BYTES = 32

type Options = dict[str, Any]


def _check_on(sandbox: Sandbox) -> None:
    """Refuse where there is no such cache; so there is never an entry whose methods are called."""
    if not sandbox.http_cache:
        raise WitError("unsupported")


@hostcall("is-request-cacheable")
def is_request_cacheable(sandbox: Sandbox, request: GuestRequest) -> bool:
    """Tell whether answers to a request may be kept."""
    _check_on(sandbox)
    return is_cacheable(request)


@hostcall("get-suggested-cache-key")
def get_suggested_cache_key(sandbox: Sandbox, request: GuestRequest, max_len: int) -> bytes:
    """Return the key that a lookup takes where the guest gives none."""
    _check_on(sandbox)
    return fitting(cache_key(request), max_len)


@hostcall("[static]entry.transaction-lookup")
def transaction_lookup(sandbox: Sandbox, request: GuestRequest, options: Options) -> HttpEntry:
    """Begin a transaction; its outcome may take a while, this does not."""
    _check_on(sandbox)
    key = options["override-key"]
    if key is None:
        key = cache_key(request)
    elif len(key) != KEY_BYTES:
        raise WitError("invalid-argument")
    return HttpEntry.look_up(sandbox.cache, sandbox.waiting, key, request)


@hostcall("[method]entry.transaction-insert")
def transaction_insert(
    _sandbox: Sandbox, entry: HttpEntry, response: GuestResponse, options: Options
) -> GuestBody:
    """Store a response; the guest writes its content."""
    body, _ = entry.insert(response, options)
    return body


@hostcall("[method]entry.transaction-insert-and-stream-back")
def transaction_insert_and_stream_back(
    _sandbox: Sandbox, entry: HttpEntry, response: GuestResponse, options: Options
) -> tuple[GuestBody, HttpEntry]:
    """Store a response that can be read while the guest writes its content."""
    return entry.insert(response, options)


@hostcall("[method]entry.transaction-update")
def transaction_update(
    _sandbox: Sandbox, entry: HttpEntry, response: GuestResponse, options: Options
) -> None:
    """Give a stored response new fields and a new age."""
    entry.update(response, options)


@hostcall("[method]entry.transaction-update-and-return-fresh")
def transaction_update_and_return_fresh(
    _sandbox: Sandbox, entry: HttpEntry, response: GuestResponse, options: Options
) -> HttpEntry:
    """Do the same; return what finds it."""
    return entry.update(response, options)


@hostcall("[method]entry.transaction-choose-stale")
def transaction_choose_stale(_sandbox: Sandbox, entry: HttpEntry) -> None:
    """Use what was stored for the case of an error."""
    entry.choose_stale()


@hostcall("[method]entry.transaction-record-not-cacheable")
def transaction_record_not_cacheable(_sandbox: Sandbox, entry: HttpEntry, options: Options) -> None:
    """Let others pass the cache by for a while."""
    entry.record_not_cacheable(options)


@hostcall("[method]entry.transaction-abandon")
def transaction_abandon(_sandbox: Sandbox, entry: HttpEntry) -> None:
    """Leave it to others to store something."""
    entry.abandon()


@hostcall("[method]entry.get-suggested-backend-request")
def get_suggested_backend_request(_sandbox: Sandbox, entry: HttpEntry) -> GuestRequest:
    """Return the request whose response can be stored."""
    return entry.backend_request()


@hostcall("[method]entry.get-suggested-write-options")
def get_suggested_write_options(
    _sandbox: Sandbox, entry: HttpEntry, response: GuestResponse
) -> Suggestion:
    """Say how to store a response."""
    return entry.suggest(response)


@hostcall("[method]entry.prepare-response-for-storage")
def prepare_response_for_storage(
    _sandbox: Sandbox, entry: HttpEntry, response: GuestResponse
) -> tuple[str, GuestResponse]:
    """Return what to do with a response, and the response to store."""
    return entry.prepare(response)


@hostcall("[method]entry.get-found-response")
def get_found_response(
    _sandbox: Sandbox, entry: HttpEntry, transform_for_client: int
) -> tuple[GuestResponse, GuestBody] | None:
    """Return what was found."""
    return entry.found_response(for_client=transform_for_client != 0)


@hostcall("[method]entry.get-state")
def get_state(_sandbox: Sandbox, entry: HttpEntry) -> set[str]:
    """Return what can be done with an entry."""
    return entry.outcome().state


@hostcall("[method]entry.get-length")
def get_length(_sandbox: Sandbox, entry: HttpEntry) -> int | None:
    """Return the length of what was found, where it is known."""
    return None if (found := entry.found) is None else found.length


@hostcall("[method]entry.get-age-ns")
def get_age_ns(_sandbox: Sandbox, entry: HttpEntry) -> int | None:
    """Return how old it is."""
    return None if entry.found is None else entry.outcome().age_ns


@hostcall("[method]entry.get-hits")
def get_hits(_sandbox: Sandbox, entry: HttpEntry) -> int | None:
    """Return how often it was found, this time included."""
    return None if entry.found is None else entry.outcome().hits


def _said(field: str) -> HostFunction:
    def get_option(_sandbox: Sandbox, entry: HttpEntry) -> Any:
        return None if (found := entry.found) is None else getattr(found.options, field)

    return get_option


for _name, _field in {
    "max-age-ns": "max_age_ns",
    "stale-while-revalidate-ns": "stale_while_revalidate_ns",
    "stale-if-error-ns": "stale_if_error_ns",
    "sensitive-data": "sensitive",
}.items():
    hostcall(f"[method]entry.get-{_name}")(_said(_field))


@hostcall("[method]entry.get-surrogate-keys")
def get_surrogate_keys(_sandbox: Sandbox, entry: HttpEntry, max_len: int) -> str | None:
    """Return what a purge can name it by."""
    if (found := entry.found) is None:
        return None
    return fitting(" ".join(sorted(found.options.surrogate_keys)), max_len)


@hostcall("[method]entry.get-vary-rule")
def get_vary_rule(_sandbox: Sandbox, entry: HttpEntry, max_len: int) -> str | None:
    """Return the names of the fields it depends on."""
    if (found := entry.found) is None:
        return None
    return fitting(" ".join(found.options.vary), max_len)


@hostcall("[method]entry.step")
def step(_sandbox: Sandbox, entry: HttpEntry) -> Step | None:
    """Return what an entry waits for, nothing if it does not."""
    return entry.step()


@hostcall("close-entry")
def close_entry(_sandbox: Sandbox, entry: HttpEntry) -> None:
    """End a transaction; whoever waits for it has the next turn."""
    entry.dropped()


def _suggested(field: str) -> HostFunction:
    def get_suggestion(_sandbox: Sandbox, suggestion: Suggestion) -> Any:
        return getattr(suggestion, field)

    return get_suggestion


for _name in (
    *("max-age-ns", "initial-age-ns", "stale-while-revalidate-ns", "stale-if-error-ns"),
    *("length", "sensitive-data"),
):
    _field = _name.replace("-", "_")
    hostcall(f"[method]suggested-write-options.get-{_name}")(_suggested(_field))


@hostcall("[method]suggested-write-options.get-vary-rule")
def suggested_vary_rule(_sandbox: Sandbox, suggestion: Suggestion, max_len: int) -> str:
    """Return the names of the fields a response depends on."""
    return fitting(suggestion.vary_rule, max_len)


@hostcall("[method]suggested-write-options.get-surrogate-keys")
def suggested_surrogate_keys(_sandbox: Sandbox, suggestion: Suggestion, max_len: int) -> str:
    """Return what a purge will be able to name it by."""
    return fitting(suggestion.surrogate_keys, max_len)
