"""The store behind both caches, without a guest, its time played. Host contract §2.11."""

import asyncio
import gc
import random
import threading

import pytest

from host_sim.errors import BodyError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.cache.content import Content, byte_range
from host_sim.sandbox.cache.objects import (
    Fields,
    WriteOptions,
    fields_of,
    surrogate_key,
    surrogate_keys,
    vary_rule,
)
from host_sim.sandbox.cache.store import Cache, Entry, Strategy
from tests.support.bells import Bell
from tests.support.waiting import PATIENCE_S

SECOND = 1_000_000_000


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self) -> None:
        self.now = 5

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Cache:
    return Cache(clock=clock)


def options(
    max_age: float = 60,
    *,
    swr: float = 0,
    sie: float = 0,
    vary: str = "",
    keys: str = "",
    length: int | None = None,
    metadata: bytes = b"",
    age: float = 0,
    pass_on: bool = False,
) -> WriteOptions:
    return WriteOptions(
        max_age_ns=int(max_age * SECOND),
        initial_age_ns=int(age * SECOND),
        stale_while_revalidate_ns=int(swr * SECOND),
        stale_if_error_ns=int(sie * SECOND),
        vary=vary_rule(vary),
        surrogate_keys=surrogate_keys(keys),
        length=length,
        user_metadata=metadata,
        pass_on=pass_on,
    )


def put(
    cache: Cache, key: bytes, data: bytes, given: WriteOptions, fields: Fields | None = None
) -> None:
    writer = cache.insert(key, fields or {}, given)
    writer.put(data)
    writer.finish()


def fill(entry: Entry, data: bytes, given: WriteOptions | None = None) -> None:
    writer, _ = entry.insert(given or options())
    writer.put(data)
    writer.finish()


def data_of(entry: Entry) -> bytes | None:
    """Return the bytes of what may be used."""
    found = entry.found
    return None if found is None else found.content.piece(0)


def test_what_is_inserted_is_found_while_it_is_fresh(cache: Cache, clock: Clock) -> None:
    put(cache, b"k", b"data", options(10, swr=5, age=2, metadata=b"about"))
    found = cache.lookup(b"k", {})
    assert (data_of(found), found.state, found.age_ns) == (
        b"data",
        {"found", "usable"},
        2 * SECOND,
    )
    clock.now += 8 * SECOND
    assert cache.lookup(b"k", {}).state == {"found", "usable", "stale"}
    clock.now += 5 * SECOND
    gone = cache.lookup(b"k", {})
    assert (gone.found, gone.state) == (None, set())
    assert gone.object is not None
    assert gone.object.options.user_metadata == b"about"
    assert cache.lookup(b"other", {}).object is None


def test_hits_are_lookups_that_could_use_it(cache: Cache) -> None:
    put(cache, b"k", b"", options())
    assert [cache.lookup(b"k", {}).hits for _ in range(3)] == [1, 2, 3]
    assert cache.begin(b"k", {}, Bell()).hits == 4
    assert cache.replace(b"k", {}, Bell()).hits == 4
    put(cache, b"k", b"", options())
    assert cache.lookup(b"k", {}).hits == 1


def test_variants_are_told_by_the_fields_their_rule_names(cache: Cache) -> None:
    german, french = (fields_of([("accept-language", [v])]) for v in (b"de", b"fr"))
    put(cache, b"k", b"hallo", options(vary="Accept-Language"), german)
    put(cache, b"k", b"salut", options(vary="accept-language"), french)
    assert data_of(cache.lookup(b"k", german)) == b"hallo"
    assert data_of(cache.lookup(b"k", french)) == b"salut"
    assert data_of(cache.lookup(b"k", {})) is None
    put(cache, b"k", b"all", options(age=1))
    assert data_of(cache.lookup(b"k", {})) == b"all"
    assert data_of(cache.lookup(b"k", german)) == b"hallo", "the younger one"
    put(cache, b"k", b"new", options())
    assert data_of(cache.lookup(b"k", german)) == b"new", "of the same age: the newer one"


def test_requests_that_differ_by_the_newest_rule_do_not_wait_for_one_another(
    cache: Cache,
) -> None:
    put(cache, b"k", b"", options(vary="v"), fields_of([("v", [b"0"])]))
    put(cache, b"k", b"", options(vary="w"), fields_of([("w", [b"0"])]))
    entries = [
        cache.begin(b"k", fields_of([("v", [v]), ("w", [w])]), Bell())
        for v, w in ((b"1", b"1"), (b"2", b"1"), (b"1", b"2"))
    ]
    assert [entry.obliged for entry in entries] == [True, False, True]
    assert not entries[1].ready


def test_rules_that_mean_the_same_are_one() -> None:
    assert vary_rule("unknown Accept  content-type accept") == vary_rule(
        "content-type accept unknown"
    )
    assert vary_rule("") == ()
    with pytest.raises(WitError, match="generic-error"):
        vary_rule("accept, other")


@pytest.mark.parametrize(
    "text", ["", "k" * 1025, "ä", "a b", "tab\t", pytest.param("\x7f", id="delete")]
)
def test_surrogate_keys_that_are_none(text: str) -> None:
    with pytest.raises(WitError, match="invalid-argument"):
        surrogate_key(text)


def test_lists_of_surrogate_keys() -> None:
    assert surrogate_keys("  a b a ") == {"a", "b"}
    assert surrogate_keys("k" * 1024) == {"k" * 1024}
    assert len(surrogate_keys("ab " * 5461)) == 1
    with pytest.raises(WitError, match="invalid-argument"):
        surrogate_keys("ab " * 5462)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, 3, (0, 4)),
        (0, 9, (0, 10)),
        (9, None, (9, 10)),
        (None, 3, (7, 10)),
        (None, 10, (0, 10)),
        *((first, last, None) for first, last in [(0, 10), (4, 3), (10, None), (10, 12)]),
        *((None, last, None) for last in (0, 11, None)),
    ],
)
def test_ranges(first: int | None, last: int | None, expected: tuple[int, int] | None) -> None:
    """Both ends are included; only a last one counts from the end. §2.11."""
    assert byte_range(10, first, last) == expected


def test_purging(cache: Cache) -> None:
    put(cache, b"1", b"", options(keys="a b"))
    put(cache, b"2", b"", options(keys="b"))
    put(cache, b"3", b"", options(keys="c"))
    assert cache.purge("a", soft=True) == 1
    assert cache.lookup(b"1", {}).state == {"found", "usable", "stale"}
    assert cache.begin(b"1", {}, Bell()).obliged
    assert cache.purge("b", soft=False) == 2
    assert [cache.lookup(key, {}).object is None for key in (b"1", b"2", b"3")] == [1, 1, 0]
    assert cache.purge("b", soft=False) == cache.purge("none", soft=True) == 0
    assert len(cache) == 1


def test_one_is_obliged_and_the_others_wait(cache: Cache) -> None:
    bells = [Bell() for _ in range(5)]
    first, *others = [cache.begin(b"k", {}, bell) for bell in bells]
    assert (first.ready, first.state) == (True, {"must-insert-or-update"})
    assert not any(entry.ready for entry in others)
    assert cache.begin(b"other", {}, Bell()).obliged
    assert cache.lookup(b"k", {}).ready
    rung = [bell.rung for bell in bells]
    fill(first, b"data")
    assert [data_of(entry) for entry in others] == [b"data"] * 4
    assert not any(entry.obliged for entry in (first, *others))
    assert all(bell.rung > before for bell, before in zip(bells[1:], rung[1:], strict=True))


@pytest.mark.parametrize("how", ["cancel", "close", "drop", "insert what is stale at once"])
def test_the_duty_goes_on_to_the_next(cache: Cache, how: str) -> None:
    bell = Bell()
    first, second, third = (cache.begin(b"k", {}, owner) for owner in (Bell(), bell, Bell()))
    match how:
        case "cancel":
            assert first.cancel()
            assert not first.cancel()
        case "close":
            first.close()
            first.close()
        case "drop":
            del first
        case _:
            fill(first, b"", options(0))
    assert (second.ready, second.obliged, third.ready) == (True, True, False)
    assert bell.rung == 1
    fill(second, b"data")
    assert data_of(third) == b"data"


@pytest.mark.parametrize("how", ["close", "drop", "drop in a circle"])
def test_who_waits_can_give_up(cache: Cache, how: str) -> None:
    first, third = cache.begin(b"k", {}, Bell()), None
    second = cache.begin(b"k", {}, Bell())
    third = cache.begin(b"k", {}, Bell())
    match how:
        case "close":
            second.close()
            second.wait()
            assert second.state == set()
        case "drop":
            del second
        case _:
            second.itself = second  # type: ignore[attr-defined]
            del second
            gc.collect()
    first.close()
    assert third.obliged
    third.close()
    assert len(cache) == 0
    assert not cache._shelf.slots, "nothing is kept of a key with nothing under it"


def test_finalizers_run_also_where_the_lock_is_held(cache: Cache) -> None:
    """The garbage collector may come at any moment."""
    first, second = cache.begin(b"k", {}, Bell()), cache.begin(b"k", {}, Bell())
    writer = cache.insert(b"other", {}, options())
    with cache._lock:
        del first, writer
        assert not second.ready
    assert second.obliged
    assert cache.lookup(b"other", {}).object is None


def test_stale_objects_are_used_while_one_gets_a_new_one(cache: Cache, clock: Clock) -> None:
    put(cache, b"k", b"old", options(10, swr=10))
    clock.now += 11 * SECOND
    first, second = cache.begin(b"k", {}, Bell()), cache.begin(b"k", {}, Bell())
    assert first.state == {"found", "usable", "stale", "must-insert-or-update"}
    assert second.state == {"found", "usable", "stale"}
    back = first.update(options(10, metadata=b"new"))
    assert (data_of(back), back.age_ns, back.obliged) == (b"old", 0, False)
    third = cache.begin(b"k", {}, Bell())
    assert (data_of(third), third.state) == (b"old", {"found", "usable"})
    assert third.object is not None
    assert third.object.options.user_metadata == b"new"
    assert third.hits == 3
    with pytest.raises(WitError, match="auxiliary-error"):
        first.update(options())
    with pytest.raises(WitError, match="auxiliary-error"):
        second.insert(options())


def test_nothing_found_cannot_be_updated(cache: Cache) -> None:
    entry = cache.begin(b"k", {}, Bell())
    with pytest.raises(WitError, match="auxiliary-error"):
        entry.update(options())
    assert entry.obliged, "it may still insert"


def test_what_was_purged_does_not_come_back(cache: Cache, clock: Clock) -> None:
    put(cache, b"k", b"old", options(0, swr=10, keys="a"))
    entry = cache.begin(b"k", {}, Bell())
    cache.purge("a", soft=False)
    with pytest.raises(WitError, match="auxiliary-error"):
        entry.update(options())
    fill(entry, b"new")
    assert data_of(cache.lookup(b"k", {})) == b"new"


def test_stale_if_error(cache: Cache, clock: Clock) -> None:
    """Only who tried in vain may use it, then all who wait; the next one has to try again."""
    put(cache, b"k", b"old", options(10, sie=20))
    clock.now += 10 * SECOND
    owners = [Bell(), Bell(), Bell()]
    first, second, replacing = (
        cache.begin(b"k", {}, owners[0]),
        cache.begin(b"k", {}, owners[1]),
        cache.replace(b"k", {}, owners[2], "wait"),
    )
    assert first.state == {"must-insert-or-update", "stale", "usable-if-error"}
    assert (first.found, second.ready) == (None, False)
    assert first.object is not None
    first.choose_stale()
    for entry in (first, second):
        assert data_of(entry) == b"old"
        assert entry.state == {"found", "usable", "stale", "usable-if-error"}
    assert replacing.obliged
    replacing.close()
    clock.now += 20 * SECOND - 1
    again = cache.begin(b"k", {}, Bell())
    assert again.state == {"must-insert-or-update", "stale", "usable-if-error"}
    clock.now += 1
    assert cache.replace(b"k", {}, Bell()).state == {"must-insert-or-update"}
    back = again.update(options(10))
    assert back.state == {"found", "usable"}
    with pytest.raises(WitError, match="auxiliary-error"):
        again.choose_stale()


def test_waiters_of_another_variant_get_nothing_of_the_chosen_one(
    cache: Cache, clock: Clock
) -> None:
    one, two = (fields_of([("v", [value])]) for value in (b"1", b"2"))
    put(cache, b"k", b"one", options(0, sie=20, vary="v"), one)
    put(cache, b"k", b"two", options(0, sie=20, vary="v"), two)
    first, same, other = (cache.begin(b"k", fields, Bell()) for fields in (one, one, two))
    assert (same.ready, other.obliged) == (False, True)
    first.choose_stale()
    assert (data_of(same), other.found) == (b"one", None)


def test_hit_for_pass(cache: Cache, clock: Clock) -> None:
    """Nothing is found and nobody waits, until the note is too old."""
    first, second = cache.begin(b"k", {}, Bell()), cache.begin(b"k", {}, Bell())
    writer, _ = first.insert(options(10, swr=99, sie=99, pass_on=True))
    writer.finish()
    for entry in (second, cache.begin(b"k", {}, Bell()), cache.lookup(b"k", {})):
        assert (entry.ready, entry.object, entry.state) == (True, None, set())
    clock.now += 10 * SECOND
    late = cache.begin(b"k", {}, Bell())
    assert late.state == {"must-insert-or-update"}


def test_an_object_can_be_read_while_it_is_written(cache: Cache) -> None:
    leader, waiting = cache.begin(b"k", {}, Bell()), cache.begin(b"k", {}, Bell())
    writer, back = leader.insert(options(length=6))
    writer.put(b"abc")
    assert data_of(back) == data_of(waiting) == b"abc"
    assert waiting.found is not None
    assert waiting.found.length == 6
    writer.put(b"def")
    assert waiting.found.content.piece(2) == b"c"
    assert waiting.found.content.piece(3, 5) == b"de"
    writer.finish()
    writer.abort()
    assert data_of(waiting) == b"abcdef"


async def test_readers_are_as_fast_as_the_writer(cache: Cache) -> None:
    writer = cache.insert(b"k", {}, options())
    found = cache.lookup(b"k", {}).found
    assert found is not None
    part, whole = found.content.body(2, 5), found.content.body()
    assert (part.length, whole.length) == (None, None)
    reading = asyncio.create_task(part.read())
    for piece in (b"a", b"b"):
        writer.put(piece)
        assert await whole.read() == piece
    assert not reading.done()
    await asyncio.to_thread(writer.put, b"cdefg")
    assert (await reading, await part.read()) == (b"cde", b"")
    assert await whole.read() == b"cdefg"
    end = asyncio.create_task(whole.read())
    for _ in range(5):  # until it waits for more
        await asyncio.sleep(0)
    writer.finish()
    assert await end == b""
    assert found.content.body(2, 4).at_hand == (b"cd",)
    assert not found.content.listeners


@pytest.mark.parametrize("how", ["abort", "drop", "short", "long", "large"])
async def test_what_is_not_complete_never_counts_as_such(clock: Clock, how: str) -> None:
    cache = Cache(clock=clock, max_object_bytes=10)
    leader, waiting = cache.begin(b"k", {}, Bell()), cache.begin(b"k", {}, Bell())
    length = {"short": 4, "long": 4}.get(how)
    writer, _ = leader.insert(options(length=length, keys="a"))
    writer.put(b"abc")
    assert waiting.found is not None
    body = waiting.found.content.body()
    assert await body.read() == b"abc"
    match how:
        case "abort":
            writer.abort()
        case "drop":
            del writer
        case "short":
            writer.finish()
        case "long":
            with pytest.raises(WitError, match="generic-error"):
                writer.put(b"de")
        case _:
            with pytest.raises(WitError, match="limit-exceeded"):
                writer.put(b"d" * 8)
    with pytest.raises(BodyError):
        await body.read()
    with pytest.raises(BodyError):
        await waiting.found.content.body().whole(99)
    assert cache.lookup(b"k", {}).object is None
    assert cache.begin(b"k", {}, Bell()).obliged
    assert (len(cache), cache.weight, cache.purge("a", soft=True)) == (0, 0, 0)


def test_a_pen_without_an_object_fails(cache: Cache) -> None:
    writer = cache.insert(b"k", {}, options())
    writer.abort()
    with pytest.raises(WitError, match="generic-error"):
        writer.put(b"x")
    writer.finish()
    assert cache.lookup(b"k", {}).object is None


def test_an_object_that_breaks_off_leaves_its_successor_alone(cache: Cache) -> None:
    first = cache.insert(b"k", {}, options())
    put(cache, b"k", b"second", options())
    first.abort()
    assert data_of(cache.lookup(b"k", {})) == b"second"


def test_memory_is_bounded(clock: Clock) -> None:
    """What was used longest ago goes first, also what is still written; nothing else is lost."""
    cache = Cache(clock=clock, max_bytes=10_000, max_object_bytes=6_000)
    for number in range(4):
        put(cache, b"%d" % number, bytes(1500), options(keys="a"))
    assert data_of(cache.lookup(b"0", {})) is not None
    put(cache, b"4", bytes(3000), options(keys="a"))
    assert [n for n in range(5) if cache.lookup(b"%d" % n, {}).found] == [0, 2, 3, 4]
    growing = cache.insert(b"big", {}, options(keys="a"))
    for _ in range(5):
        growing.put(bytes(1000))
        assert cache.weight <= 10_000
    assert data_of(cache.lookup(b"big", {}))
    assert cache.purge("a", soft=False) == 2
    assert (len(cache), cache.weight) == (0, 0)
    growing.put(bytes(1000))
    growing.finish()
    assert cache.weight == 0, "what cannot be found is not counted"


def test_nothing_but_small_objects_is_bounded_as_well(clock: Clock) -> None:
    cache = Cache(clock=clock, max_bytes=100_000)
    for number in range(1000):
        put(cache, b"%d" % number, b"", options())
    assert 100 < len(cache) < 200
    assert cache.weight <= 100_000


def replacing(cache: Cache, strategy: Strategy) -> Entry:
    return cache.replace(b"k", {}, Bell(), strategy)


def test_replacing_at_once(cache: Cache) -> None:
    """Nobody is waited for, and the old object is there until the new one is."""
    put(cache, b"k", b"old", options())
    one, two = replacing(cache, "immediate"), replacing(cache, "immediate")
    assert data_of(one) == data_of(two) == data_of(cache.begin(b"k", {}, Bell())) == b"old"
    assert one.state == {"found", "usable", "must-insert-or-update"}
    fill(one, b"first")
    fill(two, b"second")
    assert data_of(cache.lookup(b"k", {})) == b"second"


def test_replacing_with_the_old_one_gone(cache: Cache) -> None:
    put(cache, b"k", b"old", options())
    one = replacing(cache, "immediate-force-miss")
    assert data_of(one) == b"old"
    assert cache.lookup(b"k", {}).object is None
    waiting = cache.begin(b"k", {}, Bell())
    assert not waiting.ready
    fill(one, b"new")
    assert data_of(waiting) == b"new"


def test_replacing_in_turn_makes_a_counter(cache: Cache) -> None:
    """Each gets to see what the one before wrote; one that gives up holds nobody up."""
    entries = [replacing(cache, "wait") for _ in range(5)]
    for place, entry in enumerate(entries):
        assert [e.ready for e in entries] == [True] * (place + 1) + [False] * (4 - place)
        if place == 2:
            entry.close()
        else:
            fill(entry, b"%d" % (int(data_of(entry) or 0) + 1))
    assert data_of(cache.lookup(b"k", {})) == b"4"


def test_replacing_waits_for_an_insertion(cache: Cache) -> None:
    leader = cache.begin(b"k", {}, Bell())
    entry = replacing(cache, "wait")
    assert not entry.ready
    fill(leader, b"new")
    assert data_of(entry) == b"new"


def test_who_waits_for_oneself_gets_another_turn(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    owner = Bell()
    first, second = cache.begin(b"k", {}, owner), cache.begin(b"k", {}, owner)
    assert not second.ready, "the guest may still do its duty"
    second.wait()
    assert (first.obliged, second.obliged) == (True, True)
    assert "only itself can insert" in caplog.text
    fill(first, b"1")
    fill(second, b"2")
    assert data_of(cache.lookup(b"k", {})) == b"2"


def in_background(entry: Entry) -> threading.Thread:
    thread = threading.Thread(target=entry.wait)
    thread.start()
    return thread


def blocked(cache: Cache, count: int) -> None:
    while len(cache._blocked) < count:  # a thread is on its way
        pass


def test_nobody_waits_in_a_circle(cache: Cache) -> None:
    """Three who each have a duty and wait for the next one."""
    owners = [Bell(), Bell(), Bell()]
    duties = [cache.begin(b"%d" % n, {}, owner) for n, owner in enumerate(owners)]
    waits = [cache.begin(b"%d" % ((n + 1) % 3), {}, owner) for n, owner in enumerate(owners)]
    threads = []
    for count, entry in enumerate(waits[:2], 1):
        threads.append(in_background(entry))
        blocked(cache, count)
    assert not any(entry.ready for entry in waits)
    waits[2].wait()
    assert waits[2].obliged
    for n in (0, 2, 1):
        fill(duties[n], b"%d" % n)
    waits[2].close()
    for thread in threads:
        thread.join()
    assert [data_of(entry) for entry in waits[:2]] == [b"1", b"2"]


def test_a_circle_that_closes_while_all_wait(cache: Cache) -> None:
    """The duty goes to one that waits already, for the one that waits for it."""
    one, two, three = Bell(), Bell(), Bell()
    leader = cache.begin(b"k", {}, three)
    heir = cache.begin(b"k", {}, one)
    waits = cache.begin(b"k", {}, two)
    other = cache.begin(b"other", {}, two)
    threads = [in_background(cache.begin(b"other", {}, one)), in_background(waits)]
    blocked(cache, 2)
    leader.close()
    threads[1].join(30)
    assert (heir.obliged, waits.obliged) == (True, True)
    other.close()
    threads[0].join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_waiting_for_bytes() -> None:
    content, bell = Content(), Bell()
    thread = threading.Thread(target=content.wait_for, args=(3, bell))
    thread.start()
    while not content.listeners:
        pass
    content.add(b"ab")
    bell.notify()
    content.add(b"c")
    bell.notify()
    thread.join(30)
    assert not content.listeners


def test_threads_do_not_hold_each_other_up(clock: Clock) -> None:
    """Each has a duty on one key while it waits for another, in any order; some give up."""
    cache = Cache(clock=clock, max_bytes=3000)

    def work(seed: int) -> None:
        owner, choice = Bell(), random.Random(seed)
        for _ in range(100):
            entries = [cache.begin(key, {}, owner) for key in choice.sample(keys, 2)]
            for entry in entries:
                entry.wait()
                match choice.randrange(5) if entry.obliged else 5:
                    case 0 | 1:
                        fill(entry, b"data", options(choice.randrange(2), keys="a"))
                    case 2:
                        cache.purge("a", soft=choice.random() < 0.5)
                    case 3:
                        entry.insert(options())  # and nothing is written
            clock.now += SECOND // 2

    keys = [b"1", b"2", b"3"]
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert not cache._blocked
    assert not any(slot.flights or slot.queue for slot in cache._shelf.slots.values())
