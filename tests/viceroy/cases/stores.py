"""Host contract §2.8 to §2.10: stores, lookups, logs and facts about the sandbox."""

from tests.viceroy.case import Cases

__all__ = ["CASES"]

CASES = Cases("§2.8 to §2.10")

CASES.add(
    "config-store",
    """
    for store_name in ("settings", "file", "none", "", "a b"):
        for kind, get in ((config_store.Store, "get"), (dictionary.Dictionary, "lookup")):
            label = f"{store_name} {get} "
            store = see(label + "open", kind.open, store_name)
            if store:
                for key in ("greeting", "empty", "one", "none", "", "k" * 300):
                    see(label + key[:9], getattr(store, get), key, 99)
                    see(label + key[:9] + " 0", getattr(store, get), key, 0)
                see(label + "5", getattr(store, get), "greeting", 5)
    """,
)
CASES.add(
    "secret-store",
    """
    for name in ("none", "", "a b", "x" * 256):
        see("open " + name[:9], secret_store.Store.open, name)
    store = secret_store.Store.open("keys")
    for key in ("hmac", "from-file", "unset", "none", "", "a b"):
        secret = see("get " + key, store.get, key)
        if secret:
            see("plain " + key, secret.plaintext, 99)
            see("short " + key, secret.plaintext, 2)
            see("again " + key, secret.plaintext, 99)
    own = secret_store.Secret.from_bytes(b"mine\\0\\xff")
    see("own", own.plaintext, 6)
    see("own short", own.plaintext, 5)
    see("own empty", secret_store.Secret.from_bytes(b"").plaintext, 0)
    """,
)
IP = """
four, six = types.IpAddress_Ipv4, types.IpAddress_Ipv6
addresses = {"in": four((192, 0, 2, 7)), "nested": four((192, 0, 2, 200)),
             "out": four((198, 51, 100, 1)), "loopback": four((127, 0, 0, 1)),
             "six": six((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), "six loopback": six((0,) * 7 + (1,)),
             "mapped": six((0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0207))}
"""
CASES.add(
    "acl",
    IP
    + """
for name in ("none", "", "a b"):
    see("open " + name, acl.Acl.open, name)
block = acl.Acl.open("block")
for label, address in addresses.items():
    found = see(label, block.lookup, address)
    if found:
        seen[label] = read_all(found).decode()
""",
)
CASES.add(
    "geo",
    IP
    + """
for label, address in addresses.items():
    for size in (9999, 3):
        text = see(f"{label} {size}", geo.lookup, address, size)
        if text:
            seen[f"{label} {size}"] = json.loads(text)
            seen[f"{label} {size} text"] = text
""",
)
CASES.add(
    "device-detection",
    """
    for agent in ("probe/1", "other", ""):
        for size in (999, 3):
            see(f"{agent} {size}", device_detection.lookup, agent, size)
    """,
)
CASES.add(
    "rate-limits",
    """
    for name in ("counter", "", "a b"):
        see("counter " + name, erl.RateCounter.open, name)
        see("box " + name, erl.PenaltyBox.open, name)
    counter, box = erl.RateCounter.open("counter"), erl.PenaltyBox.open("box")
    see("name", counter.get_name)
    see("box name", box.get_name)
    see("increment", counter.increment, "a", 3)
    see("count", counter.lookup_count, "a", 60)
    see("rate", counter.lookup_rate, "a", 60)
    see("check", counter.check_rate, "a", 1, 60, 100, box, 60)
    see("check over", counter.check_rate, "a", 1000, 1, 1, box, 60)
    see("add", box.add, "b", 60)
    see("has", box.has, "b")
    see("has not", box.has, "c")
    for window in (0, 1, 10, 60, 7):
        see(f"window {window}", counter.lookup_rate, "a", window)
        see(f"duration {window}", counter.lookup_count, "a", window)
    see("ttl 0", box.add, "b", 0)
    """,
)
CASES.add(
    "logs",
    """
    for name in ("mine", "Stdout", "stderr", "fst_managed_x", "FST_MANAGED_Y", "", "a b", "a\\nb",
                 "gr\\u00fc\\u00df", "x" * 300):
        see("open " + name[:20], log.Endpoint.open, name)
    endpoint = log.Endpoint.open("mine")
    for message in (b"plain", b"ends\\n", b"ends\\n\\n", b"in\\nside", b"", b"\\n", b"\\n\\n",
                    b"\\xff\\xfe", "gr\\u00fc\\u00df".encode(), b"tab\\t", b"return\\r\\n",
                    b"back\\\\slash", b"quote\\"", b"\\x1b[31m", b"  spaces  ", b"x" * 3000,
                    b"a :: b", b"\\0"):
        endpoint.write(message)
    log.Endpoint.open("gr\\u00fc\\u00df").write(b"m")
    log.Endpoint.open("a b").write(b"m")
    """,
    lines=17,
)
CASES.add(
    "prints",
    """
    print("one")
    print("two", "words")
    print("three", end="")
    print(file=sys.stderr)
    print("error", file=sys.stderr)
    sys.stdout.flush()
    answer(b"")
    """,
    lines=5,
)
CASES.add(
    "surroundings",
    """
    r = compute_runtime
    for name in ("hostname", "pop", "region", "service_id", "customer_id", "service_version",
                 "cache_generation", "is_staging", "namespace_id"):
        see(name, getattr(r, "get_" + name))
    seen["sandbox"] = len(r.get_sandbox_id())
    seen["cpu"] = r.get_vcpu_ms() < 5000
    seen["heap"] = r.get_heap_mib() > 0
    seen["environ"] = sorted(os.environ)
    seen["values"] = [value for name, value in sorted(os.environ.items())
                      if name != "FASTLY_TRACE_ID"]
    seen["same"] = os.environ["FASTLY_TRACE_ID"] == r.get_sandbox_id()
    seen["arguments"] = sys.argv
    seen["input"] = sys.stdin.read() if sys.stdin else None
    try:
        seen["files"] = os.listdir("/")
    except OSError as error:
        seen["files"] = error.errno
    seen["time"] = time.time() > 1.7e9
    seen["heap grows"] = [r.get_heap_mib() >= 0, len(bytes(30 << 20)) > 0]
    """,
)
