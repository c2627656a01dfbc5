"""The HTTP cache, used as SDKs use it: miss, hit, validation, what a client gets, collapsing."""

import asyncio
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.messages import Request, Response
from host_sim.sandbox.instance import Sandboxes
from tests.support.sandbox import Scripted, Upstream, build_guest, response

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

# What SDKs do with the interface; `serve` is their `send`.
PRELUDE = """
origin = backend.Backend.open("origin")

def look(asked=None, key=None):
    options = http_cache.LookupOptions(key, origin, None)
    return http_cache.Entry.transaction_lookup(asked or request, options)

def flags(entry):
    return [flag.name for flag in cache.LookupState if flag in entry.get_state()]

def wanted(max_age_s=60, **changed):
    fields = {"max_age_ns": max_age_s * 10 ** 9, "vary_rule": None, "initial_age_ns": None,
              "stale_while_revalidate_ns": None, "stale_if_error_ns": None,
              "surrogate_keys": None, "length": None, "sensitive_data": False, "extra": None}
    return http_cache.WriteOptions(**(fields | changed))

def suggested(s):
    return wanted(max_age_ns=s.get_max_age_ns(), vary_rule=s.get_vary_rule(MAX),
                  initial_age_ns=s.get_initial_age_ns(),
                  stale_while_revalidate_ns=s.get_stale_while_revalidate_ns(),
                  surrogate_keys=s.get_surrogate_keys(MAX), length=s.get_length(),
                  sensitive_data=s.get_sensitive_data())

def made(content=None, *headers, status=200):
    new = http_resp.Response.new()
    new.set_status(status)
    for name, value in headers:
        new.append_header(name, value.encode())
    return new

def store(entry, content, *headers, **options):
    out = entry.transaction_insert(made(None, *headers), wanted(**options))
    http_body.write(out, content)
    http_body.close(out)

def fetch(entry):
    return http_req.send(entry.get_suggested_backend_request(), http_body.new(), origin)

def seen(found):
    if found is None:
        return None
    head, content = found
    fields = {name: value for name, value in headers_of(head) if name != "date"}
    return [head.get_status(), fields, read_all(content).decode()]

def fill(entry):
    came, content = fetch(entry)
    action, adjusted = entry.prepare_response_for_storage(came)
    options = suggested(entry.get_suggested_write_options(adjusted))
    if action.name == "INSERT":
        out, back = entry.transaction_insert_and_stream_back(adjusted, options)
        http_body.append(out, content)
        http_body.close(out)
        return action.name, back.get_found_response(1)
    if action.name == "UPDATE":
        fresh = entry.transaction_update_and_return_fresh(adjusted, options)
        return action.name, fresh.get_found_response(1)
    if action.name == "RECORD_UNCACHEABLE":
        entry.transaction_record_not_cacheable(options)
    else:
        entry.transaction_abandon()
    return action.name, (adjusted, content)

def serve():
    entry = look()
    was, action, found = flags(entry), None, entry.get_found_response(1)
    if found is not None and "MUST_INSERT_OR_UPDATE" in was:
        found = seen(found)
        action, _ = fill(entry)
        return was, action, found
    if found is None and was:
        action, found = fill(entry)
    if found is None:
        copy = http_req.Request.new()
        copy.set_uri(request.get_uri(MAX))
        action, found = "PASS", http_req.send(copy, http_body.new(), origin)
    http_cache.close_entry(entry)
    return was, action, seen(found)
"""

SERVE = "answer(serve())"
MISS, HIT = ["MUST_INSERT_OR_UPDATE"], ["FOUND", "USABLE"]
STALE = ["FOUND", "USABLE", "STALE"]

type Backend = Callable[[Request], Awaitable[Response]]


def scripted(script: str) -> str:
    return PRELUDE + textwrap.dedent(script)


class Origin:
    """A backend that answers with what it has, and with 304 to who has that.

    Attributes:
        requests: what it was asked.
    """

    def __init__(self, content: bytes, *headers: tuple[str, str], status: int = 200) -> None:
        self.content = content
        self.headers = headers
        self.status = status
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        tag = next((value for name, value in self.headers if name == "ETag"), None)
        if tag is not None and request.headers.get("if-none-match") == tag:
            return response(b"", 304, self.headers)
        return response(self.content, self.status, self.headers)


async def served(guest: Scripted, target: str, **request: Any) -> Any:
    return await guest.json(scripted(SERVE), target=target, **request)


async def test_a_response_is_fetched_once(guest: Scripted) -> None:
    guest.upstream.backends["origin"] = origin = Origin(b"one", ("Cache-Control", "max-age=60"))
    head = {"cache-control": "max-age=60", "content-length": "3", "age": "0"}
    assert await served(guest, "/once") == [MISS, "INSERT", [200, head, "one"]]
    assert await served(guest, "/once") == [HIT, None, [200, head, "one"]]
    assert await served(guest, "/once?other") == [MISS, "INSERT", [200, head, "one"]]
    assert [r.target for r in origin.requests] == ["/once", "/once?other"]


async def test_what_is_known_about_a_response(guest: Scripted) -> None:
    """Every getter, before there is a response and with one."""
    got = await guest.json(
        scripted(
            """
            def facts(entry):
                return [entry.get_length(), entry.get_max_age_ns(),
                        entry.get_stale_while_revalidate_ns(), entry.get_hits(),
                        entry.get_sensitive_data(), entry.get_surrogate_keys(MAX),
                        entry.get_vary_rule(MAX)]
            first = look()
            trace = [facts(first), first.get_age_ns(), seen(first.get_found_response(0))]
            store(first, b"12345", ("x", "1"), length=5, vary_rule="X-B accept", max_age_s=50,
                  initial_age_ns=7 * 10 ** 9, stale_while_revalidate_ns=9, sensitive_data=True,
                  surrogate_keys="b  a")
            trace += [flags(first), facts(first)]
            for _ in range(2):
                entry = look()
                trace.append(facts(entry))
            trace += [7 * 10 ** 9 <= entry.get_age_ns() < 50 * 10 ** 9, flags(entry),
                      seen(entry.get_found_response(0)), seen(entry.get_found_response(1)),
                      failure(entry.get_surrogate_keys, 2), failure(entry.get_vary_rule, 9)]
            answer(trace)
            """
        ),
        target="/facts",
    )
    nothing = [None] * 7
    known = [5, 50 * 10**9, 9]
    names = [True, "a b", "accept x-b"]
    assert got[:5] == [nothing, None, None, [], nothing]
    assert got[5:7] == [[*known, 1, *names], [*known, 2, *names]]
    assert got[7:] == [
        *(True, HIT, [200, {"x": "1"}, "12345"]),
        [200, {"x": "1", "age": "7"}, "12345"],
        *(["BufferLen", 3], ["BufferLen", 10]),
    ]


async def test_what_is_suggested_for_a_response(guest: Scripted) -> None:
    got = await guest.json(
        scripted(
            """
            head = made(None, ("cache-control", "max-age=30, stale-while-revalidate=4"),
                        ("vary", "Accept"), ("surrogate-key", "b a"), ("age", "2"),
                        ("content-length", "9"))
            s = look().get_suggested_write_options(head)
            answer([s.get_max_age_ns(), s.get_initial_age_ns(), s.get_length(),
                    s.get_stale_while_revalidate_ns(), s.get_sensitive_data(),
                    s.get_vary_rule(6), s.get_surrogate_keys(3), failure(s.get_vary_rule, 5),
                    failure(s.get_surrogate_keys, 2), head.get_status()])
            """
        ),
        target="/suggested",
    )
    second = 10**9
    assert got == [
        *(30 * second, 2 * second, 9, 4 * second, False, "accept", "b a"),
        *(["BufferLen", 6], ["BufferLen", 3], 200),
    ]


async def test_keys(guest: Scripted) -> None:
    """The suggested key is the default; any 32 bytes can take its place."""
    got = await guest.json(
        scripted(
            """
            key = http_cache.get_suggested_cache_key(request, 32)
            store(look(), b"default")
            store(look(key=b"k" * 32), b"own")
            other = http_req.Request.new()
            other.set_uri("https://EDGE.test/keys")
            answer([len(key), seen(look(key=key).get_found_response(0))[2],
                    seen(look(other).get_found_response(0))[2],
                    seen(look(other, b"k" * 32).get_found_response(0))[2],
                    failure(look, request, b"k" * 31), failure(look, request, b""),
                    failure(http_cache.get_suggested_cache_key, request, 31)])
            """
        ),
        target="/keys",
    )
    assert got == [
        *(32, "default", "default", "own", "InvalidArgument", "InvalidArgument"),
        ["BufferLen", 32],
    ]


async def test_which_requests_are_cacheable(guest: Scripted) -> None:
    script = scripted("answer(http_cache.is_request_cacheable(request))")
    for method, expected in (("GET", True), ("HEAD", True), ("POST", False), ("PURGE", False)):
        got = await guest.respond(script, method=method)
        content = await got.body.whole(99)
        assert content == (b"true" if expected else b"false"), method


async def test_a_response_for_some_requests_only(guest: Scripted) -> None:
    """RFC 9111 §4.1."""
    guest.upstream.backends["origin"] = origin = Origin(b"x", ("Vary", "Accept-Language"))
    german, french = (("Accept-Language", "de"),), (("Accept-Language", "fr"),)
    for headers, state in ((german, MISS), (french, MISS), (german, HIT), (french, HIT)):
        assert (await served(guest, "/vary", headers=headers))[0] == state
    assert (await served(guest, "/vary"))[0] == MISS
    assert len(origin.requests) == 3


async def test_a_stale_response_is_validated(guest: Scripted) -> None:
    """RFC 9111 §4.3: a 304 makes it fresh again, another response takes its place."""
    old = (("ETag", '"1"'), ("X", "old"), ("Cache-Control", "max-age=10"), ("Age", "20"))
    guest.upstream.backends["origin"] = origin = Origin(b"one", *old)
    assert (await served(guest, "/stale"))[1] == "INSERT"
    origin.headers = (("ETag", '"1"'), ("X", "new"), ("Cache-Control", "max-age=10"))
    state, action, found = await served(guest, "/stale", headers=(("If-None-Match", '"0"'),))
    assert (state, action, found[0], found[2]) == (MISS, "UPDATE", 200, "one")
    assert (found[1]["x"], found[1]["age"], found[1]["content-length"]) == ("new", "0", "3")
    assert origin.requests[-1].headers.get_all("if-none-match") == ['"1"']
    assert (await served(guest, "/stale"))[0] == HIT

    origin.headers = (*origin.headers, ("Age", "20"))
    await guest.json(
        scripted('store(look(), b"", ("etag", \'"1"\'), max_age_s=0)\nanswer(0)'), target="/new"
    )
    origin.content, origin.headers = b"two", (("ETag", '"2"'),)
    state, action, found = await served(guest, "/new")
    assert (state, action, found[2]) == (MISS, "INSERT", "two")
    assert origin.requests[-1].headers.get_all("if-none-match") == ['"1"']


async def test_updating_without_using_it(guest: Scripted) -> None:
    """`transaction-update`, which SDKs take in the background."""
    got = await guest.json(
        scripted(
            """
            store(look(), b"content", ("x", "old"), max_age_s=0)
            entry = look()
            entry.transaction_update(made(None, ("x", "new")), wanted())
            answer([flags(entry), seen(look().get_found_response(0))])
            """
        ),
        target="/background",
    )
    assert got == [[], [200, {"x": "new"}, "content"]]


@pytest.mark.parametrize("control", ["private", "no-store, max-age=0"])
async def test_a_response_that_must_not_be_kept(guest: Scripted, control: str) -> None:
    """The next requests pass the cache by, and do not wait for one another."""
    guest.upstream.backends["origin"] = origin = Origin(b"mine", ("Cache-Control", control))
    target = f"/mine/{len(control)}"
    state, action, found = await served(guest, target)
    assert (state, action, found[2]) == (MISS, "RECORD_UNCACHEABLE", "mine")
    assert "age" not in found[1]
    for _ in range(2):
        state, action, found = await served(guest, target)
        assert (state, action, found[2]) == ([], "PASS", "mine")
    assert len(origin.requests) == 3


async def test_a_response_that_is_not_worth_keeping(guest: Scripted) -> None:
    guest.upstream.backends["origin"] = origin = Origin(b"sorry", status=503)
    for _ in range(2):
        state, action, found = await served(guest, "/sorry")
        assert (state, action, found[0], found[2]) == (MISS, "DO_NOT_STORE", 503, "sorry")
    assert len(origin.requests) == 2


async def test_what_the_client_asked_for(guest: Scripted) -> None:
    """The whole is fetched and stored; each client gets what it wants of it."""
    headers = (("ETag", '"1"'), ("Cache-Control", "max-age=60"), ("Content-Type", "text/plain"))
    guest.upstream.backends["origin"] = origin = Origin(b"0123456789", *headers)
    wishes: list[tuple[str, tuple[tuple[str, str], ...], int, str]] = [
        ("GET", (("Range", "bytes=2-4"),), 206, "234"),
        ("GET", (("If-None-Match", '"1"'),), 304, ""),
        ("GET", (("Range", "bytes=-2"), ("If-Range", '"1"')), 206, "89"),
        ("GET", (("Range", "bytes=-2"), ("If-Range", '"0"')), 200, "0123456789"),
        ("GET", (("Range", "bytes=10-"),), 416, ""),
        ("GET", (("Range", "bytes=0-1,3-4"),), 200, "0123456789"),
    ]
    for method, fields, status, content in wishes:
        _, _, found = await served(guest, "/wish", method=method, headers=fields)
        assert (found[0], found[2]) == (status, content), fields
    assert [(r.method, r.headers.get("range")) for r in origin.requests] == [("GET", None)]


async def test_head_is_answered_from_the_whole(guest: Scripted) -> None:
    """The answers are read by the guest: there is no content to send to the client."""
    guest.upstream.backends["origin"] = origin = Origin(b"12345", ("Cache-Control", "max-age=9"))
    note = scripted(
        """
        state, action, found = serve()
        answer(b"", headers=[("x-note", json.dumps([state, action, found[0], found[2],
                                                    found[1]["content-length"]]))])
        """
    )
    got = await guest.respond(note, method="HEAD", target="/head")
    assert got.headers.get("x-note") == '[["MUST_INSERT_OR_UPDATE"], "INSERT", 200, "", "5"]'
    assert [request.method for request in origin.requests] == ["GET"]
    _, _, found = await served(guest, "/head")
    assert found[2] == "12345"
    got = await guest.respond(note, method="HEAD", target="/head")
    assert got.headers.get("x-note") == '[["FOUND", "USABLE"], null, 200, "", "5"]'
    assert len(origin.requests) == 1


async def test_a_response_is_stored_as_it_may_be_used_again(guest: Scripted) -> None:
    headers = (("Cache-Control", 'max-age=9, no-cache="Set-Cookie"'), ("Set-Cookie", "a=b"))
    guest.upstream.backends["origin"] = Origin(b"x", *headers)
    _, action, found = await served(guest, "/cookie")
    assert action == "INSERT"
    assert "set-cookie" not in found[1]


async def test_stale_while_it_is_validated(guest: Scripted) -> None:
    """RFC 5861 §3: whoever comes first has to validate, all others just use it."""
    control = ("Cache-Control", "max-age=10, stale-while-revalidate=60")
    guest.upstream.backends["origin"] = origin = Origin(b"one", control, ("Age", "20"))
    await served(guest, "/swr")
    origin.content, origin.headers = b"two", (control,)
    got = await guest.json(
        scripted(
            """
            first, second = look(), look()
            answer([flags(first), flags(second), seen(second.get_found_response(1))[2],
                    fill(first)[0], seen(first.get_found_response(1))[2]])
            """
        ),
        target="/swr",
    )
    assert got == [[*STALE, "MUST_INSERT_OR_UPDATE"], STALE, "one", "INSERT", "one"]
    assert (await served(guest, "/swr"))[2][2] == "two"


async def test_purging(guest: Scripted) -> None:
    """A soft purge makes stale, a hard one removes."""
    guest.upstream.backends["origin"] = origin = Origin(b"x", ("Surrogate-Key", "all some"))
    await served(guest, "/purged")
    for soft, state in ((True, [*STALE, "MUST_INSERT_OR_UPDATE"]), (False, MISS)):
        assert (await served(guest, "/purged"))[0] == HIT
        options = f"purge.PurgeOptions({soft}, None)"
        await guest.json(f'purge.purge_surrogate_key("some", {options})\nanswer(0)')
        assert (await served(guest, "/purged"))[0] == state
    assert len(origin.requests) == 3


async def test_content_can_be_read_while_it_is_written(guest: Scripted) -> None:
    got = await guest.json(
        scripted(
            """
            entry = look()
            out, back = entry.transaction_insert_and_stream_back(made(), wanted())
            head, content = back.get_found_response(0)
            trace = [flags(entry), flags(back), back.get_length()]
            for piece in (b"one ", b"two"):
                http_body.write(out, piece)
                trace.append(http_body.read(content, 99).decode())
            http_body.close(out)
            answer([*trace, read_all(content).decode(), back.get_length(),
                    seen(look().get_found_response(1))])
            """
        ),
        target="/streamed",
    )
    assert got == [[], HIT, None, "one ", "two", "", 7, [200, {"age": "0"}, "one two"]]


ON_ITS_WAY = """
entry = look()
came, content = fetch(entry)
out, back = entry.transaction_insert_and_stream_back(made(), wanted())
http_body.append(out, content)
http_body.write(out, b"!")
http_body.close(out)
http_resp.send_downstream(*back.get_found_response(1))
"""


@pytest.mark.parametrize("breaks_off", [False, True])
async def test_content_goes_to_the_client_while_it_arrives(
    guest: Scripted, breaks_off: bool
) -> None:
    """The guest does not stay for it; others find it meanwhile, and not if it broke off."""
    go = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first "
        await go.wait()
        if breaks_off:
            raise BodyError("broken")
        yield b"last"

    async def slow(_request: Request) -> Response:
        return response(Body(pieces(), None))

    guest.upstream.backends["origin"] = slow
    target = f"/arriving/{breaks_off}"
    got = await guest.respond(scripted(ON_ITS_WAY), target=target)
    assert await got.body.read() == b"first "
    state = scripted("answer(flags(look()))")
    assert await guest.json(state, target=target) == HIT
    go.set()
    if breaks_off:
        with pytest.raises(BodyError):
            await got.body.whole(99)
    else:
        assert await got.body.whole(99) == b"last!"
    assert await guest.json(state, target=target) == (MISS if breaks_off else HIT)


async def test_content_that_breaks_off(guest: Scripted) -> None:
    """It is gone, and nobody gets half of it."""
    got = await guest.json(
        scripted(
            """
            trace = []
            for length, content in ((None, b"half"), (9, b"half")):
                entry = look()
                out, back = entry.transaction_insert_and_stream_back(made(), wanted(length=length))
                http_body.write(out, content)
                if length is None:
                    del out
                    gc.collect()
                else:
                    http_body.close(out)
                trace.append(failure(lambda: read_all(back.get_found_response(0)[1])))
                del entry, back
                gc.collect()
                entry = look()
                trace.append(flags(entry))
                http_cache.close_entry(entry)
            answer(trace)
            """
        ),
        target="/broken",
    )
    assert got == ["HttpIncomplete", MISS] * 2


async def test_what_is_not_this_entrys_turn(guest: Scripted) -> None:
    got = await guest.json(
        scripted(
            """
            store(look(), b"x")
            entry = look()
            calls = [
                (entry.transaction_insert, made(), wanted()),
                (entry.transaction_insert_and_stream_back, made(), wanted()),
                (entry.transaction_update, made(), wanted()),
                (entry.transaction_update_and_return_fresh, made(), wanted()),
                (entry.transaction_record_not_cacheable, wanted()),
                (entry.transaction_abandon,),
            ]
            trace = [failure(*call) for call in calls]
            other = http_req.Request.new()
            other.set_uri("http://edge.test/turn/none")
            entry = look(other)
            trace += [failure(entry.transaction_update, made(), wanted()), flags(entry),
                      failure(entry.transaction_insert, made(), wanted(surrogate_keys="a\\x7f")),
                      failure(entry.transaction_insert, made(), wanted(vary_rule="a:b")),
                      flags(entry), failure(entry.transaction_abandon), flags(entry),
                      failure(entry.transaction_abandon)]
            answer(trace)
            """
        ),
        target="/turn",
    )
    assert got == [
        *(["AuxiliaryError"] * 6),
        *("AuxiliaryError", MISS, "InvalidArgument", "GenericError", MISS),
        *(None, [], "AuxiliaryError"),
    ]


async def test_two_guests_share_one_fetch(guest: Scripted) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> Response:
        asked.set()
        await go.wait()
        return response(b"shared", headers=(("Cache-Control", "max-age=60"),))

    async def release(_request: Request) -> Response:
        go.set()
        return response()

    guest.upstream.backends |= {"origin": slow, "plain": release}
    leader = asyncio.create_task(served(guest, "/shared"))
    await asked.wait()
    got = await guest.json(
        scripted(
            """
            entry = look()
            plain = backend.Backend.open("plain")
            http_req.send(http_req.Request.new(), http_body.new(), plain)
            answer([flags(entry), seen(entry.get_found_response(1))[2]])
            """
        ),
        target="/shared",
    )
    assert got == [HIT, "shared"]
    assert (await leader)[2][2] == "shared"


@pytest.mark.parametrize(
    "ending",
    ["http_cache.close_entry(entry)", "entry.transaction_abandon()", "del entry; gc.collect()", ""],
)
async def test_the_next_who_waits_has_the_turn(guest: Scripted, ending: str) -> None:
    """Whichever way the first gives up, or ends."""
    looked, go = asyncio.Event(), asyncio.Event()

    async def meet(_request: Request) -> Response:
        looked.set()
        await go.wait()
        return response()

    async def release(_request: Request) -> Response:
        go.set()
        return response()

    guest.upstream.backends |= {"plain": meet, "self": release}
    call = 'http_req.send(http_req.Request.new(), http_body.new(), backend.Backend.open("{}"))\n'
    first = scripted(
        "entry = look()\nflags(entry)\n" + call.format("plain") + ending + "\nanswer(1)"
    )
    second = scripted("entry = look()\n" + call.format("self") + "answer(flags(entry))")
    target = f"/next/{len(ending)}"
    leader = asyncio.create_task(guest.json(first, target=target))
    await looked.wait()
    assert await guest.json(second, target=target) == MISS
    assert await leader == 1


async def test_what_collapsed_is_told_that_nothing_comes(guest: Scripted) -> None:
    """`record-uncacheable` sends all who wait to the backend at once."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> Response:
        asked.set()
        await go.wait()
        return response(b"mine", headers=(("Cache-Control", "private"),))

    async def release(_request: Request) -> Response:
        go.set()
        return response()

    guest.upstream.backends |= {"origin": slow, "plain": release}
    leader = asyncio.create_task(served(guest, "/private"))
    await asked.wait()
    got = await guest.json(
        scripted(
            """
            entry = look()
            plain = backend.Backend.open("plain")
            http_req.send(http_req.Request.new(), http_body.new(), plain)
            answer([flags(entry), entry.get_found_response(1)])
            """
        ),
        target="/private",
    )
    assert got == [[], None]
    assert (await leader)[1] == "RECORD_UNCACHEABLE"


async def test_a_backend_that_cannot_be_reached(guest: Scripted) -> None:
    async def down(_request: Request) -> Response:
        raise BackendError("origin", BackendFault.UNREACHABLE, "down")

    guest.upstream.backends["origin"] = down
    got = await guest.json(
        scripted(
            """
            entry = look()
            answer([failure(fetch, entry), entry.transaction_abandon(), flags(entry)])
            """
        ),
        target="/down",
    )
    assert got == [["GenericError", "ConnectionRefused"], None, []]


async def test_sending_passes_the_cache_by(guest: Scripted) -> None:
    """What a request says about caching is for a cache in front of backends; there is none."""
    guest.upstream.backends["origin"] = origin = Origin(b"x", ("Cache-Control", "max-age=60"))
    script = scripted(
        """
        for _ in range(2):
            plain = http_req.Request.new()
            plain.set_uri("http://edge.test/sent")
            plain.set_cache_override(http_req.CacheOverride_None_())
            http_req.send(plain, http_body.new(), origin)
        answer(flags(look()))
        """
    )
    assert await guest.json(script, target="/sent") == MISS
    assert len(origin.requests) == 2


# What the SDK's world does not have yet.

OF_THE_NEWEST = """
def suggested(s):
    return wanted(max_age_ns=s.get_max_age_ns(), stale_if_error_ns=s.get_stale_if_error_ns())
"""


def newly(script: str) -> str:
    return PRELUDE + OF_THE_NEWEST + textwrap.dedent(script)


async def test_stale_in_case_of_an_error(newest: Scripted) -> None:
    """RFC 5861 §4: it is no hit, but it can be chosen; the next one tries again."""
    newest.upstream.backends["origin"] = Origin(b"")
    got = await newest.json(
        newly(
            """
            head = made(None, ("cache-control", "max-age=10, stale-if-error=60"), ("x", "1"))
            entry = look()
            options = suggested(entry.get_suggested_write_options(head))
            options.initial_age_ns = 20 * 10 ** 9
            trace = [options.stale_if_error_ns, failure(entry.transaction_choose_stale)]
            http_body.close(entry.transaction_insert(head, options))
            for _ in range(2):
                entry = look()
                trace += [flags(entry), entry.get_found_response(1), entry.get_stale_if_error_ns()]
                entry.transaction_choose_stale()
                trace += [flags(entry), seen(entry.get_found_response(1))[0],
                          entry.get_stale_if_error_ns(), failure(entry.transaction_choose_stale)]
            answer(trace)
            """
        ),
        target="/sie",
    )
    minute = 60 * 10**9
    assert got == [
        *(minute, "AuxiliaryError"),
        *(
            *(["STALE", "MUST_INSERT_OR_UPDATE", "USABLE_IF_ERROR"], None, None),
            *([*STALE, "USABLE_IF_ERROR"], 200, minute, "AuxiliaryError"),
        )
        * 2,
    ]


async def test_whoever_waits_gets_what_was_chosen(newest: Scripted) -> None:
    looked, go = asyncio.Event(), asyncio.Event()

    async def broken(_request: Request) -> Response:
        looked.set()
        await go.wait()
        raise BackendError("origin", BackendFault.CLOSED, "broken")

    async def release(_request: Request) -> Response:
        go.set()
        return response()

    newest.upstream.backends |= {"origin": broken, "plain": release}
    leader = newly(
        """
        stale = wanted(max_age_s=10, initial_age_ns=20 * 10 ** 9, stale_if_error_ns=60 * 10 ** 9)
        out = look().transaction_insert(made(), stale)
        http_body.write(out, b"old")
        http_body.close(out)
        entry = look()
        flags(entry)
        failure(http_req.send, http_req.Request.new(), http_body.new(), origin)
        entry.transaction_choose_stale()
        answer(seen(entry.get_found_response(0))[2])
        """
    )
    first = asyncio.create_task(newest.json(leader, target="/chosen"))
    await looked.wait()
    waiter = newly(
        """
        entry = look()
        step = entry.step()
        trace = [step is not None and step.is_ready()]
        http_req.send(http_req.Request.new(), http_body.new(), backend.Backend.open("plain"))
        trace += [async_io.select([step]), step.is_ready(), entry.step(), flags(entry),
                  seen(entry.get_found_response(0))[2]]
        answer(trace)
        """
    )
    got = await newest.json(waiter, target="/chosen")
    assert got == [False, 0, True, None, [*STALE, "USABLE_IF_ERROR"], "old"]
    assert await first == "old"


async def test_waiting_for_ones_own_entry(newest: Scripted) -> None:
    """Nobody else could end it, so the guest gets another turn. A closed entry has ended."""
    newest.upstream.backends["origin"] = Origin(b"")
    got = await newest.json(
        newly(
            """
            first, second, third = look(), look(), look()
            step, closed = second.step(), third.step()
            trace = [flags(first), step.is_ready(), closed.is_ready()]
            del third
            gc.collect()
            answer([*trace, closed.is_ready(), async_io.select([closed]), async_io.select([step]),
                    flags(second)])
            """
        ),
        target="/own",
    )
    assert got == [MISS, False, False, True, 0, 0, MISS]


async def test_choosing_what_may_be_used_anyway(newest: Scripted) -> None:
    newest.upstream.backends["origin"] = Origin(b"")
    got = await newest.json(
        newly(
            """
            store(look(), b"x", initial_age_ns=70 * 10 ** 9, stale_while_revalidate_ns=60 * 10 ** 9)
            entry = look()
            trace = [flags(entry)]
            entry.transaction_choose_stale()
            answer([*trace, flags(entry), flags(look())])
            """
        ),
        target="/anyway",
    )
    assert got == [[*STALE, "MUST_INSERT_OR_UPDATE"], STALE, [*STALE, "MUST_INSERT_OR_UPDATE"]]


@pytest.mark.parametrize("border", ["direct", "public"])
async def test_the_http_cache_can_be_switched_off(border: str) -> None:
    """Then it is as in Viceroy, where SDKs send the request themselves. Host contract §2.11."""
    sandboxes = Sandboxes(upstream=Upstream(), http_cache=False)
    await sandboxes.load(build_guest(), border=border)
    script = """
        options = http_cache.LookupOptions(None, None, None)
        answer([failure(http_cache.is_request_cacheable, request),
                failure(http_cache.get_suggested_cache_key, request, 99),
                failure(http_cache.Entry.transaction_lookup, request, options)])
    """
    try:
        assert await Scripted(sandboxes, Upstream()).json(script) == ["Unsupported"] * 3
    finally:
        await sandboxes.close()
