"""The cache's entries in the guest's hands. Host contract §2.11.

An entry may still wait for another guest when its guest gets it; whatever needs the outcome waits
for it then, so a guest can look up several things before it waits for any.
"""

import weakref
from collections.abc import Mapping

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.cache.content import byte_range
from host_sim.sandbox.cache.objects import CachedObject
from host_sim.sandbox.cache.store import Entry
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.waiting import Waiting

__all__ = ["CacheEntry", "LookedUp", "PendingEntry", "ReplaceEntry", "Step"]

NEVER = 1 << 64
"""A size that no object reaches before its end."""


class Step:
    """What an entry waits for, as a pollable of its own; dropping it gives nothing up."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    @property
    def ready(self) -> bool:
        """Whether there is an outcome, or nobody waits for one any more."""
        return self._entry.ready

    def wait(self) -> None:
        """Wait for the outcome."""
        self._entry.wait()


class LookedUp:
    """What was looked up, whatever for."""

    def __init__(self, waiting: Waiting, entry: Entry, *, exact: bool) -> None:
        """Wrap an entry; `exact` waits for a range of an object whose length is not known yet."""
        self._waiting = waiting
        self._entry = entry
        self._exact = exact
        self._lent: weakref.ref[GuestBody] | None = None

    @property
    def ready(self) -> bool:
        """Whether nothing has to be waited for."""
        return self._entry.ready

    def step(self) -> Step | None:
        """Return what has to be waited for, None if nothing."""
        return None if self._entry.ready else Step(self._entry)

    @property
    def entry(self) -> Entry:
        """The store's entry, once there is an outcome; waits for that."""
        self._entry.wait()
        return self._entry

    @property
    def object(self) -> CachedObject | None:
        """What the guest gets to see of what was found."""
        return self.entry.found

    @property
    def exact(self) -> bool:
        """Whether ranges are waited for."""
        return self._exact

    def body(self, found: CachedObject, options: Mapping[str, int | None]) -> GuestBody:
        """Return a part of an object; the guest reads one at a time.

        Raises:
            WitError: `auxiliary-error`, the guest still has the last one.
        """
        if self._lent is not None and self._lent() is not None:
            raise WitError("auxiliary-error")
        start, stop = self._range(found, options["from"], options["to"])
        body = GuestBody(self._waiting, found.content.body(start, stop))
        self._lent = weakref.ref(body)
        return body

    def dropped(self) -> None:
        """Give up waiting, and the duty if there is one."""
        self._entry.close()

    def _range(
        self, found: CachedObject, first: int | None, last: int | None
    ) -> tuple[int, int | None]:
        """Return begin and end; of everything where that is no range, or not known to be one."""
        whole, content = (0, None), found.content
        if first is None and last is None:
            return whole
        length = found.length
        if length is None:
            if not self._exact:
                return whole
            content.wait_for(NEVER if first is None else first + 1, self._waiting)
            if first is not None and not content.ended:  # it ends where the object does
                inverted = last is not None and last < first
                return whole if inverted else (first, None if last is None else last + 1)
            length = content.length
            if length is None:  # it was given up, as the reader will see
                return whole
        return byte_range(length, first, last) or whole


class CacheEntry(LookedUp):
    """The outcome of a lookup or a transaction."""

    def __init__(
        self, waiting: Waiting, entry: Entry, *, exact: bool, transaction: bool = True
    ) -> None:
        """Wrap an entry, of a transaction or of a plain lookup."""
        super().__init__(waiting, entry, exact=exact)
        self._transaction = transaction

    @property
    def object(self) -> CachedObject | None:
        """What may be used; a plain lookup shows also what has expired, as Viceroy does."""
        return self.entry.found if self._transaction else self.entry.object


class PendingEntry(CacheEntry):
    """A transaction that was only begun; a pollable."""

    def wait(self) -> None:
        """Wait for the outcome."""
        self._entry.wait()

    def awaited(self) -> CacheEntry:
        """Return the entry itself."""
        return CacheEntry(self._waiting, self._entry, exact=self._exact)


class ReplaceEntry(LookedUp):
    """A replacement, before the new object is written."""
