"""Host contract §2.4 and §2.7: bodies, trailers, and waiting for any of several."""

from tests.viceroy.case import Cases

__all__ = ["CASES"]

CASES = Cases("§2.4, §2.7")

CASES.add(
    "body-grows-at-both-ends",
    """
    b = http_body.new()
    see("empty", http_body.get_known_length, b)
    see("write", http_body.write, b, b"middle")
    see("write nothing", http_body.write, b, b"")
    see("front", http_body.write_front, b, b"front ")
    see("append", http_body.append, b, written(b" end"))
    see("length", http_body.get_known_length, b)
    see("read 0", http_body.read, b, 0)
    see("read 3", http_body.read, b, 3)
    see("length after", http_body.get_known_length, b)
    see("front after", http_body.write_front, b, b"new ")
    seen["rest"] = read_all(b).decode()
    see("at the end", http_body.read, b, 9)
    see("length at the end", http_body.get_known_length, b)
    see("write at the end", http_body.write, b, b"more")
    seen["more"] = read_all(b).decode()
    see("close", http_body.close, b)
    """,
)
CASES.add(
    "body-append-of-the-clients",
    """
    b = written(b"before ")
    see("append", http_body.append, b, body)
    see("length", http_body.get_known_length, b)
    see("write", http_body.write, b, b" after")
    seen["all"] = read_all(b).decode()
    """,
    method="POST",
    chunks=(b"one ", b"two"),
)
CASES.add(
    "body-append-of-a-known-one",
    """
    b = written(b"before ")
    see("append", http_body.append, b, body)
    see("length", http_body.get_known_length, b)
    seen["all"] = read_all(b).decode()
    """,
    method="POST",
    body=b"known",
)
CASES.add(
    "write-to-the-clients-body",
    """
    see("front", http_body.write_front, body, b"front ")
    see("write", http_body.write, body, b" end")
    see("length", http_body.get_known_length, body)
    seen["all"] = read_all(body).decode()
    """,
    method="POST",
    body=b"known",
)
TRAILERS = """
def all_of(label, b):
    see(label + " names", http_body.get_trailer_names, b, 99, 0)
    see(label + " short", http_body.get_trailer_names, b, 3, 0)
    see(label + " value", http_body.get_trailer_value, b, "X-Two", 99)
    see(label + " value short", http_body.get_trailer_value, b, "x-two", 0)
    see(label + " values", http_body.get_trailer_values, b, "x-two", 99, 0)
    see(label + " values short", http_body.get_trailer_values, b, "x-two", 1, 0)
    see(label + " absent", http_body.get_trailer_value, b, "absent", 99)
    see(label + " all absent", http_body.get_trailer_values, b, "absent", 99, 0)
    see(label + " bad", http_body.get_trailer_value, b, "a b", 99)
"""
CASES.add(
    "trailers-of-a-new-body",
    TRAILERS
    + """
b = written(b"content")
for name, value in (("X-Two", b"1"), ("x-two", b"2"), ("y", b""), ("a b", b"x"), ("z", b"a\\nb")):
    see("append " + name, http_body.append_trailer, b, name, value)
all_of("before", b)
seen["content"] = read_all(b).decode()
all_of("after", b)
see("append late", http_body.append_trailer, b, "late", b"1")
""",
)
CASES.add(
    "trailers-of-the-client",
    TRAILERS
    + """
all_of("before", body)
seen["content"] = read_all(body).decode()
all_of("after", body)
""",
    method="POST",
    chunks=(b"content",),
    trailers=(("X-Two", "1"), ("x-two", "2"), ("Y", "z")),
)
CASES.add(
    "trailers-of-a-backend",
    TRAILERS
    + """
response, b = fetch("/trailers")
all_of("before", b)
seen["content"] = read_all(b).decode()
all_of("after", b)
""",
)
CASES.add(
    "trailers-passed-on",
    """
    response, b = fetch("/trailers")
    http_resp.send_downstream(response, b)
    """,
)
CASES.add(
    "trailers-to-a-backend",
    """
    b = written(b"content")
    http_body.append_trailer(b, "x-sum", b"7")
    made = http_req.Request.new()
    made.set_method("POST")
    made.set_uri("http://fetched.test/echo")
    response, got = http_req.send(made, b, backend.Backend.open("origin"))
    seen["origin"] = json.loads(read_all(got))
    """,
)
CASES.add(
    "trailers-of-a-backend-appended",
    TRAILERS
    + """
response, b = fetch("/trailers")
new = http_body.new()
http_body.append(new, b)
seen["content"] = read_all(new).decode()
all_of("after", new)
""",
)
# Waiting
CASES.add(
    "select-ready",
    """
    ready = async_io.Pollable.new_ready()
    see("is ready", ready.is_ready)
    other = written(b"x")
    see("body ready", other.is_ready)
    see("empty body ready", http_body.new().is_ready)
    see("client ready", body.is_ready)
    see("first", async_io.select, [other, ready])
    see("second", async_io.select, [ready, other])
    see("with timeout", async_io.select_with_timeout, [ready, other], 1000)
    see("with no time", async_io.select_with_timeout, [ready], 0)
    """,
)
CASES.add("select-nothing", "see('select', async_io.select, [])")
CASES.add("select-nothing-with-timeout", "see('select', async_io.select_with_timeout, [], 10)")
CASES.add(
    "select-pending",
    """
    made = http_req.Request.new()
    made.set_uri("http://fetched.test/hang")
    hanging = http_req.send_async(made, http_body.new(), backend.Backend.open("origin"))
    see("is ready", hanging.is_ready)
    see("timeout", async_io.select_with_timeout, [hanging], 20)
    see("no time", async_io.select_with_timeout, [hanging], 0)
    made = http_req.Request.new()
    made.set_uri("http://fetched.test/echo")
    quick = http_req.send_async(made, http_body.new(), backend.Backend.open("origin"))
    see("select", async_io.select, [hanging, quick])
    see("ready then", quick.is_ready)
    response, got = http_req.await_response(quick)
    see("status", response.get_status)
    """,
)
