"""Sends one WebSocket-over-HTTP request to a backend, and says how that ended.

Source: GRIP §11.2 (requests), §11.3 (replies), §11.7 (what is an error).
"""

import random

from grip.ws_over_http import steps
from grip.ws_over_http.events import MAX_BODY_BYTES
from grip.ws_over_http.reply import is_event_reply
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.fanout.forward import Forwarder
from host_sim.messages import Request, Response

__all__ = ["Ending", "ask_backend"]

type Ending = steps.Replied | steps.Failed | steps.Unreachable | Response
"""How a request ended; a `Response` is one without events, its body still to be read."""


async def ask_backend(
    forwarder: Forwarder, request: Request, backend: str, ask: steps.Ask
) -> Ending:
    """Send a request.

    Args:
        forwarder: the way to backends.
        request: the handshake, as a POST with the fields that go with every request.
        backend: its name.
        ask: what the session wants to be sent.
    """
    headers = request.headers.plus(*ask.headers)
    try:
        response = await forwarder.send(request, backend, headers=headers, body=Body.of(ask.body))
    except BackendError as error:
        match error.fault:
            case BackendFault.UNREACHABLE:
                return steps.Unreachable(error.reason, random.random())  # noqa: S311  no secret
            case fault:
                return steps.Failed(error.reason, timed_out=fault is BackendFault.TIMEOUT)
    if not is_event_reply(response.status, response.headers):
        return response
    try:
        body = await response.body.whole(MAX_BODY_BYTES, forwarder.timeout_s)
    except BodyError as error:
        return steps.Failed(f"the reply broke off: {error}", timed_out=error.timed_out)
    finally:
        await response.body.aclose()
    if body is None:
        return steps.Failed(f"a reply of more than {MAX_BODY_BYTES} bytes")
    return steps.Replied(response.headers, body)
