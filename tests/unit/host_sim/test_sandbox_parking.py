"""Requests and sandboxes, without guests: none is lost between them. Host contract §1.4."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from host_sim.sandbox.border.values import Stopped
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
    refused: list[Exchange] = []
    parking = Parking(refused.append, back.append, limits, cores=10**9)
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
    for one in offered:
        parking.serve(one)
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
    elsewhere: list[Exchange] = []
    parking = Parking(elsewhere.append, elsewhere.append, limits)
    pending = parking.park(cast("Sandbox", Asker(limits)), 60)
    await soon(lambda: pending.ready)
    one = exchange()
    parking.serve(one)
    assert pending.take() is None
    assert elsewhere == [one]


async def test_a_handle_dropped_while_it_is_given_a_request_gives_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever finds the handle gone from the list finds the request in it."""
    back: list[Exchange] = []
    parking = Parking(back.append, back.append, Limits())
    pending = parking.park(cast("Sandbox", Asker(Limits())), None)
    dropping = threading.Thread(target=pending.dropped)
    settle = pending.settle

    def slowly(given: Exchange | None) -> None:
        dropping.start()
        dropping.join(0.05)  # it has to wait for the rest of this
        settle(given)

    monkeypatch.setattr(pending, "settle", slowly)
    one = exchange()
    parking.serve(one)
    await asyncio.to_thread(dropping.join)
    assert back == [one]


class Line:
    """Parking on a machine of two cores, where sandboxes are only noted when they are started."""

    def __init__(self) -> None:
        self.started: list[Exchange] = []
        self.back: list[Exchange] = []
        self.parking = Parking(self.started.append, self.back.append, Limits(), cores=2)
        self.exchanges = [exchange() for _ in range(5)]
        for one in self.exchanges:
            self.parking.serve(one)


async def test_no_more_guests_are_started_than_there_are_cores() -> None:
    """Each that ends or waits makes room for the one that has waited for longest."""
    line = Line()
    assert line.started == line.exchanges[:2]
    line.parking.rest()
    await asyncio.sleep(0)
    assert line.started == line.exchanges[:3]
    await asyncio.to_thread(line.parking.rest)
    await soon(lambda: line.started == line.exchanges[:4])


async def test_a_guest_that_goes_on_takes_the_place_of_one_that_would_start() -> None:
    """It is not kept waiting, so there are three at work, and one that ends makes no room."""
    line = Line()
    line.parking.rest()
    line.parking.work()
    line.parking.rest()
    await asyncio.sleep(0)
    assert line.started == line.exchanges[:3]


async def test_a_sandbox_that_asks_for_a_request_gets_the_first_in_line() -> None:
    """It need not be parked for that, nor another one be started."""
    line = Line()
    pending = line.parking.park(cast("Sandbox", Asker(Limits())), None)
    assert len(line.parking) == 0
    assert pending.take() is line.exchanges[2]
    line.parking.rest()
    await asyncio.sleep(0)
    assert line.started == [*line.exchanges[:2], line.exchanges[3]]


async def test_a_sandbox_that_has_had_its_requests_leaves_the_line_alone() -> None:
    """It is used up, and ends."""
    line = Line()
    pending = line.parking.park(cast("Sandbox", Asker(Limits(reuse=0))), None)
    assert pending.take() is None
    assert line.started == line.exchanges[:2]
    line.parking.rest()
    await asyncio.sleep(0)
    assert line.started == line.exchanges[:3]


async def test_clients_that_have_gone_are_passed_over() -> None:
    """No guest is started, or kept busy, for an answer that nobody reads."""
    line = Line()
    line.exchanges[2].outcome.cancel()
    pending = line.parking.park(cast("Sandbox", Asker(Limits())), None)
    assert pending.take() is line.exchanges[3]
    line.exchanges[4].outcome.cancel()
    line.parking.rest()
    await asyncio.sleep(0)
    assert line.started == line.exchanges[:2]


async def test_nobody_stands_in_line_for_long() -> None:
    """Guests at work may be asleep, or wait for the very request that stands in line."""
    line = Line()
    await soon(lambda: line.started == line.exchanges)


async def test_who_waits_says_so_however_it_ends() -> None:
    """As often as a guest rests, it goes on, also when it is stopped; not if there is no wait."""
    said: list[str] = []

    class Turns:
        def rest(self) -> None:
            said.append("rest")

        def work(self) -> None:
            said.append("work")

    waiting = Waiting(asyncio.get_running_loop(), Limits(), Turns())
    waiting.start_cpu()
    assert waiting.wait_for(lambda: True)
    assert said == []
    assert not waiting.wait_for(lambda: False, 0.001)
    waiting.stop("enough")
    with pytest.raises(Stopped):
        waiting.wait_for(lambda: False)
    assert said == ["rest", "work"] * 2


async def test_the_line_is_left_once() -> None:
    """Who ends the sandboxes ends those requests; no sandbox is started for them after that."""
    line = Line()
    assert line.parking.leave_line() == line.exchanges[2:]
    assert line.parking.leave_line() == []
    line.parking.rest()
    await asyncio.sleep(0)
    assert line.started == line.exchanges[:2]
