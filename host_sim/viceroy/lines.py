"""The log as Viceroy writes it: errors on standard error, the rest and what guests say on output.

    2026-01-01T00:00:00.000000Z  INFO request{id=0}: handling request GET http://127.0.0.1:7676/

Every line is out before the call returns that logged it. Source: compute-host §2.9, §5.1.
"""

import contextlib
import io
import logging
import os
import re
import sys
import time
from collections.abc import Collection
from typing import Final, TextIO

from host_sim.logs import story
from host_sim.trace import Trace

__all__ = ["STEPS", "ViceroyHandler", "install", "threshold"]

STEPS: Final = "host_sim.steps"
"""Logger of what Viceroy tells about each request as well."""

TRACE: Final = 5
OFF: Final = 100

_SCALE = (OFF, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, TRACE)
_LEVELS = {
    **dict(zip(("off", "error", "warn", "info", "debug", "trace"), _SCALE, strict=True)),
    **{str(number): level for number, level in enumerate(_SCALE)},
}
_NAMES = {logging.ERROR: "ERROR", logging.WARNING: "WARN", logging.INFO: "INFO"}
_TARGET = "viceroy_lib"


def threshold(verbosity: int, rust_log: str | None) -> int:
    """Return the level from which on lines are shown; `RUST_LOG` wins over `-v`.

    Of the directives of `RUST_LOG`, such as `viceroy=info`, the longest that fits is meant.
    """
    if rust_log is None:
        return (logging.ERROR, logging.INFO, logging.DEBUG, TRACE)[min(verbosity, 3)]
    fitting = {"": OFF if rust_log.strip() else logging.ERROR}
    for directive in rust_log.split(","):
        target, given, level = re.sub(r"\[.*?\]", "", directive).strip().partition("=")
        if not given and target.lower() in _LEVELS:
            target, level = "", target
        elif not given and target:
            level = "trace"
        if _TARGET.startswith(target) and level.lower() in _LEVELS:
            fitting[target] = _LEVELS[level.lower()]
    return fitting[max(fitting, key=len)]


def install(*, verbosity: int, endpoints: Collection[str]) -> None:
    """Send the logs of `host_sim` to standard output and error, as Viceroy does.

    Args:
        verbosity: how often `-v` was given.
        endpoints: which of a guest's `stdout` and `stderr` are log endpoints.
    """
    level = threshold(verbosity, os.environ.get("RUST_LOG"))
    pretty = os.environ.get("RUST_LOG_PRETTY") == "true"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    root = logging.getLogger("host_sim")
    root.handlers[:] = [ViceroyHandler(level, endpoints, pretty, (sys.stdout, sys.stderr))]
    root.propagate = False
    root.setLevel(max(level, logging.DEBUG))
    logging.getLogger("host_sim.guest").setLevel(logging.INFO)
    for name in (STEPS, "host_sim.access"):
        logging.getLogger(name).setLevel(logging.DEBUG)


class ViceroyHandler(logging.Handler):
    """Writes records as Viceroy would."""

    def __init__(
        self,
        shown_from: int,
        endpoints: Collection[str],
        pretty: bool,
        streams: tuple[TextIO, TextIO],
    ) -> None:
        """Write to two streams.

        Args:
            shown_from: the least level that is shown.
            endpoints: which streams of guests are log endpoints.
            pretty: over several lines, as `RUST_LOG_PRETTY=true` wants it.
            streams: for all that is no error, and for errors.
        """
        super().__init__()
        self._shown_from = shown_from
        self._endpoints = endpoints
        self._pretty = pretty
        self._streams = streams

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, whole."""
        if record.name == "host_sim.guest":
            self._tell_guest(record)
            return
        level, request, text = _told(record)
        if level < self._shown_from:
            return
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        stamp = f"{when}.{int(record.created % 1 * 1_000_000):06d}Z {_NAMES.get(level, 'DEBUG'):>5}"
        if self._pretty:
            line = f"  {stamp} {text}\n    at {record.module}.py:{record.lineno}\n"
            line += "" if request is None else f"    in request with id: {request}\n"
        else:
            line = f"{stamp} {'' if request is None else f'request{{id={request}}}: '}{text}"
        self._write(line, error=level >= logging.ERROR)

    def _tell_guest(self, record: logging.LogRecord) -> None:
        """Write what a guest said: a line of a log endpoint, or of a stream just as it is."""
        stream = getattr(record, "stream", None)
        text = record.args[1] if isinstance(record.args, tuple) else ""
        if stream is None or (stream in self._endpoints and text):
            self._write(record.getMessage())
        elif stream not in self._endpoints:
            self._write(str(text), error=stream == "stderr")

    def _write(self, line: str, *, error: bool = False) -> None:
        out = self._streams[error]
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            out.write(line + "\n")
            out.flush()


def _told(record: logging.LogRecord) -> tuple[int, int | None, str]:
    """Return level, number of the request and text of a line."""
    trace = getattr(record, "trace", None)
    if isinstance(trace, Trace):
        told = f"{record.getMessage()} {trace.status or '---'} {story(trace)}"
        return logging.DEBUG, trace.id - 1, told
    level = record.levelno
    number = getattr(record, "request_id", None)
    text = record.getMessage()
    if record.name == STEPS:
        failure = getattr(record, "failure", None)
        level = logging.INFO if failure is None else logging.ERROR
        text = text if failure is None else _failed(failure)
    elif record.msg.startswith("request %d: ") and number is None:
        said, _, text = text.partition(": ")
        number = int(said.removeprefix("request "))
    if record.exc_info and record.exc_info[0] is not None:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    # Viceroy counts from 0.
    return level, None if number is None else number - 1, text


def _failed(failure: str) -> str:
    """Return what Viceroy calls the way a guest ended, and why it did."""
    if failure.startswith("the guest exited"):
        return f"WebAssembly exited with error: {failure}"
    if failure.startswith("the guest's handler returned"):
        return f"WebAssembly exited with an error: {failure}"
    return f"WebAssembly trapped: {failure}"
