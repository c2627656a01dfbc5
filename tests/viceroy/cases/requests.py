"""Host contract §2.2 and §2.6: the client's request and requests the guest makes."""

from tests.viceroy.case import Cases

__all__ = ["CASES"]

CASES = Cases("§2.2, §2.6")

FACTS = """
see("method", request.get_method, 99)
see("uri", request.get_uri, 999)
see("version", request.get_version)
see("length", http_body.get_known_length, body)
see("content", read_all, body)
"""
for target in ("/", "/a/b?c=d&e", "/%41%2f%zz?", "/a//b/../c", "/?", "/caf%C3%A9", "*", "/a#b"):
    method = "OPTIONS" if target == "*" else "GET"
    CASES.add(f"uri-{target}", FACTS, target=target, method=method)
CASES.add("uri-absolute", FACTS, target="http://other.test:99/x?y")
CASES.add("uri-long", FACTS, target="/" + "x" * 8000)
for method in (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "PURGE",
    "a-b!",
):
    CASES.add(f"method-{method}", FACTS, method=method)
CASES.add("host-other", FACTS, headers=(("X-A", "b"),), target="//double")
CASES.add("body-known", FACTS, method="POST", body=b"content \x00\xff")
CASES.add("body-chunked", FACTS, method="POST", chunks=(b"one ", b"two"))
CASES.add("body-empty-chunked", FACTS, method="POST", trailers=(("X-T", "1"),))
CASES.add(
    "body-large",
    """
    data = read_all(body)
    seen["sum"] = [len(data), data.count(b"x")]
    """,
    method="POST",
    body=b"x" * 1_000_000,
)
CASES.add(
    "client-facts",
    """
    d, own = http_downstream, http_req.Request.new()
    for name in ("client_ip_addr", "server_ip_addr", "original_header_count",
                 "client_ddos_detected", "tls_client_cert_verify_result", "tls_ja3_md5"):
        see(name, getattr(d, "downstream_" + name), request)
        see(name + " own", getattr(d, "downstream_" + name), own)
    for name in ("client_h2_fingerprint", "client_oh_fingerprint", "tls_cipher_openssl_name",
                 "tls_protocol", "tls_client_hello", "tls_raw_client_certificate",
                 "tls_client_servername", "tls_ja4", "compliance_region"):
        see(name, getattr(d, "downstream_" + name), request, 99)
        see(name + " own", getattr(d, "downstream_" + name), own, 99)
        see(name + " 0", getattr(d, "downstream_" + name), request, 0)
    see("id size", d.downstream_client_request_id, request, 31)
    see("id", d.downstream_client_request_id, request, 32)
    see("id own", d.downstream_client_request_id, own, 99)
    see("names", d.downstream_original_header_names, request, 99, 0)
    see("names short", d.downstream_original_header_names, request, 3, 0)
    see("names from 2", d.downstream_original_header_names, request, 99, 2)
    see("names own", d.downstream_original_header_names, own, 99, 0)
    see("key", d.fastly_key_is_valid, request)
    see("key own", d.fastly_key_is_valid, own)
    request.insert_header("fastly-key", b"bad-key")
    request.remove_header("x-one")
    see("key changed", d.fastly_key_is_valid, request)
    see("names changed", d.downstream_original_header_names, request, 99, 0)
    see("count changed", d.downstream_original_header_count, request)
    """,
    headers=(("X-One", "1"), ("x-one", "2"), ("Fastly-Key", "good-key")),
)
CASES.add("key-bad", 'see("key", http_downstream.fastly_key_is_valid, request)',
          headers=(("Fastly-Key", "bad-key"),))  # fmt: skip
CASES.add("key-absent", 'see("key", http_downstream.fastly_key_is_valid, request)')
CASES.add(
    "request-new",
    """
    r = http_req.Request.new()
    see("method", r.get_method, 3)
    see("method short", r.get_method, 2)
    see("uri", r.get_uri, 99)
    see("uri short", r.get_uri, 0)
    see("version", r.get_version)
    see("names", r.get_header_names, 99, 0)
    for method in ("GET", "a-b", "", "A B", "\\u00e9", "x" * 3000, "get"):
        see("set " + method[:9], r.set_method, method)
        see("got " + method[:9], r.get_method, 4000)
    for uri in ("http://a.test/x?y#z", "/only/path", "", "a b", "http://a.test:99999/", "x" * 9000,
                "http://", "*", "https://u:p@h/", "no-slash", "http://[::1]:80/", "\\u00e9",
                "//a.test/b", "mailto:x"):
        see("uri set " + uri[:20], r.set_uri, uri)
        see("uri got " + uri[:20], r.get_uri, 10000)
    for version in http_types.HttpVersion:
        see("version set " + version.name, r.set_version, version)
        see("version got " + version.name, r.get_version)
    """,
)
CASES.add(
    "request-options",
    """
    r = http_req.Request.new()
    override = http_req.CacheOverride_Override
    details = http_req.CacheOverrideDetails
    see("none", r.set_cache_override, http_req.CacheOverride_None_())
    see("pass", r.set_cache_override, http_req.CacheOverride_Pass())
    see("ttl", r.set_cache_override, override(details(60, 30, True, "a b", None)))
    for mode in http_types.FramingHeadersMode:
        see("framing " + mode.name, r.set_framing_headers_mode, mode)
    see("gzip", r.set_auto_decompress_response, http_types.ContentEncodings.GZIP)
    see("none at all", r.set_auto_decompress_response, http_types.ContentEncodings(0))
    see("upgrade", http_req.upgrade_websocket, backend.Backend.open("origin"))
    see("close", http_req.close, r)
    """,
)
CASES.add(
    "requests-of-the-client-can-be-changed",
    """
    request.set_method("PATCH")
    request.set_uri("http://changed.test/x")
    request.insert_header("x-new", b"n")
    request.remove_header("x-script")
    see("method", request.get_method, 99)
    see("uri", request.get_uri, 99)
    seen["fields"] = headers_of(request)
    """,
)
