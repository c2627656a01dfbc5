"""Answers to clients: what a hold or an instruction says, a backend's own, and what went wrong.

A client sees a status and a line of text; reasons go to the log. Source: GRIP §2.4, §3.4.
"""

import http
import logging
from typing import Final

from grip.headers import Headers
from host_sim.errors import BodyError
from host_sim.messages import Downstream, Response
from host_sim.trace import Trace

__all__ = ["PLAIN_TEXT", "bodiless", "fail", "pass_on", "refuse", "respond"]

log = logging.getLogger("host_sim.fanout")

PLAIN_TEXT: Final = Headers([("Content-Type", "text/plain")])
_BAD_GATEWAY = "Error while proxying to origin.\n"


def bodiless(method: str, status: int) -> bool:
    """Tell whether the answer to `method` with `status` has no body (RFC 9110 §6.4.1)."""
    return method == "HEAD" or status in (204, 304)


def respond(
    downstream: Downstream,
    trace: Trace,
    *,
    status: int,
    reason: str,
    headers: Headers,
    body: bytes,
) -> None:
    """Answer with these parts, which come from a backend or a publisher.

    A status that is none of a final response (RFC 9110 §15) is a failure of the backend.
    """
    if status < 200:
        fail(downstream, trace, _of_backend(trace, f"{status} is no status of a final response"))
        return
    downstream.send_head(status, reason, headers, len(body))
    downstream.write(body)
    downstream.finish()
    trace.emit()


async def pass_on(response: Response, downstream: Downstream, trace: Trace) -> None:
    """Relay a reply without instructions as it comes."""
    if response.tunnel is not None:
        response.tunnel.abort()
        fail(downstream, trace, _of_backend(trace, "it switched protocols unasked"))
        return
    body = response.body
    downstream.send_head(response.status, response.reason, response.headers, body.length)
    try:
        while piece := await body.read():
            downstream.write(piece)
            await downstream.drain()
            if downstream.closed:
                break
    except BodyError as error:
        trace.note = _of_backend(trace, f"the reply broke off: {error}")
        log.warning("request %d: %s", trace.id, trace.note)
        downstream.abort()
    else:
        downstream.finish()
    finally:
        await body.aclose()
        trace.emit()


def _of_backend(trace: Trace, what: str) -> str:
    """Say of which backend something is to be said."""
    return f"backend {trace.handed_off_to!r}: {what}"


def refuse(downstream: Downstream, trace: Trace, status: int, text: str) -> None:
    """Answer with an error of the proxy's own; `text` is a whole line."""
    trace.note = trace.note or text.strip()
    reason = http.HTTPStatus(status).phrase
    body = text.encode()
    respond(downstream, trace, status=status, reason=reason, headers=PLAIN_TEXT, body=body)


def fail(downstream: Downstream, trace: Trace, reason: str, status: int = 502) -> None:
    """Answer that the backend failed; `reason` is for the log."""
    log.warning("request %d: %s", trace.id, reason)
    trace.note = reason
    refuse(downstream, trace, status, _BAD_GATEWAY)
