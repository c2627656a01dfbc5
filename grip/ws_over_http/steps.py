"""What can happen to a WebSocket at the proxy, and what its session asks the driver to do.

The words of `session`, apart from the machine that speaks them.
"""

import dataclasses

from grip.headers import Headers
from grip.ws_over_http.control import Outgoing
from grip.ws_over_http.events import Close

__all__ = [
    "Accept",
    "Ask",
    "CloseItem",
    "Delivered",
    "Drop",
    "Fail",
    "Failed",
    "Faulted",
    "Gone",
    "Handshake",
    "Hangup",
    "Join",
    "Leave",
    "Received",
    "Refresh",
    "Refuse",
    "Refused",
    "Replied",
    "Send",
    "SendClose",
    "SessionAction",
    "SessionEvent",
    "Tick",
    "Unreachable",
]


# Events.


@dataclasses.dataclass(frozen=True, slots=True)
class Handshake:
    """A client asks for a WebSocket; its handshake is valid."""


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """The client sent a whole message, a ping, a pong or a close."""

    event: Outgoing | Close


@dataclasses.dataclass(frozen=True, slots=True)
class Faulted:
    """The client broke the protocol, which is to be answered with a close frame like this."""

    code: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Gone:
    """The client's connection has ended."""


@dataclasses.dataclass(frozen=True, slots=True)
class Replied:
    """The backend answered the request with events (`reply.is_event_reply`)."""

    headers: Headers
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The backend answered the request with something else; `reason` is for the log."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """The request reached the backend and got no usable reply, or none in time.

    `reason` is for the log.
    """

    reason: str
    timed_out: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Unreachable:
    """The request did not reach the backend; `chance` is a random number from 0 up to 1."""

    reason: str
    chance: float


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """A published message was sent to the client; matters if `wants_deliveries`."""


@dataclasses.dataclass(frozen=True, slots=True)
class CloseItem:
    """An item that closes was published (GRIP §8.4); `code` None means 1000."""

    code: int | None
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Refresh:
    """An item that asks for a request to the backend was published (GRIP §8.4)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


type SessionEvent = (
    Handshake
    | Received
    | Faulted
    | Gone
    | Replied
    | Refused
    | Failed
    | Unreachable
    | Delivered
    | CloseItem
    | Refresh
    | Tick
)


# Actions.


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """Send a POST with these fields, besides those of the handshake, and tell how it ended."""

    headers: Headers
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Accept:
    """Answer the handshake with `101` and these fields, besides those of RFC 6455."""

    headers: Headers


@dataclasses.dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the handshake with the backend's reply as it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fail:
    """Answer the handshake with 502, or 504 after a time-out; `reason` is for the log."""

    reason: str
    timed_out: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Send a message, a ping or a pong to the client."""

    message: Outgoing


@dataclasses.dataclass(frozen=True, slots=True)
class SendClose:
    """Send a close frame to the client; nothing may be sent after it, published items neither."""

    code: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Hangup:
    """End the client's connection when all is sent."""


@dataclasses.dataclass(frozen=True, slots=True)
class Drop:
    """Cut the client's connection at once; `reason` is for the log."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Join:
    """Subscribe the connection to a channel."""

    channel: str


@dataclasses.dataclass(frozen=True, slots=True)
class Leave:
    """End a subscription."""

    channel: str


type SessionAction = Ask | Accept | Refuse | Fail | Send | SendClose | Hangup | Drop | Join | Leave
