"""What guests look up and log. Host contract §2.5, §2.6, §2.8 to §2.11."""

import logging

import pytest

from tests.support.sandbox import Scripted

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]


async def test_config_stores_and_dictionaries(guest: Scripted) -> None:
    """§2.8."""
    got = await guest.json(
        """
        trace = []
        for opened, get in ((config_store.Store, "get"), (dictionary.Dictionary, "lookup")):
            store = opened.open("settings")
            look = getattr(store, get)
            trace.append([look("greeting", 6), look("empty", 0), look("none", 9),
                          failure(look, "greeting", 5), failure(opened.open, "other")])
        answer(trace)
        """
    )
    assert got == [["grüß", "", None, ["BufferLen", 6], "NOT_FOUND"]] * 2


async def test_secret_stores(guest: Scripted) -> None:
    """§2.8: unknown store, unknown secret, too small a buffer is `buffer-len(0)`."""
    got = await guest.json(
        """
        store = secret_store.Store.open("keys")
        secret = store.get("hmac")
        own = secret_store.Secret.from_bytes(b"mine")
        answer([secret.plaintext(5).hex(), failure(secret.plaintext, 4), store.get("none"),
                own.plaintext(9).decode(), failure(secret_store.Store.open, "other")])
        """
    )
    assert got == [b"\x00\xffkey".hex(), ["BufferLen", 0], None, "mine", "NOT_FOUND"]


async def test_backends(guest: Scripted) -> None:
    """§2.5."""
    got = await guest.json(
        """
        trace = [failure(backend.Backend.open, "nowhere")]
        for name in ("origin", "plain"):
            b = backend.Backend.open(name)
            host = b.get_override_host(99)
            trace.append([b.get_name(), b.is_healthy().name, b.is_dynamic(), b.get_port(),
                          b.is_tls(), host and host.decode(),
                          failure(b.get_override_host, 1), failure(b.get_host, 99),
                          failure(b.get_connect_timeout_ms), failure(b.get_tls_min_version),
                          failure(b.get_tcp_keepalive_enable)])
        trace.append(failure(http_req.upgrade_websocket, b))
        answer(trace)
        """
    )
    unsupported = ["Unsupported"] * 4
    assert got == [
        "NOT_FOUND",
        ["origin", "UNKNOWN", False, 8443, True, "origin.test", ["BufferLen", 0], *unsupported],
        ["plain", "HEALTHY", False, 80, False, None, None, *unsupported],
        "GenericError",
    ]


async def test_facts_about_the_clients_request(guest: Scripted) -> None:
    """§2.6."""
    got = await guest.json(
        """
        d, own = http_downstream, http_req.Request.new()
        trace = [
            d.downstream_client_ip_addr(request).value,
            d.downstream_server_ip_addr(request).value,
            d.downstream_client_ip_addr(own),
            d.downstream_original_header_names(request, 99, 1),
            d.downstream_original_header_count(request),
            failure(d.downstream_client_request_id, request, 31),
            failure(d.downstream_client_request_id, own, 99),
            d.downstream_client_ddos_detected(request),
            d.downstream_compliance_region(request, 9),
            d.fastly_key_is_valid(request),
            failure(d.downstream_client_h2_fingerprint, request, 9),
            failure(d.downstream_client_oh_fingerprint, request, 9),
        ]
        for get in (d.downstream_tls_cipher_openssl_name, d.downstream_tls_protocol,
                    d.downstream_tls_client_hello, d.downstream_tls_raw_client_certificate,
                    d.downstream_tls_client_servername, d.downstream_tls_ja4):
            trace.append([get(request, 9), failure(get, own, 9)])
        for get in (d.downstream_tls_client_cert_verify_result, d.downstream_tls_ja3_md5):
            trace.append([get(request), failure(get, own)])
        answer(trace)
        """,
        headers=(("X-Two", "1"), ("x-two", "2"), ("Fastly-Key", "good-key")),
    )
    assert got == [
        [192, 0, 2, 7],
        [127, 0, 0, 1],
        None,
        ["x-two\0fastly-key\0x-script\0", None],
        5,
        ["BufferLen", 32],
        "GenericError",
        False,
        "none",
        True,
        *("GenericError", "GenericError"),
        *([None, "GenericError"],) * 8,
    ]


async def test_access_control_lists(guest: Scripted) -> None:
    """§2.8: the longest match, as JSON in a body."""
    got = await guest.json(
        """
        blocked = acl.Acl.open("block")
        found = []
        four, six = types.IpAddress_Ipv4, types.IpAddress_Ipv6
        for address in (four((192, 0, 2, 1)), four((192, 0, 2, 200)),
                        six((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), four((198, 51, 100, 1))):
            body = blocked.lookup(address)
            found.append(body and json.loads(read_all(body)))
        answer([found, failure(acl.Acl.open, "other")])
        """
    )
    assert got == [
        [
            {"prefix": "192.0.2.0/24", "action": "BLOCK"},
            {"prefix": "192.0.2.128/25", "action": "ALLOW"},
            {"prefix": "2001:db8::/32", "action": "BLOCK"},
            None,
        ],
        "NOT_FOUND",
    ]


async def test_places_and_devices(guest: Scripted) -> None:
    """§2.8: known, loopback and unknown addresses; known and unknown devices."""
    got = await guest.json(
        """
        four = types.IpAddress_Ipv4
        answer([
            geo.lookup(four((192, 0, 2, 7)), 99),
            json.loads(geo.lookup(four((127, 0, 0, 1)), 9999))["country_code"],
            failure(geo.lookup, four((8, 8, 8, 8)), 99),
            failure(geo.lookup, four((192, 0, 2, 7)), 3),
            device_detection.lookup("probe/1", 99),
            device_detection.lookup("other", 99),
            failure(device_detection.lookup, "probe/1", 3),
        ])
        """
    )
    assert got == [
        '{"city": "Testville"}',
        "US",
        "GenericError",
        ["BufferLen", 0],
        '{"brand": "Probe"}',
        None,
        ["BufferLen", 18],
    ]


async def test_rate_limiting_counts_nothing(guest: Scripted) -> None:
    """§2.8, erl."""
    got = await guest.json(
        """
        counter, box = erl.RateCounter.open("c"), erl.PenaltyBox.open("p")
        counter.increment("e", 5)
        box.add("e", 60)
        answer([counter.get_name(), box.get_name(), counter.check_rate("e", 1, 1, 1, box, 60),
                counter.lookup_rate("e", 10), counter.lookup_count("e", 10), box.has("e")])
        """
    )
    assert got == ["c", "p", False, 0, 0, False]


async def test_facts_about_the_sandbox(guest: Scripted) -> None:
    """§2.10."""
    got = await guest.json(
        """
        r = compute_runtime
        before = r.get_vcpu_ms()
        sum(range(10 ** 6))
        answer([r.get_vcpu_ms() > before, r.get_heap_mib(), r.get_hostname(), r.get_pop(),
                r.get_region(), r.get_cache_generation(), r.get_customer_id(), r.get_is_staging(),
                r.get_service_id(), r.get_service_version(), r.get_namespace_id()])
        """
    )
    noughts = "0" * 22
    assert got == [
        *(True, 0, "localhost", "XXX", "Somewhere", 0),
        *(noughts, False, noughts, 0, ""),
    ]


async def test_log_endpoints(guest: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """§2.9: one line a message, there before the call returns; some names are reserved."""
    caplog.set_level(logging.INFO, "host_sim.guest")
    got = await guest.json(
        r"""
        endpoint = log.Endpoint.open("my_endpoint")
        for message in (b"plain\n", b"two\nlines", b"", b"\n", b"\xff"):
            endpoint.write(message)
        answer([failure(log.Endpoint.open, n) for n in ("stdout", "Stderr", "FST_managed_x")])
        """
    )
    assert got == ["RESERVED"] * 3
    assert [r.getMessage() for r in caplog.records] == [
        "my_endpoint :: plain",
        "my_endpoint :: two\\nlines",
        "my_endpoint :: \ufffd",
    ]
    assert {r.__dict__["endpoint"] for r in caplog.records} == {"my_endpoint"}


async def test_waiting_for_any_of_several(guest: Scripted) -> None:
    """§2.7."""
    got = await guest.json(
        """
        ready, ended = async_io.Pollable.new_ready(), http_body.new()
        answer([ready.is_ready(), ended.is_ready(), async_io.select([ended, ready]),
                async_io.select_with_timeout([ready], 0)])
        """
    )
    assert got == [True, True, 0, 0]


async def test_the_http_cache_is_not_there(guest: Scripted) -> None:
    """§2.11: `unsupported`, so that SDKs send the request themselves."""
    got = await guest.json(
        """
        options = http_cache.LookupOptions(None, None, None)
        answer([failure(http_cache.is_request_cacheable, request),
                failure(http_cache.get_suggested_cache_key, request, 99),
                failure(http_cache.Entry.transaction_lookup, request, options)])
        """
    )
    assert got == ["Unsupported"] * 3
