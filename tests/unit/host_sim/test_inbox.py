"""The queue between a connection and the reader of a body."""

import asyncio

import pytest

from host_sim.inbox import READ_AHEAD, Inbox


class Calls:
    def __init__(self) -> None:
        self.demands = 0
        self.refusals = 0

    def demand(self) -> None:
        self.demands += 1

    def refuse(self) -> None:
        self.refusals += 1


async def read(inbox: Inbox) -> bytes:
    return await anext(inbox, b"")


async def test_what_waits_is_read_without_asking_for_more() -> None:
    calls = Calls()
    inbox = Inbox(calls.demand)
    inbox.feed(b"ab")
    inbox.feed(b"c")
    assert inbox.size == 3
    assert [await read(inbox), await read(inbox)] == [b"ab", b"c"]
    assert (inbox.size, calls.demands) == (0, 0)


async def test_a_waiting_reader_asks_once_and_is_woken() -> None:
    calls = Calls()
    inbox = Inbox(calls.demand)
    reading = asyncio.create_task(read(inbox))
    await asyncio.sleep(0)
    assert calls.demands == 1
    inbox.feed(b"x")
    assert await reading == b"x"
    reading = asyncio.create_task(read(inbox))
    await asyncio.sleep(0)
    inbox.end()
    assert await reading == b""
    assert inbox.ended


async def test_it_is_full_from_the_read_ahead_on() -> None:
    inbox = Inbox(lambda: None)
    inbox.feed(bytes(READ_AHEAD - 1))
    assert not inbox.full
    inbox.feed(b"x")
    assert inbox.full


async def test_what_came_before_a_failure_can_be_read() -> None:
    inbox = Inbox(lambda: None)
    inbox.feed(b"x")
    inbox.fail("broke off")
    inbox.fail("later")
    inbox.feed(b"too late")
    assert await read(inbox) == b"x"
    with pytest.raises(ConnectionError, match="broke off"):
        await read(inbox)


async def test_a_proper_end_stays_one() -> None:
    inbox = Inbox(lambda: None)
    inbox.end()
    inbox.fail("the connection was closed")
    assert await read(inbox) == b""


async def test_closing_refuses_the_rest_once() -> None:
    calls = Calls()
    inbox = Inbox(calls.demand, calls.refuse)
    inbox.feed(b"x")
    await inbox.aclose()
    await inbox.aclose()
    assert (inbox.size, calls.refusals) == (0, 1)
    with pytest.raises(ConnectionError):
        await read(inbox)


async def test_closing_after_the_end_refuses_nothing() -> None:
    calls = Calls()
    inbox = Inbox(calls.demand, calls.refuse)
    inbox.end()
    await inbox.aclose()
    assert calls.refusals == 0


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    inbox = Inbox(lambda: None)
    reading = asyncio.create_task(read(inbox))
    await asyncio.sleep(0)
    inbox.feed(b"x")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await read(inbox) == b"x"
