"""What a cache gives out: the outcome of a lookup with its duties, and the pen for an object.

Both give up what they hold when nobody refers to them any more, so that nobody waits in vain for a
guest that trapped, lost a handle, or passed it where it does not belong.
"""

from typing import TYPE_CHECKING

from host_sim.sandbox.cache.content import Content
from host_sim.sandbox.cache.objects import CachedObject, Fields, WriteOptions
from host_sim.sandbox.cache.slots import Ticket

if TYPE_CHECKING:
    from host_sim.sandbox.cache.store import Cache

__all__ = ["Entry", "Writer"]


class Writer:
    """Writes one object; a `Sink` of `GuestBody.into`. From one thread at a time, any thread."""

    room = True

    def __init__(self, cache: "Cache", content: Content) -> None:
        self._cache = cache
        self._content = content

    def put(self, chunk: bytes) -> None:
        """Add bytes; readers see them at once.

        Raises:
            WitError: `limit-exceeded`, the object gets larger than one may be; `generic-error`, it
                was given up before, or gets longer than its writer said. Then it is given up.
        """
        self._cache.add(self._content, chunk)

    def finish(self) -> None:
        """Complete the object; one that is shorter than its writer said is given up instead."""
        self._cache.finish(self._content)

    def abort(self) -> None:
        """Give the object up, unless it is complete: it disappears, and its readers fail."""
        self._cache.fail(self._content, "the guest ended or dropped the body before closing it")

    def __del__(self) -> None:
        if not self._content.ended:
            self._cache.later(self.abort)


class Entry:
    """The outcome of a lookup, or of a replacement, as soon as it is `ready`.

    Everything but `ready`, `wait` and `close` may be used only then.
    """

    def __init__(self, cache: "Cache", ticket: Ticket) -> None:
        self._cache = cache
        self._ticket = ticket

    @property
    def ready(self) -> bool:
        """Whether there is an outcome; its owner is rung for when there is."""
        return self._ticket.resolved

    def wait(self) -> None:
        """Wait for the outcome, on the owner's thread.

        Raises:
            Stopped: the owner may not go on.
        """
        if not self._ticket.resolved:
            self._cache.wait(self._ticket)

    @property
    def object(self) -> CachedObject | None:
        """The best object there was, however stale: its metadata, or one to revalidate."""
        return self._ticket.found

    @property
    def found(self) -> CachedObject | None:
        """The same if it may be used: it is fresh, stale while revalidated, or chosen."""
        return self._ticket.found if self._ticket.usable else None

    @property
    def obliged(self) -> bool:
        """Whether the owner has to write an object, or say that it will not."""
        return self._ticket.leads

    @property
    def hits(self) -> int:
        """How many lookups could use the object until this one, which is included."""
        return self._ticket.hits

    @property
    def age_ns(self) -> int | None:
        """The object's age at this moment."""
        found = self._ticket.found
        return None if found is None else found.age_ns(self._cache.now)

    @property
    def state(self) -> set[str]:
        """The flags of WIT's `lookup-state`, as they were found; only the duty can end later."""
        return self._ticket.state

    def insert(self, options: WriteOptions, fields: Fields | None = None) -> tuple[Writer, "Entry"]:
        """Do the duty with a new object; return its pen, and what finds it.

        Args:
            options: what to say about it.
            fields: of the request it is for, None for those of the lookup.

        Raises:
            WitError: `auxiliary-error`, there is no duty.
        """
        return self._cache.fulfil(self._ticket, options, fields)

    def update(self, options: WriteOptions) -> "Entry":
        """Do the duty with the bytes that are there; return what finds the new object.

        Raises:
            WitError: `auxiliary-error`, there is no duty, or no object (any more); a duty stays.
        """
        return self._cache.update(self._ticket, options)

    def choose_stale(self) -> None:
        """Do the duty with the object that was only for this case, also for all who wait.

        The cache itself does not change: the next lookup has to try again.

        Raises:
            WitError: `auxiliary-error`, there is no duty, or no such object; a duty stays.
        """
        self._cache.choose_stale(self._ticket)

    def cancel(self) -> bool:
        """Give up the duty, which goes to the next who waits; return whether there was one."""
        return self._cache.release(self._ticket)

    def close(self) -> None:
        """Give up waiting, or the duty, or nothing; any number of times."""
        self._cache.release(self._ticket)

    def __del__(self) -> None:
        if self._ticket.leads or not self._ticket.resolved:
            self._cache.later(self.close)
