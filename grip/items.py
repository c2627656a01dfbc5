"""Publish items and their formats, and the JSON a publisher sends.

Source: GRIP §publishing (items, formats).
"""

import dataclasses
import enum
from collections.abc import Mapping

from grip.headers import Headers

__all__ = [
    "Action",
    "HttpResponseFormat",
    "HttpStreamFormat",
    "Item",
    "MessageType",
    "WsMessageFormat",
]


class Action(enum.Enum):
    """What an item does to a subscriber."""

    SEND = "send"
    HINT = "hint"
    CLOSE = "close"
    REFRESH = "refresh"


class MessageType(enum.Enum):
    """Type of a WebSocket message."""

    TEXT = "text"
    BINARY = "binary"
    PING = "ping"
    PONG = "pong"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponseFormat:
    """Format `http-response`: the answer to a long poll.

    Attributes:
        code: status, 0 to 999.
        reason: reason phrase, None for the usual one.
        headers: fields of the item, without `Grip-*` removed yet.
        body: body, None when `patch` is given.
        patch: JSON Patch operations (RFC 6902) for the body of the hold's reply.
        content_filters: the content filters the publisher counts on, None if it does not say.
    """

    action: Action = Action.SEND
    code: int = 200
    reason: str | None = None
    headers: Headers = dataclasses.field(default_factory=Headers)
    body: bytes | None = b""
    patch: tuple[Mapping[str, object], ...] | None = None
    content_filters: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpStreamFormat:
    """Format `http-stream`: a piece of a stream."""

    action: Action = Action.SEND
    content: bytes = b""
    content_filters: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WsMessageFormat:
    """Format `ws-message`: one WebSocket message, or a close.

    Attributes:
        content: the payload; text is UTF-8.
        type: type of the message.
        code: close code for `Action.CLOSE`, None for 1000.
        reason: close reason.
    """

    action: Action = Action.SEND
    content: bytes = b""
    type: MessageType = MessageType.TEXT
    code: int | None = None
    reason: str = ""
    content_filters: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One published item: one channel, at most one payload per format.

    Attributes:
        id: id of the item within its channel.
        prev_id: id of the item before it.
        no_seq: deliver at once, whatever its ids.
        meta: metadata for delivery filters.
    """

    channel: str
    http_response: HttpResponseFormat | None = None
    http_stream: HttpStreamFormat | None = None
    ws_message: WsMessageFormat | None = None
    id: str | None = None
    prev_id: str | None = None
    no_seq: bool = False
    meta: Mapping[str, str] = dataclasses.field(default_factory=dict)
