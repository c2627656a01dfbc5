"""What guests are told, and what they log. Host contract §2.6, §2.7, §2.9 to §2.11."""

import logging

import pytest

from tests.support.sandbox import Scripted

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]


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
