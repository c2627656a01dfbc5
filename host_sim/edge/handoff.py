"""The request that goes on after a hand-off: partly the client's, partly the guest's. Pure.

A guest chooses method, target and most headers; body and protected headers stay the client's,
whatever the guest did with them. Source: compute-host §3.2.
"""

import dataclasses

from grip.headers import Headers
from host_sim.messages import HandedOff, Request

__all__ = ["PROTECTED", "handed_on"]

PROTECTED = frozenset(
    {
        *("host", "connection", "upgrade", "sec-websocket-version", "sec-websocket-key"),
        *("content-length", "content-range", "transfer-encoding", "expect", "te", "trailer"),
        *("proxy-authenticate", "proxy-authorization", "cdn-loop", "fastly-ff", "pushpin-route"),
    }
)
"""Lower-case names of headers that a guest can neither add, change nor remove."""


def handed_on(original: Request, outcome: HandedOff) -> Request:
    """Return the request to send on for a client that was handed off.

    Towards a WebSocket proxy it has no `Host`: the backend's own is put in on the way.

    Args:
        original: the client's request, which the guest may have read.
        outcome: what the guest passed to the call.

    Raises:
        BodyError: the guest read more of the body than is kept for sending it again.
    """
    kept = original.headers.where(lambda name: name in PROTECTED)
    given = outcome.headers.where(lambda name: name not in PROTECTED)
    headers = Headers([*kept, *given])
    return dataclasses.replace(
        original,
        method=outcome.method,
        target=outcome.target,
        headers=headers if outcome.to_fanout else headers.without("host"),
        authority=original.authority if outcome.to_fanout else "",
        body=original.body.replay(),
    )
