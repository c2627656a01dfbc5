"""Fan-out: many held connections, one publisher; every subscriber must get every message once.

The load is made by `loadgen.c` and the origin is `origin.c`, so that the client costs far less
than any proxy.
"""

import contextlib
import json
import subprocess
import time
from typing import cast

from bench.figures import Figures, Row, medians
from bench.peers import LIMITS, ORIGIN_PORT, PROXIES, ROOT, Peer
from bench.processes import (
    build,
    cpu_s,
    machine_cpu_s,
    rss_kib,
    running,
    tree,
    wait_port,
    wait_quiet,
)

SCENES = (("stream", 1_000), ("ws", 1_000), ("ws", 10_000))
"""Kinds of connections, and how many of them."""

SIZE_BYTES = 64
HANDSHAKES_AT_A_TIME = 100


class _Load:
    """The load generator: one JSON answer for each command."""

    def __init__(self, peer: Peer, kind: str, size: int, channels: int) -> None:
        arguments = [peer.port, peer.publish_port, "/publish/", kind, size, channels, 1]
        self._process = subprocess.Popen(
            [build("loadgen"), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, command: str) -> Figures:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the load generator ended unexpectedly")
        return cast("Figures", json.loads(line))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _measured(load: _Load, command: str, pids: list[int]) -> Figures:
    """Run one phase; add the CPU seconds the proxy and others used in it."""
    cpu, busy, start = cpu_s(pids), machine_cpu_s(), time.monotonic()
    figures = load(command)
    figures["wall_s"] = time.monotonic() - start
    figures["proxy_cpu_s"] = cpu_s(pids) - cpu
    figures["other_cpu_s"] = max(
        0.0, machine_cpu_s() - busy - figures["proxy_cpu_s"] - figures.get("client_cpu", 0)
    )
    if figures.get("deliveries"):
        figures["cpu_s_per_million"] = figures["proxy_cpu_s"] / figures["deliveries"] * 1e6
    return figures


def measure(seconds: float, repeat: int, offered: float) -> list[Row]:
    """Measure every scene on every proxy that is here, in turn."""
    peers = [peer for peer in (*PROXIES, *LIMITS) if peer.available()]
    rows: list[Row] = []
    for kind, connections in SCENES:
        runs: dict[str, list[Figures]] = {peer.name: [] for peer in peers}
        for _ in range(repeat):
            for peer in peers:  # in turn, so that a change of the machine's speed hits all
                wait_quiet()
                runs[peer.name].append(fan_out(peer, kind, connections, seconds, offered))
        what = f"{kind} x {connections}"
        rows += [{"what": what, "peer": name, **medians(run)} for name, run in runs.items()]
    return rows


def fan_out(
    peer: Peer,
    kind: str,
    connections: int,
    seconds: float,
    offered: float,
    *,
    size: int = SIZE_BYTES,
    channels: int = 1,
) -> Figures:
    """Hold `connections` of `kind` (`stream` or `ws`) on a peer and deliver to them.

    Messages have `size` bytes and go to one of `channels`, between which the clients are divided.

    Returns: deliveries per second at saturation and their CPU cost, latencies at `offered`
    deliveries per second, holds established per second, KiB for each, messages lost.
    """
    with (
        running([build("origin"), str(ORIGIN_PORT)]) as origin,
        running(peer.command, cwd=ROOT) as process,
    ):
        for port, owner in (
            (ORIGIN_PORT, origin),
            (peer.port, process),
            (peer.publish_port, process),
        ):
            wait_port(port, owner)
        time.sleep(1)  # Pushpin's processes have to find each other
        with contextlib.closing(_Load(peer, kind, size, channels)) as first:
            first("open 1 1")  # what a process needs once is not what a hold needs
            first("close")
        pids = tree(process.pid)
        idle_kib = rss_kib(pids)
        load = _Load(peer, kind, size, channels)
        try:
            opened = load(f"open {connections} {HANDSHAKES_AT_A_TIME}")
            reached = load("probe")
            held_kib = rss_kib(pids)
            rate = _measured(load, f"rate {max(offered / connections, 0.5):.3f} {seconds}", pids)
            pump = _measured(load, f"pump 1 {seconds}", pids)
            load("close")
        finally:
            load.close()
    lost = sum(phase[key] for phase in (rate, pump) for key in ("incomplete", "gaps", "dups"))
    return {
        "deliveries_per_s": pump["deliveries_per_s"],
        "cpu_s_per_million": pump.get("cpu_s_per_million", 0.0),
        "p50_ms": rate["p50_ms"],
        "p99_ms": rate["p99_ms"],
        "holds_per_s": opened["held"] / opened["seconds"],
        "kib_per_hold": (held_kib - idle_kib) / connections,
        "lost": lost + (0 if reached["ok"] else connections),
        "noise_cores": pump["other_cpu_s"] / pump["wall_s"],
    }
