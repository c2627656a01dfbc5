"""Waiting for subscriptions, also with an engine that does not tell who is subscribed."""

import asyncio
from collections.abc import Awaitable, Callable

from grip.items import HttpStreamFormat, Item, WsMessageFormat
from host_sim import Simulator
from host_sim.errors import HostSimError
from tests.support.waiting import PATIENCE_S

__all__ = ["subscribed", "until_answered"]

PAUSE_S = 0.05

type Hear = Callable[[], Awaitable[str | bytes]]
"""Waits for the next message of a client and returns it."""


async def subscribed(edge: Simulator, *clients: Hear, polls: int = 0) -> None:
    """Wait until these clients, and this many long polls, are subscribed to `test`.

    An engine that does not tell is probed: messages are published until every client has heard
    one, and what is on its way then is read. Long polls cannot be probed; see `until_answered`.
    """
    try:
        await edge.subscribed("test", count=len(clients) + polls)
    except HostSimError:
        await _probe(edge, clients)


async def _probe(edge: Simulator, clients: tuple[Hear, ...]) -> None:
    sent = 0
    enough = False

    async def publish() -> None:
        nonlocal sent
        while not enough:
            sent += 1
            text = f"probe {sent}."
            await edge.publish_items(
                Item(
                    channel="test",
                    http_stream=HttpStreamFormat(content=f"data: {text}\n\n".encode()),
                    ws_message=WsMessageFormat(content=text.encode()),
                )
            )
            await asyncio.sleep(PAUSE_S)

    async with asyncio.timeout(3 * PATIENCE_S), asyncio.TaskGroup() as tasks:
        publishing = tasks.create_task(publish())
        heard = await asyncio.gather(*(hear() for hear in clients))
        enough = True
        await publishing
        for hear, first in zip(clients, heard, strict=True):
            message = first
            while f"probe {sent}." not in _text(message):
                message = await hear()


async def until_answered[T](answer: Awaitable[T], publish: Callable[[], Awaitable[object]]) -> T:
    """Return the answer to a long poll, publishing again while it may have come too early."""
    answering = asyncio.ensure_future(answer)
    async with asyncio.timeout(3 * PATIENCE_S):
        while not (await asyncio.wait([answering], timeout=0.5))[0]:
            await publish()
    return answering.result()


def _text(message: str | bytes) -> str:
    return message if isinstance(message, str) else message.decode()
