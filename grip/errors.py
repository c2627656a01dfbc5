"""The error tree of the package: whose fault it is, where in the input, and what to answer.

Every parser of this package raises `RemoteProtocolError` for input that breaks the protocol and
nothing else; every constructor and encoder raises `LocalProtocolError` when the caller asks for
something that cannot be put on the wire. Messages are lower case and say what was expected and
what came, cut to a bearable length.
"""

__all__ = [
    "GripError",
    "LocalProtocolError",
    "RemoteProtocolError",
    "SignatureError",
    "shorten",
]

MAX_SHOWN = 75


class GripError(Exception):
    """Root of all errors of `grip`."""


class LocalProtocolError(GripError):
    """The caller asked for something the protocol does not allow."""


class RemoteProtocolError(GripError):
    """The peer sent something the protocol does not allow.

    Attributes:
        status_hint: HTTP status that fits as an answer, for example 400 to a publisher or 502 to
            the client of a backend that sent bad instructions.
        offset: position of the fault in the input in bytes, or None where it has none.
    """

    def __init__(self, message: str, *, status_hint: int = 502, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.status_hint = status_hint
        self.offset = offset


class SignatureError(RemoteProtocolError):
    """A `Grip-Sig` is missing or does not verify; the message says why, for the log only."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status_hint=403)


def shorten(value: object, limit: int = MAX_SHOWN) -> str:
    """Return `repr(value)` for an error message, at most `limit` characters long."""
    if isinstance(value, str | bytes) and len(value) > limit:
        value = value[:limit]  # do not build the repr of a megabyte to show a line of it
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
