"""Subscribing a bystander first.

About a second after the first subscription to a channel, Pushpin asks the origin again on behalf
of its long polls and linked streams. Scenarios about other reasons to ask again let that moment
pass before their own client comes.
"""

from collections.abc import Mapping, Sequence

from tests.conformance.gripkit.http_steps import ExpectResponse, Request
from tests.conformance.gripkit.model import Step
from tests.conformance.gripkit.origin import Reply
from tests.conformance.gripkit.origin_steps import Pause
from tests.conformance.gripkit.replies import hold

BYSTANDER = "bystander"
_PATH = "/bystander"
_SECONDS = 2.5


def bystander_replies(*channels: str) -> Mapping[str, Sequence[Reply]]:
    """Return the script of the origin for the bystander."""
    return {_PATH: [hold("stream", *channels)]}


def settle() -> list[Step]:
    """Return steps that subscribe the bystander and wait."""
    return [
        Request(path=_PATH, client=BYSTANDER),
        ExpectResponse(client=BYSTANDER),
        Pause(_SECONDS),
    ]
