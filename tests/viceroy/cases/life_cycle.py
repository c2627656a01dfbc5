"""Host contract §1.4, §1.5 and §3: reuse of sandboxes, and hand-offs."""

from tests.viceroy.case import Ask, Cases

__all__ = ["CASES"]

CASES = Cases("§1.4, §3")

WAIT = """
d = http_downstream
def wait(ms=None):
    return d.next_request(d.NextRequestOptions(ms, None))
"""
NEXT = (
    WAIT
    + """
seen["id"] = len(d.downstream_client_request_id(request, 99))
pending = wait(5000)
seen["early"] = None
# `await_request` would be refused before the answer; so is a second one to wait for
see("second", wait)
seen["ready"] = pending.is_ready()
answer(seen)
seen.clear()
got = d.await_request(pending)
if got:
    request, body = got
    see("uri", request.get_uri, 99)
    see("method", request.get_method, 99)
    seen["content"] = read_all(body).decode()
    seen["same sandbox"] = os.environ["FASTLY_TRACE_ID"] == compute_runtime.get_sandbox_id()
    seen["fields"] = [one for one in headers_of(request) if one[0] not in ("host", "x-script")]
"""
)
CASES.add(
    "reuse",
    NEXT,
    Ask(script="answer(b'by another')", method="POST", target="/second", body=b"content"),
)
CASES.add(
    "reuse-and-no-answer",
    WAIT + "\npending = wait(5000)\nanswer(b'first')\nd.await_request(pending)\n",
    Ask(script="answer(b'by another')"),
)
CASES.add(
    "reuse-and-trap",
    WAIT + "\npending = wait(5000)\nanswer(b'first')\nd.await_request(pending)\nos.abort()\n",
    Ask(script="answer(b'by another')"),
)
CASES.add(
    "reuse-not-taken",
    WAIT + "\npending = wait(5000)\nanswer(b'first')\nasync_io.select([pending])\n",
    Ask(script="answer(b'by another')"),
)
CASES.add(
    "reuse-asked-before-the-answer",
    WAIT
    + """
pending = wait(50)
see("await", d.await_request, pending)
""",
)
CASES.add(
    "reuse-nothing-comes",
    WAIT
    + """
pending = wait(20)
answer(b"", 103)
see("first", async_io.select_with_timeout, [pending], 1000)
see("ready", pending.is_ready)
""",
)
CASES.add(
    "reuse-dropped",
    WAIT
    + """
pending = wait(5000)
del pending
gc.collect()
again = see("again", wait, 20)
del again
gc.collect()
""",
    Ask(script="answer(b'by another')"),
)
# Hand-offs: what stands in for the proxy says what it received.
GRIP = 'request.redirect_to_grip_proxy(backend.Backend.open("origin"))'
FIELDS = (
    ("Connection", "keep-alive, x-hop"),
    ("X-Hop", "1"),
    ("Upgrade", "mine"),
    ("Sec-WebSocket-Key", "k"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Protocol", "p"),
    ("Sec-WebSocket-Extensions", "e"),
    ("Grip-Sig", "s"),
    ("Pushpin-Route", "mine"),
    ("TE", "trailers"),
    ("Trailer", "x-t"),
    ("Expect", "nothing"),
    ("CDN-Loop", "x"),
    ("Fastly-FF", "y"),
    ("Proxy-Authorization", "z"),
    ("X-Own", "1"),
    ("x-own", "2"),
    ("Content-Range", "bytes 0-1/2"),
)
HIDE = 'request.remove_header("x-script")\n'
CASES.add("hand-off", HIDE + GRIP, target="/a/b?c", headers=FIELDS)
CASES.add("hand-off-with-content", HIDE + GRIP, method="POST", body=b"known content")
CASES.add("hand-off-with-chunks", HIDE + GRIP, method="POST", chunks=(b"one ", b"two"))
CASES.add(
    "hand-off-of-a-read-body", HIDE + "read_all(body)\n" + GRIP, method="POST", body=b"was read"
)
CASES.add(
    "hand-off-of-read-chunks",
    HIDE + "read_all(body)\n" + GRIP,
    method="POST",
    chunks=(b"was ", b"read"),
)
CASES.add(
    "hand-off-of-another-request",
    """
    made = http_req.Request.new()
    made.set_method("PUT")
    made.set_uri("http://made.test/other?x")
    for name in ("host", "connection", "sec-websocket-key", "pushpin-route", "content-length",
                 "grip-sig", "cdn-loop", "x-made", "transfer-encoding", "te"):
        made.insert_header(name, b"made")
    made.redirect_to_grip_proxy(backend.Backend.open("origin"))
    made.insert_header("x-late", b"1")
    """,
    method="POST",
    body=b"the client's",
    headers=FIELDS,
)
CASES.add("hand-off-to-a-based-backend", HIDE
          + 'request.redirect_to_grip_proxy(backend.Backend.open("based"))')  # fmt: skip
CASES.add("hand-off-as-it-goes-out", HIDE + GRIP, target="/raw", headers=(("X-A", "1"),))
CASES.add("hand-off-of-head", HIDE + GRIP, method="HEAD")
for path in ("/status/204", "/status/404", "/fields", "/chunked", "/cut", "/drop", "/garbage",
             "/gzip", "/trailers", "/redirect", "/until-closed"):  # fmt: skip
    CASES.add(f"hand-off-answered{path}", HIDE + GRIP, target=path)
UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)
CASES.add(
    "hand-off-of-a-websocket",
    HIDE + GRIP,
    target="/websocket",
    headers=UPGRADE,
    upgrade=b"bytes go through",
)
CASES.add("hand-off-and-trap", HIDE + GRIP + "\nos.abort()", target="/echo")
CASES.add("hand-off-and-exit", HIDE + GRIP + "\nsys.exit(1)", target="/echo")
CASES.add(
    "hand-off-after-hints", "answer(b'', 103)\n" + HIDE + GRIP, target="/echo"
)  # fmt: skip
for name in ("origin", "based", "named", "secure", "nobody", "hasty", "secure-unknown-ca"):
    passed = f'request.redirect_to_websocket_proxy(backend.Backend.open("{name}"))'
    CASES.add(f"pass-through-{name}", HIDE + passed, target="/echo?x", headers=FIELDS)
    if name in ("origin", "based", "secure"):
        CASES.add(
            f"pass-through-{name}-of-a-websocket",
            HIDE + passed,
            target="/websocket",
            headers=UPGRADE,
            upgrade=b"bytes go through",
        )
CASES.add(
    "pass-through-to-a-dynamic-backend",
    """
    port = backend.Backend.open("origin").get_port()
    b = backend.register_dynamic_backend("dyn", f"127.0.0.1:{port}",
                                         backend.DynamicBackendOptions())
    request.redirect_to_websocket_proxy(b)
    """,
)
