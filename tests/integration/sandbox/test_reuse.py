"""Sandboxes that ask for another request. Host contract §1.4."""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import AsyncIterator

import pytest

from host_sim.body import Body
from host_sim.messages import Failed, HandedOff, Responded
from host_sim.sandbox.data import BackendFacts, HostData
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits
from tests.support.sandbox import Scripted, Upstream, build_guest
from tests.support.waiting import PATIENCE_S, soon

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


async def test_a_sandbox_keeps_what_is_its_own(guest: Scripted) -> None:
    """Row `per request state`: environment and CPU time go on, memory too; the answer is new."""
    script = """
        kept = ["first"]
        def serve():
            answer([os.environ["FASTLY_TRACE_ID"], compute_runtime.get_vcpu_ms(), kept.pop()])
        while compute_runtime.get_vcpu_ms() < 20:
            kept.append("again")
        serve()
        http_downstream.await_request(
            http_downstream.next_request(http_downstream.NextRequestOptions(5000, None)))
        serve()
        """
    first = await guest.json(script)
    await parked(guest, 1)
    second = await guest.json("")
    assert first[0] == second[0]
    assert 20 <= first[1] <= second[1]
    assert second[2] == "again"


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


async def test_no_request_comes_in_time(guest: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """None after the time-out, and the guest ends."""
    script = f"{LOOP.replace('5000', '1')}\nprint('none came')"
    assert (await guest.json(script))[0] == 1
    await said(caplog, "none came")
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
    gate, reached = asyncio.Event(), [asyncio.Event() for _ in range(7)]
    at_once = [
        asyncio.create_task(guest.json(LOOP, body=gated(gate, reached=event))) for event in reached
    ]
    await all_set(reached)
    gate.set()
    assert [a[0] for a in await asyncio.gather(*at_once)] == [1] * 7
    await parked(guest, 5)


async def test_a_sandbox_that_cannot_be_started(
    guest: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each such request fails by itself, and none of them keeps a core from those that follow."""

    def no_thread(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        for _ in range((os.cpu_count() or 1) + 1):
            failed = await guest.fail(LOOP)
            assert failed.reason == "no sandbox can be started: can't start new thread"
    assert (await guest.json(LOOP))[0] == 1


async def test_closing_ends_parked_sandboxes(guest: Scripted) -> None:
    """They wait for nothing any more."""
    await guest.json(LOOP)
    await parked(guest, 1)
    await guest.sandboxes.close(grace_s=10)
    await parked(guest, 0)


# The rules one by one.

ASK = """
def ask(timeout_ms=5000):
    return http_downstream.next_request(http_downstream.NextRequestOptions(timeout_ms, None))
"""
ONCE = LOOP.replace("while got", "if got")


@contextlib.asynccontextmanager
async def guests(limits: Limits | None = None) -> AsyncIterator[Scripted]:
    """Guests with other limits."""
    upstream = Upstream()
    data = HostData(backends={"origin": BackendFacts(url="http://origin.test")})
    sandboxes = Sandboxes(upstream=upstream, data=data, limits=limits)
    await sandboxes.load(build_guest())
    yield Scripted(sandboxes, upstream)
    await sandboxes.close()


def gated(*gates: asyncio.Event, reached: asyncio.Event | None = None) -> Body:
    """Return a body with one byte behind each gate; `reached` is set when a guest reads it."""

    async def bytes_() -> AsyncIterator[bytes]:
        if reached is not None:
            reached.set()
        for gate in gates:
            await gate.wait()
            yield b"x"

    return Body(bytes_(), None)


async def all_set(events: list[asyncio.Event]) -> None:
    """Wait for all of them."""
    async with asyncio.timeout(PATIENCE_S):
        for event in events:
            await event.wait()


async def said(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Wait until a guest has said something."""
    await soon(lambda: any(text in message for message in caplog.messages))


@pytest.fixture(autouse=True)
def _listen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "host_sim.guest")


@pytest.mark.parametrize(
    ("reuse", "counts"),
    [(0, [1, 1, 1]), (1, [1, 2, 1, 2]), (7, [1, 2, 3, 4, 5, 6, 7, 8, 1])],
)
async def test_additional_requests_can_be_more_or_fewer(reuse: int, counts: list[int]) -> None:
    """Row `additional requests`, as configured; 0 gives every request a fresh sandbox."""
    async with guests(Limits(reuse=reuse)) as guest:
        for expected, following in zip(counts, [*counts[1:], 0], strict=True):
            assert (await guest.json(LOOP))[0] == expected
            if following > 1:
                await parked(guest, 1)


async def test_the_budget_is_spent_by_asking(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Row `additional requests`: then `next-request` still works, and none comes at once."""
    script = f"""{ASK}
answer(0)
for _ in range(4):
    pending = ask()
    del pending
    gc.collect()
assert http_downstream.await_request(ask(0)) is None
late = ask()
print("late:", late.is_ready(), http_downstream.await_request(late))
late = ask()
print("again:", late.is_ready(), http_downstream.await_request(late))
"""
    await guest.json(script)
    await said(caplog, "late: True None")
    await said(caplog, "again: True None")


async def test_who_parked_last_is_taken_first(guest: Scripted) -> None:
    """Row `parked`: last in, first out."""
    gates, reached = ([asyncio.Event() for _ in range(3)] for _ in range(2))
    waiting = [
        asyncio.create_task(guest.json(ONCE, body=gated(gate, reached=event)))
        for gate, event in zip(gates, reached, strict=True)
    ]
    await all_set(reached)  # one that waits in line would be served by who is to park first
    sandboxes = []
    for count, index in enumerate((1, 2, 0), 1):
        gates[index].set()
        sandboxes.append((await waiting[index])[3])
        await parked(guest, count)
    got = [(await guest.json(ONCE))[3] for _ in range(3)]
    assert got == sandboxes[::-1]
    assert (await guest.json(ONCE))[3] not in sandboxes


async def test_who_finds_no_room_is_used_up(caplog: pytest.LogCaptureFixture) -> None:
    """Row `parked`: none comes at once, and none later, though there is room then."""
    first, second = asyncio.Event(), asyncio.Event()
    script = f"""{ASK}
answer(0)
http_body.read(body, 1)
full = ask()
print("full:", full.is_ready(), http_downstream.await_request(full))
http_body.read(body, 1)
room = ask()
print("room:", room.is_ready(), http_downstream.await_request(room))
"""
    async with guests(Limits(parked=1)) as guest:
        assert await guest.json(script, body=gated(first, second)) == 0
        await guest.json(LOOP)
        await parked(guest, 1)
        first.set()
        await said(caplog, "full: True None")
        await guest.fail("", headers=(("X-Action", "trap"),))  # who was parked is gone
        await parked(guest, 0)
        second.set()
        await said(caplog, "room: True None")


@pytest.mark.parametrize("longest", ["60000", "None", "10**18"])
async def test_nobody_waits_longer_than_the_longest_time(
    longest: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Row `timeout`: the smaller one of what is given and the limit, which is the default."""
    async with guests(Limits(parked_s=0.01)) as guest:
        await guest.json(f"{ASK}\nanswer(0)\nprint(http_downstream.await_request(ask({longest})))")
        await said(caplog, "stdout :: None")


async def test_the_clock_starts_when_the_guest_asks(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Row `timeout`: not when it waits; what has timed out is given nothing any more."""
    gate = asyncio.Event()
    script = f"""{ASK}
answer(0)
pending = ask(10)
print("over:", async_io.select([pending]))
read_all(body)
print("got:", http_downstream.await_request(pending))
"""
    assert await guest.json(script, body=gated(gate)) == 0
    await said(caplog, "over: 0")
    assert guest.sandboxes.parked == 0
    assert await guest.json("answer('a sandbox of its own')") == "a sandbox of its own"
    gate.set()
    await said(caplog, "got: None")


async def test_a_hand_off_counts_as_sent() -> None:
    """Row `await-request while unsent`: after a hand-off the next request can be served."""
    async with guests() as guest:
        outcome = await guest.run(
            ONCE.replace(
                "\nserve(request, body)",
                "\nrequest.redirect_to_grip_proxy(backend.Backend.open('origin'))",
            )
        )
        assert isinstance(outcome, HandedOff)
        await parked(guest, 1)
        seen, *_, sandbox, number = await guest.json("")
        assert seen == 1
        assert int(number, 16) == int(sandbox, 16) + 1


async def test_a_refused_wait_gives_the_place_up(guest: Scripted) -> None:
    """Row `await-request while unsent`: nobody is sent to a handle that cannot be waited for."""
    gate = asyncio.Event()
    script = f"""{ASK}
error = failure(http_downstream.await_request, ask())
read_all(body)
answer(error)
"""
    first = asyncio.create_task(guest.json(script, body=gated(gate)))
    await soon(lambda: guest.sandboxes.parked == 0)
    assert await guest.json("answer('another')") == "another"
    gate.set()
    assert await first == "Unsupported"


async def test_a_request_to_come_can_be_selected(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Row `handle`: it is a pollable, ready when a request is there."""
    never = asyncio.Event()
    script = f"""{ASK}
answer(0)
pending = ask()
print("before:", pending.is_ready(), async_io.select_with_timeout([body, pending], 1))
print("which:", async_io.select([body, pending]), pending.is_ready())
new, content = http_downstream.await_request(pending)
answer(new.get_uri(99))
"""
    assert await guest.json(script, body=gated(never)) == 0
    await said(caplog, "before: False None")
    assert await guest.json("", target="/next") == "http://edge.test/next"
    await said(caplog, "which: 1 True")
    never.set()


async def test_dropping_the_handle_cancels(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Row `handle`: whoever comes then is served by another sandbox."""
    gate = asyncio.Event()
    script = f"""{ASK}
answer(0)
pending = ask()
del pending
gc.collect()
print("dropped")
read_all(body)
"""
    assert await guest.json(script, body=gated(gate)) == 0
    await said(caplog, "dropped")
    assert guest.sandboxes.parked == 0
    assert await guest.json("answer('another')") == "another"
    gate.set()


@pytest.mark.parametrize("end", ["", "1 / 0", "sys.exit()", "pending = None; gc.collect()"])
async def test_a_lost_request_is_served_again(guest: Scripted, end: str) -> None:
    """Row `request lost`: however the sandbox ends, or gives the handle up."""
    gate = asyncio.Event()
    script = f"{ASK}\npending = ask()\nanswer(0)\nread_all(body)\n{end}\n"
    assert await guest.json(script, body=gated(gate)) == 0
    lost = asyncio.create_task(guest.json("answer('served')"))
    await parked(guest, 0)
    gate.set()
    assert await lost == "served"


async def test_a_lost_request_whose_client_has_gone_is_dropped(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Row `request lost`: nobody is there to be served."""
    gate = asyncio.Event()
    script = f"{ASK}\npending = ask()\nanswer(0)\nread_all(body)\nprint('ends')\n"
    assert await guest.json(script, body=gated(gate)) == 0
    lost = asyncio.create_task(guest.run("print('served')"))
    await parked(guest, 0)
    lost.cancel()
    gate.set()
    await said(caplog, "ends")
    assert await guest.json("answer('after')") == "after"
    assert not any("served" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("end", "status"), [("pass", 200), ("sys.exit()", 200), ("sys.exit(1)", 500), ("1 / 0", 500)]
)
async def test_a_guest_that_ends_without_answering_the_reused_request(
    guest: Scripted, end: str, status: int
) -> None:
    """Rows `guest ends` and `trap`: 200 and empty, or the failure is this request's."""
    script = f"{ASK}\nanswer(0)\nhttp_downstream.await_request(ask())\n{end}\n"
    assert await guest.json(script) == 0
    await parked(guest, 1)
    outcome = await guest.run("")
    if isinstance(outcome, Responded):
        assert (outcome.response.status, outcome.response.body.length) == (200, 0)
        assert status == 200
    else:
        assert isinstance(outcome, Failed)
        assert outcome.status == status
    assert await guest.json("answer('fresh')") == "fresh"
