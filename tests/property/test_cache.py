"""The cache is what a list of objects is that one looks through from end to end.

Whatever is done in whatever order: what is found, who has the duty and who waits is as the model
says, and nobody waits for nothing.
"""

import dataclasses
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.cache.objects import CachedObject, Fields, WriteOptions
from host_sim.sandbox.cache.store import Cache, Entry, Strategy, Writer
from tests.support.bells import Bell

KEYS = st.sampled_from([b"1", b"2"])
MARKS = ("a", "b")
FIELDS = st.dictionaries(
    st.sampled_from(["v", "w"]), st.sampled_from([(b"x",), (b"y",), (b"x", b"y")])
)
TIMES = st.integers(0, 4)
RULES = st.sampled_from([(), ("v",), ("v", "w")])
PASSES = st.builds(WriteOptions, max_age_ns=TIMES, vary=RULES, pass_on=st.just(value=True))
OPTIONS = PASSES | st.builds(
    WriteOptions,
    max_age_ns=TIMES,
    initial_age_ns=TIMES,
    stale_while_revalidate_ns=TIMES,
    stale_if_error_ns=TIMES,
    vary=RULES,
    surrogate_keys=st.frozensets(st.sampled_from(MARKS)),
)
STRATEGIES: st.SearchStrategy[Strategy] = st.sampled_from(
    ["immediate", "immediate-force-miss", "wait"]
)
WHICH = st.integers(0, 1 << 16)

FRESH, STALE, IF_ERROR, EXPIRED = range(4)


@dataclasses.dataclass(eq=False)
class Bytes:
    """What is written, of one or more objects."""

    data: bytes = b""
    ended: bool = False
    failed: bool = False


@dataclasses.dataclass(eq=False)
class Thing:
    """An object of the model."""

    key: bytes
    match: Fields
    options: WriteOptions
    content: Bytes
    since: int
    soft: bool = False
    purged: bool = False

    def fits(self, key: bytes, fields: Fields) -> bool:
        return key == self.key and all(
            fields.get(name, ()) == values for name, values in self.match.items()
        )

    def age(self, now: int) -> int:
        return now - self.since + self.options.initial_age_ns

    def freshness(self, now: int) -> int:
        given, age = self.options, self.age(now)
        if age < given.max_age_ns and not self.soft:
            return FRESH
        if age < given.max_age_ns + given.stale_while_revalidate_ns:
            return STALE
        if age < given.max_age_ns + given.stale_if_error_ns:
            return IF_ERROR
        return EXPIRED


@dataclasses.dataclass(eq=False)
class Asked:
    """Somebody's entry, and the model's view of it."""

    key: bytes
    fields: Fields
    entry: Entry
    replaces: bool
    ready: bool = False
    thing: Thing | None = None
    duty: Fields | None = None  # the fields a request must have to wait for this one

    def awaited_by(self, other: "Asked") -> bool:
        return (
            self.duty is not None
            and self.key == other.key
            and all(other.fields.get(name, ()) == values for name, values in self.duty.items())
        )


def all_of(thing: CachedObject) -> bytes:
    data = b""
    while piece := thing.content.piece(len(data)):
        data += piece
    return data


class Machine(RuleBasedStateMachine):
    """Does things to the cache and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.cache = Cache(clock=lambda: self.now)
        self.things: list[Thing] = []
        self.asked: list[Asked] = []
        self.pens: list[tuple[Writer, Bytes]] = []
        self.newest: dict[tuple[bytes, tuple[str, ...]], int] = {}
        self.count = 0

    # The model.

    def fitting(self, key: bytes, fields: Fields) -> list[Thing]:
        return [thing for thing in self.things if thing.fits(key, fields)]

    def best(self, key: bytes, fields: Fields) -> list[Thing]:
        """Return what could be found; several if they are equal in all that counts."""
        fitting = self.fitting(key, fields)
        ranks = [(thing.freshness(self.now), thing.age(self.now)) for thing in fitting]
        return [thing for thing, rank in zip(fitting, ranks, strict=True) if rank == min(ranks)]

    def place(self, key: bytes, fields: Fields, options: WriteOptions, content: Bytes) -> None:
        match = {name: fields.get(name, ()) for name in options.vary}
        self.things = [t for t in self.things if (t.key, t.match) != (key, match)]
        self.things.append(Thing(key, match, options, content, self.now))
        self.count += 1
        self.newest[key, options.vary] = self.count

    def take_duty(self, asked: Asked) -> None:
        rules = {t.options.vary for t in self.things if t.key == asked.key}
        rule_ = max(rules, key=lambda r: self.newest[asked.key, r], default=())
        asked.duty = {name: asked.fields.get(name, ()) for name in rule_}

    def found(self, asked: Asked, ties: list[Thing]) -> None:
        """Check what an entry has found, and take note of it."""
        asked.ready = True
        entry, objects = asked.entry, [t for t in ties if not t.options.pass_on]
        assert entry.ready
        if not objects or (entry.object is None and len(objects) < len(ties)):
            assert entry.object is None
            return
        assert entry.object is not None
        (asked.thing,) = [t for t in objects if t.options is entry.object.options][-1:]
        assert all_of(entry.object) == asked.thing.content.data
        assert entry.age_ns == asked.thing.age(self.now)
        usable = asked.thing.freshness(self.now) <= STALE
        assert (entry.found is not None) == usable

    def settle(self) -> None:
        """Let the model's waiters look again, in order; then all must be as the cache says."""
        for asked in self.asked:
            if not asked.ready:
                self.try_(asked)
        for asked in self.asked:
            assert asked.entry.ready == asked.ready
            assert asked.entry.obliged == (asked.duty is not None)

    def try_(self, asked: Asked) -> None:
        ties = self.best(asked.key, asked.fields)
        freshness = ties[0].freshness(self.now) if ties else EXPIRED
        waits = any(other.awaited_by(asked) for other in self.asked)
        if not asked.replaces and (freshness == FRESH or (freshness == STALE and waits)):
            self.found(asked, ties)
        elif not waits:
            self.take_duty(asked)
            self.found(asked, ties)

    def pick(self, which: int, *, duty: bool = False) -> Asked | None:
        choice = [a for a in self.asked if a.duty is not None or not duty]
        return choice[which % len(choice)] if choice else None

    # What can be done.

    @rule(by=TIMES)
    def time_goes_on(self, by: int) -> None:
        self.now += by

    @rule(key=KEYS, fields=FIELDS, options=OPTIONS)
    def insert(self, key: bytes, fields: Fields, options: WriteOptions) -> None:
        given = dataclasses.replace(options)  # so that each object has options of its own
        content = Bytes()
        writer = self.cache.insert(key, fields, given)
        self.place(key, fields, given, content)
        self.pens.append((writer, content))
        self.settle()

    @precondition(lambda self: self.pens)
    @rule(which=WHICH, data=st.binary(max_size=3), end=st.sampled_from(["no", "good", "bad"]))
    def write(self, which: int, data: bytes, end: str) -> None:
        place = which % len(self.pens)
        writer, content = self.pens[place]
        writer.put(data)
        content.data += data
        if end == "no":
            return
        del self.pens[place]
        content.ended = True
        if end == "good":
            writer.finish()
        else:
            content.failed = True
            self.things = [t for t in self.things if t.content is not content]
            if which % 2:
                writer.abort()
            else:
                del writer

    @rule(key=KEYS, fields=FIELDS)
    def lookup(self, key: bytes, fields: Fields) -> None:
        asked = Asked(key, fields, self.cache.lookup(key, fields), replaces=False)
        self.found(asked, self.best(key, fields))
        assert not asked.entry.obliged

    @rule(key=KEYS, fields=FIELDS)
    def begin(self, key: bytes, fields: Fields) -> None:
        asked = Asked(key, fields, self.cache.begin(key, fields, Bell()), replaces=False)
        self.asked.append(asked)
        self.settle()

    @rule(key=KEYS, fields=FIELDS, strategy=STRATEGIES)
    def replace(self, key: bytes, fields: Fields, strategy: Strategy) -> None:
        entry = self.cache.replace(key, fields, Bell(), strategy)
        asked = Asked(key, fields, entry, replaces=True)
        if strategy == "wait":
            self.asked.append(asked)
        else:
            self.take_duty(asked)
            self.found(asked, self.best(key, fields))
            self.asked.append(asked)
            if strategy == "immediate-force-miss":
                gone = self.fitting(key, fields)
                self.things = [t for t in self.things if t not in gone]
        self.settle()

    @rule(which=WHICH, options=OPTIONS)
    def fulfil(self, which: int, options: WriteOptions) -> None:
        if (asked := self.pick(which, duty=True)) is None:
            return
        given, content = dataclasses.replace(options), Bytes()
        writer, back = asked.entry.insert(given)
        asked.duty = None
        self.place(asked.key, asked.fields, given, content)
        self.pens.append((writer, content))
        self.settle()
        assert back.ready
        assert not back.obliged
        assert back.object is not None
        assert back.object.options is given

    @rule(which=WHICH, options=OPTIONS)
    def update(self, which: int, options: WriteOptions) -> None:
        if (asked := self.pick(which)) is None:
            return
        given, old = dataclasses.replace(options), asked.thing
        if asked.duty is None or old is None or old.purged or old.content.failed:
            with pytest.raises(WitError, match="auxiliary-error"):
                asked.entry.update(given)
            return
        back = asked.entry.update(given)
        asked.duty = None
        self.place(asked.key, asked.fields, given, old.content)
        self.settle()
        assert back.object is not None
        assert all_of(back.object) == old.content.data

    @rule(which=WHICH, how=st.sampled_from(["cancel", "close", "drop"]))
    def give_up(self, which: int, how: str) -> None:
        if (asked := self.pick(which)) is None:
            return
        if how == "cancel":
            if asked.ready:
                assert asked.entry.cancel() == (asked.duty is not None)
                asked.duty = None
        else:
            self.asked.remove(asked)
            if how == "close":
                asked.entry.close()
            del asked
        self.settle()

    @rule(mark=st.sampled_from(MARKS), soft=st.booleans())
    def purge(self, mark: str, *, soft: bool) -> None:
        marked = [t for t in self.things if mark in t.options.surrogate_keys]
        assert self.cache.purge(mark, soft=soft) == len(marked)
        for thing in marked:
            if soft:
                thing.soft = True
            else:
                thing.purged = True
                self.things.remove(thing)

    # What always holds.

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        for asked in self.asked:
            assert asked.ready or any(other.awaited_by(asked) for other in self.asked)

    @invariant()
    def everything_is_counted_once(self) -> None:
        assert len(self.cache) == len(self.things)
        shelf: Any = self.cache._shelf
        held = [thing for slot in shelf.slots.values() for thing in slot.objects.values()]
        assert len(held) == len(self.things)
        assert self.cache.weight == sum(thing.weight for thing in held)
        assert set(shelf._marked) == {m for t in self.things for m in t.options.surrogate_keys}
        assert not any(slot.empty for slot in shelf.slots.values())

    def teardown(self) -> None:
        """When all is given up nothing is left."""
        for asked in self.asked:
            asked.entry.close()
        for writer, _ in self.pens:
            writer.finish()
        shelf: Any = self.cache._shelf
        assert not any(slot.flights or slot.queue for slot in shelf.slots.values())
        for thing in [t for slot in shelf.slots.values() for t in slot.objects.values()]:
            shelf.remove(thing)
        assert (shelf.slots, shelf._holders, shelf._marked, shelf.weight) == ({}, {}, {}, 0)


TestCache = Machine.TestCase
TestCache.settings = settings(max_examples=50, stateful_step_count=30)
