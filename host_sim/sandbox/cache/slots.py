"""What the cache has under one key: objects, who promised to write one, and who waits for that.

Plain data with rules; the cache keeps its lock around all of it.
"""

import enum
from collections.abc import Iterator, Mapping

from host_sim.sandbox.cache.content import Owner
from host_sim.sandbox.cache.objects import (
    CachedObject,
    Fields,
    Freshness,
    Key,
    Variant,
    variant_of,
)

__all__ = ["Kind", "Owner", "Slot", "Ticket", "waits_for_itself"]


class Kind(enum.Enum):
    """What a ticket wants."""

    LOOKUP = "an object, or the duty to write one"
    REPLACE = "its turn to write one"


class Ticket:
    """One lookup: what it wants, and what it got.

    Attributes:
        key, fields: what is looked up, and the request's header fields.
        owner: who waits for it, None if nobody has to.
        kind: what it wants.
        resolved: it has what it wanted; what follows is set before that.
        found: the best object there was.
        freshness: how that could be used then.
        hits: of that object, this one included if it could be used.
        leads: its owner has promised to write an object, and others wait for it.
        chosen: the object may be used because there will not be a better one.
    """

    __slots__ = (
        *("chosen", "fields", "found", "freshness", "hits", "key", "kind", "leads", "owner"),
        "resolved",
    )

    def __init__(self, key: Key, fields: Fields, owner: Owner | None, kind: Kind) -> None:
        self.key = key
        self.fields = fields
        self.owner = owner
        self.kind = kind
        self.resolved = False
        self.found: CachedObject | None = None
        self.freshness = Freshness.EXPIRED
        self.hits = 0
        self.leads = False
        self.chosen = False

    @property
    def usable(self) -> bool:
        """Whether the object may be used as it is."""
        return self.found is not None and (self.chosen or self.freshness <= Freshness.STALE)

    @property
    def state(self) -> set[str]:
        """The flags of WIT's `lookup-state`."""
        flags = {"must-insert-or-update"} if self.leads else set()
        if self.usable:
            flags |= {"found", "usable"}
        if self.found is not None and self.freshness is Freshness.STALE_IF_ERROR:
            flags |= {"stale", "usable-if-error"}
        elif self.usable and self.freshness is not Freshness.FRESH:
            flags.add("stale")
        return flags


class Slot:
    """What is under one key.

    Attributes:
        objects: by variant.
        flights: tickets whose owners promised to write, with the variant others are told by: the
            one the request has by the vary rule of the last object, for lack of that of the next.
        queue: tickets that wait for the end of a flight, in order.
    """

    def __init__(self) -> None:
        self.objects: dict[Variant, CachedObject] = {}
        self.flights: dict[Ticket, Variant] = {}
        self.queue: list[Ticket] = []
        self._rules: dict[tuple[str, ...], int] = {}  # how many objects have it; the last is newest

    @property
    def empty(self) -> bool:
        """Whether there is nothing worth keeping."""
        return not (self.objects or self.flights or self.queue)

    def put(self, thing: CachedObject) -> None:
        """Add an object; there is none of its variant."""
        rule = thing.options.vary
        self._rules[rule] = self._rules.pop(rule, 0) + 1
        self.objects[thing.variant] = thing

    def remove(self, thing: CachedObject) -> None:
        """Remove an object that is there."""
        del self.objects[thing.variant]
        rule = thing.options.vary
        self._rules[rule] -= 1
        if not self._rules[rule]:
            del self._rules[rule]

    def matching(self, fields: Fields) -> Iterator[CachedObject]:
        """Yield the objects that are for such a request, by vary rules, the newest first."""
        for rule in reversed(self._rules):
            thing = self.objects.get(variant_of(rule, fields))
            if thing is not None:
                yield thing

    def best(self, fields: Fields, now: int) -> CachedObject | None:
        """Return the one of them that is fresher, or else younger, or else newer than others."""
        return min(
            self.matching(fields),
            key=lambda thing: (thing.freshness(now), thing.age_ns(now)),
            default=None,
        )

    def start(self, ticket: Ticket) -> None:
        """Note that the owner of a ticket promised to write."""
        rule = next(reversed(self._rules), ())
        self.flights[ticket] = variant_of(rule, ticket.fields)
        ticket.leads = True

    def flights_for(self, fields: Fields) -> list[Ticket]:
        """Return the tickets whose owners promised to write what such a request may want."""
        return [
            ticket
            for ticket, variant in self.flights.items()
            if variant_of((name for name, _ in variant), fields) == variant
        ]


def waits_for_itself(
    ticket: Ticket, slots: Mapping[Key, Slot], blocked: Mapping[Owner, Ticket]
) -> bool:
    """Whether a ticket waits for its owner, or for one that waits for its owner, and so on."""
    seen, ahead = {ticket}, [ticket]
    while ahead:
        current = ahead.pop()
        slot = slots.get(current.key)
        for leader in slot.flights_for(current.fields) if slot is not None else ():
            if leader.owner is ticket.owner:
                return True
            next_ = None if leader.owner is None else blocked.get(leader.owner)
            if next_ is not None and not next_.resolved and next_ not in seen:
                seen.add(next_)
                ahead.append(next_)
    return False
