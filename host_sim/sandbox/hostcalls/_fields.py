"""Header functions, which requests and responses have in common. Host contract §2.0, §2.2."""

from collections.abc import Callable
from typing import Any

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.headers import (
    MAX_NAME,
    MAX_NAME_OF_VALUES,
    check_name,
    fitting,
    nul_list,
    nul_names,
    split_nul_list,
)
from host_sim.sandbox.objects.messages import GuestMessage
from host_sim.sandbox.state import Sandbox

__all__ = [
    "append",
    "insert",
    "names",
    "register",
    "remove",
    "set_framing",
    "set_values",
    "set_version",
    "value",
    "values",
    "version",
]

type Names = tuple[str, int | None]
type Values = tuple[bytes, int | None]


def names(_sandbox: Sandbox, message: GuestMessage, max_len: int, cursor: int) -> Names:
    """Return names, each once, as a list with NULs."""
    return nul_names(message.headers, max_len, cursor)


def value(_sandbox: Sandbox, message: GuestMessage, name: str, max_len: int) -> bytes | None:
    """Return the first value of a name."""
    if len(name.encode()) > MAX_NAME:
        raise WitError("invalid-argument")
    found = message.headers.first(name)
    return None if found is None else fitting(found, max_len)


def values(
    _sandbox: Sandbox, message: GuestMessage, name: str, max_len: int, cursor: int
) -> Values:
    """Return the values of a name as a list with NULs."""
    check_name(name, MAX_NAME_OF_VALUES)
    return nul_list(message.headers.all(name), max_len, cursor)


def set_values(_sandbox: Sandbox, message: GuestMessage, name: str, buffer: bytes) -> None:
    """Replace the values of a name by those of a list with NULs."""
    check_name(name, MAX_NAME)
    message.headers.replace(name, split_nul_list(buffer))


def insert(_sandbox: Sandbox, message: GuestMessage, name: str, value: bytes) -> None:
    """Set a name to one value."""
    message.headers.insert(name, value)


def append(_sandbox: Sandbox, message: GuestMessage, name: str, value: bytes) -> None:
    """Add a value to a name."""
    message.headers.append(name, value)


def remove(_sandbox: Sandbox, message: GuestMessage, name: str) -> None:
    """Remove a name, which has to be there."""
    check_name(name, MAX_NAME)
    if not message.headers.remove(name):
        raise WitError("invalid-argument")


def version(_sandbox: Sandbox, message: GuestMessage) -> str:
    """Return the HTTP version."""
    return message.version


def set_version(_sandbox: Sandbox, message: GuestMessage, version: str) -> None:
    """Note an HTTP version; what goes over the wire is decided elsewhere."""
    message.version = version


def set_framing(_sandbox: Sandbox, message: GuestMessage, mode: str) -> None:
    """Say who decides about `Content-Length` and `Transfer-Encoding`."""
    message.manual_framing = mode == "manually-from-headers"


def register(hostcall: Callable[[str], Any], resource: str) -> None:
    """Register all of these as methods of `resource`."""
    for name, function in {
        "get-header-names": names,
        "get-header-value": value,
        "get-header-values": values,
        "set-header-values": set_values,
        "insert-header": insert,
        "append-header": append,
        "remove-header": remove,
        "get-version": version,
        "set-version": set_version,
        "set-framing-headers-mode": set_framing,
    }.items():
        hostcall(f"[method]{resource}.{name}")(function)
