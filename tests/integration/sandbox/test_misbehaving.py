"""Guests that go wrong in every way disturb nobody, and none stays for longer than it may."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.messages import Failed, Request, Responded, Response
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits
from tests.integration.sandbox.conftest import DATA
from tests.support.sandbox import Scripted, Upstream, build_guest, response
from tests.support.waiting import PATIENCE_S, soon

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

BAD = {
    "raise RuntimeError('went wrong')": "the guest trapped: RuntimeError: went wrong",
    "sys.exit(3)": "the guest exited with a failure",
    "while True: pass": "does it loop?",
    "while True: print('x' * 1000)": "does it loop?",
    "kept = []\nwhile True: kept.append(bytes(1 << 20))": "the guest ran out of memory",
    "sys.setrecursionlimit(10 ** 9)\ndef deeper(): return deeper() + 1\ndeeper()": (
        "call stack exhausted"
    ),
    "http_req.await_response(http_body.new())": "a GuestBody cannot be used here",
}
"""Scripts and what is said of the guests that run them."""

LEFT_OPEN = """
streams = [http_body.new() for _ in range(3)]
for stream in streams[1:]:
    http_req.send_async_streaming(http_req.Request.new(), stream, backend.Backend.open("origin"))
    http_body.write(stream, b"begun")
http_resp.send_downstream_streaming(http_resp.Response.new(), streams[0])
http_body.write(streams[0], b"begun")
left = [http_req.Request.new(), written(b"x"), kv_store.Store.open("things")]
os._exit(0)
"""

ASKS = """
http_req.send(http_req.Request.new(), http_body.new(), backend.Backend.open("{}"))
"""


async def never(_request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def begins(_request: Request) -> Response:
    async def content() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()

    return response(Body(content(), None))


async def takes_in(request: Request) -> Response:
    with contextlib.suppress(BodyError):
        await request.body.whole(1 << 20)
    return response(b"taken")


@contextlib.asynccontextmanager
async def hosted(border: str, limits: Limits) -> AsyncIterator[Scripted]:
    upstream = Upstream()
    upstream.backends |= {"plain": never, "self": begins, "origin": takes_in}
    sandboxes = Sandboxes(
        upstream=upstream, send_dynamic=upstream.send_dynamic, data=DATA, limits=limits
    )
    try:
        await sandboxes.load(build_guest(), border=border)
        yield Scripted(sandboxes, upstream)
    finally:
        await sandboxes.close()


@pytest_asyncio.fixture(params=["direct", "public"], scope="module", loop_scope="module")
async def guest(request: pytest.FixtureRequest) -> AsyncIterator[Scripted]:
    limits = Limits(memory_bytes=48 << 20, cpu_s=1.5)
    async with hosted(request.param, limits) as guest:
        yield guest


@pytest_asyncio.fixture(params=["direct", "public"], scope="module", loop_scope="module")
async def hurried(request: pytest.FixtureRequest) -> AsyncIterator[Scripted]:
    async with hosted(request.param, Limits(request_timeout_s=0.5)) as guest:
        yield guest


async def ended(guest: Scripted) -> None:
    """Wait until no guest runs any more."""
    await asyncio.wait_for(guest.sandboxes._idle.wait(), PATIENCE_S)


async def test_they_do_not_disturb_the_others(guest: Scripted) -> None:
    blocked = [asyncio.create_task(guest.run(ASKS.format("plain"))) for _ in range(3)]
    bad = [asyncio.create_task(guest.run(script)) for script in BAD]
    left = [asyncio.create_task(guest.run(LEFT_OPEN)) for _ in range(3)]

    async def good(number: int) -> bytes:
        script = f"""
        response, content = http_req.send(
            http_req.Request.new(), written(b"x" * 5000), backend.Backend.open("origin"))
        answer(read_all(content) + b" {number}")
        """
        return await guest.bytes(script)

    for start in range(0, 24, 8):  # some at once, as others may still be computing
        numbers = range(start, start + 8)
        answers = await asyncio.gather(*map(good, numbers))
        assert answers == [b"taken %d" % number for number in numbers]

    outcomes = await asyncio.gather(*bad)
    for outcome, said in zip(outcomes, BAD.values(), strict=True):
        assert isinstance(outcome, Failed)
        assert said in outcome.reason
    for outcome in await asyncio.gather(*left):
        assert isinstance(outcome, Responded)
        with pytest.raises(BodyError, match="the guest ended"):
            await outcome.response.body.whole(99)
    assert not any(task.done() for task in blocked)
    for sandbox in tuple(guest.sandboxes._running):
        sandbox.waiting.stop("the test is over")
    reasons = {outcome.reason for outcome in await asyncio.gather(*blocked)}  # type: ignore[union-attr]
    assert reasons == {"the test is over"}
    await ended(guest)


READS = """
_, content = http_req.send(http_req.Request.new(), http_body.new(), backend.Backend.open("self"))
read_all(content)
"""
SELECTS = """
pending = http_req.send_async(
    http_req.Request.new(), http_body.new(), backend.Backend.open("plain"))
async_io.select([pending])
"""


@pytest.mark.parametrize(
    "script",
    [ASKS.format("plain"), READS, SELECTS, "read_all(body)"],
    ids=["send", "read", "select", "client"],
)
async def test_no_wait_outlives_the_request_timeout(hurried: Scripted, script: str) -> None:
    """Host contract §8; also while it waits for the client."""

    async def silence() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    outcome = await hurried.run(script, method="POST", body=Body(silence(), None))
    assert isinstance(outcome, Failed)
    assert outcome.reason == ("the request took longer than 0.5 s (the limit is --request-timeout)")
    await ended(hurried)


WRITES = """
stream = http_body.new()
http_resp.send_downstream_streaming(http_resp.Response.new(), stream)
error = None
while error is None:
    error = failure(http_body.write, stream, b"x" * 1000)
told = http_req.Request.new()
told.set_uri("http://origin.test/" + error)
http_req.send(told, http_body.new(), backend.Backend.open("origin"))
"""


async def test_nor_does_a_write_to_a_client_who_does_not_read(hurried: Scripted) -> None:
    outcome = await hurried.run(WRITES)
    assert isinstance(outcome, Responded)
    await ended(hurried)
    with pytest.raises(BodyError):
        await outcome.response.body.whole(1 << 20)


async def test_a_client_who_goes_stops_the_writes(guest: Scripted) -> None:
    """Host contract §1.3: the guest gets `generic-error`."""
    outcome = await guest.run(WRITES)
    assert isinstance(outcome, Responded)
    assert await outcome.response.body.read() == b"x" * 1000
    await outcome.response.body.aclose()
    await soon(lambda: guest.upstream.requests[-1].target == "/GenericError")
    await ended(guest)
