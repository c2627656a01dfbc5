"""Host contract §2.11: the core cache, purges, and what asks for other services."""

from tests.viceroy.case import Ask, Cases

__all__ = ["CASES"]

CASES = Cases("§2.11")

SECOND = 1_000_000_000
CACHE = f"""
SECOND = {SECOND}
def looked(key, always=False, headers=None):
    return cache.Entry.lookup(key, cache.LookupOptions(headers, always, None))
def begun(key, headers=None, always=False):
    return cache.Entry.transaction_lookup(key, cache.LookupOptions(headers, always, None))
def options(max_age=60, **wanted):
    fields = dict(request_headers=None, vary_rule=None, initial_age_ns=None,
                  stale_while_revalidate_ns=None, surrogate_keys=None, length=None,
                  user_metadata=None, edge_max_age_ns=None, sensitive_data=False, extra=None)
    return cache.WriteOptions(max_age_ns=max_age * SECOND, **(fields | wanted))
def stored(key, content=b"content", **wanted):
    new = cache.insert(key, options(**wanted))
    http_body.write(new, content)
    http_body.close(new)
def body_of(entry, start=None, end=None):
    return read_all(entry.get_body(cache.GetBodyOptions(start, end, None)))
def facts(label, entry):
    see(label + "state", entry.get_state)
    see(label + "metadata", entry.get_user_metadata, 99)
    see(label + "metadata short", entry.get_user_metadata, 1)
    see(label + "max age", entry.get_max_age_ns)
    see(label + "swr", entry.get_stale_while_revalidate_ns)
    see(label + "hits", entry.get_hits)
    age = see(label + "age", entry.get_age_ns)
    if age is not None:
        seen[label + "age"] = age // SECOND
"""
CASES.add(
    "cache-miss",
    CACHE
    + """
entry = looked(b"absent")
facts("", entry)
see("body", body_of, entry)
see("close", cache.close_entry, entry)
""",
)
CASES.add(
    "cache-hit",
    CACHE
    + """
stored(b"hit", user_metadata=b"meta", initial_age_ns=5 * SECOND, length=7)
entry = looked(b"hit")
facts("", entry)
see("length", entry.get_length)  # of others Viceroy knows it sooner or later
first = see("body", entry.get_body, cache.GetBodyOptions(None, None, None))
see("second body", entry.get_body, cache.GetBodyOptions(None, None, None))
seen["content"] = read_all(first).decode()
http_body.close(first)
see("third body", body_of, entry)
see("cancel", entry.transaction_cancel)
see("insert", entry.transaction_insert, options())
see("update", entry.transaction_update, options())
see("close", cache.close_entry, entry)
""",
)
CASES.add(
    "cache-keys",
    CACHE
    + """
for size in (0, 1, 4096, 4097):
    see(f"insert {size}", stored, b"k" * size)
    see(f"lookup {size}", looked, b"k" * size)
    see(f"begin {size}", begun, b"k" * size)
see("begin async", cache.Entry.transaction_lookup_async, b"k" * 4097,
    cache.LookupOptions(None, False, None))
see("replace", cache.ReplaceEntry.replace, b"k" * 4097,
    cache.ReplaceOptions(None, None, False, None))
""",
)
CASES.add(
    "cache-ranges",
    CACHE
    + """
stored(b"ranges", b"0123456789", length=10)
for always in (False, True):
    for start, end in ((0, 3), (3, None), (None, 4), (9, 9), (10, 12), (5, 2), (0, 99), (None, 99),
                       (None, 0), (0, 0)):
        see(f"{always} {start} {end}", body_of, looked(b"ranges", always), start, end)
""",
)
CASES.add(
    "cache-wrong-length",
    CACHE
    + """
see("short", stored, b"wrong-short", b"12345", length=10)
see("short is", lambda: body_of(looked(b"wrong-short")))
see("long", stored, b"wrong-long", b"12345", length=3)
see("long is", lambda: body_of(looked(b"wrong-long")))
""",
)
CASES.add(
    "cache-abandoned-body",
    CACHE
    + """
new = cache.insert(b"abandoned", options())
http_body.write(new, b"part")
entry = looked(b"abandoned")
facts("while ", entry)
part = entry.get_body(cache.GetBodyOptions(None, None, None))
see("part", http_body.read, part, 99)
del new
gc.collect()
see("after", http_body.read, part, 99)
facts("then ", looked(b"abandoned"))
""",
)
CASES.add(
    "cache-transaction",
    CACHE
    + """
entry = begun(b"transaction")
facts("first ", entry)
new = see("insert", entry.transaction_insert, options(user_metadata=b"m"))
http_body.write(new, b"content")
http_body.close(new)
see("again", entry.transaction_insert, options())
see("update", entry.transaction_update, options())
see("cancel", entry.transaction_cancel)
entry = begun(b"transaction")
facts("second ", entry)
see("content", body_of, entry)
see("insert on hit", entry.transaction_insert, options())
""",
)
CASES.add(
    "cache-stream-back",
    CACHE
    + """
entry = begun(b"stream-back")
new, back = entry.transaction_insert_and_stream_back(options())
facts("back ", back)
http_body.write(new, b"one ")
reading = back.get_body(cache.GetBodyOptions(None, None, None))
see("one", http_body.read, reading, 99)
http_body.write(new, b"two")
http_body.close(new)
see("two", http_body.read, reading, 99)
see("end", http_body.read, reading, 99)
""",
)
CASES.add(
    "cache-cancel",
    CACHE
    + """
entry = begun(b"cancelled")
pending = cache.Entry.transaction_lookup_async(b"cancelled", cache.LookupOptions(None, False, None))
see("waits", async_io.select_with_timeout, [pending], 20)
see("cancel", entry.transaction_cancel)
see("cancel again", entry.transaction_cancel)
other = see("awaited", cache.await_entry, pending)
facts("", other)
see("cancel other", other.transaction_cancel)
pending = cache.Entry.transaction_lookup_async(b"cancelled", cache.LookupOptions(None, False, None))
see("close pending", cache.close_pending_entry, pending)
entry = begun(b"cancelled")
see("free again", entry.get_state)
""",
)
CASES.add(
    "cache-dropped-obligation",
    CACHE
    + """
entry = begun(b"dropped")
pending = cache.Entry.transaction_lookup_async(b"dropped", cache.LookupOptions(None, False, None))
see("close", cache.close_entry, entry)
see("next", lambda: cache.await_entry(pending).get_state())
""",
)
CASES.add(
    "cache-stale",
    CACHE
    + """
stored(b"stale", max_age=1, initial_age_ns=5 * SECOND, stale_while_revalidate_ns=60 * SECOND)
facts("lookup ", looked(b"stale"))
entry = begun(b"stale")
facts("begun ", entry)
see("content", body_of, entry)
other = begun(b"stale")
facts("other ", other)
see("update", entry.transaction_update, options(max_age=100, user_metadata=b"new"))
facts("updated ", looked(b"stale"))
see("content then", lambda: body_of(looked(b"stale")))
stored(b"expired", max_age=1, initial_age_ns=5 * SECOND)
facts("expired ", looked(b"expired"))
facts("begun expired ", begun(b"expired"))
see("update of none", begun(b"nothing").transaction_update, options())
""",
)
CASES.add(
    "cache-vary",
    CACHE
    + """
def headers(**fields):
    made = http_req.Request.new()
    for name, value in fields.items():
        made.append_header(name, value)
    return made
for value in (b"a", b"b"):
    stored(b"vary", b"for " + value, request_headers=headers(x=value), vary_rule="X y")
for value in (b"a", b"b", b"c"):
    entry = looked(b"vary", headers=headers(x=value))
    see("state " + value.decode(), entry.get_state)
    see("content " + value.decode(), body_of, entry)
see("none", looked(b"vary").get_state)
see("other y", looked(b"vary", headers=headers(x=b"a", y=b"1")).get_state)
see("two spaces", stored, b"vary-spaces", vary_rule="X  y")
see("bad rule", stored, b"vary-bad", vary_rule="a b, c:d")
""",
)
CASES.add(
    "cache-vary-in-transactions",
    CACHE
    + """
def headers(**fields):
    made = http_req.Request.new()
    for name, value in fields.items():
        made.append_header(name, value)
    return made
entry = begun(b"vary-t", headers(x=b"a"))
new = entry.transaction_insert(options(vary_rule="x"))
http_body.write(new, b"for a")
http_body.close(new)
see("a", begun(b"vary-t", headers(x=b"a")).get_state)
see("b", begun(b"vary-t", headers(x=b"b")).get_state)
entry = begun(b"vary-u", headers(x=b"a"))
see("with headers", entry.transaction_insert, options(request_headers=headers(x=b"a")))
""",
)
CASES.add(
    "cache-options",
    CACHE
    + """
tries = dict(
    edge=dict(edge_max_age_ns=30 * SECOND), edge_above=dict(edge_max_age_ns=90 * SECOND),
    sensitive=dict(sensitive_data=True), extra=dict(extra=cache.ExtraWriteOptions()),
    keys=dict(surrogate_keys="a b  c"), no_keys=dict(surrogate_keys=""),
    odd_keys=dict(surrogate_keys="gr\\u00fc\\u00df"), long_key=dict(surrogate_keys="k" * 1025),
    longest_key=dict(surrogate_keys="k" * 1024),
    many_keys=dict(surrogate_keys=" ".join(["k" * 1000] * 17)),
    metadata=dict(user_metadata=b""), max_age=dict(max_age=0),
)
for label, wanted in tries.items():
    see(label, lambda: stored(label.encode(), **wanted))
    facts(label + " ", looked(label.encode()))
""",
)
CASES.add(
    "cache-is-shared",
    CACHE + "\nsee('insert', stored, b'shared', b'from the first')\n",
    Ask(script=CACHE + "\nsee('content', lambda: body_of(looked(b'shared')))\n"),
)
CASES.add(
    "cache-replace",
    CACHE
    + """
stored(b"replaced", b"old", user_metadata=b"m")
for strategy in (None, *cache.ReplaceStrategy):
    label = f"{strategy and strategy.name} "
    entry = see(label, cache.ReplaceEntry.replace, b"replaced",
                cache.ReplaceOptions(None, strategy, False, None))
    if entry:
        facts(label, entry)
        see(label + "close", cache.close_replace_entry, entry)
""",
)
CASES.add(
    "purge",
    CACHE
    + """
stored(b"purged", surrogate_keys="one two", stale_while_revalidate_ns=60 * SECOND)
stored(b"soft", surrogate_keys="soft", stale_while_revalidate_ns=60 * SECOND)
stored(b"kept", surrogate_keys="three")
see("purge", purge.purge_surrogate_key, "one", purge.PurgeOptions(False, None))
see("purge soft", purge.purge_surrogate_key, "soft", purge.PurgeOptions(True, None))
for key in (b"purged", b"soft", b"kept"):
    facts(key.decode() + " ", looked(key))
    facts(key.decode() + " begun ", begun(key))
for label, keys in (("none", ""), ("two", "three four"), ("odd", "gr\\u00fc\\u00df"),
                    ("long", "k" * 1025), ("space", " ")):
    see("purge " + label, purge.purge_surrogate_key, keys, purge.PurgeOptions(False, None))
see("kept then", looked(b"kept").get_state)
""",
)
CASES.add(
    "purge-verbose",
    'see("purge", purge.purge_surrogate_key_verbose, "one", purge.PurgeOptions(False, None), 999)',
)
CASES.add(
    "http-cache",
    """
    options = http_cache.LookupOptions(None, None, None)
    see("cacheable", http_cache.is_request_cacheable, request)
    see("key", http_cache.get_suggested_cache_key, request, 99)
    see("begin", http_cache.Entry.transaction_lookup, request, options)
    """,
)
CASES.add(
    "security",
    """
    for label, corp, workspace in (("both", "c", "w"), ("no corp", None, "w"),
                                   ("no workspace", "c", None), ("empty", "", ""),
                                   ("none", None, None)):
        for size in (999, 3):
            text = see(f"{label} {size}", security.inspect, request, body,
                       security.InspectOptions(corp, workspace, None, None), size)
            if text:
                seen[f"{label} {size}"] = json.loads(text)
    """,
)
CASES.add(
    "shielding",
    """
    for name in ("here", "there", "none", ""):
        for size in (999, 3):
            see(f"{name} {size}", shielding.shield_info, name, size)
    address = shielding.shield_info("there", 999).split("\\0")[1]
    for label, name in (("url", address), ("name", "there"), ("local", "here"), ("none", "none"),
                        ("other url", "http://other.test:99/x"), ("empty", "")):
        made = shielding.ShieldBackendOptions()
        made.set_cache_key("key")
        made.set_first_byte_timeout(1000)
        for with_options in (made, None):
            shield = see(f"{label} {with_options is None}", shielding.backend_for_shield, name,
                         with_options)
            if shield:
                see(label + " name", shield.get_name)
                see(label + " port", shield.get_port)
                see(label + " tls", shield.is_tls)
                see(label + " dynamic", shield.is_dynamic)
                see(label + " host", shield.get_override_host, 99)
    shield = backend.Backend.open("******" + address + "*****")
    made = http_req.Request.new()
    made.set_uri("http://fetched.test/echo")
    response, got = http_req.send(made, http_body.new(), shield)
    seen["origin"] = json.loads(read_all(got))
    """,
)
CASES.add(
    "image-optimizer",
    """
    see("transform", image_optimizer.transform_image_optimizer_request, request, None,
        backend.Backend.open("origin"),
        image_optimizer.ImageOptimizerTransformOptions(None, None))
    """,
)
CASES.add(
    "products",
    """
    made = compute_runtime.Products.new() if hasattr(compute_runtime, "Products") else None
    seen["products"] = made is not None
    """,
)
