"""`make bench`: proxy and edge beside the peers that are installed, and host calls; medians."""

import argparse
import contextlib
import importlib.metadata
import json
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

from bench.fanout import Figures, fan_out
from bench.hostcalls import BORDERS, host_calls
from bench.peers import EDGES, PROXIES, ROOT
from bench.processes import rss_kib, running, tree, wait_port, wait_quiet
from bench.requests import through_guest

FAN_OUT = ("deliveries_per_s", "cpu_s_per_million", "p50_ms", "p99_ms", "holds_per_s")
REQUESTS = ("requests_per_s", "p50_ms", "p99_ms")
HOST_CALLS = ("get_method_us", "get_header_us", "read_1mib_ms")


def medians(runs: list[Figures]) -> Figures:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def measure_fan_out(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Measure every kind and number of connections on every proxy that is here, in turn."""
    rows: list[dict[str, object]] = []
    peers = [peer for peer in PROXIES if peer.available()]
    for kind in ("stream", "ws"):
        for connections in arguments.connections:
            runs: dict[str, list[Figures]] = {peer.name: [] for peer in peers}
            for _ in range(arguments.repeat):
                for peer in peers:  # in turn, so that a change of the machine's speed hits all
                    wait_quiet()
                    runs[peer.name].append(
                        fan_out(peer, kind, connections, arguments.seconds, arguments.offered)
                    )
            rows += [
                {"what": f"{kind} x {connections}", "peer": name, **medians(figures)}
                for name, figures in runs.items()
            ]
            show(rows[-len(peers) :], (*FAN_OUT, "kib_per_hold", "lost"))
    return rows


def measure_requests(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Measure plain and handed-off requests on every edge that is here."""
    rows: list[dict[str, object]] = []
    for edge, proxy in EDGES:
        if not edge.available():
            continue
        with contextlib.ExitStack() as stack:
            if proxy is not None:
                stack.enter_context(running(proxy, cwd=ROOT))
            started = time.monotonic()
            process = stack.enter_context(running(edge.command, cwd=ROOT))
            wait_port(edge.port, process)
            ready_s = time.monotonic() - started
            time.sleep(2)
            idle_kib = rss_kib(tree(process.pid))
            for handed_off in (False, True):
                for connections in (1, 8):
                    wait_quiet()
                    figures = medians(
                        [
                            through_guest(
                                edge.port, connections, arguments.seconds, handed_off=handed_off
                            )
                            for _ in range(arguments.repeat)
                        ]
                    )
                    what = f"{'handed off' if handed_off else 'plain'} x {connections}"
                    rows.append({"what": what, "peer": edge.name, **figures})
            rows.append(
                {
                    "what": "start",
                    "peer": edge.name,
                    "ready_s": ready_s,
                    "idle_mib": idle_kib / 1024,
                }
            )
    order = {row["what"]: number for number, row in enumerate(rows)}
    rows.sort(key=lambda row: order[row["what"]])
    show([row for row in rows if row["what"] != "start"], REQUESTS)
    show([row for row in rows if row["what"] == "start"], ("ready_s", "idle_mib"))
    return rows


def measure_host_calls(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Measure a host call on each border."""
    rows: list[dict[str, object]] = []
    for border in BORDERS:
        wait_quiet()
        rows.append({"what": "host call", "peer": border, **host_calls(border, arguments.repeat)})
    show(rows, HOST_CALLS)
    return rows


def show(rows: list[dict[str, object]], columns: tuple[str, ...]) -> None:
    """Print rows as a table; the last column is the first figure over the last peer's."""
    if not rows:
        return
    print("| what | peer | " + " | ".join(columns) + " | ratio |")
    print("|---" * (len(columns) + 3) + "|")
    for row in rows:
        cells = [f"{row[column]:,.4g}" for column in columns]
        peer = [other for other in rows if other["what"] == row["what"]][-1]
        ratio = f"{float(str(row[columns[0]])) / float(str(peer[columns[0]])):.2f}"
        print(f"| {row['what']} | {row['peer']} | " + " | ".join(cells) + f" | {ratio} |")
    print(flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[1000])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--offered", type=float, default=10_000, help="deliveries/s for latency")
    parser.add_argument("--only", choices=["fanout", "requests", "hostcalls"])
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results.json")
    arguments = parser.parse_args()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    versions = {
        name: importlib.metadata.version(name) for name in ("wasmtime", "h11", "websockets")
    }
    report: dict[str, object] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "versions": versions,
    }
    for name, measure in {
        "fan_out": measure_fan_out,
        "requests": measure_requests,
        "host_calls": measure_host_calls,
    }.items():
        if arguments.only in (None, name.replace("_", "")):
            report[name] = measure(arguments)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
