"""KV stores. Host contract §2.8.

What is pending is really on its way: stores on disk work on a thread of their own, and a body that
is still arriving is stored when it is here. The calls that wait themselves give the same.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.sandbox.border.values import Stopped, WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.state import Sandbox
from host_sim.sandbox.stores.kv import MAX_VALUE, Entry, KvStore, check_key
from host_sim.sandbox.waiting import STOPPING, Pending

__all__ = [
    "KvEntry",
    "KvPending",
    "await_delete",
    "await_insert",
    "await_list",
    "await_lookup",
    "delete",
    "delete_async",
    "generation",
    "insert",
    "insert_async",
    "list_async",
    "list_keys",
    "lookup",
    "lookup_async",
    "metadata",
    "open_store",
    "take_body",
]

hostcall = interface("kv-store")

PRODUCTION_VALUE = 25_000_000
PRODUCTION_METADATA = 2000
"""What production takes, in bytes; more is stored here, with a warning. Host contract §8."""

_log = logging.getLogger("host_sim.sandbox")


class KvEntry:
    """A value that was looked up; its content and metadata can be taken once."""

    def __init__(self, entry: Entry) -> None:
        self.generation = entry.generation
        self.data: bytes | None = entry.data
        self.metadata = entry.metadata


class KvPending:
    """A call on its way, as a handle. Dropping it does not undo it."""

    def __init__(self, kind: str, pending: Pending[Any]) -> None:
        self._kind = kind
        self._pending = pending

    @property
    def ready(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return self._pending.ready

    def result(self, kind: str) -> Any:
        """Wait for the end and return what the store returned.

        Raises:
            WitError: it was an error.
            Stopped: the call is of another kind, which the WIT's one type for all lets through.
        """
        if kind != self._kind:
            raise Stopped(f"kv-store/await-{kind}: the pending call is a {self._kind}")
        return self._pending.result()


def _start(sandbox: Sandbox, kind: str, call: Callable[[], Any]) -> KvPending:
    try:
        future = sandbox.kv.start(call)
    except RuntimeError as error:
        raise Stopped(STOPPING) from error
    return KvPending(kind, Pending(sandbox.waiting, future))


@hostcall("[static]store.open")
def open_store(sandbox: Sandbox, name: str) -> KvStore:
    """Open a store."""
    store = sandbox.kv.get(name)
    if store is None:
        raise WitError("not-found")
    return store


@hostcall("[method]store.lookup")
def lookup(_sandbox: Sandbox, store: KvStore, key: str) -> KvEntry | None:
    """Return a value, none where there is none."""
    entry = store.lookup(key)
    return None if entry is None else KvEntry(entry)


@hostcall("[method]store.insert")
def insert(
    sandbox: Sandbox, store: KvStore, key: str, body: GuestBody, options: dict[str, Any]
) -> None:
    """Store the content of a body."""
    insert_async(sandbox, store, key, body, options).result("insert")


@hostcall("[method]store.delete")
def delete(_sandbox: Sandbox, store: KvStore, key: str) -> bool:
    """Remove a value; tell whether it was there."""
    return store.delete(key)


@hostcall("[method]store.list")
def list_keys(sandbox: Sandbox, store: KvStore, options: dict[str, Any]) -> GuestBody:
    """Return keys as JSON in a body."""
    return _as_body(sandbox, store.list(options))


def _as_body(sandbox: Sandbox, listed: dict[str, Any]) -> GuestBody:
    text = json.dumps(listed, ensure_ascii=False, separators=(",", ":"))
    return GuestBody(sandbox.waiting, Body.of(text.encode()))


@hostcall("[method]store.lookup-async")
def lookup_async(sandbox: Sandbox, store: KvStore, key: str) -> KvPending:
    """Look a value up."""
    check_key(key)
    return _start(sandbox, "lookup", lambda: store.lookup(key))


@hostcall("[method]store.insert-async")
def insert_async(
    sandbox: Sandbox, store: KvStore, key: str, body: GuestBody, options: dict[str, Any]
) -> KvPending:
    """Store the content of a body, as soon as all of it is here."""
    check_key(key)
    if body.writes_stream:
        raise WitError("generic-error")
    content = body.send()
    at_hand = content.at_hand
    if at_hand is not None:
        data = b"".join(at_hand)
        _warn(sandbox, key, data, options)
        return _start(sandbox, "insert", lambda: store.insert(key, data, options))

    async def receive() -> None:
        try:
            data = await content.whole(MAX_VALUE)
        except BodyError:
            raise WitError("generic-error") from None
        if data is None:
            await content.aclose()
            raise WitError("payload-too-large")
        _warn(sandbox, key, data, options)
        await asyncio.wrap_future(sandbox.kv.start(lambda: store.insert(key, data, options)))

    return KvPending("insert", sandbox.waiting.start(receive()))


def _warn(sandbox: Sandbox, key: str, data: bytes, options: dict[str, Any]) -> None:
    about = len((options["metadata"] or "").encode())
    for what, size, most in (
        ("a value", len(data), PRODUCTION_VALUE),
        ("metadata", about, PRODUCTION_METADATA),
    ):
        if size > most:
            _log.warning(
                *("kv-store: %s of %d bytes for %r: production takes %d", what, size, key, most),
                extra={"request_id": sandbox.request_id},
            )


@hostcall("[method]store.delete-async")
def delete_async(sandbox: Sandbox, store: KvStore, key: str) -> KvPending:
    """Remove a value."""
    check_key(key)
    return _start(sandbox, "delete", lambda: store.delete(key))


@hostcall("[method]store.list-async")
def list_async(sandbox: Sandbox, store: KvStore, options: dict[str, Any]) -> KvPending:
    """List keys."""
    return _start(sandbox, "list", lambda: store.list(options))


@hostcall("await-lookup")
def await_lookup(_sandbox: Sandbox, pending: KvPending) -> KvEntry | None:
    """Return the value that was looked up, none where there is none."""
    entry = pending.result("lookup")
    return None if entry is None else KvEntry(entry)


@hostcall("await-insert")
def await_insert(_sandbox: Sandbox, pending: KvPending) -> None:
    """Wait until a value is stored."""
    pending.result("insert")


@hostcall("await-delete")
def await_delete(_sandbox: Sandbox, pending: KvPending) -> bool:
    """Tell whether what was removed was there."""
    found: bool = pending.result("delete")
    return found


@hostcall("await-list")
def await_list(sandbox: Sandbox, pending: KvPending) -> GuestBody:
    """Return keys as JSON in a body."""
    return _as_body(sandbox, pending.result("list"))


@hostcall("[method]entry.take-body")
def take_body(sandbox: Sandbox, entry: KvEntry) -> GuestBody | None:
    """Return the content, the first time."""
    data, entry.data = entry.data, None
    return None if data is None else GuestBody(sandbox.waiting, Body.of(data))


@hostcall("[method]entry.metadata")
def metadata(_sandbox: Sandbox, entry: KvEntry, max_len: int) -> str | None:
    """Return the metadata, the first time it fits."""
    if entry.metadata is None:
        return None
    text = fitting(entry.metadata, max_len)
    entry.metadata = None
    return text


@hostcall("[method]entry.generation")
def generation(_sandbox: Sandbox, entry: KvEntry) -> int:
    """Return the generation."""
    return entry.generation
