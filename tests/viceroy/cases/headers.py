"""Host contract §2.0: header tables, buffers and cursors."""

from tests.viceroy.case import Cases

__all__ = ["CASES"]

CASES = Cases("§2.0")

CASES.add(
    "header-order",
    """
    r = http_resp.Response.new()
    for name in "abcde":
        r.append_header(name, b"1")
    r.append_header("B", b"2")
    seen["appended"] = headers_of(r)
    r.insert_header("C", b"3")
    seen["inserted"] = headers_of(r)
    r.remove_header("a")
    seen["removed"] = headers_of(r)
    r.set_header_values("b", b"x\\0y\\0z")
    seen["set"] = headers_of(r)
    r.set_header_values("new", b"n\\0")
    seen["set new"] = headers_of(r)
    r.set_header_values("d", b"")
    seen["set nothing"] = headers_of(r)
    """,
)
CASES.add(
    "header-order-on-the-wire",
    """
    answer(b"", headers=[("a", "1"), ("b", "2"), ("A", "3"), ("c", "4"), ("date", "mine"),
                         ("Server", "mine"), ("X-Mixed-Case", "5")])
    """,
)
for kind, new in (("request", "http_req.Request.new()"), ("response", "http_resp.Response.new()")):
    CASES.add(
        f"header-errors-{kind}",
        f"""
        m = {new}
        for label, name in (("space", "a b"), ("empty", ""), ("colon", "a:b"), ("nul", "a\\0b"),
                            ("not-ascii", "\\u00e9"), ("long", "n" * 65535),
                            ("too-long", "n" * 65536), ("32769", "n" * 32769)):
            see("insert " + label, m.insert_header, name, b"v")
            see("append " + label, m.append_header, name, b"v")
            see("set " + label, m.set_header_values, name, b"v\\0")
            see("value " + label, m.get_header_value, name, MAX)
            see("values " + label, m.get_header_values, name, MAX, 0)
            see("remove " + label, m.remove_header, name)
        see("remove absent", m.remove_header, "absent")
        """,
    )
    CASES.add(
        f"header-values-{kind}",
        f"""
        m = {new}
        for label, value in (("newline", b"a\\nb"), ("return", b"a\\rb"), ("nul", b"a\\0b"),
                             ("tab", b"a\\tb"), ("high", b"\\xff\\x80"), ("del", b"\\x7f"),
                             ("empty", b""), ("spaces", b"  a  ")):
            see("insert " + label, m.insert_header, "v-" + label, value)
            see("append " + label, m.append_header, "v-" + label, value)
            see("set " + label, m.set_header_values, "v-" + label, value + b"\\0" + value + b"\\0")
            see("first " + label, m.get_header_value, "v-" + label, 99)
            see("all " + label, m.get_header_values, "v-" + label, 99, 0)
        """,
    )
    CASES.add(
        f"header-buffers-{kind}",
        f"""
        m = {new}
        for name, value in (("a", b"12345"), ("bb", b""), ("a", b"678"), ("ccc", b"9")):
            m.append_header(name, value)
        for size in (0, 1, 2, 3, 4, 5, 6, 9, 10, 99):
            see(f"names {{size}}", m.get_header_names, size, 0)
            see(f"value {{size}}", m.get_header_value, "a", size)
            see(f"values {{size}}", m.get_header_values, "a", size, 0)
        for cursor in (1, 2, 3, 4, 4294967295):
            see(f"names from {{cursor}}", m.get_header_names, 99, cursor)
            see(f"values from {{cursor}}", m.get_header_values, "a", 99, cursor)
        see("value empty", m.get_header_value, "bb", 0)
        see("value absent", m.get_header_value, "absent", 0)
        see("values absent", m.get_header_values, "absent", 0, 0)
        see("values empty", m.get_header_values, "bb", 0, 0)
        see("values empty 1", m.get_header_values, "bb", 1, 0)
        see("without any", {new}.get_header_names, 0, 0)
        """,
    )
CASES.add(
    "header-case-and-repeats-from-the-client",
    """
    seen["all"] = [one for one in headers_of(request) if one[0] not in ("host", "x-script")]
    see("first", request.get_header_value, "X-TWO", 99)
    see("empty", request.get_header_value, "x-empty", 99)
    see("high", request.get_header_value, "x-high", 99)
    """,
    headers=(
        ("X-Two", "1"),
        ("x-Other", "o"),
        ("x-two", "2"),
        ("X-Empty", ""),
        ("X-High", "caf\xe9"),
        ("X-Spaced", "a  b"),
    ),
)
CASES.add(
    "many-headers-from-the-client",
    """
    names, cursor, rounds = [], 0, 0
    while cursor is not None:
        text, cursor = request.get_header_names(100, cursor)
        names += text.split("\\0")[:-1]
        rounds += 1
    seen["names"] = names
    seen["rounds"] = rounds
    """,
    headers=tuple((f"X-Many-{n}", "v" * n) for n in range(60)),
)
