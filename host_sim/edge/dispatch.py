"""One door in, one fork: every request runs the guest, whose outcome says what becomes of it.

Answered: the answer is relayed. Handed off: the client goes to Fanout, or is connected to a
backend, and never comes back. Knows no sockets, no wasm and no GRIP. Source: compute-host §1, §3.
"""

import asyncio
import logging
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, assert_never

from grip.headers import Headers
from host_sim.body import Body
from host_sim.edge.handoff import handed_on
from host_sim.edge.tunnels import join
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.messages import (
    Downstream,
    Failed,
    HandedOff,
    HandoffTarget,
    Request,
    Responded,
    Response,
    SandboxRunner,
    Upstream,
)

__all__ = ["Dispatcher"]

log = logging.getLogger("host_sim.edge")


class Dispatcher:
    """The edge (`messages.Handler`)."""

    def __init__(self, sandboxes: SandboxRunner, fanout: HandoffTarget, upstream: Upstream) -> None:
        """Run requests in `sandboxes`; give clients to `fanout`, or to a backend of `upstream`."""
        self._sandboxes = sandboxes
        self._fanout = fanout
        self._upstream = upstream

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer a request, or see to it that somebody does."""
        try:
            outcome = await self._sandboxes.run(request)
            match outcome:
                case Responded(response=response):
                    await relay(response, request, downstream)
                case HandedOff(to_fanout=True):
                    await self._to_fanout(outcome, request, downstream)
                case HandedOff():
                    await self._to_backend(outcome, request, downstream)
                case Failed(status=status, reason=reason):
                    log.error("request %d: %s", request.trace.id, reason)
                    text = f"the service failed; see the log for request {request.trace.id}"
                    refuse(request, downstream, status, text, note=reason)
                case _:
                    assert_never(outcome)
        except _GoneError:
            log.debug("request %d: the client has gone", request.trace.id)
        finally:
            request.trace.emit()

    async def _to_fanout(
        self, outcome: HandedOff, request: Request, downstream: Downstream
    ) -> None:
        request.trace.handed_off_to = outcome.backend
        try:
            onward = handed_on(request, outcome)
        except BodyError as error:
            _body_lost(request, downstream, error)
            return
        await self._fanout.take(onward, outcome.backend, downstream)

    async def _to_backend(
        self, outcome: HandedOff, request: Request, downstream: Downstream
    ) -> None:
        """Pass the client through, with both connections switched after a 101 (§3.2, §3.3)."""
        request.trace.handed_off_to = outcome.backend
        try:
            onward = handed_on(request, outcome)
            response = await _unless_gone(self._upstream.send(onward, outcome.backend), downstream)
        except BodyError as error:
            _body_lost(request, downstream, error)
            return
        except BackendError as error:
            status, text = _explain(error)
            refuse(request, downstream, status, text, note=str(error))
            return
        if response.tunnel is None:
            await relay(response, request, downstream)
        else:
            join(response.tunnel, downstream.upgrade(response.headers))


async def _unless_gone[T](work: Coroutine[Any, Any, T], downstream: Downstream) -> T:
    """Return what `work` does, which is cancelled when the client goes.

    Raises:
        _GoneError: the client went.
    """
    task = asyncio.create_task(work)

    def cancel() -> None:
        task.cancel()

    downstream.on_gone(cancel)
    try:
        return await task
    except asyncio.CancelledError:
        own = asyncio.current_task()
        if own is not None and own.cancelling():
            raise
        raise _GoneError from None


class _GoneError(Exception):
    """The client went while its request was served; nobody is left to be told."""


async def relay(response: Response, request: Request, downstream: Downstream) -> None:
    """Send a response on as it comes, until it ends, breaks off, or the client goes."""
    body = response.body
    downstream.send_head(response.status, response.reason, response.headers, body.length)
    try:
        if request.method != "HEAD" and response.status not in (204, 304):
            await _copy(body, downstream)
    except BodyError as error:
        log.warning("request %d: the answer broke off: %s", request.trace.id, error)
        request.trace.note = f"the answer broke off: {error}"
        downstream.abort()
    else:
        downstream.finish()
    finally:
        await body.aclose()


async def _copy(body: Body, downstream: Downstream) -> None:
    pieces = body.at_hand
    if pieces is None:
        await _unless_gone(_stream(body, downstream), downstream)
    else:
        downstream.write(b"".join(pieces))


async def _stream(body: Body, downstream: Downstream) -> None:
    while piece := await body.read():
        downstream.write(piece)
        await downstream.drain()


def refuse(request: Request, downstream: Downstream, status: int, text: str, *, note: str) -> None:
    """Answer with a line of text; `note` goes to the log with the request."""
    request.trace.note = note
    content = f"{text}\n".encode()
    headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
    downstream.send_head(status, HTTPStatus(status).phrase, headers, len(content))
    downstream.write(content)
    downstream.finish()


def _body_lost(request: Request, downstream: Downstream, error: BodyError) -> None:
    text = "The request cannot be handed off: its body was too large to be kept."
    refuse(request, downstream, 500, text, note=str(error))


def _explain(error: BackendError) -> tuple[int, str]:
    """Return status and text for a hand-off that failed (§3.3)."""
    match error.fault:
        case BackendFault.UNKNOWN:
            return 500, f"Backend handoff signaled to unknown backend '{error.backend}'."
        case BackendFault.UNREACHABLE:
            return 500, "Error: Could not connect to handoff target."
        case BackendFault.TIMEOUT:
            return 504, "Error: Handoff request failed: no response in time."
        case BackendFault.LOOP:
            return 508, "Error: Handoff request failed: it came back too often."
        case BackendFault.CLOSED | BackendFault.INVALID:
            return 502, "Error: Handoff request failed."
        case _:
            assert_never(error.fault)
