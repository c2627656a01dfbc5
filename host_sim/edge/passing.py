"""Answers on their way to a client of the edge: a guest's, a backend's, or why there is none.

A client that was handed off is passed through: what the other side answers comes as it is, and
after a `101` the two connections are one. Source: compute-host §3.3.
"""

import asyncio
import logging
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Literal, assert_never

from grip.headers import Headers
from host_sim.body import Body
from host_sim.edge.tunnels import join
from host_sim.errors import BackendError, BackendFault, BodyError, UnfitRequestError
from host_sim.messages import Downstream, Request, Response

__all__ = ["GoneError", "answer", "body_lost", "pass_through", "refuse", "relay"]

log = logging.getLogger("host_sim.edge")


class GoneError(Exception):
    """The client went while its request was served; nobody is left to be told."""


async def pass_through(
    asking: Coroutine[Any, Any, Response],
    request: Request,
    downstream: Downstream,
    *,
    to: Literal["Backend", "Pushpin"] = "Backend",
) -> None:
    """Send on what a backend answers; after a 101 the two connections are one (§3.3).

    Args:
        asking: asks it.
        request: what it is asked.
        downstream: the client.
        to: what kind of target it is, in words for the client.

    Raises:
        GoneError: the client went before the answer had ended.
    """
    try:
        response = await _unless_gone(asking, downstream)
        if response.tunnel is None:
            await relay(response, request, downstream)
        else:
            join(response.tunnel, downstream.upgrade(response.headers))
    except BackendError as error:
        status, text = _explain(error, to)
        answer(request, downstream, status, text, note=str(error))


async def relay(response: Response, request: Request, downstream: Downstream) -> None:
    """Send a response on as it comes, until it ends or breaks off.

    Raises:
        GoneError: the client went.
    """
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
        downstream.finish(body.trailers)
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


async def _unless_gone[T](work: Coroutine[Any, Any, T], downstream: Downstream) -> T:
    """Return what `work` does, which is cancelled when the client goes.

    Raises:
        GoneError: the client went.
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
        raise GoneError from None


def refuse(request: Request, downstream: Downstream, status: int, text: str, *, note: str) -> None:
    """Answer with a line of text; `note` goes to the log with the request."""
    answer(request, downstream, status, f"{text}\n", note=note)


def answer(request: Request, downstream: Downstream, status: int, text: str, *, note: str) -> None:
    """Answer with exactly this text; `note` goes to the log with the request."""
    request.trace.note = note
    content = text.encode("utf-8", "replace")
    headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
    downstream.send_head(status, HTTPStatus(status).phrase, headers, len(content))
    downstream.write(content)
    downstream.finish()


def body_lost(request: Request, downstream: Downstream, error: BodyError) -> None:
    """Answer that a body cannot be sent on, since too much of it was read."""
    text = "The request cannot be handed off: its body was too large to be kept."
    refuse(request, downstream, 500, text, note=str(error))


def _explain(error: BackendError, to: str) -> tuple[int, str]:
    """Return status and text for a hand-off that failed, in Viceroy's words (§3.3)."""
    if isinstance(error, UnfitRequestError):
        return 500, f"Error: Failed to build {to} [{error.backend}] request: {error.detail}"
    match error.fault:
        case BackendFault.UNKNOWN:
            return 500, f"Backend handoff signaled to unknown backend '{error.backend}'."
        case BackendFault.UNREACHABLE | BackendFault.TIMEOUT:  # connecting is all that has a limit
            return 500, f"Error: Could not connect to handoff target: {error.detail}."
        case BackendFault.LOOP:
            return 508, "Error: Handoff request failed: it came back too often"
        case BackendFault.CLOSED | BackendFault.INVALID:
            return 502, f"Error: Handoff request failed: {error.detail}"
        case _:
            assert_never(error.fault)
