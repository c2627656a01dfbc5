"""The cache: in memory, shared by all sandboxes, gone when the simulator ends. Host contract §2.11.

One store for the core cache and the HTTP cache. Methods may be called from any thread, each does
its work at once; only `Entry.wait` waits.

| call | for |
|---|---|
| `Cache(max_bytes, max_object_bytes, clock)` | a store; the clock, in nanoseconds, is a test's |
| `lookup(key, fields) -> Entry` | what is there now |
| `begin(key, fields, owner) -> Entry` | a transaction: an object, or the duty to write one |
| `replace(key, fields, owner, strategy) -> Entry` | always the duty, and what is to be replaced |
| `insert(key, fields, options) -> Writer` | write, whatever others do |
| `purge(surrogate_key, soft) -> int` | forget, or make stale, all objects with that key |
| `Entry` | what was found: `found`, `object`, `hits`, `age_ns`, `obliged`, `state`; before all else `ready` and `wait()`; the duty: one of `insert`, `update`, `choose_stale`, `cancel`; `close()` |
| `Writer` | `put`, `finish`, `abort`; `GuestBody.into(waiting, writer)` makes it a guest's body |
| `CachedObject` | `options`, a `WriteOptions`; `length`; `content.body(start, stop)` to read it |
| `fields_of`, `vary_rule`, `surrogate_keys`, `byte_range` | make arguments of what guests give |

Keys of the core cache are bytes; the HTTP cache's have to be something else, for example a tuple.
An owner is a sandbox's `Waiting`, or anything with its `notify`: that is called, on any thread,
when an entry gets ready. "Hit for pass" is an insert with `pass_on`, at once finished.

An object can be found from its insert on, while it is still written; readers get bytes as they
come. One that is given up disappears and its readers fail.

Request collapsing: whoever begins first has the duty; the entries of others are not `ready` until
it inserts, and then look again. If it does not insert, because it cancels, closes, drops or ends,
the first of them has the duty. Sandboxes that wait for one another in a circle, or for themselves,
would do so for ever; so one of them gets a duty of its own, and the log says so.

Memory is bounded: objects used longest ago go first, and none may be larger than
`max_object_bytes`. Host contract §8. What readers still hold is theirs.
"""  # noqa: E501 - a table

import logging
import time
from collections.abc import Callable
from typing import Literal

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.cache.content import Content
from host_sim.sandbox.cache.entries import Entry, Writer
from host_sim.sandbox.cache.lock import CacheLock
from host_sim.sandbox.cache.objects import (
    CachedObject,
    Fields,
    Freshness,
    Key,
    WriteOptions,
)
from host_sim.sandbox.cache.shelf import Shelf
from host_sim.sandbox.cache.slots import Kind, Owner, Slot, Ticket, waits_for_itself

__all__ = ["Cache", "Entry", "Owner", "Strategy", "Writer"]

type Strategy = Literal["immediate", "immediate-force-miss", "wait"]
"""How a replacement begins: at once; likewise, with the object removed; when others are done."""

_log = logging.getLogger("host_sim.sandbox")


class Cache:
    """A store. What takes a ticket or a content is for `Entry` and `Writer`."""

    def __init__(
        self,
        *,
        max_bytes: int = 256 << 20,
        max_object_bytes: int = 100_000_000,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Start with nothing."""
        self._max_object_bytes = max_object_bytes
        self._clock = clock
        self._lock = CacheLock()
        self._shelf = Shelf(max_bytes)
        self._blocked: dict[Owner, Ticket] = {}  # whose threads wait, and for what

    @property
    def now(self) -> int:
        """The time."""
        return self._clock()

    @property
    def weight(self) -> int:
        """Bytes that all objects take."""
        return self._shelf.weight

    def __len__(self) -> int:
        return len(self._shelf)

    # What anybody may call.

    def lookup(self, key: Key, fields: Fields) -> Entry:
        """Return the best object at this moment, without waiting for anything."""
        ticket = Ticket(key, fields, None, Kind.LOOKUP)
        with self._lock:
            slot = self._shelf.slots.get(key)
            self._resolve(ticket, None if slot is None else slot.best(fields, self.now))
        return Entry(self, ticket)

    def begin(self, key: Key, fields: Fields, owner: Owner) -> Entry:
        """Begin a transaction."""
        return self._ask(Ticket(key, fields, owner, Kind.LOOKUP))

    def replace(
        self, key: Key, fields: Fields, owner: Owner, strategy: Strategy = "immediate"
    ) -> Entry:
        """Begin a replacement; only with `wait` it can be that the entry is not ready."""
        ticket = Ticket(key, fields, owner, Kind.REPLACE)
        if strategy == "wait":
            return self._ask(ticket)
        with self._lock:
            slot = self._shelf.slot(key)
            slot.start(ticket)
            self._resolve(ticket, slot.best(fields, self.now))
            if strategy == "immediate-force-miss":
                for thing in tuple(slot.matching(fields)):
                    self._shelf.remove(thing)
        return Entry(self, ticket)

    def insert(self, key: Key, fields: Fields, options: WriteOptions) -> Writer:
        """Store an object; the pen is for its bytes."""
        with self._lock:
            thing = CachedObject(key, fields, options, Content(options.length), self.now)
            self._shelf.put(thing)
            self._settle(key)
        return Writer(self, thing.content)

    def purge(self, surrogate_key: str, *, soft: bool) -> int:
        """Remove what is marked with a surrogate key, or make it stale; return how many objects."""
        with self._lock:
            marked = self._shelf.marked(surrogate_key)
            for thing in marked:
                if soft:
                    thing.stale = True
                else:
                    thing.purged = True
                    self._shelf.remove(thing)
        return len(marked)

    # For `Writer`.

    def add(self, content: Content, chunk: bytes) -> None:
        """Put bytes at the end of a content."""
        with self._lock:
            if content.ended:
                raise WitError("generic-error")
            size = content.size + len(chunk)
            if size > self._max_object_bytes:
                self._fail(content, f"it is larger than {self._max_object_bytes} bytes")
                raise WitError("limit-exceeded")
            if content.declared is not None and size > content.declared:
                self._fail(content, f"it is longer than the {content.declared} bytes announced")
                raise WitError("generic-error")
            content.add(chunk)
            self._shelf.grown(content)
            self._lock.ring(content.listeners)

    def finish(self, content: Content) -> None:
        """Complete a content."""
        with self._lock:
            if content.ended:
                return
            if content.declared not in (None, content.size):
                self._fail(content, f"{content.size} bytes came, {content.declared} were announced")
                return
            content.finish()
            self._lock.ring(content.listeners)

    def fail(self, content: Content, reason: str) -> None:
        """Give a content up, unless it is complete."""
        with self._lock:
            if not content.ended:
                self._fail(content, reason)

    # For `Entry`.

    def wait(self, ticket: Ticket) -> None:
        """Wait until a ticket is resolved."""
        owner = ticket.owner
        assert owner is not None
        with self._lock:
            self._blocked[owner] = ticket
            self._break_circles()
        try:
            owner.wait_for(lambda: ticket.resolved)
        finally:
            with self._lock:
                del self._blocked[owner]

    def fulfil(
        self, ticket: Ticket, options: WriteOptions, fields: Fields | None
    ) -> tuple[Writer, Entry]:
        """Store the object that was promised."""
        with self._lock:
            if not ticket.leads:
                raise WitError("auxiliary-error")
            content = Content(options.length)
            written_for = ticket.fields if fields is None else fields
            thing = CachedObject(ticket.key, written_for, options, content, self.now)
            back = self._deliver(ticket, thing)
        return Writer(self, content), Entry(self, back)

    def update(self, ticket: Ticket, options: WriteOptions) -> Entry:
        """Store the object that is there with new metadata."""
        with self._lock:
            old = ticket.found
            if not ticket.leads or old is None or old.purged or old.content.failed is not None:
                raise WitError("auxiliary-error")
            thing = CachedObject(ticket.key, ticket.fields, options, old.content, self.now)
            thing.hits = old.hits
            back = self._deliver(ticket, thing)
        return Entry(self, back)

    def choose_stale(self, ticket: Ticket) -> None:
        """Give the stale object to its leader and to everybody who waits for it."""
        with self._lock:
            chosen = ticket.found
            if (
                not ticket.leads
                or chosen is None
                or ticket.freshness is not Freshness.STALE_IF_ERROR
            ):
                raise WitError("auxiliary-error")
            slot = self._shelf.slot(ticket.key)
            for other in tuple(slot.queue):
                if other.kind is Kind.LOOKUP and slot.best(other.fields, self.now) is chosen:
                    slot.queue.remove(other)
                    other.chosen = True
                    self._resolve(other, chosen)
            ticket.chosen = True
            self._land(ticket)

    def release(self, ticket: Ticket) -> bool:
        """Take back a promise, or leave the queue; return whether there was a promise."""
        with self._lock:
            slot = self._shelf.slots.get(ticket.key)
            if slot is not None and ticket in slot.queue:
                slot.queue.remove(ticket)
                self._resolve(ticket, None)  # nobody waits for it any more
                self._shelf.sweep(ticket.key)
            led = ticket.leads
            if led:
                self._land(ticket)
            return led

    def later(self, chore: Callable[[], object]) -> None:
        """Do what a finalizer asks for, as soon as the lock is free."""
        self._lock.later(chore)

    # With the lock held.

    def _ask(self, ticket: Ticket) -> Entry:
        with self._lock:
            slot = self._shelf.slot(ticket.key)
            if not self._try(slot, ticket):
                slot.queue.append(ticket)
            self._shelf.sweep(ticket.key)
        return Entry(self, ticket)

    def _try(self, slot: Slot, ticket: Ticket) -> bool:
        """Give a ticket what it wants, if that can be had now."""
        best = slot.best(ticket.fields, self.now)
        freshness = Freshness.EXPIRED if best is None else best.freshness(self.now)
        in_flight = bool(slot.flights_for(ticket.fields))
        if ticket.kind is Kind.LOOKUP and (
            freshness is Freshness.FRESH or (freshness is Freshness.STALE and in_flight)
        ):
            self._resolve(ticket, best)
            return True
        if in_flight:
            return False
        slot.start(ticket)
        self._resolve(ticket, best)
        return True

    def _resolve(self, ticket: Ticket, thing: CachedObject | None) -> None:
        if thing is not None and not thing.options.pass_on:
            ticket.found = thing
            ticket.freshness = thing.freshness(self.now)
            thing.hits += ticket.usable and ticket.kind is Kind.LOOKUP
            ticket.hits = thing.hits
            self._shelf.used(thing)
        ticket.resolved = True
        if ticket.owner is not None:
            self._lock.ring([ticket.owner.notify])

    def _deliver(self, ticket: Ticket, thing: CachedObject) -> Ticket:
        """End a flight with an object; return a ticket that has found it."""
        self._shelf.put(thing)
        self._land(ticket)
        back = Ticket(ticket.key, ticket.fields, ticket.owner, Kind.LOOKUP)
        back.found, back.freshness, back.hits = thing, thing.freshness(self.now), thing.hits
        back.chosen = True  # whatever its age: there is none better
        back.resolved = True
        return back

    def _land(self, ticket: Ticket) -> None:
        """End a flight; whoever waited for it looks again."""
        ticket.leads = False
        slot = self._shelf.slots.get(ticket.key)
        if slot is not None:
            slot.flights.pop(ticket, None)
        self._settle(ticket.key)

    def _settle(self, key: Key) -> None:
        """Let those who wait look again, in order."""
        slot = self._shelf.slots.get(key)
        if slot is None:
            return
        granted = [ticket for ticket in tuple(slot.queue) if self._try(slot, ticket)]
        for ticket in granted:
            slot.queue.remove(ticket)
        self._shelf.sweep(key)
        if granted:
            self._break_circles()

    def _break_circles(self) -> None:
        """Give those a duty of their own who would wait for themselves."""
        for ticket in reversed(tuple(self._blocked.values())):  # the last one closed the circle
            if not ticket.resolved and waits_for_itself(ticket, self._shelf.slots, self._blocked):
                _log.warning(
                    "a guest waits for a cached object that only itself can insert: it gets "
                    "another turn; elsewhere it could wait until its time is up"
                )
                slot = self._shelf.slot(ticket.key)
                slot.queue.remove(ticket)
                slot.start(ticket)
                self._resolve(ticket, slot.best(ticket.fields, self.now))

    def _fail(self, content: Content, reason: str) -> None:
        _log.warning("a cached object is given up: %s", reason)
        content.fail(reason)
        self._shelf.given_up(content)
        self._lock.ring(content.listeners)
