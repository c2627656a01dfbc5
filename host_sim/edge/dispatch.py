"""One door in, one fork: every request runs the guest, whose outcome says what becomes of it.

Answered: the answer is relayed. Handed off: the client goes to Fanout, or is connected to a
backend, and never comes back. Knows no sockets, no wasm and no GRIP. Source: compute-host §1, §3.
"""

import logging
from typing import assert_never

from host_sim.edge.handoff import handed_on
from host_sim.edge.passing import GoneError, body_lost, pass_through, refuse, relay
from host_sim.errors import BodyError
from host_sim.messages import (
    Downstream,
    Failed,
    HandedOff,
    HandoffTarget,
    Outcome,
    Request,
    Responded,
    SandboxRunner,
    Upstream,
)

__all__ = ["Dispatcher"]

log = logging.getLogger("host_sim.edge")
steps = logging.getLogger("host_sim.steps")


class Dispatcher:
    """The edge (`messages.Handler`)."""

    def __init__(self, sandboxes: SandboxRunner, fanout: HandoffTarget, upstream: Upstream) -> None:
        """Run requests in `sandboxes`; give clients to `fanout`, or to a backend of `upstream`."""
        self._sandboxes = sandboxes
        self._fanout = fanout
        self._upstream = upstream

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer a request, or see to it that somebody does."""
        number = {"request_id": request.trace.id}
        url = request.scheme, request.authority, request.target
        steps.debug("handling request %s %s://%s%s", request.method, *url, extra=number)
        try:
            outcome = await self._sandboxes.run(request)
            steps.debug("response status: %d", _status(outcome), extra=number)
            match outcome:
                case Responded(response=response):
                    await relay(response, request, downstream)
                case HandedOff():
                    await self._hand_off(outcome, request, downstream)
                case Failed(status=status, reason=reason):
                    log.error("request %d: %s", request.trace.id, reason)
                    text = f"the service failed; see the log for request {request.trace.id}"
                    refuse(request, downstream, status, text, note=reason)
                case _:
                    assert_never(outcome)
        except GoneError:
            log.debug("request %d: the client has gone", request.trace.id)
        finally:
            request.trace.emit()

    async def _hand_off(self, outcome: HandedOff, request: Request, downstream: Downstream) -> None:
        """Give the client to Fanout, or pass it through to a backend (§3.2, §3.3)."""
        request.trace.handed_off_to = outcome.backend
        steps.debug(
            "%s handoff signaled to backend '%s'",
            "Pushpin" if outcome.to_fanout else "Backend",
            outcome.backend,
            extra={"request_id": request.trace.id},
        )
        try:
            onward = handed_on(request, outcome)
        except BodyError as error:
            body_lost(request, downstream, error)
            return
        if outcome.to_fanout:
            await self._fanout.take(onward, outcome.backend, downstream)
        else:
            sent = self._upstream.send(onward, outcome.backend)
            await pass_through(sent, request, downstream)


def _status(outcome: Outcome) -> int:
    """Return the status of an answer; a hand-off has none yet and counts as 200."""
    match outcome:
        case Responded(response=response):
            return response.status
        case HandedOff():
            return 200
        case Failed(status=status):
            return status
        case _:
            assert_never(outcome)
