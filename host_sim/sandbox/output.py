"""What guests say: lines of their standard streams and of log endpoints, in one logger.

A guest's `print` arrives in pieces, on a thread of wasmtime's; it is collected until the line is
whole, so that lines of two guests never mix. Host contract §2.9 and §7.
"""

import collections
import logging
from collections.abc import Callable
from typing import Literal

__all__ = ["Lines", "log_line"]

_log = logging.getLogger("host_sim.guest")

MAX_LINE = 64 << 10
"""Bytes after which a line without an end is logged as it is."""

KEPT = 12
"""Lines remembered, enough to find in them what a guest said when it failed."""


_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x09: "\t",
    0x0D: "\\r",
}
"""Control characters of a line, and what is shown for them: much of what guests print is their
clients', who could otherwise write lines of their own, or to the terminal."""


def log_line(name: str, text: str, *, request_id: int, kind: Literal["stream", "endpoint"]) -> None:
    """Log one line of a stream or endpoint called `name`."""
    _log.info("%s :: %s", name, text, extra={"request_id": request_id, kind: name})


class Lines:
    """One standard stream of one sandbox.

    Attributes:
        recent: the last lines that were not empty.
    """

    def __init__(self, name: str, request_id: Callable[[], int]) -> None:
        """Log lines as those of stream `name`; `request_id` says whose they are at that moment."""
        self._name = name
        self._request_id = request_id
        self._buffer = bytearray()
        self.recent: collections.deque[str] = collections.deque(maxlen=KEPT)

    def write(self, data: bytes) -> None:
        """Take what the guest wrote; raises nothing, because its caller is not Python."""
        self._buffer += data
        if b"\n" in data:
            *lines, rest = bytes(self._buffer).split(b"\n")
            self._buffer = bytearray(rest)
            for line in lines:
                self._tell(line)
        if len(self._buffer) > MAX_LINE:
            self.flush()

    def flush(self) -> None:
        """Log an unfinished line, when the guest has ended."""
        if self._buffer:
            self._tell(bytes(self._buffer))
            self._buffer.clear()

    def _tell(self, line: bytes) -> None:
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        if text.strip():
            self.recent.append(text)
        log_line(self._name, text.translate(_ESCAPES), request_id=self._request_id(), kind="stream")
