"""What the service answers with, and what it may ask of a request; plain values, no platform."""

from dataclasses import dataclass, field
from typing import Protocol

from grip.headers import Headers

__all__ = ["Request", "Response", "SetupError", "path_of", "text"]


class SetupError(Exception):
    """The service is not set up as it has to be: 500 for the client, the message for the log."""


class Request(Protocol):
    """A request as the endpoints see it."""

    @property
    def method(self) -> str:
        """The method as the client wrote it."""

    @property
    def path(self) -> str:
        """The path of the URI as the client wrote it, without the query."""

    @property
    def headers(self) -> Headers:
        """All fields, in order."""

    def body(self) -> bytes:
        """Read the body to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A whole response; the platform adds the framing."""

    status: int = 200
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""


def text(status: int, words: str, *headers: tuple[str, str]) -> Response:
    """Make a response of one line for a human reader."""
    return Response(
        status=status,
        headers=Headers([("Content-Type", "text/plain; charset=utf-8"), *headers]),
        body=f"{words}\n".encode(),
    )


def path_of(uri: str) -> str:
    """Return the path of an absolute URI, as it is written there.

    >>> path_of("http://127.0.0.1:7676/a%20b?next=/c")
    '/a%20b'
    >>> path_of("https://example.com?x")
    '/'
    """
    _, _, rest = uri.partition("?")[0].partition("://")
    return "/" + rest.partition("/")[2]
