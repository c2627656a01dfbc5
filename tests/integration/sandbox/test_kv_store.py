"""KV stores, in memory and on disk. Host contract §2.8."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from host_sim.body import Body
from host_sim.config.manifest import load_manifest
from host_sim.errors import BodyError
from host_sim.lookups import host_data
from host_sim.messages import Request, Response
from host_sim.sandbox.data import BackendFacts, HostData, KvItem
from tests.support.hosts import guests
from tests.support.sandbox import Scripted, response

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

USE = """
def chosen(mode="OVERWRITE", generation=None, metadata=None, lifetime=None):
    return kv_store.InsertOptions(False, generation, metadata, lifetime,
                                  kv_store.InsertMode[mode], None)

def put(key, content=b"", *options, **more):
    return store.insert(key, written(content), chosen(*options, **more))

def get(key):
    entry = store.lookup(key)
    return entry and read_all(entry.take_body()).decode()

def listing(prefix=None, limit=None, cursor=None, mode="STRONG"):
    return kv_store.ListOptions(kv_store.ListMode[mode], cursor, limit, prefix, None)

def keys(*options, **more):
    return json.loads(read_all(store.list(listing(*options, **more))))

store = kv_store.Store.open("things")
"""
EMPTIED = USE + 'for old in keys()["data"]:\n    store.delete(old)\n'

DATA = HostData(
    backends={"slow": BackendFacts(url="http://slow.test")},
    kv_stores={"things": {"old": KvItem(b"x", "first"), "bare": KvItem(b"")}, "empty": {}},
)


@pytest.fixture(params=["memory", "disk"])
async def stored(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scripted]:
    """Guests whose stores are in memory or on disk, and are new."""
    state = tmp_path / "state" if request.param == "disk" else None
    async with guests(data=DATA, state=state) as scripted:
        yield scripted


async def test_values_come_back_in_another_sandbox(guest: Scripted) -> None:
    """§2.8, kv entry: shared by all sandboxes; content and metadata can be taken once."""
    await guest.bytes(EMPTIED + "put('k', b'value', metadata='about it'); answer(b'')")
    got = await guest.json(
        """
        entry = kv_store.Store.open("things").lookup("k")
        answer([read_all(entry.take_body()).decode(), entry.take_body(),
                failure(entry.metadata, 7), entry.metadata(8), entry.metadata(8),
                entry.generation() > 0, failure(kv_store.Store.open, "other")])
        """
    )
    assert got == ["value", None, ["BufferLen", 8], "about it", None, True, "NOT_FOUND"]


@pytest.mark.asyncio(loop_scope="function")
async def test_a_store_starts_as_the_manifest_says(stored: Scripted) -> None:
    """§4.2: keys, contents and metadata; an empty array is a store."""
    got = await stored.json(
        USE
        + """
old, bare = store.lookup("old"), store.lookup("bare")
answer([read_all(old.take_body()).decode(), old.metadata(99), bare.metadata(99),
        read_all(bare.take_body()).decode(), old.generation() != bare.generation(), keys(),
        read_all(kv_store.Store.open("empty").list(listing())).decode()])
"""
    )
    assert got == [
        *("x", "first", None, "", True),
        {"data": ["bare", "old"], "meta": {"limit": 1000}},
        '{"data":[],"meta":{"limit":1000}}',
    ]


async def test_metadata_of_a_manifest_file(tmp_path: Path) -> None:
    """§4.2: from `fastly.toml` to the guest."""
    path = tmp_path / "fastly.toml"
    path.write_text('[[local_server.kv_stores.things]]\nkey = "k"\ndata = "v"\nmetadata = "m"\n')
    async with guests(data=host_data(load_manifest(path))) as own:
        got = await own.json(USE + "answer([store.lookup('k').metadata(9), get('k')])")
    assert got == ["m", "v"]


MODES = """
put("a", b"1")
trace = [get("a"), failure(put, "a", b"2", "ADD"), get("a")]
put("a", b"2", "APPEND"), put("a", b"0", "PREPEND")
put("new", b"3", "APPEND"), put("newer", b"4", "PREPEND"), put("newest", b"5", "ADD")
trace += [get("a"), get("new"), get("newer"), get("newest")]
generation = store.lookup("a").generation()
trace += [failure(put, "a", b"x", "OVERWRITE", generation + 99), get("a"),
          failure(put, "none", b"x", "OVERWRITE", generation), get("none")]
put("a", b"y", "OVERWRITE", generation)
trace += [get("a"), failure(put, "a", b"z", "OVERWRITE", generation)]
put("a", b"!", "APPEND", store.lookup("a").generation(), metadata="m")
put("a", b"?", "APPEND")
answer(trace + [get("a"), store.lookup("a").metadata(9)])
"""


@pytest.mark.asyncio(loop_scope="function")
async def test_modes_of_inserting(stored: Scripted) -> None:
    """§2.8, kv insert modes: overwrite, add, append, prepend, and only a certain generation."""
    assert await stored.json(USE + MODES) == [
        *("1", "PreconditionFailed", "1"),
        *("012", "3", "4", "5"),
        *("PreconditionFailed", "012", "PreconditionFailed", None),
        *("y", "PreconditionFailed"),
        *("y!?", None),
    ]


async def test_modes_of_inserting_on_both_borders(guest: Scripted) -> None:
    """The same, whichever way values cross."""
    assert (await guest.json(EMPTIED + MODES))[-2:] == ["y!?", None]


@pytest.mark.asyncio(loop_scope="function")
async def test_values_expire_and_can_be_deleted(stored: Scripted) -> None:
    """§2.8, TTL and kv delete."""
    got = await stored.json(
        EMPTIED
        + """
put("short", b"x", lifetime=0), put("long", b"x", lifetime=2 ** 32 - 1)
answer([get("short"), get("long"), keys()["data"], store.delete("short"), store.delete("long"),
        store.delete("long"), get("long"), failure(put, "short", b"y", "ADD"), get("short")])
"""
    )
    assert got == [None, "x", ["long"], False, True, False, None, None, "y"]


@pytest.mark.asyncio(loop_scope="function")
async def test_lists_go_on_at_a_cursor(stored: Scripted) -> None:
    """§2.8, kv list: both modes, prefix, limit, cursor; a bad cursor is `bad-request`."""
    got = await stored.json(
        EMPTIED
        + """
for key in ("b1", "a", "b3", "b2", "é", "b%", "b_"):
    put(key)
first = keys("b", 2)
second = keys("b", 9, first["meta"]["next_cursor"], "EVENTUAL")
answer([keys(), first["data"], first["meta"]["prefix"], second, keys("none"), keys("", 0),
        keys(None, 2 ** 32 - 1)["meta"],
        base64.b64decode(first["meta"]["next_cursor"]).decode(),
        [failure(keys, None, None, bad) for bad in ("no cursor!", "é", "/w==", "YQ")]])
"""
    )
    all_keys = ["a", "b%", "b1", "b2", "b3", "b_", "é"]
    assert got == [
        {"data": all_keys, "meta": {"limit": 1000}},
        ["b%", "b1"],
        "b",
        {"data": ["b2", "b3", "b_"], "meta": {"limit": 9, "prefix": "b"}},
        {"data": [], "meta": {"limit": 1000, "prefix": "none"}},
        {"data": all_keys, "meta": {"limit": 1000, "prefix": ""}},
        {"limit": 2**32 - 1},
        "b1",
        ["BadRequest"] * 4,
    ]


@pytest.mark.parametrize(
    "key",
    [
        *("", "k" * 1025, "é" * 513, "a#b", "a;b", "a?b", "a^b", "a|b", "a\nb", "a\rb"),
        *(".", "..", "./a", "a/../b", "../a", "a/.", "a/..", "a./b", " ", "\uffff"),
        *(".well-known/acme-challenge", ".well-known/acme-challenge/x"),
    ],
)
async def test_keys_that_are_none(guest: Scripted, key: str) -> None:
    """§2.8, kv key rules: `generic-error` at the call, also of those that do not wait."""
    got = await guest.json(
        USE
        + f"""
key = {key!r}
answer([failure(store.lookup, key), failure(put, key), failure(store.delete, key),
        failure(store.lookup_async, key), failure(store.delete_async, key),
        failure(store.insert_async, key, http_body.new(), chosen())])
"""
    )
    assert got == ["GenericError"] * 6


@pytest.mark.parametrize(
    "key", ["k" * 1024, "é" * 512, "a.b", "...", "a b", "a\0b", "ab ", ".well-known/x", "x" + "/"]
)
async def test_keys_that_are_some(guest: Scripted, key: str) -> None:
    """§2.8, kv key rules: everything else."""
    got = await guest.json(EMPTIED + f"put({key!r}, b'v'); answer([get({key!r}), keys()['data']])")
    assert got == ["v", [key]]


CALLS = """
first = store.insert_async("k", written(b"v"), chosen("ADD"))
ready = async_io.select([first])
kv_store.await_insert(first)
again = store.insert_async("k", written(b"w"), chosen("ADD"))
trace = [ready, failure(kv_store.await_insert, again)]
found = kv_store.await_lookup(store.lookup_async("k"))
trace += [read_all(found.take_body()).decode(), kv_store.await_lookup(store.lookup_async("none"))]
pending = store.list_async(listing(mode="EVENTUAL"))
trace += [json.loads(read_all(kv_store.await_list(pending)))["data"]]
trace += [failure(kv_store.await_list, store.list_async(listing(cursor="no")))]
answer(trace + [kv_store.await_delete(store.delete_async("k")),
                kv_store.await_delete(store.delete_async("k"))])
"""


@pytest.mark.asyncio(loop_scope="function")
async def test_calls_can_be_started_and_awaited(stored: Scripted) -> None:
    """§2.8, kv-store `*-async` and `await-*`: the same in two steps, with pollables between."""
    expected = [0, "PreconditionFailed", "v", None, ["k"], "BadRequest", True, False]
    assert await stored.json(EMPTIED + CALLS) == expected


async def test_calls_on_both_borders(guest: Scripted) -> None:
    """The same, whichever way values cross."""
    assert (await guest.json(EMPTIED + CALLS))[-2:] == [True, False]


@pytest.mark.asyncio(loop_scope="function")
async def test_calls_are_done_in_their_order(stored: Scripted) -> None:
    """§2.8: many at once; one that is dropped is done all the same."""
    got = await stored.json(
        EMPTIED
        + """
inserts = [store.insert_async("k", written(b"%d" % n), chosen("APPEND")) for n in range(10)]
look = store.lookup_async("k")
del inserts[5]
gc.collect()
everything = [*inserts, look]
while not all(p.is_ready() for p in everything):
    async_io.select([p for p in everything if not p.is_ready()])
answer(read_all(kv_store.await_lookup(look).take_body()).decode())
"""
    )
    assert got == "0123456789"


@pytest.mark.asyncio(loop_scope="function")
async def test_a_body_that_is_still_arriving(stored: Scripted) -> None:
    """§2.8, `insert-async`: it does not wait for the body, and is ready when all is stored."""
    gate = asyncio.Event()

    async def slow(request: Request) -> Response:
        if request.target == "/go":
            gate.set()
            return response(b"")

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one "
            await gate.wait()
            yield b"two"

        return response(Body(pieces(), None))

    stored.upstream.backends["slow"] = slow
    got = await stored.json(
        USE
        + """
def ask(target):
    out = http_req.Request.new()
    out.set_uri(target)
    return http_req.send(out, http_body.new(), backend.Backend.open("slow"))[1]

content = written(b"zero ")
http_body.append(content, ask("/"))
pending = store.insert_async("k", content, chosen())
trace = [pending.is_ready(), async_io.select_with_timeout([pending], 1), get("k")]
ask("/go")
trace.append(async_io.select([pending]))
kv_store.await_insert(pending)
answer(trace + [get("k")])
"""
    )
    assert got == [False, None, None, 0, "zero one two"]


@pytest.mark.asyncio(loop_scope="function")
async def test_bodies_that_cannot_be_stored(stored: Scripted) -> None:
    """Cut off, or the write end of a stream: an error of the call, and nothing is stored."""

    async def slow(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            raise BodyError("cut off")

        if request.body.length is None:
            return response(b"")
        return response(Body(pieces(), None))

    stored.upstream.backends["slow"] = slow
    got = await stored.json(
        USE
        + """
def cut():
    out, to = http_req.Request.new(), backend.Backend.open("slow")
    return http_req.send(out, http_body.new(), to)[1]

stream = http_body.new()
http_req.send_async_streaming(http_req.Request.new(), stream, backend.Backend.open("slow"))
answer([failure(store.insert, "k", cut(), chosen()),
        failure(kv_store.await_insert, store.insert_async("k", cut(), chosen())),
        failure(store.insert_async, "k", stream, chosen()), get("k")])
"""
    )
    assert got == ["GenericError", "GenericError", "GenericError", None]


@pytest.mark.parametrize("call", ["lookup", "delete", "list", "insert"])
async def test_one_call_cannot_be_awaited_as_another(guest: Scripted, call: str) -> None:
    """§2.7, one type for all that is pending: a trap that names both."""
    other = "insert" if call == "lookup" else "lookup"
    failed = await guest.fail(
        USE
        + f"""
start = {{"lookup": lambda: store.lookup_async("k"), "delete": lambda: store.delete_async("k"),
          "list": lambda: store.list_async(listing()),
          "insert": lambda: store.insert_async("k", http_body.new(), chosen())}}
kv_store.await_{other}(start[{call!r}]())
"""
    )
    assert f"kv-store/await-{other}: the pending call is a {call}" in failed.reason


async def test_what_production_would_not_take(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """§8, KV: stored with a warning."""
    got = await guest.json(
        EMPTIED
        + "put('k', b'', metadata='m' * 2001); answer(len(store.lookup('k').metadata(9999)))"
    )
    assert got == 2001
    assert "metadata of 2001 bytes for 'k': production takes 2000" in caplog.text


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("border", ["direct", "public"])
async def test_state_is_there_after_the_next_start(border: str, tmp_path: Path) -> None:
    """`--state`: what guests keep outlives the simulator; the manifest fills a new store only."""
    async with guests(border, data=DATA, state=tmp_path) as before:
        await before.bytes(
            USE
            + "put('kept', b'\\xff\\0', metadata='m'), store.delete('old'), put('gone', lifetime=0)"
        )
        [generation] = await before.json(USE + "answer([store.lookup('kept').generation()])")
    more = HostData(kv_stores={**DATA.kv_stores, "later": {"k": KvItem(b"v")}})
    async with guests(border, data=more, state=tmp_path) as after:
        got = await after.json(
            USE
            + """
entry = store.lookup("kept")
trace = [read_all(entry.take_body()).hex(), entry.metadata(9), entry.generation(), keys()["data"]]
put("kept", b"", "OVERWRITE", entry.generation())
trace.append(store.lookup("kept").generation() > entry.generation())
store = kv_store.Store.open("later")
answer(trace + [get("k")])
"""
        )
    assert got == ["ff00", "m", generation, ["bare", "kept"], True, "v"]
    async with guests(border, data=HostData(), state=tmp_path) as without:
        got = await without.json("answer(failure(kv_store.Store.open, 'things'))")
    assert got == "NOT_FOUND"  # the manifest says which stores there are
