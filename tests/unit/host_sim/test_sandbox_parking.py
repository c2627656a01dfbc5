"""Parked sandboxes, without guests: no request is lost on the way to one. Host contract §1.4."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from host_sim.sandbox.reuse import Parking, PendingRequest
from host_sim.sandbox.state import Exchange, Sandbox
from host_sim.sandbox.waiting import Limits, Waiting
from tests.support.requests import request
from tests.support.waiting import soon

if TYPE_CHECKING:
    from host_sim.messages import Outcome


@pytest.fixture
def _restless() -> Iterator[None]:
    """Let threads take turns at nearly every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Asker:
    """What parking needs of a sandbox."""

    def __init__(self, limits: Limits) -> None:
        self.waiting = Waiting(asyncio.get_running_loop(), limits)
        self.requests_left = limits.reuse
        self.asking: PendingRequest | None = None


def exchange() -> Exchange:
    future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    return Exchange(request(), 0, future)


@pytest.mark.usefixtures("_restless")
async def test_a_request_is_taken_or_given_back_whoever_is_faster() -> None:
    """A guest drops its handle at the moment a request is given to it, again and again."""
    limits = Limits(reuse=10_000, parked_s=60)
    back: list[Exchange] = []
    parking = Parking(back.append, limits)
    asker = Asker(limits)
    sandbox = cast("Sandbox", asker)
    offered = [exchange() for _ in range(2000)]
    taken: list[Exchange] = []
    over = threading.Event()

    def guest() -> None:
        number = 0
        while not over.is_set():
            number += 1
            pending = parking.park(sandbox, None)
            if number % 3 == 0 and (got := pending.take()) is not None:
                taken.append(got)
            else:
                pending.dropped()

    thread = threading.Thread(target=guest)
    asker.requests_left = 10**9
    thread.start()
    refused = []
    for one in offered:
        if not parking.offer(one):
            refused.append(one)
        if len(refused) % 50 == 0:
            await asyncio.sleep(0)
    over.set()
    while thread.is_alive():
        if asker.asking is not None:  # it waits for one more
            parking.leave(asker.asking)
        await asyncio.sleep(0)
    assert len(parking) == 0
    assert asker.asking is None
    everywhere = [id(one) for one in (*taken, *back, *refused)]
    assert sorted(everywhere) == sorted(id(one) for one in offered)


async def test_the_time_is_over_once() -> None:
    """The time-out tells that none will come; a request after that goes elsewhere."""
    limits = Limits(parked_s=0.001)
    parking = Parking(lambda _: None, limits)
    pending = parking.park(cast("Sandbox", Asker(limits)), 60)
    await soon(lambda: pending.ready)
    assert not parking.offer(exchange())
    assert pending.take() is None


async def test_a_handle_dropped_while_it_is_given_a_request_gives_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever finds the handle gone from the list finds the request in it."""
    back: list[Exchange] = []
    parking = Parking(back.append, Limits())
    pending = parking.park(cast("Sandbox", Asker(Limits())), None)
    dropping = threading.Thread(target=pending.dropped)
    settle = pending.settle

    def slowly(given: Exchange | None) -> None:
        dropping.start()
        dropping.join(0.05)  # it has to wait for the rest of this
        settle(given)

    monkeypatch.setattr(pending, "settle", slowly)
    one = exchange()
    assert parking.offer(one)
    await asyncio.to_thread(dropping.join)
    assert back == [one]
