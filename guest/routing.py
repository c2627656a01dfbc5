"""The decision: a request signed by Fanout is answered, any other one is handed off to Fanout.

Each call of a client comes in twice. The first time it has no `Grip-Sig`: the service hands the
client over and is done. Fanout then asks the backend it was named, which is this service again,
now with a signature. A signature that does not hold must never lead to a second hand-off: the
request would come back for ever.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from grip.errors import SignatureError
from guest.handlers import ENDPOINTS

__all__ = ["Answer", "Decision", "HandOff", "Refuse", "decide"]

SELF = "self"  # the backend that points back at this service
ORIGIN = "origin"  # a GRIP backend of the user's own, if there is one


@dataclass(frozen=True, slots=True)
class HandOff:
    """Give the client to Fanout, which asks `backend`."""

    backend: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Fanout asks: answer it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer 403; `reason` is for the log and nobody else."""

    reason: str


type Decision = HandOff | Answer | Refuse


def decide(
    path: str,
    signatures: Collection[str],
    *,
    verify: Callable[[str], object],
    has_backend: Callable[[str], bool],
) -> Decision:
    """Decide what becomes of a request.

    Args:
        path: path of its URI.
        signatures: values of its `Grip-Sig` fields.
        verify: raises `SignatureError` for a signature that is not Fanout's.
        has_backend: tells whether the service has a backend of that name.
    """
    match list(signatures):
        case []:
            return HandOff(ORIGIN if path not in ENDPOINTS and has_backend(ORIGIN) else SELF)
        case [signature]:
            try:
                verify(signature)
            except SignatureError as error:
                return Refuse(str(error))
            return Answer()
        case several:
            return Refuse(f"expected one signature, got {len(several)}")
