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
from collections.abc import Sequence

from host_sim.errors import HostSimError, StartError
from host_sim.viceroy import lines
from host_sim.viceroy.arguments import Arguments, parse

__all__ = ["main"]

log = logging.getLogger("host_sim.viceroy")

PROXY_PORT = 7677
PUBLISH_PORT = 5561
"""Where the Fastly CLI has its Pushpin; our own Fanout is there if nobody else is."""


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
        http_cache=False,
        trap_unknown=arguments.trap_unknown,
    )

    async def serve(stopping: asyncio.Event) -> None:
        await simulator.start()
        checks = Checks(simulator.manifest.backends, simulator.address)
        try:
            if arguments.manifest is None:
                log.warning(
                    "no configuration provided, invoke with `-C <TOML_FILE>` to provide one"
                )
            elif not simulator.manifest.backends:
                log.warning("no backend definitions found in %s", arguments.manifest)
            checks.start()
            # Before it is compiled: requests wait for that, whoever started this does not.
            log.info("Listening on %s", simulator.url)
            if await unless_stopped(simulator.ready(), stopping):
                await stopping.wait()
        finally:
            await asyncio.gather(checks.stop(), simulator.stop())

    run(serve, [signal.SIGINT])
