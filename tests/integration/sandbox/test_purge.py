"""Purging by surrogate key. Host contract §2.11; the HTTP cache's side is in its own tests."""

import json

import pytest

from tests.support.sandbox import Scripted

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

USE = """
LOOK = cache.LookupOptions(None, False, None)

def put(key, marks, data=b"x"):
    given = cache.WriteOptions(60 * 10 ** 9, None, None, None, None, marks, None, None, None,
                               False, None)
    body = cache.insert(key, given)
    http_body.write(body, data)
    http_body.close(body)

def flags(entry):
    return [flag.name.lower() for flag in entry.get_state()]

def look(*keys):
    return [flags(cache.Entry.lookup(key, LOOK)) for key in keys]

def purged(mark, soft=False):
    return purge.purge_surrogate_key(mark, purge.PurgeOptions(soft, None))

def verbose(mark, size=99, soft=False):
    return purge.purge_surrogate_key_verbose(mark, purge.PurgeOptions(soft, None), size)
"""

FRESH, STALE = ["found", "usable"], ["found", "usable", "stale"]


async def test_a_hard_purge_removes(guest: Scripted) -> None:
    """Whatever has the key, whoever inserted it, and nothing else."""
    await guest.bytes(
        USE + "put(b'1', 'hard all'); put(b'2', 'all hard'); put(b'3', 'hards ha rd'); answer()"
    )
    got = await guest.json(USE + "purged('hard'); answer(look(b'1', b'2', b'3'))")
    assert got == [[], [], FRESH]
    assert await guest.json(USE + "purged('hard'); answer(look(b'3'))") == [FRESH]


async def test_a_soft_purge_makes_stale(guest: Scripted) -> None:
    """Still usable, while the first to begin a transaction gets a new one."""
    await guest.bytes(USE + "put(b'1', 'soft'); answer()")
    got = await guest.json(
        USE
        + """
trace = look(b"1")
purged("soft", True)
first, second = (cache.Entry.transaction_lookup(b"1", LOOK) for _ in range(2))
trace += [*look(b"1"), flags(first), flags(second)]
first.transaction_update(cache.WriteOptions(60 * 10 ** 9, None, None, None, None, "soft", None,
                                            None, None, False, None))
answer(trace + look(b"1"))
"""
    )
    assert got == [FRESH, STALE, [*STALE, "must_insert_or_update"], STALE, FRESH]


async def test_what_is_still_written_is_purged_too(guest: Scripted) -> None:
    """Its writer goes on, for those who found it before."""
    got = await guest.json(
        USE
        + """
given = cache.WriteOptions(60 * 10 ** 9, None, None, None, None, "early", None, None, None,
                           False, None)
pen = cache.insert(b"1", given)
http_body.write(pen, b"ab")
found = cache.Entry.lookup(b"1", LOOK)
purged("early")
http_body.write(pen, b"cd")
http_body.close(pen)
content = read_all(found.get_body(cache.GetBodyOptions(None, None, None))).decode()
answer([content, look(b"1")])
"""
    )
    assert got == ["abcd", [[]]]


async def test_a_purge_can_tell_its_id(guest: Scripted) -> None:
    """As JSON, like the platform's API; with too small a buffer nothing is purged."""
    texts, before, needed, after = await guest.json(
        USE
        + """
put(b"1", "told")
needed = failure(verbose, "told", 9)
before = look(b"1")
answer([[verbose("told"), verbose("told")], before, needed, look(b"1")])
"""
    )
    first, second = map(json.loads, texts)
    assert first["status"] == second["status"] == "ok"
    assert first["id"] != second["id"]
    assert first["id"].isalnum()
    assert (before, needed, after) == ([FRESH], ["BufferLen", len(texts[0])], [[]])
    soft = USE + "put(b'1', 'x'); verbose('x', soft=True); answer(look(b'1'))"
    assert await guest.json(soft) == [STALE]


@pytest.mark.parametrize("key", ["", "k" * 1025, "two keys", "ü", "\x7f"])
async def test_keys_that_are_none(guest: Scripted, key: str) -> None:
    got = await guest.json(USE + f"answer([failure(purged, {key!r}), failure(verbose, {key!r})])")
    assert got == ["InvalidArgument"] * 2
