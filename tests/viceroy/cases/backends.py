"""Host contract §2.2 and §2.5: requests to backends, and what is known about these."""

from tests.viceroy.case import Cases

__all__ = ["CASES"]

CASES = Cases("§2.2, §2.5")

STATIC = (
    *("origin", "based", "healthy", "ill", "named", "hasty", "nobody", "default-port"),
    *("secure", "secure-no-sni", "unknown-host"),
)
GETTERS = (
    *("get_name", "is_healthy", "is_dynamic", "get_port", "is_tls"),
    *("get_connect_timeout_ms", "get_first_byte_timeout_ms", "get_between_bytes_timeout_ms"),
    *("get_tls_min_version", "get_tls_max_version", "get_http_keepalive_time"),
    *("get_tcp_keepalive_enable", "get_tcp_keepalive_interval", "get_tcp_keepalive_probes"),
    "get_tcp_keepalive_time",
)
FACTS = f"""
def facts(label, b):
    for name in {GETTERS!r}:
        see(label + name, getattr(b, name))
    see(label + "get_host", b.get_host, 99)
    see(label + "get_host short", b.get_host, 1)
    see(label + "get_override_host", b.get_override_host, 99)
    see(label + "get_override_host short", b.get_override_host, 1)
"""
for name in STATIC:
    CASES.add(f"backend-facts-{name}", f"{FACTS}\nfacts('', backend.Backend.open({name!r}))")
CASES.add(
    "backend-open",
    """
    for label, name in (("unknown", "unknown"), ("empty", ""), ("long", "x" * 300),
                        ("odd", "a/b c"), ("nul", "a\\0b")):
        see(label, backend.Backend.open, name)
    """,
)
ECHO = """
response, got = fetch({arguments})
seen["status"] = response.get_status()
seen["fields"] = headers_of(response)
seen["origin"] = json.loads(read_all(got))
"""
for name in ("origin", "based", "named", "secure", "secure-no-sni", "secure-client"):
    CASES.add(f"fetch-from-{name}", ECHO.format(arguments=f"'/echo?a=b', {name!r}"))
    CASES.add(
        f"fetch-from-{name}-with-host",
        ECHO.format(arguments=f"'/echo', {name!r}, headers=[('Host', b'mine.test')]"),
    )
for name in ("nobody", "unknown-host", "secure-wrong-name", "secure-unknown-ca", "secure-to-plain"):
    CASES.add(f"fetch-fails-{name}", f"see('sent', fetch, '/echo', {name!r})")
for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE", "a-b"):
    CASES.add(
        f"fetch-method-{method}",
        f"""
        response, got = fetch("/echo", method={method!r}, content=b"sent")
        seen["fields"] = headers_of(response)
        content = read_all(got)
        seen["origin"] = json.loads(content) if content else None
        """,
    )
for label, fields in {
    "order": [("z", b"1"), ("a", b"2"), ("Z", b"3"), ("X-Mixed", b"4")],
    "hop-by-hop": [("connection", b"close, x-gone"), ("x-gone", b"1"), ("keep-alive", b"5"),
                   ("te", b"trailers"), ("upgrade", b"x"), ("proxy-authorization", b"y")],
    "framing": [("content-length", b"99"), ("transfer-encoding", b"chunked")],
    "expect": [("expect", b"100-continue")],
    "accept-encoding": [("accept-encoding", b"gzip"), ("user-agent", b"me")],
    "bytes": [("x-high", b"caf\xe9 \xff"), ("x-tab", b"a\tb"), ("x-empty", b"")],
    "two-hosts": [("host", b"one.test"), ("host", b"two.test")],
    "many": [(f"x-many-{n}", b"v") for n in range(60)],
}.items():  # fmt: skip
    CASES.add(
        f"fetch-fields-{label}",
        ECHO.format(arguments=f"'/echo', method='POST', content=b'sent', headers={fields!r}"),
    )
CASES.add(
    "fetch-as-it-goes-out",
    ECHO.format(arguments="'/raw', method='POST', content=b'sent', headers=[('X-A', b'1')]"),
)
CASES.add("fetch-client-request", """
    request.remove_header("x-script")
    request.set_uri("http://fetched.test/echo?x")
    response, got = http_req.send(request, body, backend.Backend.open("origin"))
    seen["origin"] = json.loads(read_all(got))
    """, method="POST", body=b"content", headers=(("X-A", "1"),))  # fmt: skip
CASES.add("fetch-client-chunks", """
    request.remove_header("x-script")
    request.set_uri("http://fetched.test/echo?x")
    response, got = http_req.send(request, body, backend.Backend.open("origin"))
    seen["origin"] = json.loads(read_all(got))
    """, method="POST", chunks=(b"one ", b"two"))  # fmt: skip
URIS = (
    *("http://other.test:99/x", "https://other.test/x", "http://u:p@o.test/x"),
    *("http://fetched.test", "http://fetched.test?q", "http://fetched.test/a%20b?c%zz"),
)
for uri in URIS:
    CASES.add(
        f"fetch-uri-{uri}",
        f"""
        made = http_req.Request.new()
        made.set_uri({uri!r})
        response, got = http_req.send(made, http_body.new(), backend.Backend.open("based"))
        seen["origin"] = json.loads(read_all(got))
        """,
    )
CASES.add("fetch-uri-without-authority", """
    made = http_req.Request.new()
    made.set_uri("/only/path")
    made.append_header("host", b"mine.test")
    response, got = http_req.send(made, http_body.new(), backend.Backend.open("origin"))
    seen["origin"] = json.loads(read_all(got))
    """)  # fmt: skip
CASES.add("fetch-uri-without-any-host", """
    made = http_req.Request.new()
    made.set_uri("/only/path")
    response, got = http_req.send(made, http_body.new(), backend.Backend.open("origin"))
    seen["origin"] = json.loads(read_all(got))
    """)  # fmt: skip
for version in ("HTTP10", "H2"):
    CASES.add(f"fetch-version-{version}", f"""
        made = http_req.Request.new()
        made.set_uri("http://fetched.test/echo")
        made.set_version(http_types.HttpVersion.{version})
        response, got = http_req.send(made, http_body.new(), backend.Backend.open("origin"))
        seen["origin"] = json.loads(read_all(got))
        """)  # fmt: skip
PATHS = (
    *("/status/204", "/status/304", "/status/404", "/status/599", "/redirect", "/fields", "/gzip"),
    *("/chunked", "/until-closed", "/http10", "/early-hints", "/cut", "/cut-chunked", "/cut-head"),
    *("/drop", "/garbage", "/bad-status", "/large"),
)
for path in PATHS:
    CASES.add(
        f"answer{path}",
        f"""
        got = see("sent", fetch, "{path}")
        if got:
            response, content = got
            see("status", response.get_status)
            see("version", response.get_version)
            seen["fields"] = headers_of(response)
            see("length", http_body.get_known_length, content)
            data = see("content", read_all, content)
            if data and len(data) > 999:
                seen["content"] = len(data)
            see("address", response.get_remote_ip_addr)
            see("port", response.get_remote_port)
        """,
    )
    CASES.add(
        f"passed-on{path}",
        f"""
        got = see("sent", fetch, "{path}")
        if got:
            seen.clear()
            http_resp.send_downstream(*got)
        """,
    )
CASES.add(
    "passed-on-to-head",
    "http_resp.send_downstream(*fetch('/head', method='HEAD'))",
    method="HEAD",
)
for path in ("/gzip", "/x-gzip", "/gzip-broken", "/gzip-cut", "/gzip-and-more", "/echo"):
    CASES.add(
        f"decompressed{path}",
        f"""
        made = http_req.Request.new()
        made.set_uri("http://fetched.test{path}")
        made.set_auto_decompress_response(http_types.ContentEncodings.GZIP)
        response, got = http_req.send(made, http_body.new(), backend.Backend.open("origin"))
        seen["fields"] = headers_of(response)
        see("length", http_body.get_known_length, got)
        see("content", read_all, got)
        """,
    )
for path in ("/hang", "/hang-body"):
    CASES.add(
        f"timeout{path}",
        f"""
        got = see("sent", fetch, "{path}", "hasty")
        if got:
            see("content", read_all, got[1])
        """,
    )
CASES.add(
    "send-async",
    """
    def made(path):
        new = http_req.Request.new()
        new.set_uri("http://fetched.test" + path)
        return new
    for name in ("send_async", "send_async_uncached"):
        send = getattr(http_req, name)
        pending = [send(made(f"/echo?{n}"), http_body.new(), backend.Backend.open("origin"))
                   for n in range(3)]
        for n, one in enumerate(pending):
            response, got = http_req.await_response(one)
            seen[f"{name} {n}"] = json.loads(read_all(got))["line"]
        fails = send(made("/drop"), http_body.new(), backend.Backend.open("origin"))
        see(name + " fails", http_req.await_response, fails)
        fails = see(name + " nobody", send, made("/"), http_body.new(),
                    backend.Backend.open("nobody"))
        if fails:
            see(name + " nobody later", http_req.await_response, fails)
    response, got = http_req.send_uncached(made("/echo"), http_body.new(),
                                           backend.Backend.open("origin"))
    see("uncached", response.get_status)
    """,
)
CASES.add(
    "send-streaming",
    """
    for name in ("send_async_streaming", "send_async_uncached_streaming"):
        made = http_req.Request.new()
        made.set_method("POST")
        made.set_uri("http://fetched.test/echo")
        content = written(b"before ")
        pending = getattr(http_req, name)(made, content, backend.Backend.open("origin"))
        see(name + " write", http_body.write, content, b"while ")
        see(name + " length", http_body.get_known_length, content)
        see(name + " front", http_body.write_front, content, b"x")
        see(name + " append", http_body.append, content, written(b"end"))
        see(name + " close", http_body.close, content)
        response, got = http_req.await_response(pending)
        seen[name] = json.loads(read_all(got))
    """,
)
CASES.add(
    "send-streaming-with-trailers",
    """
    made = http_req.Request.new()
    made.set_method("POST")
    made.set_uri("http://fetched.test/echo")
    content = http_body.new()
    pending = http_req.send_async_streaming(made, content, backend.Backend.open("origin"))
    http_body.write(content, b"content")
    see("trailer", http_body.append_trailer, content, "x-sum", b"7")
    http_body.close(content)
    response, got = http_req.await_response(pending)
    seen["origin"] = json.loads(read_all(got))
    """,
)
CASES.add(
    "send-streaming-left-open",
    """
    import gc
    made = http_req.Request.new()
    made.set_method("POST")
    made.set_uri("http://fetched.test/echo?journal=left-open")
    content = written(b"part")
    pending = http_req.send_async_streaming(made, content, backend.Backend.open("origin"))
    del content
    gc.collect()
    see("response", http_req.await_response, pending)
    response, got = fetch("/journal?journal=left-open")
    seen["origin"] = json.loads(read_all(got))
    """,
)
for mode in ("content-length", "transfer-encoding"):
    value = {"content-length": b"4", "transfer-encoding": b"chunked"}[mode]
    CASES.add(
        f"send-framed-by-{mode}",
        f"""
        made = http_req.Request.new()
        made.set_method("POST")
        made.set_uri("http://fetched.test/echo")
        made.insert_header({mode!r}, {value!r})
        made.set_framing_headers_mode(http_types.FramingHeadersMode.MANUALLY_FROM_HEADERS)
        response, got = http_req.send(made, written(b"four"), backend.Backend.open("origin"))
        seen["origin"] = json.loads(read_all(got))
        """,
    )
