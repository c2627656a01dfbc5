"""How the simulator's log looks on a terminal, and as JSON lines for machines.

Only the command line installs these handlers; the rooms just log. Lines carry the number of the
client's request, so that what a guest printed can be told from what another one did.
"""

import json
import logging
import sys
import time
from typing import TextIO

from host_sim.trace import Trace

__all__ = ["install", "story"]

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "trace"}


def install(*, json_lines: bool, verbose: int, stream: TextIO | None = None) -> None:
    """Send the logs of `host_sim` to `stream` (default: standard error).

    Args:
        json_lines: one JSON object a line instead of text.
        verbose: 0 shows requests, guest output and warnings; 1 also the second calls of
            hand-offs and the ends of holds; 2 everything.
        stream: where to write.
    """
    stream = stream or sys.stderr
    logging.logThreads = logging.logProcesses = False  # no line says them, and each costs time
    logging.logMultiprocessing = False
    logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # typeshed does not know it
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonFormatter() if json_lines else _LineFormatter(stream.isatty()))
    root = logging.getLogger("host_sim")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    logging.getLogger("host_sim.access").setLevel(logging.DEBUG if verbose else logging.INFO)


def story(trace: Trace) -> str:
    """Return what happened, in a few words."""
    parts = []
    if trace.handed_off_to is not None:
        parts.append(f"handed off to {trace.handed_off_to}")
    if trace.hold is not None:
        channels = ", ".join(trace.channels) or "no channel"
        parts.append(f"held ({trace.hold}) on {channels}")
    if trace.note is not None:
        parts.append(trace.note)
    return ", ".join(parts) or "answered"


class _LineFormatter(logging.Formatter):
    """A line for people: time, number of the request, what happened."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour
        self._second = -1
        self._clock = ""

    def format(self, record: logging.LogRecord) -> str:
        trace = getattr(record, "trace", None)
        when = self._when(int(record.created))
        if isinstance(trace, Trace):
            status = str(trace.status) if trace.status is not None else "---"
            text = (
                f"#{trace.id} {trace.method} {trace.target} {self._paint(status)} "
                f"{trace.elapsed_ms:.1f} ms  {story(trace)}"
            )
        else:
            number = getattr(record, "request_id", None)
            text = (f"#{number} " if number is not None else "") + record.getMessage()
            if record.levelno >= logging.WARNING:
                text = f"{record.levelname.lower()}: {text}"
        if record.exc_info and record.exc_info[0] is not None:
            text += "\n" + self.formatException(record.exc_info)
        return f"{when} {text}"

    def _when(self, second: int) -> str:
        """Return the time of day, made once for all lines of a second."""
        if second != self._second:
            self._clock = time.strftime("%H:%M:%S", time.localtime(second))
            self._second = second
        return self._clock

    def _paint(self, status: str) -> str:
        if not self._colour:
            return status
        colour = {"4": "33", "5": "31"}.get(status[0], "32")
        return f"\x1b[{colour}m{status}\x1b[0m"


class _JsonFormatter(logging.Formatter):
    """One JSON object a line, with the fields of a trace or the extras of a record."""

    def format(self, record: logging.LogRecord) -> str:
        trace = getattr(record, "trace", None)
        entry: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if isinstance(trace, Trace):
            entry |= {
                "request_id": trace.id,
                "method": trace.method,
                "target": trace.target,
                "status": trace.status,
                "ms": round(trace.elapsed_ms, 1),
                "handed_off_to": trace.handed_off_to,
                "hold": trace.hold,
                "channels": list(trace.channels),
                "note": trace.note,
            }
        else:
            entry["message"] = record.getMessage()
            entry |= {k: v for k, v in record.__dict__.items() if k not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)
