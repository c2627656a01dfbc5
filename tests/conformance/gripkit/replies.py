"""Short ways to write the replies of the origin."""

import json
from collections.abc import Sequence
from typing import Any

from tests.conformance.gripkit import events
from tests.conformance.gripkit.events import Event
from tests.conformance.gripkit.origin import Gate, Reply

Fields = Sequence[tuple[str, str]]

PLAIN_TEXT = ("Content-Type", "text/plain")
WS_CONTENT_TYPE = ("Content-Type", events.CONTENT_TYPE)
WS_GRIP = ("Sec-WebSocket-Extensions", "grip")


def plain(body: bytes | Sequence[bytes | Gate] = b"", headers: Fields = (), **fields: Any) -> Reply:
    """Return an ordinary reply with a text body."""
    return Reply(headers=[PLAIN_TEXT, *headers], body=body, **fields)


def hold(mode: str, *channels: str, headers: Fields = (), **fields: Any) -> Reply:
    """Return a reply that asks for a hold on channels, by headers."""
    grip = [("Grip-Hold", mode), *(("Grip-Channel", channel) for channel in channels)]
    return Reply(headers=[PLAIN_TEXT, *grip, *headers], **fields)


def instruct(instructions: Any, **fields: Any) -> Reply:
    """Return a reply with instructions as JSON."""
    body = json.dumps(instructions).encode()
    return Reply(headers=[("Content-Type", "application/grip-instruct")], body=body, **fields)


def ws(*reply_events: Event, headers: Fields = (), **fields: Any) -> Reply:
    """Return a reply with WebSocket events."""
    return Reply(headers=[WS_CONTENT_TYPE, *headers], events=reply_events, **fields)


def ws_open(*more_events: Event, headers: Fields = (WS_GRIP,), **fields: Any) -> Reply:
    """Return a reply that accepts a WebSocket, by default with the GRIP extension."""
    return ws(events.OPEN, *more_events, headers=headers, **fields)


def control(type_: str, **fields: Any) -> Event:
    """Return a GRIP control message; underscores in names stand for dashes."""
    message = {"type": type_} | {name.replace("_", "-"): value for name, value in fields.items()}
    return events.text("c:" + json.dumps(message))


def subscribe(channel: str, **fields: Any) -> Event:
    """Return a control message that subscribes the WebSocket to a channel."""
    return control("subscribe", channel=channel, **fields)
