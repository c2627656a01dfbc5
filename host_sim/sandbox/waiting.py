"""How a guest's thread waits for the event loop, and how long it may run.

Everything a guest can wait for (an upstream answer, bytes of a body, room in a stream) rings one
bell per sandbox, so `select` over any of them is a wait for a condition, and stopping the guest
wakes it wherever it waits. Time spent waiting costs the guest none of its CPU time.
"""

import asyncio
import concurrent.futures
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from host_sim.sandbox.border.values import Stopped

__all__ = ["STOPPING", "Limits", "Pending", "Turns", "Waiting"]

STOPPING = "the simulator is shutting down"
"""Why a guest is stopped that did nothing wrong."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one sandbox may use, and when it may be used again. Host contract §8, §1.4.

    Attributes:
        memory_bytes: size of each linear memory.
        cpu_s: CPU time of the guest's thread.
        request_timeout_s: time from a request's start to the end of its guest.
        reuse: requests a sandbox may have after its first; 0 for none.
        parked: how many sandboxes may wait for a next request at a time.
        parked_s: how long one may wait.
    """

    memory_bytes: int = 128 << 20
    cpu_s: float = 10.0
    request_timeout_s: float = 120.0
    reuse: int = 5
    parked: int = 5
    parked_s: float = 10.0


class Turns(Protocol):
    """Whoever wants to know how many guests are at work."""

    def rest(self) -> None:
        """Note that one waits."""

    def work(self) -> None:
        """Note that it goes on."""


class Waiting:
    """One sandbox's bell and clock; methods are the guest's thread's unless they say otherwise."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: Limits, turns: Turns | None = None
    ) -> None:
        """Give a guest `limits`; what it waits for happens on `loop`, and `turns` is told."""
        self.loop = loop
        self.limits = limits
        self._turns = turns
        self._bell = threading.Condition()
        self._stopped: str | None = None
        self._deadline = time.monotonic() + limits.request_timeout_s
        self._cpu_from = 0.0
        self._cpu_until = limits.cpu_s

    def start_cpu(self) -> None:
        """Count CPU time from here on, on the calling thread."""
        self._cpu_from = time.thread_time()

    def restart_request(self) -> None:
        """Give a request all of its time."""
        self._deadline = time.monotonic() + self.limits.request_timeout_s
        self._cpu_until = self.cpu_s + self.limits.cpu_s

    def pause_request(self) -> None:
        """Stop the clock of the request at hand: it is served, and the next one has not come."""
        self._deadline = math.inf

    @property
    def cpu_s(self) -> float:
        """CPU time used so far, in seconds."""
        return time.thread_time() - self._cpu_from

    def check(self) -> None:
        """Say whether the guest may go on.

        Raises:
            Stopped: it may not.
        """
        if self._stopped is not None:
            raise Stopped(self._stopped)
        if time.monotonic() > self._deadline:
            raise Stopped(
                f"the request took longer than {self.limits.request_timeout_s:g} s "
                "(the limit is --request-timeout)"
            )
        if self.cpu_s > self._cpu_until:
            raise Stopped(
                f"the guest computed for more than {self.limits.cpu_s:g} s; does it loop?"
            )

    def notify(self) -> None:
        """Ring the bell; from any thread."""
        with self._bell:
            self._bell.notify_all()

    def stop(self, reason: str) -> None:
        """End the guest at its next step or wait; from any thread."""
        self._stopped = reason
        self.notify()

    def wait_for(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until `ready`; return False when `timeout_s` is over first.

        Raises:
            Stopped: the guest may not go on.
        """
        if ready():
            return True
        if self._turns is None:
            return self._wait_for(ready, timeout_s)
        self._turns.rest()
        try:
            return self._wait_for(ready, timeout_s)
        finally:
            self._turns.work()

    def _wait_for(self, ready: Callable[[], bool], timeout_s: float | None) -> bool:
        until = None if timeout_s is None else time.monotonic() + timeout_s
        with self._bell:
            while not ready():
                self.check()
                now = time.monotonic()
                if until is not None and now >= until:
                    return False
                end = self._deadline if until is None else min(until, self._deadline)
                self._bell.wait(min(max(0.0, end - now), threading.TIMEOUT_MAX))
        return True

    def start[Result](self, coroutine: Coroutine[Any, Any, Result]) -> "Pending[Result]":
        """Run a coroutine on the event loop.

        Raises:
            Stopped: the event loop has ended.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError as error:
            coroutine.close()
            raise Stopped(STOPPING) from error
        return Pending(self, future)

    def post(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call something on the event loop, soon; nothing happens when the loop has ended."""
        try:
            self.loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            return


class Pending[Result]:
    """Something that happens on the event loop, and what comes of it."""

    __slots__ = ("_future", "_waiting")

    def __init__(self, waiting: Waiting, future: concurrent.futures.Future[Result]) -> None:
        self._waiting = waiting
        self._future = future
        future.add_done_callback(lambda _: waiting.notify())

    @property
    def ready(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return self._future.done()

    def result(self) -> Result:
        """Wait for the end and return the result, or raise what was raised.

        Raises:
            Stopped: the guest may not go on, or the event loop has ended.
        """
        self._waiting.wait_for(self._future.done)
        try:
            return self._future.result()
        except concurrent.futures.CancelledError:
            raise Stopped(STOPPING) from None

    async def arrived(self) -> Result:
        """Return the same, on the event loop."""
        return await asyncio.wrap_future(self._future)

    def cancel(self) -> Result | None:
        """Give up on it; return the result if it was there already."""
        if self._future.cancel() or self._future.cancelled() or self._future.exception():
            return None
        return self._future.result()
