"""KV stores: in memory, shared by all sandboxes, gone when the simulator ends. Host contract §2.8.

Methods may be called from any thread; each does all of its work at once.
"""

import base64
import binascii
import bisect
import dataclasses
import itertools
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from host_sim.sandbox.border.values import WitError

__all__ = ["Entry", "KvStore", "KvStores"]

MAX_KEY = 1024
"""Longest key, in bytes."""

LIST_LIMIT = 1000
"""Keys in a list where the guest does not say."""

_BAD_KEY = re.compile(r"[\r\n#;?^|]|^\.{1,2}$|\.{1,2}/|^\.well-known/acme-challenge")


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A value.

    Attributes:
        data: content.
        metadata: what the guest put beside it.
        generation: differs between any two values that a key ever had.
        expires: time of `time.monotonic` after which it is gone, None for never.
    """

    data: bytes
    metadata: str | None
    generation: int
    expires: float | None


class KvStore:
    """One store."""

    def __init__(self, contents: Mapping[str, bytes], generations: "itertools.count[int]") -> None:
        self._lock = threading.Lock()
        self._generations = generations
        self._entries = {
            key: Entry(data, None, next(generations), None) for key, data in contents.items()
        }

    def lookup(self, key: str) -> Entry | None:
        """Return the value of a key.

        Raises:
            WitError: `generic-error`, the key is none.
        """
        _check(key)
        with self._lock:
            return self._find(key)

    def insert(self, key: str, data: bytes, options: dict[str, Any]) -> None:
        """Store a value, in one of the WIT's modes.

        Raises:
            WitError: `generic-error`, the key is none; `precondition-failed`, the key is there and
                must not be, or its generation is another one.
        """
        _check(key)
        lifetime_s = options["time-to-live-sec"]
        with self._lock:
            found = self._find(key)
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
            self._entries[key] = Entry(
                data,
                options["metadata"],
                next(self._generations),
                None if lifetime_s is None else time.monotonic() + lifetime_s,
            )

    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there.

        Raises:
            WitError: `generic-error`, the key is none.
        """
        _check(key)
        with self._lock:
            found = self._find(key)
            self._entries.pop(key, None)
        return found is not None

    def list(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return keys in order, as many as asked for, and where to go on.

        Raises:
            WitError: `bad-request`, the cursor is none of ours.
        """
        prefix, limit = options["prefix"] or "", options["limit"] or LIST_LIMIT
        with self._lock:
            keys = sorted(k for k in self._entries if k.startswith(prefix) and self._find(k))
        if options["cursor"] is not None:
            keys = keys[bisect.bisect_right(keys, _last_key(options["cursor"])) :]
        meta: dict[str, Any] = {"limit": limit}
        if prefix:
            meta["prefix"] = prefix
        if len(keys) > limit:
            meta["next_cursor"] = base64.b64encode(keys[limit - 1].encode()).decode()
        return {"data": keys[:limit], "meta": meta}

    def _find(self, key: str) -> Entry | None:
        found = self._entries.get(key)
        if found is not None and found.expires is not None and found.expires <= time.monotonic():
            return None
        return found


class KvStores:
    """All stores, by name."""

    def __init__(self, stores: Mapping[str, Mapping[str, bytes]]) -> None:
        """Start with these contents."""
        generations = itertools.count(1)
        self._stores = {name: KvStore(keys, generations) for name, keys in stores.items()}

    def get(self, name: str) -> KvStore | None:
        """Return a store, None if there is none of that name."""
        return self._stores.get(name)


def _check(key: str) -> None:
    if not 0 < len(key.encode()) <= MAX_KEY or _BAD_KEY.search(key):
        raise WitError("generic-error")


def _last_key(cursor: str) -> str:
    try:
        return base64.b64decode(cursor, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise WitError("bad-request") from None
