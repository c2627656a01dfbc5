"""All objects of the cache: by key, by surrogate key, by when they were used, and by weight.

Plain data with rules; the cache keeps its lock around all of it.
"""

import collections

from host_sim.sandbox.cache.content import Content
from host_sim.sandbox.cache.objects import CachedObject, Key
from host_sim.sandbox.cache.slots import Slot

__all__ = ["Shelf"]


class Shelf:
    """Objects, as many as may be.

    Attributes:
        slots: what is under each key.
        weight: bytes that all objects take.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.slots: dict[Key, Slot] = {}
        self.weight = 0
        self._holders: dict[Content, set[CachedObject]] = {}  # after an update there are several
        self._marked: dict[str, set[CachedObject]] = {}  # by surrogate key
        # With the weight each had at the last look; what was used longest ago is first.
        self._recent: collections.OrderedDict[CachedObject, int] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._recent)

    def slot(self, key: Key) -> Slot:
        """Return what is under a key, new if there was nothing."""
        return self.slots.setdefault(key, Slot())

    def sweep(self, key: Key) -> None:
        """Forget a key with nothing under it."""
        if (slot := self.slots.get(key)) is not None and slot.empty:
            del self.slots[key]

    def put(self, thing: CachedObject) -> None:
        """Add an object, in place of what was there for the same requests."""
        slot = self.slot(thing.key)
        if (old := slot.objects.get(thing.variant)) is not None:
            self.remove(old)
            slot = self.slots.setdefault(thing.key, slot)
        slot.put(thing)
        self._holders.setdefault(thing.content, set()).add(thing)
        for mark in thing.options.surrogate_keys:
            self._marked.setdefault(mark, set()).add(thing)
        self._recent[thing] = 0
        self._weigh(thing)

    def remove(self, thing: CachedObject) -> None:
        """Let an object be found no more; one that is written goes on for who has it."""
        self.slots[thing.key].remove(thing)
        self.sweep(thing.key)
        self.weight -= self._recent.pop(thing)
        _discard(self._holders, thing.content, thing)
        for mark in thing.options.surrogate_keys:
            _discard(self._marked, mark, thing)

    def used(self, thing: CachedObject) -> None:
        """Note that an object was found."""
        if thing in self._recent:
            self._recent.move_to_end(thing)

    def grown(self, content: Content) -> None:
        """Note that a content has more bytes than before."""
        for holder in tuple(self._holders.get(content, ())):
            if holder in self._recent:
                self._weigh(holder)

    def given_up(self, content: Content) -> None:
        """Remove what has a content that will never be complete."""
        for holder in tuple(self._holders.get(content, ())):
            self.remove(holder)

    def marked(self, surrogate_key: str) -> tuple[CachedObject, ...]:
        """Return the objects with a surrogate key."""
        return tuple(self._marked.get(surrogate_key, ()))

    def _weigh(self, thing: CachedObject) -> None:
        """Count an object anew, and remove others while all are too heavy."""
        weight = thing.weight
        self.weight += weight - self._recent[thing]
        self._recent[thing] = weight
        while self.weight > self._max_bytes and len(self._recent) > 1:
            self.remove(next(other for other in self._recent if other is not thing))


def _discard[Group](
    groups: dict[Group, set[CachedObject]], group: Group, thing: CachedObject
) -> None:
    """Take an object out of its group, which goes with the last one."""
    members = groups[group]
    members.discard(thing)
    if not members:
        del groups[group]
