"""The target `test` of a Pushpin's routes: replies without a backend, to see that a proxy works.

Source: Pushpin's README (`/`, and holds on a channel below `/response` and `/stream`).
"""

from urllib.parse import parse_qs, urlsplit

from grip.headers import Headers
from host_sim.body import Body
from host_sim.messages import Request, Response

__all__ = ["reply_to"]

_REPLIES = {
    "": (200, None, "Hello from the test target.\n"),
    "/response": (200, "response", "nothing for now\n"),
    "/stream": (200, "stream", "[stream opened]\n"),
}
_UNKNOWN = (404, None, "The test target has /, /response and /stream.\n")


def reply_to(request: Request) -> Response:
    """Return what the target replies: `?channel=NAME` chooses the channel, else it is `test`."""
    parts = urlsplit(request.target)
    status, hold, text = _REPLIES.get(parts.path.rstrip("/"), _UNKNOWN)
    headers = Headers([("Content-Type", "text/plain")])
    if hold is not None:
        headers = headers.plus(("Grip-Hold", hold))
        channels = parse_qs(parts.query).get("channel", ["test"])
        headers = headers.plus(*(("Grip-Channel", channel) for channel in channels))
    reason = "OK" if status == 200 else "Not Found"
    return Response(status=status, reason=reason, headers=headers, body=Body.of(text.encode()))
