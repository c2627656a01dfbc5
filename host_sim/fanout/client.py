"""One client's request in the proxy's hands, and what all of them share.

Whoever serves the client at the moment, the exchange with the backend or a hold, is told here when
it goes. Kept small: there is one for each held client.
"""

import asyncio
import dataclasses
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from host_sim.fanout.alarm import Clock
from host_sim.fanout.links import Links
from host_sim.fanout.registry import Registry
from host_sim.messages import Downstream, Request

__all__ = ["Client", "HoldDriver", "Room"]

log = logging.getLogger("host_sim.fanout")


class HoldDriver(Protocol):
    """A hold, as its client and the proxy see it."""

    def gone(self) -> None:
        """Leave, since the client has."""

    def close(self) -> None:
        """End the response, since the proxy shuts down."""


class Client:
    """A request, the way back to its client, and who is at work for it.

    Attributes:
        request: what the client sent; repeated requests and links follow from it.
        backend: where to.
        downstream: where its answer goes.
        hold: the hold that has the client now.
        gone_link: absolute URL to tell when the response has ended (GRIP §7.3).
    """

    __slots__ = ("_cancelled", "_task", "backend", "downstream", "gone_link", "hold", "request")

    def __init__(self, request: Request, backend: str, downstream: Downstream) -> None:
        self.request = request
        self.backend = backend
        self.downstream = downstream
        self.hold: HoldDriver | None = None
        self.gone_link: str | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        downstream.on_gone(self._gone)

    async def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` in the task of the caller; it is given up when the client goes."""
        self._task = task = asyncio.current_task()
        assert task is not None
        try:
            await work
        except BaseException as error:
            ours = isinstance(error, asyncio.CancelledError) and self._cancelled
            if not ours or task.uncancel() > 0:
                self._leave()
                raise
        finally:
            if self._task is task:
                self._task = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` in the background; it is given up when the client goes."""
        self._task = asyncio.get_running_loop().create_task(self._guard(work))
        self._task.add_done_callback(lambda _: work.close())  # if it was given up before it began

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await self.serve(work)
        except Exception:
            log.exception("request %d failed", self.request.trace.id)
            self.downstream.abort()

    def give_up(self) -> None:
        """Stop the work for this client, unless it is that work which asks for it."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._cancelled = True
            self._task.cancel()

    def _gone(self) -> None:
        trace = self.request.trace
        trace.note = trace.note or "the client went away"
        trace.emit()
        self._leave()
        self.give_up()

    def _leave(self) -> None:
        if self.hold is not None:
            self.hold.gone()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the holds of a proxy share.

    Attributes:
        clock: the event loop.
        chance: random numbers from 0 up to 1.
        held: the holds there are.
    """

    links: Links
    registry: Registry
    clock: Clock
    chance: Callable[[], float] = random.random
    held: set[HoldDriver] = dataclasses.field(default_factory=set)

    def take(self, client: Client, driver: HoldDriver) -> None:
        """Note that a hold has the client now."""
        client.hold = driver
        self.held.add(driver)

    def let_go(self, client: Client) -> None:
        """Note that the hold of a client is over."""
        if client.hold is not None:
            self.held.discard(client.hold)
            client.hold = None

    def ended(self, client: Client) -> None:
        """See to what is to be done when a response has ended, or its client has gone."""
        if client.gone_link is not None:
            self.links.tell_gone(client.request, client.backend, client.gone_link)
            client.gone_link = None
