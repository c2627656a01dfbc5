"""Just enough HTTP/1.1 to see a peer exactly as it is on the wire.

The kit parses HTTP itself because a high-level client or server would hide what has to be
checked: framing, repeated fields, reason phrases, and whether a body ended cleanly.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

STREAM_LIMIT = 4 * 1024 * 1024
READ_SIZE = 64 * 1024


class ProtocolError(Exception):
    """The peer sent something that is not valid HTTP/1.1."""


class TruncatedBodyError(Exception):
    """The peer closed the connection before the body was complete."""


class Framing(Enum):
    """How the end of a message body is found."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until-close"


class Headers:
    """Header fields in wire order, looked up without regard to case."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = list(fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"

    def get(self, name: str) -> str | None:
        """Return the value of the first field called `name`."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """Return the values of every field called `name`, in order."""
        wanted = name.lower()
        return [value for key, value in self._fields if key.lower() == wanted]

    def add(self, name: str, value: str) -> None:
        """Append a field."""
        self._fields.append((name, value))

    def encode(self) -> bytes:
        """Return the fields as they go on the wire, with the empty line that ends them."""
        lines = [f"{name}: {value}\r\n" for name, value in self._fields]
        return "".join([*lines, "\r\n"]).encode()


@dataclass(frozen=True)
class BodyPlan:
    """What the head of a message says about its body."""

    framing: Framing
    length: int = 0


def plan_request_body(headers: Headers) -> BodyPlan:
    """Return how the body of a request with these headers is delimited."""
    if "chunked" in (headers.get("Transfer-Encoding") or "").lower():
        return BodyPlan(Framing.CHUNKED)
    length = headers.get("Content-Length")
    if length is None:
        return BodyPlan(Framing.NONE)
    if not length.isdecimal():
        raise ProtocolError(f"Content-Length is {length!r}")
    return BodyPlan(Framing.LENGTH, int(length))


def plan_response_body(method: str, status: int, headers: Headers) -> BodyPlan:
    """Return how the body of the response to a `method` request is delimited."""
    if method == "HEAD" or status in (101, 204, 304):
        return BodyPlan(Framing.NONE)
    plan = plan_request_body(headers)
    return BodyPlan(Framing.UNTIL_CLOSE) if plan.framing is Framing.NONE else plan


async def read_line(reader: asyncio.StreamReader) -> str:
    """Read a line and return it without its line ending."""
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise asyncio.IncompleteReadError(line, None)
    return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


async def read_head(reader: asyncio.StreamReader) -> tuple[str, Headers]:
    """Read a start line and the header fields that follow it."""
    start_line = await read_line(reader)
    headers = Headers()
    while line := await read_line(reader):
        name, colon, value = line.partition(":")
        if not colon:
            raise ProtocolError(f"header line without a colon: {line!r}")
        headers.add(name.strip(), value.strip())
    return start_line, headers


def parse_request_line(line: str) -> tuple[str, str]:
    """Return method and target."""
    parts = line.split(" ")
    if len(parts) != 3:
        raise ProtocolError(f"malformed request line: {line!r}")
    return parts[0], parts[1]


def parse_status_line(line: str) -> tuple[int, str]:
    """Return status and reason."""
    _, _, rest = line.partition(" ")
    code, _, reason = rest.partition(" ")
    if not code.isdecimal():
        raise ProtocolError(f"malformed status line: {line!r}")
    return int(code), reason


async def iter_body(reader: asyncio.StreamReader, plan: BodyPlan) -> AsyncIterator[bytes]:
    """Yield the pieces of a body as they arrive; raise `TruncatedBodyError` if it is cut short."""
    match plan.framing:
        case Framing.NONE:
            return
        case Framing.LENGTH:
            pieces = _iter_exactly(reader, plan.length)
        case Framing.CHUNKED:
            pieces = _iter_chunks(reader)
        case Framing.UNTIL_CLOSE:
            pieces = _iter_until_close(reader)
    async for piece in pieces:
        yield piece


async def _iter_exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    left = length
    while left:
        piece = await reader.read(min(left, READ_SIZE))
        if not piece:
            raise TruncatedBodyError(f"{left} of {length} bytes missing")
        left -= len(piece)
        yield piece


async def _iter_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while size := await _read_chunk_size(reader):
            async for piece in _iter_exactly(reader, size):
                yield piece
            await read_line(reader)
        while await read_line(reader):
            pass  # trailer fields carry nothing the kit checks
    except asyncio.IncompleteReadError as error:
        raise TruncatedBodyError("connection closed between chunks") from error


async def _read_chunk_size(reader: asyncio.StreamReader) -> int:
    line = await read_line(reader)
    try:
        return int(line.partition(";")[0], 16)
    except ValueError:
        raise ProtocolError(f"malformed chunk size: {line!r}") from None


async def _iter_until_close(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(READ_SIZE):
        yield piece
