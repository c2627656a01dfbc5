"""A backend's reply with instructions: understood, and read whole where the limits demand it.

Source: GRIP §3.1 (when a reply has instructions), §4 (as JSON), §13 (limits).
"""

import contextlib
import dataclasses
import enum
from typing import Final

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.instruct import MEDIA_TYPE, HoldMode, Instruct, parse_instruct
from grip.subscription import Subscriptions
from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.messages import Request, Response

__all__ = [
    "MAX_INSTRUCTED_BYTES",
    "MAX_INSTRUCT_BYTES",
    "Instructed",
    "Mode",
    "media_type",
    "understand",
]

MAX_INSTRUCT_BYTES: Final = 100_000
"""How long a reply with instructions may be, unless it is a stream by headers."""
MAX_INSTRUCTED_BYTES: Final = 100_000
"""How long the body of a request may be whose reply has instructions."""


def media_type(headers: Headers) -> str:
    """Return the media type of a message, in lower case and without parameters."""
    return (headers.get("Content-Type") or "").partition(";")[0].strip(" \t").lower()


class Mode(enum.Enum):
    """What becomes of the client whose reply has instructions."""

    ANSWER = "answered at once"
    POLL = "held until there is an answer"
    STREAM = "answered bit by bit"


@dataclasses.dataclass(frozen=True, slots=True)
class Instructed:
    """A reply with instructions.

    Attributes:
        instruct: the instructions.
        body: body of the response to the client; at hand, except that of a stream.
    """

    instruct: Instruct
    body: Body

    @property
    def mode(self) -> Mode:
        """What becomes of the client."""
        hold = self.instruct.hold
        if hold is None:
            return Mode.ANSWER if self.instruct.next_link is None else Mode.STREAM
        return Mode.STREAM if hold.mode is HoldMode.STREAM else Mode.POLL

    @property
    def content(self) -> bytes:
        """The body where it is at hand."""
        return b"".join(self.body.at_hand or ())


async def understand(
    response: Response,
    asked: Request | None = None,
    *,
    is_link: bool = False,
    timeout_s: float | None = None,
) -> Instructed:
    """Read the instructions of a reply, and what belongs to them.

    Args:
        response: the reply; it is closed if it is of no use.
        asked: the request of a client it answers, whose size is limited, too.
        is_link: whether it is the reply to a link, whose body is relayed in any case.
        timeout_s: how long a body that has to be read whole may take.

    Raises:
        RemoteProtocolError: the instructions are at fault, or the reply is too long for them;
            with status 400, the request is too large.
        BodyError: the reply broke off, or takes too long.
    """
    try:
        if asked is not None:
            await _check_size(asked)
        return await _understand(response, timeout_s, is_link=is_link)
    except BaseException:
        await response.body.aclose()
        raise


async def _check_size(asked: Request) -> None:
    if asked.body.length == 0:
        return
    with contextlib.suppress(BodyError):  # more than is kept, so more than that
        if await asked.body.replay().whole(MAX_INSTRUCTED_BYTES) is not None:
            return
    raise RemoteProtocolError(
        f"expected at most {MAX_INSTRUCTED_BYTES} bytes in a request whose reply has instructions",
        status_hint=400,
    )


async def _understand(response: Response, timeout_s: float | None, *, is_link: bool) -> Instructed:
    if media_type(response.headers) == MEDIA_TYPE:
        instruct = _parse(response, await _whole(response, timeout_s))
        return Instructed(instruct, Body.of(instruct.body or b""))
    reply = Instructed(_parse(response, None), response.body)
    hold = reply.instruct.hold
    filtered = hold is not None and Subscriptions(hold.channels).filters_reply
    if (is_link or reply.mode is Mode.STREAM) and not filtered:
        return reply  # may be of any length
    return Instructed(reply.instruct, Body.of(await _whole(response, timeout_s)))


def _parse(response: Response, body: bytes | None) -> Instruct:
    instruct = parse_instruct(
        status=response.status, reason=response.reason, headers=response.headers, body=body
    )
    if instruct.status < 200:
        raise RemoteProtocolError(f"expected the status of a final response, got {instruct.status}")
    return instruct


async def _whole(response: Response, timeout_s: float | None) -> bytes:
    whole = await response.body.whole(MAX_INSTRUCT_BYTES, timeout_s)
    if whole is None:
        raise RemoteProtocolError(
            f"expected at most {MAX_INSTRUCT_BYTES} bytes in a reply with instructions, got more"
        )
    return whole
