"""The core cache through guests, its time played. Host contract §2.11."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from host_sim.messages import Request, Response
from host_sim.sandbox.cache.store import Cache
from host_sim.sandbox.data import BackendFacts, HostData
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits
from tests.support.sandbox import Scripted, Upstream, build_guest, response
from tests.support.waiting import soon

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

USE = """
SECOND, MISSING = 10 ** 9, object()

def options(max_age=60, **more):
    given = dict(max_age_ns=int(max_age * SECOND), request_headers=None, vary_rule=None,
                 initial_age_ns=None, stale_while_revalidate_ns=None, surrogate_keys=None,
                 length=None, user_metadata=None, edge_max_age_ns=None, sensitive_data=False,
                 extra=None)
    return cache.WriteOptions(**{**given, **more})

def looking(fields=None, exact=False):
    headers = None
    if fields is not None:
        headers = http_req.Request.new()
        for name, value in fields.items():
            headers.append_header(name, value)
    return cache.LookupOptions(headers, exact, None)

def lookup(key=b"k", fields=None, exact=False):
    return cache.Entry.lookup(key, looking(fields, exact))

def begin(key=b"k", fields=None, exact=False):
    return cache.Entry.transaction_lookup(key, looking(fields, exact))

def begin_async(key=b"k"):
    return cache.Entry.transaction_lookup_async(key, looking())

def replacing(key=b"k", strategy=None, exact=False):
    wanted = strategy and cache.ReplaceStrategy[strategy]
    return cache.ReplaceEntry.replace(key, cache.ReplaceOptions(None, wanted, exact, None))

def flags(entry):
    state = entry.get_state()
    return None if state is None else [flag.name.lower() for flag in state]

def write(pen, data):
    http_body.write(pen, data)
    http_body.close(pen)

def put(data, key=b"k", fields=None, **more):
    write(cache.insert(key, options(request_headers=looking(fields).request_headers, **more)), data)

def part(from_=None, to=None):
    return cache.GetBodyOptions(from_, to, None)

def get(entry, *ends):
    return read_all(entry.get_body(part(*ends))).decode()

def facts(entry):
    return [entry.get_length(), entry.get_max_age_ns(), entry.get_stale_while_revalidate_ns(),
            entry.get_age_ns(), entry.get_hits()]
"""

SECOND = 1_000_000_000
NAMES = ("gate", "leader", "readers", "both", "origin")


class Edge(Scripted):
    """Guests that share a cache whose time is played.

    Attributes:
        now: the time.
        cache: the cache.
    """

    def __init__(self) -> None:
        self.now = 0
        self.cache = Cache(clock=lambda: self.now)
        upstream = Upstream()
        super().__init__(
            Sandboxes(
                upstream=upstream,
                data=HostData(backends={name: BackendFacts(url="http://a.test") for name in NAMES}),
                limits=Limits(cpu_s=10.0, request_timeout_s=30.0),
                cache=self.cache,
            ),
            upstream,
        )

    def waiting(self, key: bytes = b"k") -> int:
        """How many lookups wait for somebody who inserts."""
        slot = self.cache._shelf.slots.get(key)
        return 0 if slot is None else len(slot.queue)

    async def reach(self, condition: Callable[[], object], *guests: asyncio.Task[Any]) -> None:
        """Wait until `condition` holds, which it has to before one of the guests ends."""
        await soon(lambda: condition() or any(guest.done() for guest in guests))
        assert condition(), [guest.result() for guest in guests if guest.done()]


@pytest_asyncio.fixture(params=["direct", "public"], scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Edge]:
    """Guests on one border or the other, for the whole module."""
    made = Edge()
    await made.sandboxes.load(build_guest("scripted"), border=request.param)
    yield made
    await made.sandboxes.close()


@pytest_asyncio.fixture(loop_scope="module")
async def edge(shared: Edge) -> Edge:
    """The same with nothing in the cache, no backend and no time gone."""
    await soon(lambda: not shared.sandboxes._running)
    shelf = shared.cache._shelf
    for slot in tuple(shelf.slots.values()):
        assert not slot.flights, "a guest's duty outlived it"
        assert not slot.queue, "a guest's wait outlived it"
        for thing in tuple(slot.objects.values()):
            shelf.remove(thing)
    assert (len(shared.cache), shared.cache.weight, shelf.slots) == (0, 0, {})
    shared.now = 0
    shared.upstream.backends.clear()
    return shared


class Gate:
    """A backend that answers when it is opened.

    Attributes:
        asked: how many wait in front of it, or have.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._open = asyncio.Event()

    def open(self) -> None:
        """Let everybody go on."""
        self._open.set()

    async def __call__(self, _request: Request) -> Response:
        self.asked += 1
        await self._open.wait()
        return response()


PASS = """
def pass_through(gate):
    http_req.send(http_req.Request.new(), http_body.new(), backend.Backend.open(gate))
"""


async def test_what_one_guest_inserts_another_finds(edge: Edge) -> None:
    await edge.bytes(
        USE
        + """
put(b"content", user_metadata=b"about", stale_while_revalidate_ns=5, initial_age_ns=SECOND,
    sensitive_data=True, edge_max_age_ns=60 * SECOND, extra=cache.ExtraWriteOptions())
answer()
"""
    )
    edge.now += 2 * SECOND
    got = await edge.json(
        USE
        + """
entry = lookup()
answer([flags(entry), facts(entry), entry.get_user_metadata(5).decode(),
        failure(entry.get_user_metadata, 4), get(entry), get(lookup()), lookup().get_hits()])
"""
    )
    assert got == [
        ["found", "usable"],
        [7, 60 * SECOND, 5, 3 * SECOND, 1],
        *("about", ["BufferLen", 5], "content", "content", 3),
    ]


async def test_what_is_not_there(edge: Edge) -> None:
    """None where the WIT's result has one, else `cannot-read`. §2.11."""
    got = await edge.json(
        USE
        + """
entry = lookup()
trace = [flags(entry), facts(entry), failure(entry.get_user_metadata, 9),
         failure(entry.get_body, part())]
cache.close_entry(entry)
entry = begin()
trace += [flags(entry), facts(entry), failure(entry.get_body, part())]
cache.close_entry(entry)
entry = replacing()
answer(trace + [flags(entry), facts(entry), entry.get_user_metadata(9), entry.get_body(part())])
"""
    )
    nothing = [None] * 5
    assert got == [
        *([], nothing, "CannotRead", "CannotRead"),
        *(["must_insert_or_update"], nothing, "CannotRead"),
        *(None, nothing, None, None),
    ]


async def test_options_that_cannot_be(edge: Edge) -> None:
    got = await edge.json(
        USE
        + """
long, own = b"k" * 4097, http_req.Request.new()
trace = [failure(function, long, given) for function, given in (
    (cache.insert, options()), (cache.Entry.lookup, looking()),
    (cache.Entry.transaction_lookup, looking()), (cache.Entry.transaction_lookup_async, looking()),
    (cache.ReplaceEntry.replace, cache.ReplaceOptions(None, None, False, None)))]
bad = [dict(edge_max_age_ns=61 * SECOND), dict(surrogate_keys="ü"), dict(surrogate_keys="a\\tb"),
       dict(surrogate_keys="k" * 1025), dict(surrogate_keys="ab " * 5462), dict(vary_rule="a,b")]
trace += [failure(cache.insert, b"k", options(**given)) for given in bad]
entry = begin()
for write_ in (entry.transaction_insert, entry.transaction_insert_and_stream_back,
               entry.transaction_update):
    trace.append([failure(write_, options(request_headers=own)),
                  failure(write_, options(**bad[0]))])
trace.append([flags(entry), failure(entry.transaction_update, options())])
entry.transaction_cancel()
trace.append([flags(entry), failure(entry.transaction_cancel),
              failure(entry.transaction_insert, options()),
              failure(cache.replace_insert, replacing(), options(**bad[0]))])
put(b"at the limit", b"k" * 4096, surrogate_keys="k" * 1024 + " b")
answer(trace + [get(lookup(b"k" * 4096))])
"""
    )
    assert got == [
        *(["BufferLen", 4096],) * 5,
        *("InvalidArgument",) * 5,
        "GenericError",
        *(["InvalidArgument"] * 2,) * 3,
        [["must_insert_or_update"], "AuxiliaryError"],
        [[], "AuxiliaryError", "AuxiliaryError", "InvalidArgument"],
        "at the limit",
    ]


async def test_freshness(edge: Edge) -> None:
    """Fresh, stale while one revalidates, expired; hours in no time."""
    await edge.bytes(
        USE
        + """
put(b"old", max_age=3600, stale_while_revalidate_ns=3600 * SECOND, user_metadata=b"1")
answer()
"""
    )
    look = USE + "entry, other = lookup(), begin(); answer([flags(entry), flags(other)])"
    assert await edge.json(look) == [["found", "usable"]] * 2
    edge.now += 3600 * SECOND
    got = await edge.json(
        USE
        + """
first, second = begin(), begin()
trace = [flags(first), flags(second), get(first)]
first.transaction_update(options(7200, user_metadata=b"2"))
again = begin()
answer(trace + [flags(first), flags(again), get(again), again.get_age_ns(),
                again.get_user_metadata(9).decode(), failure(second.transaction_update, options())])
"""
    )
    stale = ["found", "usable", "stale"]
    assert got == [
        *([*stale, "must_insert_or_update"], stale, "old"),
        *(stale, ["found", "usable"], "old", 0, "2", "AuxiliaryError"),
    ]
    edge.now += 7200 * SECOND
    assert await edge.json(look) == [[], ["must_insert_or_update"]]
    got = await edge.json(
        USE + "e = lookup(); t = begin(); answer([e.get_max_age_ns(), t.get_max_age_ns()])"
    )
    assert got == [7200 * SECOND, None]


async def test_variants(edge: Edge) -> None:
    got = await edge.json(
        USE
        + """
de, fr = {"accept-language": b"de"}, {"accept-language": b"fr"}
put(b"hallo", fields=de, vary_rule="Accept-Language")
entry = begin(fields=fr)
trace = [flags(entry)]
write(entry.transaction_insert(options(vary_rule="accept-language")), b"salut")
trace += [get(lookup(fields=de)), get(begin(fields=fr)), flags(lookup())]
answer(trace)
"""
    )
    assert got == [["must_insert_or_update"], "hallo", "salut", []]


async def test_ranges(edge: Edge) -> None:
    """Both ends included; only `to` is a number of last bytes; anything else gives everything."""
    got = await edge.json(
        USE
        + """
put(b"0123456789")
ends = [(None, None), (0, 3), (3, 3), (7, None), (None, 3), (None, 10),
        (7, 10), (3, 2), (10, None), (None, 0), (None, 11)]
trace = [get(lookup(), *pair) for pair in ends]
body = lookup().get_body(part(2, 4))
answer(trace + [http_body.get_known_length(body)])
"""
    )
    assert got == [
        *("0123456789", "0123", "3", "789", "789", "0123456789"),
        *("0123456789",) * 5,
        3,
    ]


async def test_ranges_of_what_is_still_written(edge: Edge) -> None:
    """Known length: as always. Unknown: everything, or the range if the guest insists on it."""
    got = await edge.json(
        USE
        + """
known = cache.insert(b"known", options(length=6))
http_body.write(known, b"abcd")
first, early = lookup(b"known").get_body(part(1, 2)), lookup(b"known").get_body(part(1, 2))
trace = [http_body.get_known_length(first), read_all(first).decode(), lookup(b"known").get_length()]
write(known, b"ef")

pen = cache.insert(b"k", options())
http_body.write(pen, b"abcd")
plain, exact = lookup(), lookup(exact=True)
trace += [plain.get_length(), http_body.get_known_length(exact.get_body(part(0, 1)))]
all_, open_, some = (entry.get_body(part(1, end)) for entry, end in
                     ((plain, 2), (exact, None), (lookup(exact=True), 2)))
trace.append(read_all(some).decode())
write(pen, b"ef")
trace += [read_all(body).decode() for body in (all_, open_)]
del all_, open_
trace += [get(exact, None, 2), get(exact, 1, 99), get(exact, 6, None), plain.get_length()]
answer(trace)
"""
    )
    assert got == [
        *(2, "bc", 6),
        *(None, None, "bc", "abcdef", "bcdef"),
        *("ef", "abcdef", "abcdef", 6),
    ]


async def test_a_range_is_waited_for(edge: Edge) -> None:
    """The end of an object nobody knows the length of, in another guest."""
    gate = edge.upstream.backends["gate"] = Gate()
    writer = asyncio.create_task(
        edge.bytes(
            USE
            + PASS
            + """
pen = cache.insert(b"k", options())
http_body.write(pen, b"abcd")
pass_through("gate")
write(pen, b"ef")
answer()
"""
        )
    )
    await edge.reach(lambda: gate.asked, writer)
    readers = [
        asyncio.create_task(edge.bytes(USE + f"answer(get(lookup(exact=True), {ends}).encode())"))
        for ends in ("None, 3", "5", "9")
    ]
    slot = edge.cache._shelf.slots[b"k"]
    (thing,) = slot.objects.values()
    await edge.reach(lambda: len(thing.content.listeners) == 3, *readers)
    gate.open()
    assert await asyncio.gather(*readers) == [b"def", b"f", b"abcdef"]
    await writer


async def test_a_range_that_never_comes(edge: Edge) -> None:
    gate = edge.upstream.backends["gate"] = Gate()
    writer = asyncio.create_task(
        edge.run(USE + PASS + "pen = cache.insert(b'k', options()); pass_through('gate')")
    )
    await edge.reach(lambda: gate.asked, writer)
    readers = [
        asyncio.create_task(
            edge.json(USE + f"answer(failure(lambda: get(lookup(exact=True), {ends})))")
        )
        for ends in ("None, 3", "5")
    ]
    (thing,) = edge.cache._shelf.slots[b"k"].objects.values()
    await edge.reach(lambda: len(thing.content.listeners) == 2, *readers)
    gate.open()
    assert await asyncio.gather(*readers) == ["HttpIncomplete"] * 2
    await writer


async def test_one_body_at_a_time(edge: Edge) -> None:
    """§2.11: of one lookup; whatever becomes of the first one, the next is given then."""
    got = await edge.json(
        USE
        + """
put(b"x")
trace = []
for entry in (lookup(), begin(), replacing()):
    first = entry.get_body(part())
    trace.append(failure(entry.get_body, part()))
    http_body.close(first)
    second = entry.get_body(part())
    trace.append(failure(entry.get_body, part()))
    del second
    gc.collect()
    third, joined = entry.get_body(part()), http_body.new()
    http_body.append(joined, third)
    trace.append(get(entry))
response, last = http_resp.Response.new(), lookup()
http_resp.send_downstream(response, written(json.dumps(trace).encode()))
"""
    )
    assert got == ["AuxiliaryError", "AuxiliaryError", "x"] * 3


async def test_streaming_back(edge: Edge) -> None:
    """A guest writes an object and sends it on from the cache."""
    got = await edge.bytes(
        USE
        + """
entry = begin(exact=True)
pen, back = entry.transaction_insert_and_stream_back(options(user_metadata=b"m", length=6))
assert flags(entry) == [] and flags(back) == ["found", "usable"], (flags(entry), flags(back))
assert facts(back) == [6, 60 * SECOND, 0, 0, 0] and back.get_user_metadata(9) == b"m"
http_body.write(pen, b"abc")
http_resp.send_downstream(http_resp.Response.new(), back.get_body(part()))
write(pen, b"def")
"""
    )
    assert got == b"abcdef"


async def test_an_object_from_a_backend(edge: Edge) -> None:
    """A whole response is moved into the cache."""

    async def origin(_request: Request) -> Response:
        return response(b"o" * 100_000)

    edge.upstream.backends["origin"] = origin
    got = await edge.json(
        USE
        + """
origin = backend.Backend.open("origin")
_, body = http_req.send(http_req.Request.new(), http_body.new(), origin)
pen = begin().transaction_insert(options())
http_body.append(pen, body)
http_body.close(pen)
answer([lookup().get_length(), len(get(lookup()))])
"""
    )
    assert got == [100_000, 100_000]


@pytest.mark.parametrize(
    "end",
    [
        "del pen; gc.collect()",
        "raise ValueError",
        "write(pen, b'short')",
        "assert failure(http_body.write, pen, b'x' * 99) == 'GenericError'",
        "assert failure(http_resp.send_downstream, http_resp.Response.new(), pen)",
    ],
)
async def test_what_is_not_complete_never_counts_as_such(edge: Edge, end: str) -> None:
    """The pen is dropped, with its guest or without, or more or less comes than announced."""
    gate = edge.upstream.backends["gate"] = Gate()
    writer = asyncio.create_task(
        edge.run(
            USE
            + PASS
            + f"""
pen = begin().transaction_insert(options(length=9))
http_body.write(pen, b"abc")
pass_through("gate")
{end}
"""
        )
    )
    await edge.reach(lambda: gate.asked, writer)
    reader = asyncio.create_task(
        edge.json(USE + "e = begin(); answer([flags(e), failure(get, e), flags(begin())])")
    )
    (thing,) = edge.cache._shelf.slots[b"k"].objects.values()
    await edge.reach(lambda: thing.content.listeners, reader)
    gate.open()
    assert await reader == [["found", "usable"], "HttpIncomplete", ["must_insert_or_update"]]
    await writer
    assert await edge.json(USE + "answer(flags(lookup()))") == []


async def test_many_look_up_what_one_inserts(edge: Edge) -> None:
    """Sixteen at once: one has the duty, all others get its bytes, as it writes them."""
    leader, readers = Gate(), Gate()
    edge.upstream.backends.update(leader=leader, readers=readers)
    script = (
        USE
        + PASS
        + """
entry = begin()
if "must_insert_or_update" in flags(entry):
    pass_through("leader")
    pen = entry.transaction_insert(options())
    http_body.write(pen, b"half ")
    pass_through("readers")
    write(pen, b"and half")
    answer(b"leader")
else:
    body = entry.get_body(part())
    first = http_body.read(body, 99)
    pass_through("readers")
    answer(first + read_all(body))
"""
    )
    guests = [asyncio.create_task(edge.bytes(script)) for _ in range(16)]
    await edge.reach(lambda: leader.asked == 1 and edge.waiting() == 15, *guests)
    leader.open()
    await edge.reach(lambda: readers.asked == 16, *guests)
    readers.open()
    assert sorted(await asyncio.gather(*guests)) == [b"half and half"] * 15 + [b"leader"]
    assert leader.asked == 1


@pytest.mark.parametrize(
    "end",
    [
        "entry.transaction_cancel()",
        "cache.close_entry(entry)",
        "del entry; gc.collect()",
        "raise ValueError",
        "os.abort()",
        "sys.exit(0)",
        "http_body.close(begin_async(b'other'))",
        "write(entry.transaction_insert(options(0)), b'old at once')",
        "cache.insert(b'other', options())",
    ],
)
async def test_the_duty_goes_on(edge: Edge, end: str) -> None:
    """Whatever becomes of the guest that had it."""
    gate = edge.upstream.backends["gate"] = Gate()
    first = asyncio.create_task(
        edge.run(USE + PASS + f"entry = begin(); pass_through('gate'); {end}")
    )
    await edge.reach(lambda: gate.asked, first)
    others = [
        asyncio.create_task(
            edge.bytes(
                USE
                + """
entry = begin()
if "must_insert_or_update" in flags(entry):
    write(entry.transaction_insert(options()), b"new")
    answer(b"inserted")
else:
    answer(get(entry).encode())
"""
            )
        )
        for _ in range(3)
    ]
    await edge.reach(lambda: edge.waiting() == 3, *others)
    gate.open()
    assert sorted(await asyncio.gather(*others)) == [b"inserted", b"new", b"new"]
    await first
    assert await edge.json(USE + "answer([flags(begin(b'other')), get(begin())])") == [
        ["must_insert_or_update"],
        "new",
    ]


async def test_a_handle_in_a_wrong_place_holds_nobody_up(edge: Edge) -> None:
    """Pending entries and bodies are one type in the WIT; the guest ends, with its duty."""
    wrong = USE + "http_body.close(begin_async())"
    assert "a PendingEntry cannot be used here" in (await edge.fail(wrong)).reason
    assert await edge.json(USE + "answer(flags(begin()))") == ["must_insert_or_update"]
    wrong = USE + "cache.await_entry(http_body.new())"
    assert "a GuestBody cannot be used here" in (await edge.fail(wrong)).reason


async def test_looking_up_without_waiting(edge: Edge) -> None:
    """What is pending can be waited for with other things, awaited, or given up."""
    got = await edge.json(
        USE
        + """
first, second, third = begin_async(), begin_async(), begin_async()
trace = [pending.is_ready() for pending in (first, second, third)]
trace += [async_io.select([second, first]), async_io.select_with_timeout([second, third], 0)]
cache.close_pending_entry(second)
leader, waiting = cache.await_entry(first), cache.await_entry(third)
write(leader.transaction_insert(options()), b"x")
trace += [flags(leader), flags(waiting), get(waiting)]
dropped = begin_async(b"other")
del dropped
gc.collect()
answer(trace + [flags(begin(b"other"))])
"""
    )
    assert got == [
        *(True, False, False),
        *(1, None),
        *([], ["found", "usable"], "x", ["must_insert_or_update"]),
    ]


@pytest.mark.parametrize(
    "wait", ["flags(begin())", "async_io.select([begin_async()])", "facts(begin())", "get(begin())"]
)
async def test_a_guest_that_waits_for_itself_gets_another_turn(
    edge: Edge, wait: str, caplog: pytest.LogCaptureFixture
) -> None:
    got = await edge.json(
        USE
        + f"""
first = begin()
before = flags(first)
try:
    {wait}
except Err:
    pass  # nothing is found
write(first.transaction_insert(options()), b"x")
answer([before, get(begin())])
"""
    )
    assert got == [["must_insert_or_update"], "x"]
    assert "only itself can insert" in caplog.text


async def test_guests_that_wait_for_each_other_get_on(edge: Edge) -> None:
    both = Gate()
    edge.upstream.backends["both"] = both
    guests = [
        asyncio.create_task(
            edge.json(
                USE
                + PASS
                + f"""
mine = begin({mine!r})
flags(mine)
pass_through("both")
theirs = begin({theirs!r})
state = flags(theirs)
write(mine.transaction_insert(options()), b"x")
answer(state)
"""
            )
        )
        for mine, theirs in ((b"1", b"2"), (b"2", b"1"))
    ]
    await edge.reach(lambda: both.asked == 2, *guests)
    both.open()
    assert sorted(await asyncio.gather(*guests)) == [["found", "usable"], ["must_insert_or_update"]]


async def test_a_guest_that_waits_can_be_stopped(edge: Edge) -> None:
    """A wait for another guest takes no longer than the request may."""
    gate = edge.upstream.backends["gate"] = Gate()
    leader = asyncio.create_task(
        edge.run(USE + PASS + "e = begin(); pass_through('gate'); answer()")
    )
    await edge.reach(lambda: gate.asked, leader)
    waiting = asyncio.create_task(edge.fail(USE + "flags(begin())"))
    await edge.reach(lambda: edge.cache._blocked, waiting)
    (blocked,) = edge.cache._blocked
    blocked.stop("enough")  # type: ignore[attr-defined]  # it is a sandbox's `Waiting`
    assert (await waiting).reason == "enough"
    await soon(lambda: not edge.waiting())
    gate.open()
    await leader


async def test_replacing(edge: Edge) -> None:
    """The old object is there until the new one is, for everybody."""
    got = await edge.json(
        USE
        + """
put(b"old", user_metadata=b"m", stale_while_revalidate_ns=7)
entry = replacing(strategy="IMMEDIATE")
trace = [flags(entry), facts(entry), entry.get_user_metadata(1).decode(),
         failure(entry.get_user_metadata, 0), read_all(entry.get_body(part(1))).decode()]
trace += [get(begin()), get(lookup())]
write(cache.replace_insert(entry, options()), b"new")
trace += [get(begin())]
cache.close_replace_entry(replacing())
own = http_req.Request.new()
own.append_header("v", b"1")
write(cache.replace_insert(replacing(), options(request_headers=own, vary_rule="v")), b"newest")
answer(trace + [get(lookup(fields={"v": b"1"})), get(lookup())])
"""
    )
    assert got == [
        ["found", "usable", "must_insert_or_update"],
        [3, 60 * SECOND, 7, 0, 0],
        *("m", ["BufferLen", 1], "ld", "old", "old", "new", "newest", "new"),
    ]


async def test_replacing_with_a_miss_for_the_others(edge: Edge) -> None:
    gate = edge.upstream.backends["gate"] = Gate()
    replacer = asyncio.create_task(
        edge.bytes(
            USE
            + PASS
            + """
put(b"old")
entry = replacing(strategy="IMMEDIATE_FORCE_MISS")
pass_through("gate")
old = get(entry)
write(cache.replace_insert(entry, options()), b"new")
answer(old.encode())
"""
        )
    )
    await edge.reach(lambda: gate.asked, replacer)
    assert await edge.json(USE + "answer(flags(lookup()))") == []
    other = asyncio.create_task(edge.bytes(USE + "answer(get(begin()).encode())"))
    await edge.reach(edge.waiting, other)
    gate.open()
    assert (await replacer, await other) == (b"old", b"new")


async def test_replacing_in_turn_makes_a_counter(edge: Edge) -> None:
    """Eight guests count; one of them gives up, another one ends."""
    gate = edge.upstream.backends["gate"] = Gate()
    first = asyncio.create_task(edge.run(USE + PASS + "e = begin(); pass_through('gate')"))
    await edge.reach(lambda: gate.asked, first)
    count = (
        USE
        + """
entry = replacing(strategy="WAIT")
state = flags(entry)
old = entry.get_body(part())
number = int(read_all(old)) if old else 0
{}
write(cache.replace_insert(entry, options()), b"%d" % (number + 1))
answer()
"""
    )
    ends = ["", "", "cache.close_replace_entry(entry); sys.exit()", "", "raise ValueError", ""]
    guests = [asyncio.create_task(edge.run(count.replace("{}", end))) for end in ends]
    await edge.reach(lambda: edge.waiting() == len(ends), *guests)
    gate.open()
    await asyncio.gather(first, *guests)
    assert await edge.bytes(USE + "answer(get(lookup()).encode())") == b"4"


async def test_steps(newest: Scripted) -> None:
    """The newest WIT: a pollable where something has to be waited for, which holds nothing."""
    got = await newest.json(
        USE
        + """
first, second = begin(), begin()
step = second.step()
trace = [first.step(), step.is_ready(), async_io.select_with_timeout([step], 0)]
del step
gc.collect()
turn = replacing(strategy="WAIT")
steps = [second.step(), turn.step()]
write(first.transaction_insert(options()), b"x")
trace += [async_io.select([step]) for step in steps]
trace += [second.step(), turn.step(), flags(second), flags(turn), get(second)]
leader, gone = begin(b"other"), begin(b"other")
step = gone.step()
del gone
gc.collect()
trace += [step.is_ready(), async_io.select([step])]
answer(trace + [lookup().step(), replacing().step()])
"""
    )
    assert got == [
        *(None, False, None),
        *(0, 0),
        *(None, None, ["found", "usable"], ["found", "usable", "must_insert_or_update"], "x"),
        *(True, 0),
        *(None, None),
    ]
