"""KV stores: what a store does, and the kind in memory, gone when the simulator ends.

Shared by all sandboxes; methods may be called from any thread. Host contract §2.8. The kind on
disk is `kv_sqlite`.
"""

import abc
import base64
import binascii
import concurrent.futures
import dataclasses
import itertools
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.data import KvItem

__all__ = [
    "MAX_VALUE",
    "Entry",
    "KvStore",
    "KvStores",
    "MemoryStores",
    "check_key",
    "last_key",
    "merged",
    "page",
]

MAX_KEY = 1024
"""Longest key, in bytes."""

MAX_VALUE = 512 << 20
"""Largest value, in bytes: far above production's 25 MB, to protect this machine."""

LIST_LIMIT = 1000
"""Keys in a list where the guest does not say."""

_BAD_KEY = re.compile(
    r"[\r\n#;?^|]|(?:\A|/)\.{1,2}\Z|\./|\A\.well-known/acme-challenge|\A[\0-\x20\ufffe\uffff]\Z"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A value.

    Attributes:
        data: content.
        metadata: what the guest put beside it.
        generation: differs between any two values that a key ever had.
    """

    data: bytes
    metadata: str | None
    generation: int


class KvStore(abc.ABC):
    """One store. Every method raises `WitError` with a case of the WIT's `kv-error`."""

    @abc.abstractmethod
    def lookup(self, key: str) -> Entry | None:
        """Return the value of a key."""

    @abc.abstractmethod
    def insert(self, key: str, data: bytes, options: dict[str, Any]) -> None:
        """Store a value, in one of the WIT's modes.

        Raises:
            WitError: `precondition-failed`, the key is there and must not be, or its generation is
                another one; `payload-too-large`.
        """

    @abc.abstractmethod
    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there."""

    @abc.abstractmethod
    def list(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return keys in order, as many as asked for, and where to go on.

        Raises:
            WitError: `bad-request`, the cursor is none of ours.
        """


class KvStores(Protocol):
    """All stores, by name."""

    def get(self, name: str) -> KvStore | None:
        """Return a store, None if there is none of that name."""

    def start[Result](self, call: Callable[[], Result]) -> concurrent.futures.Future[Result]:
        """Call a method of a store without making the caller wait; in the order of the calls.

        Raises:
            RuntimeError: the stores are closed.
        """

    def close(self) -> None:
        """Let go of whatever the stores are kept in."""


class _MemoryStore(KvStore):
    """A store in memory."""

    def __init__(
        self,
        contents: Mapping[str, KvItem],
        generations: "itertools.count[int]",
        now: Callable[[], float],
    ) -> None:
        self._lock = threading.Lock()
        self._generations = generations
        self._now = now
        self._entries: dict[str, tuple[Entry, float | None]] = {
            key: (Entry(item.data, item.metadata or None, next(generations)), None)
            for key, item in contents.items()
        }

    def lookup(self, key: str) -> Entry | None:
        check_key(key)
        with self._lock:
            return self._find(key)

    def insert(self, key: str, data: bytes, options: dict[str, Any]) -> None:
        check_key(key)
        lifetime_s = options["time-to-live-sec"]
        expires = None if lifetime_s is None else self._now() + lifetime_s
        with self._lock:
            data = merged(self._find(key), data, options)
            entry = Entry(data, options["metadata"] or None, next(self._generations))
            self._entries[key] = entry, expires

    def delete(self, key: str) -> bool:
        check_key(key)
        with self._lock:
            found = self._find(key)
            self._entries.pop(key, None)
        return found is not None

    def list(self, options: dict[str, Any]) -> dict[str, Any]:
        prefix, last = options["prefix"] or "", last_key(options)
        with self._lock:
            found = [k for k in self._entries if k.startswith(prefix) and k > last]
            return page(sorted(k for k in found if self._find(k)), options)

    def _find(self, key: str) -> Entry | None:
        entry, expires = self._entries.get(key, (None, None))
        if expires is not None and expires <= self._now():
            del self._entries[key]
            return None
        return entry


class MemoryStores:
    """`KvStores` in memory; every call is done at once."""

    def __init__(
        self,
        contents: Mapping[str, Mapping[str, KvItem]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with these contents; `now` is the clock that values expire by."""
        generations = itertools.count(1)
        self._stores = {
            name: _MemoryStore(items, generations, now) for name, items in contents.items()
        }

    def get(self, name: str) -> KvStore | None:
        """Return a store, None if there is none of that name."""
        return self._stores.get(name)

    def start[Result](self, call: Callable[[], Result]) -> concurrent.futures.Future[Result]:
        """Call a method of a store, here and now."""
        future: concurrent.futures.Future[Result] = concurrent.futures.Future()
        try:
            future.set_result(call())
        except WitError as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Do nothing."""


# What all kinds of stores have in common.


def check_key(key: str) -> None:
    """Say whether a key is one.

    Raises:
        WitError: `generic-error`, it is none.
    """
    if not 0 < len(key.encode()) <= MAX_KEY or _BAD_KEY.search(key):
        raise WitError("generic-error")


def merged(found: Entry | None, data: bytes, options: dict[str, Any]) -> bytes:
    """Return what a key holds after an insert; `found` is what it holds before.

    Raises:
        WitError: `precondition-failed` or `payload-too-large`, it must not be inserted.
    """
    wanted = options["if-generation-match"]
    if wanted is not None and (found is None or found.generation != wanted):
        raise WitError("precondition-failed")
    match options["mode"]:
        case "add" if found is not None:
            raise WitError("precondition-failed")
        case "append" if found is not None:
            data = found.data + data
        case "prepend" if found is not None:
            data = data + found.data
    if len(data) > MAX_VALUE:
        raise WitError("payload-too-large")
    return data


def last_key(options: dict[str, Any]) -> str:
    """Return the key after which a list begins; the empty string for all.

    Raises:
        WitError: `bad-request`, the cursor is none of ours.
    """
    if options["cursor"] is None:
        return ""
    try:
        return base64.b64decode(options["cursor"], validate=True).decode()
    except (binascii.Error, ValueError):  # it may have other letters than ASCII
        raise WitError("bad-request") from None


def page(keys: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    """Return a list as the guest gets it, from all keys in question or at least one too many."""
    limit = options["limit"] or LIST_LIMIT
    meta: dict[str, Any] = {"limit": limit}
    if options["prefix"] is not None:
        meta["prefix"] = options["prefix"]
    if len(keys) > limit:
        meta["next_cursor"] = base64.b64encode(keys[limit - 1].encode()).decode()
    return {"data": list(keys[:limit]), "meta": meta}
