"""Host contract §2.8: the KV store."""

from tests.viceroy.case import Ask, Cases

__all__ = ["CASES"]

CASES = Cases("§2.8")

KV = """
def options(mode="OVERWRITE", generation=None, metadata=None, ttl=None, background=False):
    return kv_store.InsertOptions(background, generation, metadata, ttl,
                                  kv_store.InsertMode[mode], None)
def put(store, key, content, **wanted):
    kv_store.await_insert(store.insert_async(key, written(content), options(**wanted)))
def get(store, key):
    return kv_store.await_lookup(store.lookup_async(key))
def delete(store, key):
    return kv_store.await_delete(store.delete_async(key))
def content(store, key):
    entry = get(store, key)
    return entry and read_all(entry.take_body())
def listed(store, cursor=None, limit=None, prefix=None, mode="STRONG"):
    wanted = kv_store.ListOptions(kv_store.ListMode[mode], cursor, limit, prefix, None)
    return json.loads(read_all(kv_store.await_list(store.list_async(wanted))))
"""
CASES.add(
    "kv-open",
    """
    for name in ("things", "nothing", "file", "none", "", "a b", "x" * 300):
        see("open " + name[:9], kv_store.Store.open, name)
    """,
)
CASES.add(
    "kv-lookup",
    KV
    + """
store = kv_store.Store.open("things")
for key in ("old", "plain", "from-file", "none"):
    entry = see("get " + key, get, store, key)
    if entry:
        see("metadata short " + key, entry.metadata, 1)
        see("metadata " + key, entry.metadata, 99)
        see("metadata again " + key, entry.metadata, 99)
        seen["generation " + key] = entry.generation() > 0
        taken = entry.take_body()
        see("length " + key, http_body.get_known_length, taken)
        seen["content " + key] = read_all(taken).decode()
        see("taken again " + key, entry.take_body)
store = kv_store.Store.open("file")
for key in "abc":
    see("file " + key, content, store, key)
""",
)
CASES.add(
    "kv-modes",
    KV
    + """
store = kv_store.Store.open("nothing")
see("new", put, store, "m", b"one")
see("over", put, store, "m", b"two")
see("is", content, store, "m")
see("add", put, store, "m", b"three", mode="ADD")
see("append", put, store, "m", b" end", mode="APPEND")
see("prepend", put, store, "m", b"front ", mode="PREPEND")
see("became", content, store, "m")
see("append new", put, store, "m2", b"x", mode="APPEND")
see("prepend new", put, store, "m3", b"x", mode="PREPEND")
see("add new", put, store, "m4", b"x", mode="ADD")
generation = get(store, "m").generation()
see("other generation", put, store, "m", b"four", generation=generation + 1)
see("same generation", put, store, "m", b"five", generation=generation)
see("then", content, store, "m")
seen["grew"] = get(store, "m").generation() > generation
see("generation of none", put, store, "m5", b"x", generation=7)
see("metadata", put, store, "m", b"six", metadata="about")
see("metadata is", get(store, "m").metadata, 99)
see("kept?", put, store, "m", b"seven")
see("metadata then", get(store, "m").metadata, 99)
see("metadata append", put, store, "m", b"+", mode="APPEND", metadata="more")
see("metadata after", get(store, "m").metadata, 99)
see("long metadata", put, store, "m", b"x", metadata="m" * 2001)
see("ttl", put, store, "m", b"x", ttl=100)
see("ttl 0", put, store, "m6", b"x", ttl=0)
see("ttl 0 is", content, store, "m6")
see("background", put, store, "m7", b"x", background=True)
for key in ("m", "m", "m2", "m3", "m4", "m5", "m6", "m7"):
    see("delete " + key, delete, store, key)
""",
)
CASES.add(
    "kv-keys",
    KV
    + """
store = kv_store.Store.open("nothing")
keys = ["", "k" * 1024, "k" * 1025, "a\\rb", "a\\nb", "a#b", "a;b", "a?b", "a^b", "a|b", "a b",
        "a%b", ".", "..", "a.", "./a", "../a", "a/./b", "a/../b", "a/.", "\\u00e9", "a\\0b", "a*b",
        "[x]",
        ".well-known/acme-challenge", ".well-known/acme-challenge/x", "\\u00e9" * 513, "a/b"]
for key in keys:
    label = f"{key[:12]!r} {len(key)} "
    see(label + "put", put, store, key, b"x")
    see(label + "get", content, store, key)
    see(label + "delete", delete, store, key)
""",
)
CASES.add(
    "kv-list",
    KV
    + """
store = kv_store.Store.open("nothing")
for n in range(7):
    put(store, f"l/{n}", b"x")
put(store, "other", b"x")
see("all", listed, store)
see("prefix", listed, store, None, None, "l/")
see("limit", listed, store, None, 3, "l/")
first = listed(store, limit=3)
see("next", listed, store, first["meta"].get("next_cursor"), 3)
see("rest", listed, store, first["meta"].get("next_cursor"))
see("exact", listed, store, None, 8)
see("nothing", listed, store, None, None, "none")
see("bad cursor", listed, store, "%%%")
see("odd cursor", listed, store, "eA==")
see("eventual", listed, store, None, 2, None, "EVENTUAL")
see("limit 1001", listed, store, None, 1001)
for n in range(7):
    delete(store, f"l/{n}")
delete(store, "other")
see("empty", listed, store)
""",
)
CASES.add(
    "kv-sync",
    KV
    + """
store = kv_store.Store.open("things")
see("lookup", store.lookup, "old")
see("insert", store.insert, "sync", written(b"x"), options())
see("delete", store.delete, "sync")
see("list", store.list, kv_store.ListOptions(kv_store.ListMode.STRONG, None, None, None, None))
""",
)
CASES.add(
    "kv-pending",
    KV
    + """
store = kv_store.Store.open("things")
pending = store.lookup_async("old")
see("select", async_io.select, [pending])
see("ready", pending.is_ready)
see("found", kv_store.await_lookup, pending)
""",
)
CASES.add(
    "kv-is-shared",
    KV + "\nsee('put', put, kv_store.Store.open('nothing'), 'shared', b'here')\n",
    Ask(
        script=KV
        + "\nstore = kv_store.Store.open('nothing')\nsee('is', content, store, 'shared')\n"
        + "see('gone', delete, store, 'shared')\n"
    ),
)
