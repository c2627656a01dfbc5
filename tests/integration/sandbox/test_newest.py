"""What the newest WIT has beyond the SDK's world. Host contract §1.3, §2.0, §2.3, §2.6."""

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from host_sim.errors import BackendError, BackendFault
from host_sim.messages import Request, Response
from host_sim.sandbox.data import BackendFacts, HostData
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits
from tests.support import viceroy
from tests.support.sandbox import Scripted, Upstream, build_guest, encoded, response
from tests.support.waiting import soon

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

PASS_ON = """
origin = backend.Backend.open("origin")
pending = http_req.send_async(http_req.Request.new(), http_body.new(), origin)
kinds = http_resp.PendingResponseKind
{changes}
http_resp.send_downstream_pending(pending)
"""


def answering(guest: Scripted, answer: Response | BackendFault) -> None:
    """Let the backend `origin` answer, or fail."""

    async def origin(_request: Request) -> Response:
        if isinstance(answer, BackendFault):
            raise BackendError("origin", answer, answer.value)
        return answer

    guest.upstream.backends["origin"] = origin


async def test_a_pending_response_is_passed_on(newest: Scripted) -> None:
    """§2.3, send-downstream-pending: status, fields and body are the backend's."""
    answering(newest, response(b"hello", 203, (("X-A", "1"), ("X-B", "2"), ("Keep-Alive", "x"))))
    passed = await newest.respond(PASS_ON.format(changes=""))
    assert passed.status == 203
    assert list(passed.headers) == [("x-a", "1"), ("x-b", "2")]
    assert passed.body.length == 5
    assert await passed.body.whole(99) == b"hello"


async def test_the_guest_does_not_wait_for_a_response_it_passes_on(newest: Scripted) -> None:
    """§1.3, send-downstream-pending: the guest goes on, and a second answer is an error."""
    arrive, ended = asyncio.Event(), asyncio.Event()

    async def origin(request: Request) -> Response:
        if request.method == "POST":
            ended.set()
            return response(b"")
        await arrive.wait()
        return response(b"late")

    newest.upstream.backends["origin"] = origin
    running = asyncio.create_task(
        newest.respond(
            PASS_ON.format(changes="")
            + """
r = http_req.Request.new()
r.set_method("POST")
r.append_header("x-second", failure(http_resp.send_downstream, http_resp.Response.new(),
                                    http_body.new()).encode())
http_req.send(r, http_body.new(), backend.Backend.open("origin"))
"""
        )
    )
    await ended.wait()
    assert newest.upstream.requests[-1].headers.get("x-second") == "GenericError"
    assert not running.done()
    arrive.set()
    assert await (await running).body.whole(99) == b"late"


async def test_only_one_answer_may_be_pending(newest: Scripted) -> None:
    """§1.3: after an answer, passing one on is `generic-error`; the handle is consumed."""
    answering(newest, response(b""))
    passed = await newest.respond(
        """
        pending = http_req.send_async(http_req.Request.new(), http_body.new(),
                                      backend.Backend.open("origin"))
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        http_body.write(new, failure(http_resp.send_downstream_pending, pending).encode())
        http_body.close(new)
        """
    )
    assert await passed.body.whole(99) == b"GenericError"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (BackendFault.TIMEOUT, 504),
        (BackendFault.UNREACHABLE, 502),
        (BackendFault.INVALID, 502),
        (BackendFault.CLOSED, 502),
        (BackendFault.UNKNOWN, 502),
        (BackendFault.LOOP, 500),
    ],
)
async def test_a_response_that_does_not_come_is_made_up(
    newest: Scripted, fault: BackendFault, status: int
) -> None:
    """§1.3, send-downstream-pending: failure becomes a synthetic response, which says why."""
    answering(newest, fault)
    made = await newest.respond(PASS_ON.format(changes=""))
    assert made.status == status
    assert fault.value in (await made.body.whole(999) or b"").decode()


CHANGES = """
a, r, e = kinds.ANY, kinds.RESPONSE, kinds.ERROR
http_resp.append_header_pending(pending, "X-Added", b"1", a)
http_resp.append_header_pending(pending, "x-added", b"2", a)
http_resp.append_header_pending(pending, "x-there", b"more", r)
http_resp.insert_header_pending(pending, "x-kind", b"response", r)
http_resp.insert_header_pending(pending, "x-kind", b"error", e)
http_resp.append_header_pending(pending, "x-cleared", b"queued", a)
http_resp.insert_header_pending(pending, "x-cleared", b"inserted", a)
http_resp.insert_header_pending(pending, "x-gone", b"queued", a)
http_resp.append_header_pending(pending, "x-gone", b"queued", a)
http_resp.remove_header_pending(pending, "X-Gone", a)
http_resp.remove_header_pending(pending, "x-back", a)
http_resp.insert_header_pending(pending, "x-back", b"again", a)
http_resp.insert_header_pending(pending, "x-last", b"1", a)
http_resp.append_header_pending(pending, "x-last", b"2", a)
"""
CHANGED = {
    "x-added": ["1", "2"],
    "x-cleared": ["inserted"],
    "x-back": ["again"],
    "x-last": ["1", "2"],
}


async def test_header_changes_are_queued_for_a_response(newest: Scripted) -> None:
    """§1.3: removals, insertions, additions; each kind of change clears what it should."""
    fields = (("X-There", "1"), ("X-Gone", "1"), ("X-Back", "1"), ("X-Last", "0"))
    answering(newest, response(b"", headers=fields))
    passed = await newest.respond(PASS_ON.format(changes=CHANGES))
    got: dict[str, list[str]] = {}
    for name, value in passed.headers:
        got.setdefault(name, []).append(value)
    assert got == {**CHANGED, "x-there": ["1", "more"], "x-kind": ["response"]}


async def test_header_changes_are_queued_for_a_made_up_response(newest: Scripted) -> None:
    """§1.3: changes for `error` and `any`, not those for `response`."""
    answering(newest, BackendFault.TIMEOUT)
    made = await newest.respond(PASS_ON.format(changes=CHANGES))
    got: dict[str, list[str]] = {}
    for name, value in made.headers:
        got.setdefault(name, []).append(value)
    assert got == {**CHANGED, "x-kind": ["error"]}


async def test_header_changes_show_in_an_awaited_response_too(newest: Scripted) -> None:
    """§2.2, await-response; and what is no name or value is refused when it is queued."""
    answering(newest, response(b"", headers=(("X-A", "1"),)))
    got = await newest.json(
        """
        pending = http_req.send_async(http_req.Request.new(), http_body.new(),
                                      backend.Backend.open("origin"))
        any_ = http_resp.PendingResponseKind.ANY
        http_resp.insert_header_pending(pending, "x-a", b"2", any_)
        errors = [failure(http_resp.insert_header_pending, pending, "a b", b"", any_),
                  failure(http_resp.append_header_pending, pending, "a", b"\\n", any_),
                  failure(http_resp.remove_header_pending, pending, "a b", any_),
                  failure(http_resp.insert_header_pending, pending, "a" * 65536, b"", any_)]
        response, _ = http_req.await_response(pending)
        answer([errors, headers_of(response)])
        """
    )
    assert got == [["GenericError"] * 4, [["x-a", "2"], ["content-length", "0"]]]


async def test_the_backend_is_given_up_when_the_client_goes(newest: Scripted) -> None:
    """§1.3, send-downstream-pending: nobody waits for an answer nobody gets."""
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def origin(_request: Request) -> Response:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    newest.upstream.backends["origin"] = origin
    running = asyncio.create_task(newest.run(PASS_ON.format(changes="")))
    await asked.wait()
    await soon(lambda: not newest.sandboxes._running)  # the guest has passed the answer on
    running.cancel()
    async with asyncio.timeout(30):
        await given_up.wait()


@pytest.mark.asyncio(loop_scope="function")
async def test_an_answer_that_is_passed_on_has_to_come_in_time() -> None:
    """§8, wall time: it counts for what the guest leaves to the host, too."""
    given_up = asyncio.Event()

    async def origin(_request: Request) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError

    upstream = Upstream()
    upstream.backends["origin"] = origin
    data = HostData(backends={"origin": BackendFacts(url="http://origin.test")})
    sandboxes = Sandboxes(upstream=upstream, data=data, limits=Limits(request_timeout_s=1.0))
    await sandboxes.load(build_guest("newest"))
    failed = await Scripted(sandboxes, upstream).fail(PASS_ON.format(changes=""))
    assert failed.reason == "the guest gave no answer for 1 s"
    async with asyncio.timeout(30):
        await given_up.wait()
    await sandboxes.close()


BOTS = """
d = http_downstream
kind = d.downstream_bot_category_kind(request)
answer([d.downstream_bot_analyzed(request), d.downstream_bot_detected(request),
        d.downstream_bot_verified(request), d.downstream_bot_name(request, 9),
        d.downstream_bot_category(request, 99),
        kind and type(kind).__name__.partition("_")[2],
        kind.value.as_raw() if isinstance(kind, d.BotCategory_Extra) else None])
"""


async def test_bots_are_detected_by_request_headers(newest: Scripted) -> None:
    """§2.6, downstream-bot-*: nothing is known of a request that says nothing."""
    assert await newest.json(BOTS) == [False, False, None, None, None, None, None]
    told = [("analyzed", "true"), ("detected", "yes"), ("name", "GPTBot"), ("category", "3")]
    headers = tuple((f"X-Fastly-Bot-{fact}", value) for fact, value in told)
    assert await newest.json(BOTS, headers=headers) == [
        *(True, False, True, "GPTBot", "3", "AiCrawler", None)
    ]
    got = await newest.json(BOTS, headers=(*headers, ("X-Fastly-Bot-Verified", "false")))
    assert got[2] is False


@pytest.mark.parametrize(
    ("told", "case", "number"),
    [
        ("None", "None_", None),
        ("0", "None_", None),
        ("AI-FETCHER", "AiFetcher", None),
        ("platform-integration", "PlatformIntegrations", None),
        ("platform-integrations", "PlatformIntegrations", None),
        ("13", "SecurityTools", None),
        ("headless", "Extra", 14),
        ("4294967295", "Extra", (1 << 32) - 1),
    ],
)
async def test_categories_of_bots(
    newest: Scripted, told: str, case: str, number: int | None
) -> None:
    """§2.6, downstream-bot-category-kind: by name or number, in any case of letters."""
    got = await newest.json(BOTS, headers=(("X-Fastly-Bot-Category", told),))
    assert got[4:] == [told, case, number]


async def test_facts_about_bots_that_cannot_be_told(newest: Scripted) -> None:
    """§2.6: too long is `limit-exceeded`, an unknown category and another request an error."""
    got = await newest.json(
        """
        d, own = http_downstream, http_req.Request.new()
        answer([failure(d.downstream_bot_name, request, 5),
                failure(d.downstream_bot_category, request, 6),
                failure(d.downstream_bot_category_kind, request),
                [failure(f, own) for f in (d.downstream_bot_analyzed, d.downstream_bot_detected,
                                           d.downstream_bot_verified,
                                           d.downstream_bot_category_kind)],
                [failure(f, own, 9) for f in (d.downstream_bot_name, d.downstream_bot_category)]])
        """,
        headers=(("X-Fastly-Bot-Name", "GPTBot"), ("X-Fastly-Bot-Category", "unheard")),
    )
    assert got == [
        *("LimitExceeded", "LimitExceeded", "GenericError"),
        *(["GenericError"] * 4, ["GenericError"] * 2),
    ]


async def test_nothing_is_known_about_the_clients_network(newest: Scripted) -> None:
    """§2.6, downstream-resvpnproxy-*."""
    got = await newest.json(
        """
        d = http_downstream
        answer([
            d.downstream_resvpnproxy_is_anonymous(request),
            d.downstream_resvpnproxy_is_anonymous_vpn(request),
            d.downstream_resvpnproxy_is_hosting_provider(request),
            d.downstream_resvpnproxy_is_proxy_over_vpn(request),
            d.downstream_resvpnproxy_is_public_proxy(request),
            d.downstream_resvpnproxy_is_relay_proxy(request),
            d.downstream_resvpnproxy_is_residential_proxy(request),
            d.downstream_resvpnproxy_is_smart_dns_proxy(request),
            d.downstream_resvpnproxy_is_tor_exit_node(request),
            d.downstream_resvpnproxy_is_vpn_datacenter(request),
            d.downstream_resvpnproxy_vpn_service_name(request, 0),
        ])
        """
    )
    assert got == [None] * 11


async def test_visits_are_counted_along_a_chain(newest: Scripted) -> None:
    """§2.6, downstream-visits-*: what a guest sends carries the count on."""
    answering(newest, response(b""))
    got = await newest.json(
        """
        http_req.send(http_req.Request.new(), http_body.new(), backend.Backend.open("origin"))
        answer([http_downstream.downstream_visits_this_service(),
                http_downstream.downstream_visits_this_pop()])
        """
    )
    assert got == [0, 0]
    assert newest.upstream.requests[-1].visits == 0


async def test_log_endpoints_can_be_cloned(
    newest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """§2.9: both handles write, and one does not end with the other."""
    caplog.set_level(logging.INFO, "host_sim.guest")
    await newest.json(
        """
        first = log.Endpoint.open("mine")
        second = first.clone()
        first.write(b"one")
        del first
        gc.collect()
        second.write(b"two")
        answer(None)
        """
    )
    assert [record.getMessage() for record in caplog.records] == ["mine :: one", "mine :: two"]


async def test_the_service_has_no_products(newest: Scripted) -> None:
    """§2.10, products."""
    got = await newest.json(
        """
        products = compute_runtime.Products.new()
        answer([products.has_domain_inspector(), products.has_image_optimizer(),
                products.has_origin_inspector()])
        """
    )
    assert got == [False] * 3


async def test_a_cache_override_can_bound_the_lookup(newest: Scripted) -> None:
    """§2.2, set-cache-override: accepted with all its additions."""
    got = await newest.json(
        """
        extra = http_req.ExtraCacheOverrideDetails.new()
        extra.set_lookup_timeout(5)
        r = http_req.Request.new()
        r.set_cache_override(http_req.CacheOverride_Override(http_req.CacheOverrideDetails(
            ttl=1, stale_while_revalidate=2, pci=False, surrogate_key=None, extra=extra)))
        answer(r.get_uri(9))
        """
    )
    assert got == "/"


async def test_options_of_the_cache_have_room_for_additions(newest: Scripted) -> None:
    """§2.11, cache: the resources in options, which have no methods so far."""
    got = await newest.json(
        """
        key, nothing = b"additions", cache.GetBodyOptions(None, None, None)
        write = cache.WriteOptions(10 ** 10, None, None, None, None, None, None, None, None, False,
                                   cache.ExtraWriteOptions())
        http_body.close(cache.insert(key, write))
        look = cache.LookupOptions(None, False, cache.ExtraLookupOptions())
        found = cache.Entry.lookup(key, look)
        old = cache.ReplaceEntry.replace(
            key, cache.ReplaceOptions(None, None, False, cache.ExtraReplaceOptions()))
        answer([read_all(found.get_body(nothing)).decode(),
                sorted(flag.name for flag in cache.LookupState if flag in old.get_state())])
        """
    )
    assert got[0] == ""
    assert "FOUND" in got[1]


SAME = {
    "bots": BOTS,
    "networks": """
d = http_downstream
answer([d.downstream_resvpnproxy_is_anonymous(request),
        d.downstream_resvpnproxy_vpn_service_name(request, 0)])
""",
    "own request": """
d, own = http_downstream, http_req.Request.new()
answer([failure(d.downstream_bot_analyzed, own), failure(d.downstream_bot_name, own, 9),
        failure(d.downstream_resvpnproxy_is_anonymous, own)])
""",
    "products": """
products = compute_runtime.Products.new()
answer([products.has_domain_inspector(), products.has_image_optimizer()])
""",
    "addresses": """
r, came = http_req.Request.new(), []
for uri in ("x", "h:80", "ftp://h?", "FTP://H", "HTTPS://H#f", "*", "/p?q#f", "//h/p", "", "?q",
            "h/p", "http://", "http:///", "http://h%41/", "http://u:p@h/", "http://[::1]:8/",
            "http://[::1/", "http://h:1:2/", "http://a@b@c/", "http://:80/", "http://x[::1]y/",
            "/a b", "/a<b", "/a^b", "/" + "p" * 65533, "/" + "p" * 65534):
    came.append([failure(r.set_uri, uri), len(r.get_uri(99999)), r.get_uri(99999)[:99]])
answer(came)
""",
    "queued changes": """
origin = backend.Backend.open("origin")
pending = http_req.send_async(http_req.Request.new(), http_body.new(), origin)
kind, errors = http_resp.PendingResponseKind.ANY, []
for name, value in (("a b", b""), ("", b""), ("a", b"\\n"), ("n" * 65536, b""),
                    ("n" * 65535, b"")):
    errors += [failure(http_resp.insert_header_pending, pending, name, value, kind),
               failure(http_resp.append_header_pending, pending, name, value, kind),
               failure(http_resp.remove_header_pending, pending, name, kind)]
answer(errors)
""",
    "cloned backend": """
first = backend.Backend.open("origin")
second = first.clone()
del first
gc.collect()
answer(second.get_name())
""",
}


@pytest.mark.slow  # Viceroy compiles the component for long, and each time
@pytest.mark.skipif(viceroy.missing(), reason="Viceroy is not installed")
@pytest.mark.asyncio(loop_scope="function")
async def test_the_same_guest_says_the_same_on_viceroy(tmp_path: Path) -> None:
    """The component links there too: our slice of the WIT is Viceroy's."""
    manifest = tmp_path / "fastly.toml"
    manifest.write_text('[local_server.backends.origin]\nurl = "http://127.0.0.1:9/"\n')
    data = HostData(backends={"origin": BackendFacts(url="http://127.0.0.1:9/")})
    sandboxes = Sandboxes(upstream=(upstream := Upstream()), data=data)
    await sandboxes.load(build_guest("newest"))
    told = (("X-Fastly-Bot-Analyzed", "true"), ("X-Fastly-Bot-Category", "Research"))
    async with viceroy.Viceroy(build_guest("newest"), manifest) as real, httpx.AsyncClient() as ask:
        host, port = real.address
        for name, script in SAME.items():
            headers = [*told, ("X-Script", encoded(script))]
            theirs = await ask.get(f"http://{host}:{port}/", headers=headers)
            ours = await Scripted(sandboxes, upstream).bytes(script, headers=told)
            assert (name, ours.decode()) == (name, theirs.text)
    await sandboxes.close()
