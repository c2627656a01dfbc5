"""Bodies and their trailers. Host contract §2.4."""

import contextlib
from collections.abc import Iterator

from host_sim.sandbox.border.values import Case, WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.headers import (
    MAX_NAME,
    MAX_NAME_OF_VALUES,
    check_name,
    fitting,
    nul_list,
    nul_names,
)
from host_sim.sandbox.state import Sandbox

__all__ = [
    "append",
    "append_trailer",
    "close",
    "get_known_length",
    "get_trailer_names",
    "get_trailer_value",
    "get_trailer_values",
    "new",
    "read",
    "write",
    "write_front",
]

hostcall = interface("http-body")

MAX_READ = 1 << 16
"""Bytes of one read at most: wasmtime wants 64 bytes of memory to pass on one, for a while."""


@hostcall("new")
def new(sandbox: Sandbox) -> GuestBody:
    """Make an empty body."""
    return GuestBody(sandbox.waiting)


@hostcall("append")
def append(_sandbox: Sandbox, destination: GuestBody, source: GuestBody) -> None:
    """Move the content of one body to the end of another."""
    try:
        destination.append(source)
    finally:
        source.dropped()


@hostcall("read")
def read(_sandbox: Sandbox, body: GuestBody, size: int) -> bytes:
    """Read up to `size` bytes, none at the end."""
    return body.read(min(size, MAX_READ))


@hostcall("write")
def write(_sandbox: Sandbox, body: GuestBody, data: bytes) -> int:
    """Add bytes at the end; all of them are always taken."""
    body.write(data)
    return len(data)


@hostcall("write-front")
def write_front(_sandbox: Sandbox, body: GuestBody, data: bytes) -> None:
    """Add bytes at the front."""
    body.write_front(data)


@hostcall("close")
def close(_sandbox: Sandbox, body: GuestBody) -> None:
    """Finish a body; a stream ends properly."""
    body.close()


@hostcall("get-known-length")
def get_known_length(_sandbox: Sandbox, body: GuestBody) -> int | None:
    """Return how many bytes are left, where that is known."""
    return body.length


@hostcall("append-trailer")
def append_trailer(_sandbox: Sandbox, body: GuestBody, name: str, value: bytes) -> None:
    """Add a trailer field; it goes out with the body, at the latest when a stream is closed."""
    body.trailers.append(name, value)


@hostcall("get-trailer-names")
def get_trailer_names(
    _sandbox: Sandbox, body: GuestBody, max_len: int, cursor: int
) -> tuple[str, int | None]:
    """Return the names of the trailer fields as a list with NULs."""
    _check_trailers(body)
    with _of_trailers():
        return nul_names(body.trailers, max_len, cursor)


@hostcall("get-trailer-value")
def get_trailer_value(_sandbox: Sandbox, body: GuestBody, name: str, max_len: int) -> bytes | None:
    """Return the first value of a trailer field."""
    _check_trailers(body)
    with _of_trailers():
        check_name(name, MAX_NAME)
        value = body.trailers.first(name)
        return None if value is None else fitting(value, max_len, told=False)


@hostcall("get-trailer-values")
def get_trailer_values(
    _sandbox: Sandbox, body: GuestBody, name: str, max_len: int, cursor: int
) -> tuple[bytes, int | None]:
    """Return the values of a trailer field as a list with NULs."""
    _check_trailers(body)
    with _of_trailers():
        check_name(name, MAX_NAME_OF_VALUES)
        return nul_list(body.trailers.all(name), max_len, cursor)


def _check_trailers(body: GuestBody) -> None:
    if body.writes_stream:
        raise WitError(Case("error", "invalid-argument"))
    if not body.ended:
        raise WitError("not-available-yet")


@contextlib.contextmanager
def _of_trailers() -> Iterator[None]:
    """Make errors of headers those of trailers."""
    try:
        yield
    except WitError as error:
        raise WitError(Case("error", error.value)) from None
