"""KV stores. Host contract §2.8.

Everything is done at once; what is pending is so in name only. The calls that wait themselves work
as well, which they do not in Viceroy.
"""

import json
from collections.abc import Callable
from typing import Any

from host_sim.body import Body
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.state import Sandbox
from host_sim.sandbox.stores.kv import Entry, KvStore

__all__ = [
    "Done",
    "KvEntry",
    "await_done",
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


class KvEntry:
    """A value that was looked up; its content and metadata can be taken once."""

    def __init__(self, entry: Entry) -> None:
        self.generation = entry.generation
        self.data: bytes | None = entry.data
        self.metadata = entry.metadata


class Done:
    """A call that has ended, as a handle: it gave a value or an error."""

    ready = True

    def __init__(self, call: Callable[[], Any]) -> None:
        self._error: WitError | None = None
        self._value: Any = None
        try:
            self._value = call()
        except WitError as error:
            self._error = error

    def result(self) -> Any:
        """Return the value.

        Raises:
            WitError: it was an error.
        """
        if self._error is not None:
            raise self._error
        return self._value


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
    _sandbox: Sandbox, store: KvStore, key: str, body: GuestBody, options: dict[str, Any]
) -> None:
    """Store the content of a body."""
    pieces = []
    while piece := body.read(1 << 16):
        pieces.append(piece)
    store.insert(key, b"".join(pieces), options)


@hostcall("[method]store.delete")
def delete(_sandbox: Sandbox, store: KvStore, key: str) -> bool:
    """Remove a value; tell whether it was there."""
    return store.delete(key)


@hostcall("[method]store.list")
def list_keys(sandbox: Sandbox, store: KvStore, options: dict[str, Any]) -> GuestBody:
    """Return keys as JSON in a body."""
    return GuestBody(sandbox.waiting, Body.of(json.dumps(store.list(options)).encode()))


@hostcall("[method]store.lookup-async")
def lookup_async(sandbox: Sandbox, store: KvStore, key: str) -> Done:
    """Look a value up."""
    return Done(lambda: lookup(sandbox, store, key))


@hostcall("[method]store.insert-async")
def insert_async(
    sandbox: Sandbox, store: KvStore, key: str, body: GuestBody, options: dict[str, Any]
) -> Done:
    """Store the content of a body."""
    return Done(lambda: insert(sandbox, store, key, body, options))


@hostcall("[method]store.delete-async")
def delete_async(sandbox: Sandbox, store: KvStore, key: str) -> Done:
    """Remove a value."""
    return Done(lambda: delete(sandbox, store, key))


@hostcall("[method]store.list-async")
def list_async(sandbox: Sandbox, store: KvStore, options: dict[str, Any]) -> Done:
    """List keys."""
    return Done(lambda: list_keys(sandbox, store, options))


@hostcall("await-lookup")
@hostcall("await-insert")
@hostcall("await-delete")
@hostcall("await-list")
def await_done(_sandbox: Sandbox, pending: Done) -> Any:
    """Return what the call gave."""
    return pending.result()


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
