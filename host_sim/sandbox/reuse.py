"""Sandboxes that wait for another request instead of ending. Host contract §1.4.

A guest that asks for its next request is parked; the next client that comes gets the sandbox that
parked last. It saves starting an instance, and it is what the vendor's WSGI adapter does.
"""

import threading
from collections.abc import Callable

from host_sim.sandbox.border.values import Stopped, WitError
from host_sim.sandbox.state import Exchange, Sandbox
from host_sim.sandbox.waiting import Limits

__all__ = ["Parking", "PendingRequest"]


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
    """Where sandboxes wait for requests."""

    def __init__(self, give_back: Callable[[Exchange], None], limits: Limits) -> None:
        """Pass requests that a sandbox was given and did not take to `give_back`."""
        self.give_back = give_back
        self._limits = limits
        # Held until a handle is settled: whoever finds it gone from the list finds it settled.
        self._lock = threading.Lock()
        self._parked: list[PendingRequest] = []

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
                self._parked.append(pending)
            else:
                pending.settle(None)
        longest_s = self._limits.parked_s
        wait_s = longest_s if timeout_s is None else min(timeout_s, longest_s)
        sandbox.waiting.post(sandbox.waiting.loop.call_later, wait_s, self.leave, pending)
        return pending

    def offer(self, exchange: Exchange) -> bool:
        """Give a request to the sandbox that parked last; return whether there was one."""
        with self._lock:
            if not self._parked:
                return False
            self._parked.pop().settle(exchange)
        return True

    def leave(self, pending: PendingRequest) -> None:
        """Tell a parked sandbox that no request will come; others notice nothing."""
        with self._lock:
            if pending not in self._parked:
                return
            self._parked.remove(pending)
            pending.settle(None)
