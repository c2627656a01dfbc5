"""KV stores. Host contract §2.8."""

import pytest

from tests.support.sandbox import Scripted

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

USE = """
def put(key, content=b"", mode="OVERWRITE", generation=None, metadata=None, lifetime=None):
    options = kv_store.InsertOptions(False, generation, metadata, lifetime,
                                     kv_store.InsertMode[mode], None)
    return store.insert(key, written(content), options)

def get(key):
    entry = store.lookup(key)
    return entry and read_all(entry.take_body()).decode()

def keys(prefix=None, limit=None, cursor=None):
    options = kv_store.ListOptions(kv_store.ListMode.STRONG, cursor, limit, prefix, None)
    return json.loads(read_all(store.list(options)))

store = kv_store.Store.open("things")
for old in keys()["data"]:
    store.delete(old)
"""


async def test_values_come_back_in_another_sandbox(guest: Scripted) -> None:
    """In memory, shared by all; a value's content and metadata can be taken once."""
    await guest.bytes(USE + "put('k', b'value', metadata='about it'); answer(b'')")
    got = await guest.json(
        """
        entry = kv_store.Store.open("things").lookup("k")
        answer([read_all(entry.take_body()).decode(), entry.take_body(),
                failure(entry.metadata, 7), entry.metadata(8), entry.metadata(8),
                entry.generation() > 0, failure(kv_store.Store.open, "other")])
        """
    )
    assert got == ["value", None, ["BufferLen", 8], "about it", None, True, "NOT_FOUND"]


async def test_modes_of_inserting(guest: Scripted) -> None:
    """Overwrite, add, append, prepend, and only a certain generation."""
    got = await guest.json(
        USE
        + """
put("a", b"1")
trace = [get("a"), failure(put, "a", b"2", "ADD"), get("a")]
put("a", b"2", "APPEND"), put("a", b"0", "PREPEND"), put("new", b"3", "APPEND")
trace += [get("a"), get("new")]
generation = store.lookup("a").generation()
trace += [failure(put, "a", b"x", "OVERWRITE", generation + 99), get("a"),
          failure(put, "none", b"x", "OVERWRITE", generation)]
put("a", b"y", "OVERWRITE", generation)
answer(trace + [get("a"), failure(put, "a", b"z", "OVERWRITE", generation)])
"""
    )
    assert got == [
        *("1", "PreconditionFailed", "1"),
        *("012", "3"),
        *("PreconditionFailed", "012", "PreconditionFailed"),
        *("y", "PreconditionFailed"),
    ]


async def test_values_expire_and_can_be_deleted(guest: Scripted) -> None:
    got = await guest.json(
        USE
        + """
put("short", b"x", lifetime=0), put("long", b"x", lifetime=99)
answer([get("short"), get("long"), keys()["data"], store.delete("short"), store.delete("long"),
        store.delete("long"), get("long"), failure(put, "short", b"y", "ADD"), get("short")])
"""
    )
    assert got == [None, "x", ["long"], False, True, False, None, None, "y"]


async def test_lists_go_on_at_a_cursor(guest: Scripted) -> None:
    got = await guest.json(
        USE
        + """
for key in ("b1", "a", "b3", "b2"):
    put(key)
first = keys("b", 2)
second = keys("b", 2, first["meta"]["next_cursor"])
answer([keys(), first["data"], first["meta"]["prefix"], second,
        failure(keys, None, None, "no cursor!")])
"""
    )
    assert got == [
        {"data": ["a", "b1", "b2", "b3"], "meta": {"limit": 1000}},
        ["b1", "b2"],
        "b",
        {"data": ["b3"], "meta": {"limit": 2, "prefix": "b"}},
        "BadRequest",
    ]


@pytest.mark.parametrize(
    "key",
    [
        *("", "k" * 1025, "a#b", "a;b", "a?b", "a^b", "a|b", "a\nb", "a\rb"),
        *(".", "..", "./a", "a/../b", ".well-known/acme-challenge/x"),
    ],
)
async def test_keys_that_are_none(guest: Scripted, key: str) -> None:
    got = await guest.json(
        USE
        + f"""
key = {key!r}
pending = store.lookup_async(key)
answer([failure(store.lookup, key), failure(put, key), failure(store.delete, key),
        failure(kv_store.await_lookup, pending)])
"""
    )
    assert got == ["GenericError"] * 4


async def test_calls_can_be_started_and_awaited(guest: Scripted) -> None:
    """The same, in two steps; what is pending can be waited for."""
    got = await guest.json(
        USE
        + """
options = kv_store.InsertOptions(False, None, None, None, kv_store.InsertMode.ADD, None)
first = store.insert_async("k", written(b"v"), options)
ready = async_io.select([first])
kv_store.await_insert(first)
again = store.insert_async("k", written(b"w"), options)
trace = [ready, failure(kv_store.await_insert, again)]
found = kv_store.await_lookup(store.lookup_async("k"))
trace += [read_all(found.take_body()).decode(), kv_store.await_lookup(store.lookup_async("none"))]
listing = store.list_async(kv_store.ListOptions(kv_store.ListMode.EVENTUAL, None, None, None, None))
trace += [json.loads(read_all(kv_store.await_list(listing)))["data"]]
answer(trace + [kv_store.await_delete(store.delete_async("k")),
                kv_store.await_delete(store.delete_async("k"))])
"""
    )
    assert got == [0, "PreconditionFailed", "v", None, ["k"], True, False]
