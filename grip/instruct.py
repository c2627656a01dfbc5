"""Instructions of a backend to the proxy: `Grip-*` headers and `application/grip-instruct`.

Source: GRIP §instructions by headers, §instructions as JSON.
"""

import dataclasses
import enum
from collections.abc import Mapping

from grip.headers import Headers

__all__ = ["Channel", "Hold", "HoldMode", "Instruct", "KeepAlive", "KeepAliveMode", "Link"]


class HoldMode(enum.Enum):
    """How a request is held."""

    RESPONSE = "response"
    STREAM = "stream"


class KeepAliveMode(enum.Enum):
    """When keep-alive data is due: after silence, or regularly."""

    IDLE = "idle"
    INTERVAL = "interval"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A subscription: channel name, the id it is at, and its filters in order."""

    name: str
    prev_id: str | None = None
    filters: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """What to send into a stream, and after how many seconds."""

    content: bytes
    timeout_s: int = 55
    mode: KeepAliveMode = KeepAliveMode.IDLE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Hold the client's request.

    Attributes:
        timeout_s: seconds until a long poll ends, at least 5.
        channels: at most 20, each name once.
    """

    mode: HoldMode
    channels: tuple[Channel, ...] = ()
    timeout_s: int = 55
    keep_alive: KeepAlive | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A `next` or `gone` link; `uri` as given, absolute or relative."""

    uri: str
    timeout_s: int = 120


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Instruct:
    """A backend's reply, understood.

    Attributes:
        hold: how to hold, None to answer at once.
        next_link, gone_link: links to follow, None without.
        status, reason, headers: head of the response for the client; `Grip-*` removed and
            `Grip-Expose-Headers` obeyed, `Content-Length` removed.
        body: body of that response, None where it is the body of the reply itself.
        meta: metadata of the subscriber, for filters.
    """

    hold: Hold | None
    next_link: Link | None
    gone_link: Link | None
    status: int
    reason: str
    headers: Headers
    body: bytes | None
    meta: Mapping[str, str]
