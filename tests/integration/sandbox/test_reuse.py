"""Sandboxes that ask for another request. Host contract §1.4."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from host_sim.body import Body
from host_sim.messages import Failed
from host_sim.sandbox.instance import Sandboxes
from tests.support.sandbox import Scripted, Upstream, build_guest

pytestmark = pytest.mark.wasm

LOOP = """
seen = 0
def serve(request, body):
    global seen
    seen += 1
    action = request.get_header_value("x-action", 99)
    if action == b"trap":
        raise ValueError("trapped")
    if action != b"silent":
        answer([seen, request.get_uri(99), read_all(body).decode(),
                compute_runtime.get_sandbox_id(),
                http_downstream.downstream_client_request_id(request, 99)])

def next_one(timeout_ms=5000):
    return http_downstream.next_request(http_downstream.NextRequestOptions(timeout_ms, None))

serve(request, body)
while got := http_downstream.await_request(next_one()):
    serve(*got)
"""


@pytest.fixture(params=["direct", "public"])
async def guest(request: pytest.FixtureRequest) -> AsyncIterator[Scripted]:
    """Guests that nobody asked anything before."""
    sandboxes = Sandboxes(upstream=Upstream())
    await sandboxes.load(build_guest(), border=request.param)
    yield Scripted(sandboxes, Upstream())
    await sandboxes.close()


async def parked(guest: Scripted, count: int) -> None:
    """Wait until as many sandboxes are parked."""
    async with asyncio.timeout(10):
        while guest.sandboxes.parked != count:  # noqa: ASYNC110  it has no event
            await asyncio.sleep(0.001)


async def test_a_sandbox_serves_six_requests_and_no_more(guest: Scripted) -> None:
    """Five more than its first; ids: the sandbox keeps its own, each request has one."""
    answers = []
    for number in range(8):
        answers.append(await guest.json(LOOP, target=f"/{number}", body=str(number).encode()))
        await parked(guest, 0 if number == 5 else 1)
    assert [a[0] for a in answers] == [1, 2, 3, 4, 5, 6, 1, 2]
    assert [a[1] for a in answers] == [f"http://edge.test/{n}" for n in range(8)]
    assert [a[2] for a in answers] == [str(n) for n in range(8)]
    assert [int(a[3], 16) for a in answers] == [0] * 6 + [6] * 2
    assert [int(a[4], 16) for a in answers] == list(range(8))


async def test_a_guest_that_fails_takes_only_the_request_at_hand_along(guest: Scripted) -> None:
    """The reused request gets the 500; the next one gets a fresh sandbox."""
    assert (await guest.json(LOOP))[0] == 1
    await parked(guest, 1)
    failed = await guest.fail(LOOP, headers=(("X-Action", "trap"),))
    assert "ValueError: trapped" in failed.reason
    assert (await guest.json(LOOP))[0] == 1


async def test_a_guest_cannot_ask_before_it_has_answered(guest: Scripted) -> None:
    """`await-request` is `unsupported` then; one request can be asked for at a time."""
    got = await guest.json(
        """
        def ask():
            return http_downstream.next_request(http_downstream.NextRequestOptions(1, None))
        first = ask()
        twice = failure(ask)
        early = failure(http_downstream.await_request, first)
        second = ask()
        ready = async_io.select([second])
        answer([twice, early, ready])
        """
    )
    assert got == ["LimitExceeded", "Unsupported", 0]


async def test_no_request_comes_in_time(guest: Scripted) -> None:
    """None after the time-out, and the guest ends."""
    assert (await guest.json(LOOP.replace("5000", "1")))[0] == 1
    await parked(guest, 0)
    assert (await guest.json(LOOP))[0] == 1


async def test_a_request_given_and_not_taken_goes_to_another_sandbox(guest: Scripted) -> None:
    """A sandbox that ends before it takes its next request loses nothing."""
    gate = asyncio.Event()

    async def gated() -> AsyncIterator[bytes]:
        await gate.wait()
        yield b"x"

    assert await guest.bytes(
        """
        asked = http_downstream.next_request(http_downstream.NextRequestOptions(5000, None))
        answer(b"first")
        read_all(body)
        raise ValueError("before taking it")
        """,
        body=Body(gated(), None),
    ) == b"first"  # fmt: skip
    second = asyncio.create_task(guest.json("answer('second')"))
    await parked(guest, 0)
    gate.set()
    assert await second == "second"


async def test_a_reused_request_without_an_answer(guest: Scripted) -> None:
    """The guest goes on to the next request, which it may not; it gets `unsupported` and traps."""
    await guest.json(LOOP)
    await parked(guest, 1)
    outcome = await guest.run(LOOP, headers=(("X-Action", "silent"),))
    assert isinstance(outcome, Failed)
    assert "http-downstream/await-request failed with unsupported" in outcome.reason


async def test_at_most_five_are_parked(guest: Scripted) -> None:
    """A sixth learns at once that no request will come."""
    gate = asyncio.Event()

    async def gated() -> AsyncIterator[bytes]:
        await gate.wait()
        yield b"x"

    at_once = [asyncio.create_task(guest.json(LOOP, body=Body(gated(), None))) for _ in range(7)]
    await asyncio.sleep(0)
    gate.set()
    assert [a[0] for a in await asyncio.gather(*at_once)] == [1] * 7
    await parked(guest, 5)


async def test_closing_ends_parked_sandboxes(guest: Scripted) -> None:
    """They wait for nothing any more."""
    await guest.json(LOOP)
    await parked(guest, 1)
    await guest.sandboxes.close(grace_s=10)
    await parked(guest, 0)
