"""The words that holds of HTTP requests have in common: what happens to them, what they ask for.

Two machines speak them: `grip.response_hold` for long polls and `grip.stream_hold` for streams.
Each has one door, `handle(event, now)`, which returns the actions for its driver to carry out in
order, and a `deadline`, by which the driver sends a `Tick`. A driver owns the transport and the
subscriptions; a machine only decides. Source: GRIP §5, §6, §7, §9.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from grip.errors import LocalProtocolError
from grip.headers import Headers
from grip.instruct import Instruct
from grip.items import Item

__all__ = [
    "AS_PUBLISHED",
    "MAX_QUEUED",
    "Action",
    "Answered",
    "Append",
    "Ask",
    "Cut",
    "Data",
    "Fail",
    "Failed",
    "Fetch",
    "Finish",
    "Forget",
    "Gone",
    "Held",
    "LastId",
    "Published",
    "Refresh",
    "Reply",
    "ReplyBroke",
    "ReplyEnd",
    "Respond",
    "Rule",
    "Shutdown",
    "Subscribe",
    "Tick",
    "Write",
    "refusal",
    "transitions",
]

MAX_QUEUED = 100
"""Items kept for a hold while its backend is being asked; more are dropped."""

type LastId = tuple[str, str]
"""A channel and the `prev-id` a hold is at, as told to a backend in `Grip-Last`."""


# Events of both machines.


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """An item of a channel this hold is subscribed to is processed."""

    item: Item


@dataclasses.dataclass(frozen=True, slots=True)
class Refresh:
    """Publishes may have been missed, for example before the first subscription (§9.5)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `chance` is a random number from 0 up to 1."""

    chance: float


@dataclasses.dataclass(frozen=True, slots=True)
class Gone:
    """The client has gone."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shutdown:
    """The proxy is about to stop: end the response as well as can be."""


# Events of a response hold.


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """The backend's reply asks to hold the response.

    Attributes:
        instruct: the reply, understood.
        body: the body of the response if the hold times out.
        lasts: ids of the last items processed, for those of the hold's channels where it is known.
    """

    instruct: Instruct
    body: bytes
    lasts: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Answered:
    """The client gets its answer without this hold, for example from the backend itself."""


# Events of a stream hold.


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """The head of a backend's reply has come, first to the client's request, then to links."""

    instruct: Instruct


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    """A piece of the reply's body has come."""

    content: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The reply is complete; `lasts` and `chance` as in `Held` and `Tick`."""

    lasts: Mapping[str, str]
    chance: float


@dataclasses.dataclass(frozen=True, slots=True)
class ReplyBroke:
    """The reply broke off in mid-body; `chance` as in `Tick`."""

    chance: float


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """A link could not be fetched: no reply, or not a 2xx; `chance` as in `Tick`."""

    chance: float


# Actions of both machines.


@dataclasses.dataclass(frozen=True, slots=True)
class Subscribe:
    """Be subscribed to these channels from now on, and to no others."""

    channels: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Forget:
    """Forget the last id of a channel: it does not fit what this hold has seen (§9.4)."""

    channel: str


# Actions of a response hold.


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """Send the client's request to the backend again, with these `Grip-Last`."""

    last_ids: tuple[LastId, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Respond:
    """Answer the client; the hold is over."""

    status: int
    reason: str
    headers: Headers
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Fail:
    """Answer the client that the backend failed (502); `reason` is for the log."""

    reason: str


# Actions of a stream hold.


@dataclasses.dataclass(frozen=True, slots=True)
class Append:
    """Append the content of the item just published, as it is, so that all can share it."""


AS_PUBLISHED: Final = (Append(),)
"""All that a stream asks for with nearly every item; made once, so that drivers can tell it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """Append `content` to the response."""

    content: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch a link: GET of an absolute `url` with these `Grip-Last`.

    `urgent` ones go at once; for others a limit of requests per second may apply (§9.4).
    """

    url: str
    last_ids: tuple[LastId, ...]
    urgent: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Finish:
    """End the response properly; the hold is over. `reason` is for the log."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """End the response so that the client sees it is incomplete; otherwise like `Finish`."""

    reason: str


type Action = Subscribe | Forget | Ask | Respond | Fail | Append | Write | Fetch | Finish | Cut


class Rule(NamedTuple):
    """One cell of a machine's table: what an event does in a state, and where it may lead."""

    do: Callable[[Any, Any, float], Sequence[Action]]
    to: tuple[enum.Enum, ...]


type Rules = Mapping[enum.Enum, Mapping[type, Rule]]


def refusal(state: enum.Enum, event: object) -> LocalProtocolError:
    """Return what to raise when the table has no rule for `event` in `state`."""
    return LocalProtocolError(f"{type(event).__name__} cannot happen while {state.name.lower()}")


def transitions(rules: Rules) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the table by names: (state, event) to the states it may lead to."""
    return {
        (state.name, event.__name__): tuple(target.name for target in rule.to)
        for state, row in rules.items()
        for event, rule in row.items()
    }
