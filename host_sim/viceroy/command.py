"""What `host-sim-viceroy` does: serve a component until it is told to end.

It ends as a program that starts Viceroy takes it best: with 1 and an ERROR line where it cannot
start; by SIGINT itself after that came, since the Fastly CLI starts anew what ended with 0; at
once after SIGTERM. Source: compute-host §5.1, §5.2, §6.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from host_sim.errors import HostSimError, StartError
from host_sim.viceroy import lines
from host_sim.viceroy.arguments import Arguments, parse

__all__ = ["main"]

log = logging.getLogger("host_sim.viceroy")

PROXY_PORT = 7677
PUBLISH_PORT = 5561
"""Where the Fastly CLI has its Pushpin; our own Fanout is there if nobody else is."""

TOLD_BY_S = 12.0
"""Age of this process at which it says where it listens also if it still compiles: the SDK's
harness gives up after 15 s, and from then on each of its requests has 10 s."""

_BEGAN = time.perf_counter()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: `sys.argv`) and return the exit code."""
    try:
        arguments = parse(argv)
        streams = (("stdout", arguments.log_stdout), ("stderr", arguments.log_stderr))
        endpoints = [name for name, is_endpoint in streams if is_endpoint]
        lines.install(verbosity=arguments.verbosity, endpoints=endpoints)
        for flag in arguments.without_effect:
            sys.stderr.write(f"viceroy: {flag} is accepted, but does nothing in host-sim\n")
        if arguments.command != "serve":
            raise StartError(_refusal(arguments))
        _serve(arguments)
    except HostSimError as error:
        log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        pass
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    return 130  # only where a process cannot end itself like this


def _refusal(arguments: Arguments) -> str:
    with arguments.wasm.open("rb") as file:
        is_component = file.read(8)[6:8] == b"\1\0"
    if arguments.command == "adapt":
        if is_component:
            return f"File is already a component: {arguments.wasm}"
        return "adapt is not supported by host-sim: build a component, or use Viceroy for this"
    if is_component:
        return "components not currently supported with `run`"
    return "run is not supported by host-sim, which serves components only; use Viceroy for this"


def _serve(arguments: Arguments) -> None:
    # Here, so that help and errors of usage come at once.
    from host_sim.running import run, unless_stopped
    from host_sim.simulator import Simulator
    from host_sim.viceroy.checks import Checks

    host, port = arguments.address
    handed_to = arguments.proxy_port
    simulator = Simulator(
        arguments.wasm,
        manifest=arguments.manifest,
        host=host,
        port=port,
        proxy_port=PROXY_PORT,
        publish_port=PUBLISH_PORT,
        fanout=None if handed_to is None else f"http://127.0.0.1:{handed_to}",
        strict=False,
        websockets=arguments.websockets,
        quick=True,
        pool=True,
        http_cache=False,
        trap_unknown=arguments.trap_unknown,
    )

    async def serve(stopping: asyncio.Event) -> None:
        await simulator.start()
        checks = Checks(simulator.manifest.backends, simulator.address)
        try:
            if arguments.manifest is None:
                log.warning(
                    "no configuration provided, invoke with `-C <TOML_FILE>` "
                    "to provide a configuration"
                )
            elif not simulator.manifest.backends:
                log.warning("no backend definitions found in %s", arguments.manifest)
            checks.start()
            ready = asyncio.ensure_future(simulator.ready())
            stop = asyncio.ensure_future(stopping.wait())
            first = asyncio.FIRST_COMPLETED
            patience_s = max(0.0, TOLD_BY_S - _age_s())
            await asyncio.wait({ready, stop}, timeout=patience_s, return_when=first)
            if ready.done():
                ready.result()
            if not stop.cancel():
                return
            log.info("Listening on %s", simulator.url)
            if await unless_stopped(ready, stopping):
                await stopping.wait()
        finally:
            await asyncio.gather(checks.stop(), simulator.stop())

    run(serve, [signal.SIGINT])


def _age_s() -> float:
    """Return how old this process is; or, where the system does not tell, this module."""
    try:
        ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        up_s = float(Path("/proc/uptime").read_text().split()[0])
        age_s = up_s - int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        age_s = -1.0
    # Containers can have a clock of their own there.
    return age_s if 0 <= age_s < 60 else time.perf_counter() - _BEGAN
