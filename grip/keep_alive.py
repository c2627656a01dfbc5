r"""Keep-alive data of a stream, and its header `Grip-Keep-Alive: \n; format=cstring; timeout=20`.

What to send and how often; when that is due is the hold's business.
Source: GRIP §3.3, §6.2.
"""

import dataclasses
import enum
import re

from grip.errors import LocalProtocolError, RemoteProtocolError, shorten
from grip.headers import parse_value
from grip.json_object import MAX_INTEGER, decode_base64, parse_integer

__all__ = [
    "DEFAULT_KEEP_ALIVE_S",
    "MIN_KEEP_ALIVE_S",
    "KeepAlive",
    "KeepAliveMode",
    "format_keep_alive",
    "parse_keep_alive",
]

DEFAULT_KEEP_ALIVE_S = 55
MIN_KEEP_ALIVE_S = 1

_ESCAPES = {b"\\": b"\\", b"r": b"\r", b"n": b"\n"}
# A complete escape, or (the last alternative) the start of one that is not.
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([^x])|)", re.DOTALL)
# What a header value cannot carry as it is; spaces only at the ends, where they would be trimmed.
_TO_ESCAPE = re.compile(rb'[^ -~]|[\\;,"]|\A | \Z')


class KeepAliveMode(enum.Enum):
    """When keep-alive data is due: after silence, or regularly."""

    IDLE = "idle"
    INTERVAL = "interval"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """What to send into a stream, and after how many seconds.

    Attributes:
        content: the data; never empty in what was parsed.
        timeout_s: whole seconds, at least 1.
    """

    content: bytes
    timeout_s: int = DEFAULT_KEEP_ALIVE_S
    mode: KeepAliveMode = KeepAliveMode.IDLE


_MODES = {mode.value: mode for mode in KeepAliveMode}


def parse_keep_alive(header: str) -> KeepAlive | None:
    r"""Parse `data; format=F; timeout=N; mode=M`; None if that leaves nothing to send.

    Raises:
        RemoteProtocolError: no data, an unknown format or mode, a bad timeout or escape.

    >>> parse_keep_alive(r":\n\n; format=cstring; timeout=20").content
    b':\n\n'
    """
    if not header:
        return None
    value = parse_value(header)
    if not value.value:
        raise RemoteProtocolError(f"expected keep-alive data, got {shorten(header)}")
    mode = _MODES.get(value.get("mode") or "idle")
    if mode is None:
        raise RemoteProtocolError(f"expected mode idle or interval, got {shorten(header)}")
    content = value.value.encode("utf-8", "surrogateescape")  # any bytes may be sent
    match value.get("format") or "raw":
        case "raw":
            pass
        case "cstring":
            content = _ESCAPE.sub(_unescape, content)
        case "base64":
            content = decode_base64(value.value)
        case other:
            raise RemoteProtocolError(
                f"expected format raw, cstring or base64, got {shorten(other)}"
            )
    timeout_s: int | None = DEFAULT_KEEP_ALIVE_S
    timeout = value.get("timeout")
    if timeout is not None:
        timeout_s = parse_integer(timeout)
    if timeout_s is None or timeout_s < 0:
        raise RemoteProtocolError(f"expected keep-alive timeout in seconds, got {shorten(header)}")
    if not content:
        return None
    return KeepAlive(content=content, timeout_s=max(timeout_s, MIN_KEEP_ALIVE_S), mode=mode)


def format_keep_alive(keep_alive: KeepAlive) -> str:
    r"""Write the value of `Grip-Keep-Alive`; any bytes can be sent.

    Raises:
        LocalProtocolError: no content, or a timeout out of range.

    >>> format_keep_alive(KeepAlive(content=b"\n", timeout_s=20))
    '\\n; format=cstring; timeout=20'
    """
    if not keep_alive.content:
        raise LocalProtocolError("expected keep-alive content, got none")
    if not MIN_KEEP_ALIVE_S <= keep_alive.timeout_s <= MAX_INTEGER:
        raise LocalProtocolError(
            f"expected a keep-alive timeout of at least {MIN_KEEP_ALIVE_S} s, "
            f"got {keep_alive.timeout_s}"
        )
    data = _TO_ESCAPE.sub(_escape, keep_alive.content).decode()
    mode = "" if keep_alive.mode is KeepAliveMode.IDLE else f"; mode={keep_alive.mode.value}"
    return f"{data}; format=cstring; timeout={keep_alive.timeout_s}{mode}"


def _unescape(match: re.Match[bytes]) -> bytes:
    hexadecimal, escaped = match.groups()
    if hexadecimal is not None:
        return bytes.fromhex(hexadecimal.decode())
    if escaped is None:
        raise RemoteProtocolError(f"expected a complete escape, got {shorten(match.string)}")
    return _ESCAPES.get(escaped, b"")  # any other escaped character vanishes


def _escape(match: re.Match[bytes]) -> bytes:
    match match.group():
        case b"\n":
            return rb"\n"
        case b"\r":
            return rb"\r"
        case b"\\":
            return rb"\\"
        case other:
            return rb"\x%02x" % other[0]
