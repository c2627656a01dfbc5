"""The command `host-sim-pushpin`: takes the place of `pushpin` for whoever starts one, as the CLI.

`--config` with the files it writes is enough; log lines look like Pushpin's, and one that ends in
`started` says that clients may come. It is one process and leaves nothing behind however it ends.
Source: compute-host §5.3; GRIP §2.5.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from host_sim.errors import ConfigError, HostSimError
from host_sim.logs import story
from host_sim.messages import Address
from host_sim.trace import Trace
from host_sim.version import program

__all__ = ["main"]

PUSHPIN_VERSION: Final = "1.41.0"
"""The Pushpin that is followed."""

log = logging.getLogger("host_sim.pushpin")

_INSTALLED = Path("/etc/pushpin/pushpin.conf")
_NAMES = {logging.ERROR: "ERR", logging.WARNING: "WARN", logging.INFO: "INFO"}
_LEVELS = {0: logging.ERROR, 1: logging.WARNING, 2: logging.INFO}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: `sys.argv`) and return the exit code."""
    arguments = _parser().parse_args(argv)
    _install(logging.DEBUG if arguments.verbose else _LEVELS.get(arguments.loglevel, logging.DEBUG))
    try:
        _serve(arguments)
    except HostSimError as error:
        log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    from host_sim.proxy import GripProxy
    from host_sim.pushpin.settings import Overrides, load_settings
    from host_sim.running import run

    if arguments.config is None and not _INSTALLED.exists():
        raise ConfigError("expected --config=FILE, there is no configuration elsewhere")
    log.info("starting...")
    given = Overrides(address=arguments.port)
    settings, not_obeyed = load_settings(arguments.config or _INSTALLED, given)
    if not_obeyed is not None:
        log.debug("%s", not_obeyed)

    async def serve(stopping: asyncio.Event) -> None:
        async with GripProxy(settings) as proxy:
            log.info("clients: %s:%d, publishers: %s:%d", *proxy.address, *proxy.publish_address)
            log.info("started")
            await stopping.wait()
            log.info("stopping...")
        log.info("stopped")

    run(serve)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pushpin", description=f"The GRIP proxy of {program()} in the place of Pushpin."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the pushpin.conf")
    parser.add_argument("--port", type=_address, metavar="[ADDR:]PORT", help="for clients")
    parser.add_argument("--verbose", action="store_true", help="log everything")
    parser.add_argument("--loglevel", type=int, default=2, metavar="N", help="0 to 3 (default: 2)")
    parser.add_argument(
        "-m", "--merge-output", action="store_true", help="accepted; the output is one anyway"
    )
    version = f"pushpin {PUSHPIN_VERSION}"
    parser.add_argument("--version", action="version", version=version)
    return parser


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise argparse.ArgumentTypeError(f"expected [ADDR:]PORT, got {text!r}")
    return host.strip("[]") or "0.0.0.0", int(port)


def _install(level: int) -> None:
    """Send the logs of `host_sim` to standard output, in Pushpin's form."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter())
    root = logging.getLogger("host_sim")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(level)


class _Formatter(logging.Formatter):
    """`[INFO] 2026-01-01 00:00:00.000 text`."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        trace = getattr(record, "trace", None)
        if isinstance(trace, Trace):
            text = f"{text} {trace.status or '---'} {story(trace)}"
        if record.exc_info and record.exc_info[0] is not None:
            text += "\n" + self.formatException(record.exc_info)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        name = _NAMES.get(record.levelno, "DEBUG")
        return f"[{name}] {when}.{int(record.created % 1 * 1000):03d} {text}"
