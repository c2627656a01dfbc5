"""Fan-out: many held connections, one publisher; every subscriber must get every message once.

The load is made by `loadgen.c` and the origin is `origin.c`, so that the client costs far less
than any proxy.
"""

import contextlib
import dataclasses
import json
import subprocess
import time
from collections.abc import Iterator
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

SCENES = (("stream", 1_000), ("ws", 10_000))
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


@dataclasses.dataclass(frozen=True)
class Crowd:
    """Clients of one kind on one peer, to be held and delivered to.

    Attributes:
        connections: how many clients there are.
        pids: processes of the peer.
        idle_kib: their memory when they held nobody yet.
        load: the load generator.
    """

    connections: int
    pids: list[int]
    idle_kib: int
    load: _Load

    def hold(self) -> Figures:
        """Connect all clients.

        Returns: holds established per second, KiB for each, how many were not reached.
        """
        opened = self.load(f"open {self.connections} {HANDSHAKES_AT_A_TIME}")
        reached = self.load("probe")
        return {
            "holds_per_s": opened["held"] / opened["seconds"],
            "kib_per_hold": (rss_kib(self.pids) - self.idle_kib) / self.connections,
            "lost": 0 if reached["ok"] else self.connections,
        }

    def offer(self, seconds: float, offered: float) -> Figures:
        """Publish so that there are `offered` deliveries per second; return their latencies."""
        messages_per_s = max(offered / self.connections, 0.5)
        rate = _measured(self.load, f"rate {messages_per_s:.3f} {seconds}", self.pids)
        return {"p50_ms": rate["p50_ms"], "p99_ms": rate["p99_ms"], "lost": _lost(rate)}

    def saturate(self, seconds: float) -> Figures:
        """Publish with one message under way; return deliveries per second and what they cost."""
        pump = _measured(self.load, f"pump 1 {seconds}", self.pids)
        return {
            "deliveries_per_s": pump["deliveries_per_s"],
            "cpu_s_per_million": pump.get("cpu_s_per_million", 0.0),
            "noise_cores": pump["other_cpu_s"] / pump["wall_s"],
            "lost": _lost(pump),
        }


def _lost(phase: Figures) -> float:
    return sum(phase[key] for key in ("incomplete", "gaps", "dups"))


@contextlib.contextmanager
def crowd(
    peer: Peer, kind: str, connections: int, *, size: int = SIZE_BYTES, channels: int = 1
) -> Iterator[Crowd]:
    """Start a peer for so many clients of `kind` (`stream` or `ws`), who are not held yet.

    Messages have `size` bytes and go to one of `channels`, between which the clients are divided.
    """
    with running(peer.command, cwd=ROOT) as process:
        for port in (peer.port, peer.publish_port):
            wait_port(port, process)
        time.sleep(peer.settled_s)
        pids = tree(process.pid)
        with contextlib.closing(_Load(peer, kind, size, channels)) as first:
            first("open 1 1")  # what a process loads once is not what a hold needs
            first("close")
            idle_kib = rss_kib(pids)
            first(f"open {HANDSHAKES_AT_A_TIME} {HANDSHAKES_AT_A_TIME}")  # to warm up
            first("close")
        with contextlib.closing(_Load(peer, kind, size, channels)) as load:
            yield Crowd(connections, pids, idle_kib, load)


@contextlib.contextmanager
def origin() -> Iterator[None]:
    """Run the backend that proxies ask what to do."""
    with running([build("origin"), str(ORIGIN_PORT)]) as process:
        wait_port(ORIGIN_PORT, process)
        yield


def measure(seconds: float, repeat: int, offered: float) -> list[Row]:
    """Measure every scene on every proxy that is here, in turn."""
    peers = [peer for peer in (*PROXIES, *LIMITS) if peer.available()]
    rows: list[Row] = []
    with origin():
        for kind, connections in SCENES:
            runs: dict[str, list[Figures]] = {peer.name: [] for peer in peers}
            for _ in range(repeat):
                for peer in peers:  # in turn, so that a change of the machine's speed hits all
                    wait_quiet()
                    runs[peer.name].append(fan_out(peer, kind, connections, seconds, offered))
            what = f"{kind} x {connections}"
            rows += [{"what": what, "peer": name, **medians(run)} for name, run in runs.items()]
    return rows


def fan_out(peer: Peer, kind: str, connections: int, seconds: float, offered: float) -> Figures:
    """Hold clients on a peer that has just started, and deliver to them."""
    with crowd(peer, kind, connections) as one:
        phases = [one.hold(), one.offer(seconds, offered), one.saturate(seconds)]
    figures = {key: value for phase in phases for key, value in phase.items()}
    return figures | {"lost": sum(phase["lost"] for phase in phases)}
