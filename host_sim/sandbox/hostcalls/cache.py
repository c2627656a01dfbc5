"""The core cache. Host contract §2.11, and the vendor's WIT for what is newer.

What Viceroy refuses works here too: hits, stale-while-revalidate, replacing.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.cache.objects import (
    Fields,
    WriteOptions,
    fields_of,
    surrogate_keys,
    vary_rule,
)
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.cached import (
    CacheEntry,
    LookedUp,
    PendingEntry,
    ReplaceEntry,
    Step,
)
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.state import Sandbox

if TYPE_CHECKING:
    from host_sim.sandbox.cache.store import Strategy

__all__ = [
    "ExtraOptions",
    "await_entry",
    "close_entry",
    "close_pending_entry",
    "close_replace_entry",
    "get_age_ns",
    "get_body",
    "get_hits",
    "get_length",
    "get_max_age_ns",
    "get_stale_while_revalidate_ns",
    "get_state",
    "get_user_metadata",
    "insert",
    "lookup",
    "make_extra",
    "replace",
    "replace_get_body",
    "replace_get_state",
    "replace_get_user_metadata",
    "replace_insert",
    "step",
    "transaction_cancel",
    "transaction_insert",
    "transaction_insert_and_stream_back",
    "transaction_lookup",
    "transaction_lookup_async",
    "transaction_update",
]

hostcall = interface("cache")

MAX_KEY = 4096
"""Longest key, in bytes."""

type Options = Mapping[str, Any]
"""A record of options, as in the WIT."""


class ExtraOptions:
    """Options of the future."""


@hostcall("[constructor]extra-lookup-options")
@hostcall("[constructor]extra-write-options")
@hostcall("[constructor]extra-replace-options")
def make_extra(_sandbox: Sandbox) -> ExtraOptions:
    """Make options that do not exist yet."""
    return ExtraOptions()


# Looking up.


@hostcall("[static]entry.lookup")
def lookup(sandbox: Sandbox, key: bytes, options: Options) -> CacheEntry:
    """Look an object up, without waiting for others."""
    entry = sandbox.cache.lookup(_key(key), _fields(options))
    exact = options["always-use-requested-range"]
    return CacheEntry(sandbox.waiting, entry, exact=exact, transaction=False)


@hostcall("[static]entry.transaction-lookup")
def transaction_lookup(sandbox: Sandbox, key: bytes, options: Options) -> CacheEntry:
    """Look an object up; whoever writes it is waited for when the outcome is asked for."""
    return transaction_lookup_async(sandbox, key, options).awaited()


@hostcall("[static]entry.transaction-lookup-async")
def transaction_lookup_async(sandbox: Sandbox, key: bytes, options: Options) -> PendingEntry:
    """Begin to look an object up."""
    entry = sandbox.cache.begin(_key(key), _fields(options), sandbox.waiting)
    return PendingEntry(sandbox.waiting, entry, exact=options["always-use-requested-range"])


@hostcall("await-entry")
def await_entry(_sandbox: Sandbox, pending: PendingEntry) -> CacheEntry:
    """Go on with what was begun."""
    return pending.awaited()


@hostcall("close-pending-entry")
def close_pending_entry(_sandbox: Sandbox, pending: PendingEntry) -> None:
    """Give up what was begun."""
    pending.dropped()


@hostcall("close-entry")
def close_entry(_sandbox: Sandbox, entry: CacheEntry) -> None:
    """Give up an entry, and its duty if there is one."""
    entry.dropped()


@hostcall("[method]entry.step")
@hostcall("[method]replace-entry.step")
def step(_sandbox: Sandbox, entry: LookedUp) -> Step | None:
    """Return what has to be waited for before the entry can be used."""
    return entry.step()


# Writing.


@hostcall("insert")
def insert(sandbox: Sandbox, key: bytes, options: Options) -> GuestBody:
    """Write an object, whatever others do."""
    place, fields = _key(key), _fields(options)
    writer = sandbox.cache.insert(place, fields, _write_options(options))
    return GuestBody.into(sandbox.waiting, writer)


@hostcall("[method]entry.transaction-insert")
def transaction_insert(sandbox: Sandbox, entry: CacheEntry, options: Options) -> GuestBody:
    """Write the object that is waited for."""
    writer, _ = entry.entry.insert(_transaction_options(options))
    return GuestBody.into(sandbox.waiting, writer)


@hostcall("[method]entry.transaction-insert-and-stream-back")
def transaction_insert_and_stream_back(
    sandbox: Sandbox, entry: CacheEntry, options: Options
) -> tuple[GuestBody, CacheEntry]:
    """Write the object that is waited for; return with it what finds it."""
    writer, back = entry.entry.insert(_transaction_options(options))
    return (
        GuestBody.into(sandbox.waiting, writer),
        CacheEntry(sandbox.waiting, back, exact=entry.exact),
    )


@hostcall("[method]entry.transaction-update")
def transaction_update(_sandbox: Sandbox, entry: CacheEntry, options: Options) -> None:
    """Say new things about the object that was found."""
    wanted = _transaction_options(options)
    if entry.object is None:
        raise WitError("auxiliary-error")
    entry.entry.update(wanted)


@hostcall("[method]entry.transaction-cancel")
def transaction_cancel(_sandbox: Sandbox, entry: CacheEntry) -> None:
    """Give the duty to whoever waits next."""
    if not entry.entry.cancel():
        raise WitError("auxiliary-error")


# What was found.


@hostcall("[method]entry.get-state")
def get_state(_sandbox: Sandbox, entry: CacheEntry) -> set[str]:
    """Return what was found and what is to be done."""
    return entry.entry.state


@hostcall("[method]entry.get-user-metadata")
def get_user_metadata(_sandbox: Sandbox, entry: CacheEntry, max_len: int) -> bytes | None:
    """Return what the writer put beside the object."""
    if entry.object is None:
        raise WitError("cannot-read")
    return fitting(entry.object.options.user_metadata, max_len)


@hostcall("[method]entry.get-body")
def get_body(_sandbox: Sandbox, entry: CacheEntry, options: Options) -> GuestBody:
    """Return a range of the object's bytes."""
    if entry.object is None:
        raise WitError("cannot-read")
    return entry.body(entry.object, options)


@hostcall("[method]entry.get-length")
@hostcall("[method]replace-entry.get-length")
def get_length(_sandbox: Sandbox, entry: LookedUp) -> int | None:
    """Return the object's length, where that is known."""
    return None if entry.object is None else entry.object.length


@hostcall("[method]entry.get-max-age-ns")
@hostcall("[method]replace-entry.get-max-age-ns")
def get_max_age_ns(_sandbox: Sandbox, entry: LookedUp) -> int | None:
    """Return the age up to which the object is fresh."""
    return None if entry.object is None else entry.object.options.max_age_ns


@hostcall("[method]entry.get-stale-while-revalidate-ns")
@hostcall("[method]replace-entry.get-stale-while-revalidate-ns")
def get_stale_while_revalidate_ns(_sandbox: Sandbox, entry: LookedUp) -> int | None:
    """Return how much longer it can be used while somebody gets a new one."""
    return None if entry.object is None else entry.object.options.stale_while_revalidate_ns


@hostcall("[method]entry.get-age-ns")
@hostcall("[method]replace-entry.get-age-ns")
def get_age_ns(sandbox: Sandbox, entry: LookedUp) -> int | None:
    """Return the object's age."""
    return None if entry.object is None else entry.object.age_ns(sandbox.cache.now)


@hostcall("[method]entry.get-hits")
@hostcall("[method]replace-entry.get-hits")
def get_hits(_sandbox: Sandbox, entry: LookedUp) -> int | None:
    """Return how many lookups could use the object, a lookup of this entry included."""
    return None if entry.object is None else entry.entry.hits


# Replacing.


@hostcall("[static]replace-entry.replace")
def replace(sandbox: Sandbox, key: bytes, options: Options) -> ReplaceEntry:
    """Begin to replace an object."""
    strategy: Strategy = options["replace-strategy"] or "immediate"
    entry = sandbox.cache.replace(_key(key), _fields(options), sandbox.waiting, strategy)
    return ReplaceEntry(sandbox.waiting, entry, exact=options["always-use-requested-range"])


@hostcall("replace-insert")
def replace_insert(sandbox: Sandbox, entry: ReplaceEntry, options: Options) -> GuestBody:
    """Write the object that replaces what was found; the request may be given again."""
    try:
        fields = None if options["request-headers"] is None else _fields(options)
        writer, _ = entry.entry.insert(_write_options(options), fields)
    finally:
        entry.dropped()
    return GuestBody.into(sandbox.waiting, writer)


@hostcall("close-replace-entry")
def close_replace_entry(_sandbox: Sandbox, entry: ReplaceEntry) -> None:
    """Replace nothing."""
    entry.dropped()


@hostcall("[method]replace-entry.get-state")
def replace_get_state(_sandbox: Sandbox, entry: ReplaceEntry) -> set[str] | None:
    """Return the state of the object to be replaced, none where there is none."""
    return None if entry.object is None else entry.entry.state


@hostcall("[method]replace-entry.get-user-metadata")
def replace_get_user_metadata(_sandbox: Sandbox, entry: ReplaceEntry, max_len: int) -> bytes | None:
    """Return what the writer put beside the object."""
    return None if entry.object is None else fitting(entry.object.options.user_metadata, max_len)


@hostcall("[method]replace-entry.get-body")
def replace_get_body(_sandbox: Sandbox, entry: ReplaceEntry, options: Options) -> GuestBody | None:
    """Return a range of the object's bytes, none where there is no object."""
    return None if entry.object is None else entry.body(entry.object, options)


# Arguments.


def _key(key: bytes) -> bytes:
    if len(key) > MAX_KEY:
        raise WitError.buffer_len(MAX_KEY)
    return key


def _fields(options: Options) -> Fields:
    request = options["request-headers"]
    return fields_of(None if request is None else request.headers)


def _write_options(options: Options) -> WriteOptions:
    max_age, edge_max_age = options["max-age-ns"], options["edge-max-age-ns"]
    if edge_max_age is not None and edge_max_age > max_age:
        raise WitError("invalid-argument")
    return WriteOptions(
        max_age_ns=max_age,
        initial_age_ns=options["initial-age-ns"] or 0,
        stale_while_revalidate_ns=options["stale-while-revalidate-ns"] or 0,
        vary=vary_rule(options["vary-rule"] or ""),
        surrogate_keys=surrogate_keys(options["surrogate-keys"] or ""),
        length=options["length"],
        user_metadata=options["user-metadata"] or b"",
        sensitive=options["sensitive-data"],
    )


def _transaction_options(options: Options) -> WriteOptions:
    """Return options; the request's fields are those of the lookup and nobody else's."""
    if options["request-headers"] is not None:
        raise WitError("invalid-argument")
    return _write_options(options)
