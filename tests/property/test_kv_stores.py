"""Both kinds of KV stores against a model: whatever is done to them, they give the same."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.data import KvItem
from host_sim.sandbox.stores.kv import KvStore, KvStores, MemoryStores
from host_sim.sandbox.stores.kv_sqlite import SqliteStores

KEYS = st.sampled_from(["a", "ab", "b", "a\0", "é", "\U0001f600", "Z", "%", ".", "a#"])
LETTERS = st.characters(codec="utf-8", exclude_characters="#;?^|\r\n./")
STEPS = st.one_of(
    st.tuples(
        st.just("insert"),
        KEYS,
        st.binary(max_size=3),
        st.fixed_dictionaries(
            {
                "mode": st.sampled_from(["overwrite", "add", "append", "prepend"]),
                "if-generation-match": st.sampled_from([None, "right", "wrong"]),
                "metadata": st.sampled_from([None, "", "m"]),
                "time-to-live-sec": st.sampled_from([None, 0, 1, 2]),
            }
        ),
    ),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("lookup"), KEYS),
    st.tuples(
        st.just("list"),
        st.fixed_dictionaries(
            {
                "prefix": st.sampled_from([None, "", "a", "a\0", "é", "x"]),
                "limit": st.sampled_from([None, 1, 2, 3]),
                "cursor": st.sampled_from([None, "", "YQ==", "w6k=", "no"]),
            }
        ),
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0])),
)


def done(store: KvStore, step: tuple[Any, ...]) -> object:
    """Return what comes of a step, less generations, which nothing is promised of."""
    call, *arguments = step
    try:
        if call == "insert" and arguments[2]["if-generation-match"] is not None:
            found = store.lookup(arguments[0])
            generation = 0 if found is None else found.generation
            wrong = arguments[2]["if-generation-match"] == "wrong"
            arguments[2] = {**arguments[2], "if-generation-match": generation + wrong}
        got = getattr(store, call)(*arguments)
    except WitError as error:
        return str(error)
    return (got.data, got.metadata) if call == "lookup" and got is not None else got


@settings(deadline=None, max_examples=60)
@given(st.lists(STEPS, max_size=30))
def test_memory_and_disk_are_the_same(steps: list[tuple[Any, ...]]) -> None:
    clock = [0.0]
    contents = {"s": {"a": KvItem(b"1", "m"), "b": KvItem(b"", "")}}
    with tempfile.TemporaryDirectory() as folder:
        memory: KvStores = MemoryStores(contents, lambda: clock[0])
        disk: KvStores = SqliteStores(Path(folder), contents, lambda: clock[0])
        for step in steps:
            if step[0] == "wait":
                clock[0] += step[1]
                continue
            results = []
            for stores in (memory, disk):
                store = stores.get("s")
                assert store is not None
                results.append(done(store, step))
            assert results[0] == results[1], step
        disk.close()


@settings(deadline=None)
@given(st.sets(st.text(LETTERS, min_size=2), max_size=20))
def test_a_list_goes_over_all_keys_once(keys: set[str]) -> None:
    stores = MemoryStores({"s": {key: KvItem(b"") for key in keys}})
    store = stores.get("s")
    assert store is not None
    seen: list[str] = []
    options: dict[str, Any] = {"prefix": None, "limit": 3, "cursor": None}
    while True:
        page = store.list(options)
        seen += page["data"]
        options["cursor"] = page["meta"].get("next_cursor")
        if options["cursor"] is None:
            break
    assert seen == sorted(keys)
