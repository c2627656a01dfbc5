"""Which sandbox serves a request: one that waits for another, or a new one. Host contract §1.4.

A guest that asks for its next request is parked; the next client that comes gets the sandbox that
parked last. It saves starting an instance, and it is what the vendor's WSGI adapter does.

A new one is started while fewer guests are at work than there are cores. Beyond that it would only
slow down the others, of whom one may ask for a request before it had begun; so the request waits in
line, for a guest that asks, or for one that ends or waits for something itself, but not for long.
"""

import collections
import os
import threading
from collections.abc import Callable

from host_sim.sandbox.border.values import Stopped, WitError
from host_sim.sandbox.state import Exchange, Sandbox
from host_sim.sandbox.waiting import Limits

__all__ = ["PATIENCE_S", "Parking", "PendingRequest"]

PATIENCE_S = 0.1
"""How long a request waits in line, in seconds: guests at work may be asleep, or never end."""


class PendingRequest:
    """A request to come, as a handle: either it is given one, or it learns that none will come."""

    def __init__(self, sandbox: Sandbox, parking: "Parking") -> None:
        self._sandbox = sandbox
        self._parking = parking
        self._given: Exchange | None = None
        self.ready = False

    def settle(self, exchange: Exchange | None) -> None:
        """Give it a request, or None for no more; once, from any thread."""
        self._given = exchange
        self.ready = True
        self._sandbox.waiting.notify()

    def take(self) -> Exchange | None:
        """Wait for a request; None when none comes.

        Raises:
            Stopped: the guest may not go on.
        """
        waiting = self._sandbox.waiting
        waiting.pause_request()
        try:
            waiting.wait_for(lambda: self.ready)
        except Stopped:
            self.dropped()
            raise
        waiting.restart_request()
        self._sandbox.asking = None
        given, self._given = self._given, None
        return given

    def dropped(self) -> None:
        """Ask no more; a request that was given already goes to another sandbox."""
        self._parking.leave(self)
        self._sandbox.asking = None
        given, self._given = self._given, None
        if given is not None:
            self._parking.give_back(given)


class Parking:
    """Where sandboxes wait for requests, and requests for sandboxes."""

    def __init__(
        self,
        start: Callable[[Exchange], None],
        give_back: Callable[[Exchange], None],
        limits: Limits,
        cores: int | None = None,
    ) -> None:
        """Bring requests and sandboxes together.

        Args:
            start: starts a sandbox for a request, which then is at work; on the event loop.
            give_back: gets requests that a sandbox was given and did not take; from any thread.
            limits: how many sandboxes are parked, and for how long.
            cores: how many guests are at work before requests wait; None for the machine's.
        """
        self._start = start
        self.give_back = give_back
        self._limits = limits
        self._cores = cores or os.cpu_count() or 1
        # Held until a handle is settled: whoever finds it gone from the list finds it settled.
        self._lock = threading.Lock()
        self._parked: list[PendingRequest] = []
        self._line: collections.deque[Exchange] = collections.deque()
        self._at_work = 0

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, sandbox: Sandbox, timeout_s: float | None) -> PendingRequest:
        """Let a sandbox ask for its next request, for the longest time where `timeout_s` is None.

        The clock starts here. A sandbox that has used up its requests, or finds no room, learns at
        once that none will come, and will hear nothing else any more.

        Raises:
            WitError: `limit-exceeded`, it is asking already.
        """
        if sandbox.asking is not None:
            raise WitError("limit-exceeded")
        sandbox.asking = pending = PendingRequest(sandbox, self)
        with self._lock:
            if len(self._parked) >= self._limits.parked:
                sandbox.requests_left = 0
            if sandbox.requests_left > 0:
                sandbox.requests_left -= 1
                if (exchange := self._first_in_line()) is not None:
                    pending.settle(exchange)
                    return pending
                self._parked.append(pending)
            else:
                pending.settle(None)
        longest_s = self._limits.parked_s
        wait_s = longest_s if timeout_s is None else min(timeout_s, longest_s)
        sandbox.waiting.post(sandbox.waiting.loop.call_later, wait_s, self.leave, pending)
        return pending

    def serve(self, exchange: Exchange) -> None:
        """Give a request to the sandbox that parked last, a new one, or who is free first.

        On the event loop.
        """
        with self._lock:
            if self._parked:
                self._parked.pop().settle(exchange)
                return
            if self._at_work >= self._cores:
                self._line.append(exchange)
                exchange.outcome.get_loop().call_later(PATIENCE_S, self._hurry, exchange)
                return
            self._at_work += 1
        self._start(exchange)

    def leave_line(self) -> list[Exchange]:
        """Return the requests that wait for a sandbox, which no longer do."""
        with self._lock:
            line = list(self._line)
            self._line.clear()
        return line

    def work(self) -> None:
        """Note that a guest goes on which rested; from any thread."""
        with self._lock:
            self._at_work += 1

    def rest(self) -> None:
        """Note that a guest has ended or waits, and let one start in its place; any thread."""
        with self._lock:
            self._at_work -= 1
            if self._at_work >= self._cores or (exchange := self._first_in_line()) is None:
                return
            self._at_work += 1
        try:
            exchange.outcome.get_loop().call_soon_threadsafe(self._start, exchange)
        except RuntimeError:  # the event loop has ended, and its clients with it
            return

    def _first_in_line(self) -> Exchange | None:
        """Take who has waited for longest out of the line, but nobody whose client has gone."""
        while self._line:
            exchange = self._line.popleft()
            if not exchange.outcome.done():
                return exchange
        return None

    def _hurry(self, exchange: Exchange) -> None:
        with self._lock:
            if exchange not in self._line:
                return
            self._line.remove(exchange)
            self._at_work += 1
        self._start(exchange)

    def leave(self, pending: PendingRequest) -> None:
        """Tell a parked sandbox that no request will come; others notice nothing."""
        with self._lock:
            if pending not in self._parked:
                return
            self._parked.remove(pending)
            pending.settle(None)
