"""A backend's reply to a WebSocket-over-HTTP request, taken apart: its events and what it asks for.

Looks at the reply alone; what it does to the connection is the session's business.
Source: GRIP §11.3 (replies), §11.4 (opening), §11.8 (keeping data back), §12 (extension).
"""

import dataclasses
from typing import Final

from grip.headers import Headers, Pair, parse_list
from grip.json_object import parse_integer
from grip.ws_over_http.events import CONTENT_TYPE, Event, decode_events

__all__ = [
    "MIN_KEEP_ALIVE_INTERVAL_S",
    "Reply",
    "handshake_headers",
    "is_event_reply",
    "parse_message_prefix",
    "parse_reply",
]

MIN_KEEP_ALIVE_INTERVAL_S: Final = 20
"""A shorter `Keep-Alive-Interval` is raised to this (GRIP §11.3)."""

_SET_META: Final = "set-meta-"

# Fields that do not go to the client: those for the proxy, those of the backend's connection, and
# those that the proxy answers itself.
_NOT_FOR_CLIENTS: Final = frozenset(
    {
        "connection",
        "content-bytes-accepted",
        "content-encoding",
        "content-length",
        "content-type",
        "keep-alive",
        "keep-alive-interval",
        "proxy-connection",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a reply says.

    Attributes:
        events: its events, unknown types left out.
        keep_alive_interval_s: when to send a request although there is nothing to say; 0 for
            never, None to leave that as it is.
        accepted_bytes: how much content of the request was taken, None for all of it.
        meta: metadata to remember, names as they came; an empty value removes.
    """

    events: list[Event]
    keep_alive_interval_s: int | None
    accepted_bytes: int | None
    meta: tuple[Pair, ...]


def is_event_reply(status: int, headers: Headers) -> bool:
    """Tell whether a reply carries events; any other refuses the handshake, or is an error."""
    return status == 200 and headers.get("Content-Type") == CONTENT_TYPE


def parse_reply(headers: Headers, body: bytes) -> Reply:
    """Read a reply for which `is_event_reply` holds.

    Raises:
        RemoteProtocolError: its events are malformed or exceed a limit.
    """
    accepted_bytes = parse_integer(headers.get("Content-Bytes-Accepted") or "")
    return Reply(
        events=decode_events(body),
        keep_alive_interval_s=_parse_interval(headers.get("Keep-Alive-Interval")),
        accepted_bytes=None if accepted_bytes is None or accepted_bytes < 0 else accepted_bytes,
        meta=tuple(
            (name[len(_SET_META) :], value)
            for name, value in headers
            if name.lower().startswith(_SET_META) and len(name) > len(_SET_META)
        ),
    )


def parse_message_prefix(headers: Headers) -> bytes | None:
    """Return the message prefix if a reply to `OPEN` accepts the GRIP extension, else None.

    Raises:
        RemoteProtocolError: `Sec-WebSocket-Extensions` is malformed.
    """
    for extension in parse_list(headers.get_all("Sec-WebSocket-Extensions")):
        if extension.value == "grip":
            prefix = extension.get("message-prefix")
            return b"m:" if prefix is None else prefix.encode("utf-8", "surrogateescape")
    return None


def handshake_headers(headers: Headers) -> Headers:
    """Return the fields of a reply to `OPEN` that go to the client with the `101` (§11.4)."""
    return headers.where(
        lambda name: name not in _NOT_FOR_CLIENTS and not name.startswith(_SET_META)
    )


def _parse_interval(value: str | None) -> int | None:
    if value is None:
        return None
    seconds = parse_integer(value)
    if seconds is None or seconds <= 0:
        return 0
    return max(seconds, MIN_KEEP_ALIVE_INTERVAL_S)
