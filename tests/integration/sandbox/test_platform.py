"""What guests are told, and what they log. Host contract §2.6, §2.7, §2.9 to §2.11."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from host_sim.body import Body
from host_sim.messages import Request, Response
from tests.support.sandbox import Scripted, response
from tests.support.waiting import soon

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
            d.downstream_compliance_region(request, 4),
            failure(d.downstream_compliance_region, request, 3),
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
        ["BufferLen", 4],
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
        for message in (b"plain\n", b"two\nlines", b"", b"\n", b"\xff", b"\n\n", b"a\r\n", b"\\n"):
            endpoint.write(message)
        reserved = ("stdout", "Stderr", "STDOUT", "FST_managed_x", "fst_managed_")
        allowed = ("", "stdout2", "my stderr", "xfst_managed_", "a:b", "none declared")
        answer([[failure(log.Endpoint.open, name) for name in names]
                for names in (reserved, allowed)])
        """
    )
    assert got == [["RESERVED"] * 5, [None] * 6]
    assert [r.getMessage() for r in caplog.records] == [
        "my_endpoint :: plain",
        "my_endpoint :: two\\nlines",
        "my_endpoint :: \ufffd",
        "my_endpoint :: \\n",
        "my_endpoint :: a\r",
        "my_endpoint :: \\n",
    ]
    assert {r.__dict__["endpoint"] for r in caplog.records} == {"my_endpoint"}


async def test_a_sandbox_has_the_number_of_its_first_request(guest: Scripted) -> None:
    """§2.10, get-sandbox-id: 32 hexadecimal digits, as in the environment."""
    got = await guest.json(
        """
        answer([compute_runtime.get_sandbox_id(), os.environ["FASTLY_TRACE_ID"],
                http_downstream.downstream_client_request_id(request, 32)])
        """
    )
    assert len(got[0]) == 32
    assert set(got) == {f"{int(got[0], 16):032x}"}


async def test_the_first_that_is_ready_is_selected(guest: Scripted) -> None:
    """§2.7, select: the first in list order of those that are ready."""
    got = await guest.json(
        """
        ready, ended = async_io.Pollable.new_ready(), http_body.new()
        full = written(b"x")
        answer([ready.is_ready(), ended.is_ready(), full.is_ready(),
                async_io.select([ended, ready]), async_io.select([ready] * 3),
                async_io.select_with_timeout([full, ready], 0),
                async_io.select_with_timeout([ready], 1 << 31)])
        """
    )
    assert got == [True, True, True, 0, 0, 0, 0]


async def test_selecting_from_nothing(guest: Scripted) -> None:
    """§2.7, select: an empty list traps; with a timeout nothing comes in time."""
    failed = await guest.fail("async_io.select([])")
    assert "nothing to wait for" in failed.reason
    assert await guest.json("answer(async_io.select_with_timeout([], 1))") is None


async def test_bodies_become_ready(guest: Scripted) -> None:
    """§2.7, ready means: a body has data or has ended."""
    more = asyncio.Event()

    async def arriving() -> AsyncIterator[bytes]:
        await more.wait()
        yield b"first"

    response = await guest.respond(
        """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        trace = [body.is_ready(), async_io.select_with_timeout([body], 1)]
        http_body.write(new, b"waiting,")
        trace += [async_io.select([body]), body.is_ready(), http_body.read(body, 9).decode(),
                  async_io.select([body]), http_body.read(body, 9).decode()]
        http_body.write(new, json.dumps(trace).encode())
        http_body.close(new)
        """,
        body=Body(arriving(), None, keep=99),
    )
    assert await response.body.read() == b"waiting,"
    more.set()
    trace = await response.body.whole(999)
    assert trace is not None
    assert json.loads(trace) == [False, None, 0, True, "first", 0, ""]


async def test_write_ends_become_ready(guest: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """§2.7, ready means: a write end has room, for eight chunks."""
    caplog.set_level(logging.INFO, "host_sim.guest")
    response = await guest.respond(
        """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        written = 0
        while new.is_ready():
            http_body.write(new, b"x")
            written += 1
        trace = [written, async_io.select_with_timeout([new], 1)]
        print("full")
        trace.append(async_io.select([new]))
        http_body.write(new, json.dumps(trace).encode())
        http_body.close(new)
        """
    )
    await soon(lambda: "stdout :: full" in caplog.messages)
    whole = await response.body.whole(999)
    assert whole is not None
    assert json.loads(whole.lstrip(b"x")) == [8, None, 0]


async def test_pending_things_become_ready(guest: Scripted) -> None:
    """§2.7, ready means: what is pending is resolved, whatever it is."""
    arrive = asyncio.Event()

    async def origin(request: Request) -> Response:
        if request.method == "POST":
            arrive.set()
        else:
            await arrive.wait()
        return response()

    guest.upstream.backends["origin"] = origin
    got = await guest.json(
        """
        origin, store = backend.Backend.open("origin"), kv_store.Store.open("things")
        def begun(method):
            r = http_req.Request.new()
            r.set_method(method)
            return http_req.send_async(r, http_body.new(), origin)
        waits = begun("GET")
        trace = [waits.is_ready(), async_io.select_with_timeout([waits], 1)]
        lookup = store.lookup_async("old")
        trace.append(async_io.select([waits, lookup]))
        kv_store.await_lookup(lookup)
        listed = store.list_async(kv_store.ListOptions(kv_store.ListMode.STRONG, None, None, None,
                                                       None))
        trace.append(async_io.select([listed]))
        entry = cache.Entry.transaction_lookup_async(
            b"select", cache.LookupOptions(None, False, None))
        trace.append(async_io.select([waits, entry]))
        cache.close_pending_entry(entry)
        other = begun("POST")
        trace += [async_io.select([other]), async_io.select([waits])]
        http_req.await_response(waits)
        following = http_downstream.next_request(http_downstream.NextRequestOptions(1, None))
        trace.append(async_io.select([following]))
        answer(trace)
        """
    )
    assert got == [False, None, 1, 0, 1, 0, 0, 0]


async def test_dropping_a_pollable_drops_what_is_behind_it(guest: Scripted) -> None:
    """§2.7, drop: a request nobody will look at is given up."""
    given_up = asyncio.Event()

    async def origin(_request: Request) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    guest.upstream.backends["origin"] = origin
    await guest.json(
        """
        pending = http_req.send_async(http_req.Request.new(), http_body.new(),
                                      backend.Backend.open("origin"))
        async_io.select_with_timeout([pending], 1)
        del pending
        gc.collect()
        answer(None)
        """
    )
    async with asyncio.timeout(30):
        await given_up.wait()
