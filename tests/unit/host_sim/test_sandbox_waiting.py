"""How a guest's thread waits, and how long. Host contract §8."""

import asyncio

import pytest

from host_sim.sandbox.border.values import Stopped
from host_sim.sandbox.waiting import STOPPING, Limits, Waiting


@pytest.fixture
async def waiting() -> Waiting:
    """A guest's bell, on this test's event loop."""
    made = Waiting(asyncio.get_running_loop(), Limits(cpu_s=60, request_timeout_s=60))
    made.start_cpu()
    return made


async def test_a_wait_ends_with_the_sandbox(waiting: Waiting) -> None:
    """Wherever the guest's thread waits, `stop` wakes it."""
    blocked = asyncio.create_task(asyncio.to_thread(waiting.wait_for, lambda: False))
    await asyncio.sleep(0)
    waiting.stop("enough")
    with pytest.raises(Stopped, match="enough"):
        await blocked


async def test_the_clock_of_a_request_stops_between_requests() -> None:
    """§1.4: a parked sandbox has as long as it may be parked, and each request all of its time."""
    waiting = Waiting(asyncio.get_running_loop(), Limits(cpu_s=60, request_timeout_s=-1))
    waiting.start_cpu()
    with pytest.raises(Stopped, match="--request-timeout"):
        waiting.check()
    waiting.pause_request()
    waiting.check()
    assert not waiting.wait_for(lambda: False, 0.001)
    blocked = asyncio.create_task(asyncio.to_thread(waiting.wait_for, lambda: False))
    await asyncio.sleep(0)
    waiting.stop("enough")
    with pytest.raises(Stopped, match="enough"):
        await blocked


async def test_a_wait_gives_up(waiting: Waiting) -> None:
    assert not waiting.wait_for(lambda: False, 0)
    assert waiting.wait_for(lambda: True, 0)


async def test_a_sandbox_outlives_its_event_loop() -> None:
    """Nothing can be awaited any more; the guest ends instead of hanging."""

    def left_behind() -> Waiting:
        async def make() -> Waiting:
            return Waiting(asyncio.get_running_loop(), Limits())

        return asyncio.run(make())

    waiting = await asyncio.to_thread(left_behind)
    waiting.post(print)
    with pytest.raises(Stopped, match=STOPPING):
        waiting.start(asyncio.sleep(0))


def test_limits_say_what_was_exceeded() -> None:
    loop = asyncio.new_event_loop()
    busy = Waiting(loop, Limits(cpu_s=-1))
    busy.start_cpu()
    with pytest.raises(Stopped, match="does it loop"):
        busy.check()
    late = Waiting(loop, Limits(request_timeout_s=-1))
    with pytest.raises(Stopped, match="--request-timeout"):
        late.check()
    loop.close()
