"""Host contract §1.2, §1.3 and §2.3: what the client gets."""

from tests.viceroy.case import Cases

__all__ = ["CASES"]

CASES = Cases("§1.2, §1.3, §2.3")

CASES.add(
    "response-new",
    """
    r = http_resp.Response.new()
    see("status", r.get_status)
    see("version", r.get_version)
    see("names", r.get_header_names, 99, 0)
    see("address", r.get_remote_ip_addr)
    see("port", r.get_remote_port)
    for status in (0, 99, 100, 103, 199, 204, 299, 404, 599, 600, 999, 1000, 65535):
        see(f"set {status}", r.set_status, status)
        see(f"got {status}", r.get_status)
    for version in http_types.HttpVersion:
        see("version set " + version.name, r.set_version, version)
        see("version got " + version.name, r.get_version)
    for mode in http_resp.KeepaliveMode:
        see("keepalive " + mode.name, r.set_http_keepalive_mode, mode)
    for mode in http_types.FramingHeadersMode:
        see("framing " + mode.name, r.set_framing_headers_mode, mode)
    see("close", http_resp.close, r)
    """,
)
for status in (200, 201, 204, 205, 299, 304, 404, 418, 500, 599, 600, 999):
    CASES.add(f"status-{status}", f"answer(b'content', status={status})")
    CASES.add(f"status-{status}-empty", f"answer(b'', status={status})")
for status in (100, 101, 102, 103, 199):
    CASES.add(
        f"status-{status}",
        f"""
        see("send", answer, b"early", {status})
        see("again", answer, b"early", {status})
        """,
    )
CASES.add("head-with-content", "answer(b'content')", method="HEAD")
CASES.add("head-with-length", """
    response, new = http_resp.Response.new(), http_body.new()
    response.insert_header("content-length", b"7")
    http_resp.send_downstream(response, new)
    """, method="HEAD")  # fmt: skip
CASES.add("head-with-length-manual", """
    response, new = http_resp.Response.new(), http_body.new()
    response.insert_header("content-length", b"7")
    response.set_framing_headers_mode(http_types.FramingHeadersMode.MANUALLY_FROM_HEADERS)
    http_resp.send_downstream(response, new)
    """, method="HEAD")  # fmt: skip
for name, fields in {
    "length": [("content-length", "7")],
    "wrong-length": [("content-length", "3")],
    "chunked": [("transfer-encoding", "chunked")],
    "both": [("content-length", "7"), ("transfer-encoding", "chunked")],
    "two-lengths": [("content-length", "7"), ("content-length", "7")],
    "odd-length": [("content-length", "+7")],
    "odd-encoding": [("transfer-encoding", "gzip")],
    "none": [],
    "connection": [("connection", "keep-alive, x-gone"), ("x-gone", "1"), ("keep-alive", "5")],
    "upgrade": [("upgrade", "x"), ("connection", "upgrade")],
    "trailer": [("trailer", "x-end"), ("te", "trailers")],
}.items():
    for mode in ("AUTOMATIC", "MANUALLY_FROM_HEADERS"):
        if name == "wrong-length" and mode != "AUTOMATIC":
            continue  # nobody's promise
        CASES.add(
            f"framing-{name}-{mode.partition('_')[0].lower()}",
            f"""
            response = http_resp.Response.new()
            for name, value in {fields!r}:
                response.append_header(name, value.encode())
            response.set_framing_headers_mode(http_types.FramingHeadersMode.{mode})
            http_resp.send_downstream(response, written(b"content"))
            """,
        )
CASES.add(
    "send-twice",
    """
    answer(b"first")
    error = failure(answer, b"second")
    endpoint = log.Endpoint.open("twice")
    endpoint.write(json.dumps(error).encode())
    """,
    lines=1,
)
CASES.add(
    "send-after-hand-off",
    """
    request.redirect_to_grip_proxy(backend.Backend.open("origin"))
    log.Endpoint.open("late").write(json.dumps([
        failure(answer, b"late"),
        failure(request.redirect_to_grip_proxy, backend.Backend.open("origin")),
        failure(request.redirect_to_websocket_proxy, backend.Backend.open("origin"))]).encode())
    """,
    lines=1,
)
CASES.add(
    "streaming",
    """
    response, new = http_resp.Response.new(), http_body.new()
    http_body.write(new, b"before ")
    http_resp.send_downstream_streaming(response, new)
    log.Endpoint.open("wrote").write(json.dumps([
        http_body.write(new, b"while "),
        http_body.get_known_length(new),
        failure(http_body.write_front, new, b"front")]).encode())
    http_body.append(new, written(b"appended"))
    http_body.close(new)
    """,
    lines=1,
)
CASES.add(
    "streaming-left-open",
    """
    response, new = http_resp.Response.new(), http_body.new()
    http_resp.send_downstream_streaming(response, new)
    http_body.write(new, b"part")
    time.sleep(0.3)  # until it is on its way
    """,
)
CASES.add(
    "streaming-and-raise",
    """
    response, new = http_resp.Response.new(), http_body.new()
    http_resp.send_downstream_streaming(response, new)
    http_body.write(new, b"part")
    time.sleep(0.3)  # until it is on its way
    os.abort()
    """,
)
CASES.add(
    "streaming-with-length",
    """
    response, new = http_resp.Response.new(), http_body.new()
    response.insert_header("content-length", b"4")
    response.set_framing_headers_mode(http_types.FramingHeadersMode.MANUALLY_FROM_HEADERS)
    http_resp.send_downstream_streaming(response, new)
    http_body.write(new, b"four")
    http_body.close(new)
    """,
)
CASES.add(
    "streaming-nothing",
    """
    response, new = http_resp.Response.new(), http_body.new()
    http_resp.send_downstream_streaming(response, new)
    http_body.close(new)
    """,
)
CASES.add(
    "streaming-large",
    """
    response, new = http_resp.Response.new(), http_body.new()
    http_resp.send_downstream_streaming(response, new)
    for _ in range(64):
        http_body.write(new, b"x" * 16384)
    http_body.close(new)
    """,
)
CASES.add(
    "streaming-body-sent-twice",
    """
    response, new = http_resp.Response.new(), http_body.new()
    http_resp.send_downstream_streaming(response, new)
    log.Endpoint.open("again").write(json.dumps(
        failure(http_resp.send_downstream_streaming, http_resp.Response.new(), new)).encode())
    http_body.close(new)
    """,
)
CASES.add("client-asks-to-close", "answer(b'content')", headers=(("Connection", "close"),))
CASES.add("echo-of-the-clients-body", """
    http_resp.send_downstream(http_resp.Response.new(), body)
    """, method="POST", body=b"known")  # fmt: skip
CASES.add("echo-of-the-clients-chunks", """
    http_resp.send_downstream(http_resp.Response.new(), body)
    """, method="POST", chunks=(b"one ", b"two"))  # fmt: skip
CASES.add(
    "trailers-of-the-answer",
    """
    new = written(b"content")
    http_body.append_trailer(new, "X-End", b"1")
    http_body.append_trailer(new, "x-end", b"2")
    http_resp.send_downstream(http_resp.Response.new(), new)
    """,
)
CASES.add(
    "trailers-of-a-stream",
    """
    response, new = http_resp.Response.new(), http_body.new()
    http_resp.send_downstream_streaming(response, new)
    http_body.write(new, b"content")
    http_body.append_trailer(new, "x-end", b"1")
    http_body.close(new)
    """,
)
# How guests end
CASES.add("end-without-answer", "pass")
CASES.add("end-by-exit", "sys.exit(0)")
CASES.add("end-by-exit-none", "sys.exit()")
CASES.add("end-by-failing-exit", "sys.exit(3)")
CASES.add("end-by-exception", "raise ValueError('reason')")
CASES.add("end-by-abort", "os.abort()")
CASES.add("end-by-wit-error", "raise Err(None)")
CASES.add("end-by-stack", "def f(): f()\nsys.setrecursionlimit(10**9)\nf()")
CASES.add("end-by-memory", "kept = [bytes(1 << 20) for _ in range(200)]")
CASES.add("end-after-answer", "answer(b'sent')\nraise ValueError('late')")
CASES.add("end-after-answer-by-exit", "answer(b'sent')\nsys.exit(1)")
CASES.add("end-after-early-hints", "answer(b'', 103)")
