"""`make bench`: everything the project promises in numbers, beside the peers that are installed.

Prints a table of each measurement and one of the goals, and writes all figures as JSON. Those who
compete are measured in turn, so that a change of the machine's speed hits all; figures are medians.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import es256, fanout, goals, growth, hostcalls, requests, start
from bench.figures import Row, table
from bench.peers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = {
    "fan_out": (
        *("deliveries_per_s", "cpu_s_per_million", "p50_ms", "p99_ms", "holds_per_s"),
        *("kib_per_hold", "lost"),
    ),
    "requests": ("requests_per_s", "p50_ms", "p99_ms"),
    "start": ("ready_s", "bound_s", "cpu_s", "idle_mib"),
    "es256": ("first_ms", "later_ms"),
    "host_calls": ("get_method_us", "get_header_us", "read_1mib_ms"),
    "growth": ("cost_us",),
}
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "performance"
PACKAGES = ("wasmtime", "uvloop", "h11", "websockets", "aiohttp")
PROGRAMS = ("pushpin", "viceroy")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="how long each load lasts")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--offered", type=float, default=10_000, help="deliveries/s for latency")
    parser.add_argument("--only", choices=COLUMNS, action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results.json")
    parser.add_argument("--write-page", type=Path, metavar="JSON", help=f"put these into {PAGE}")
    arguments = parser.parse_args()
    if arguments.write_page is not None:
        write_page(json.loads(arguments.write_page.read_text()))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whom it has started ends with it
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    seconds, repeat = arguments.seconds, arguments.repeat
    measurements: dict[str, Callable[[], list[Row]]] = {
        "fan_out": lambda: fanout.measure(seconds, repeat, arguments.offered),
        "requests": lambda: requests.measure(seconds, repeat),
        "start": lambda: start.measure(repeat),
        "es256": lambda: es256.measure(repeat),
        "host_calls": lambda: hostcalls.measure(repeat),
        "growth": lambda: growth.measure(seconds, repeat),
    }
    report: dict[str, object] = {"about": about()}
    found: dict[str, list[Row]] = {}
    for name, measure in measurements.items():
        if arguments.only is None or name in arguments.only:
            report[name] = found[name] = measure()
            print(tables(name, found[name]), flush=True)
            arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(goals.table(found))
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        print(f"\nnot installed, so not measured: {', '.join(absent)}")
    return 0


def tables(name: str, rows: list[Row]) -> str:
    """Return the tables of a measurement; rows without its columns have one of their own."""
    shown = [row for row in rows if COLUMNS[name][0] in row]
    text = table(shown, COLUMNS[name]) + "\n"
    others = [row for row in rows if row not in shown]
    if others:
        text += "\n" + table(others, [key for key in others[0] if key not in ("what", "peer")])
        text += "\n"
    return text


def about() -> dict[str, str]:
    """Return when and where this is measured, and what with."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    versions = {"Python": platform.python_version(), "Linux": platform.release()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    for name in PROGRAMS:
        versions[name] = "absent"
        if shutil.which(name) is not None:
            said = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
            versions[name] = (said.stdout or said.stderr).split()[-1]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores of {model}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def write_page(report: dict[str, object]) -> None:
    """Put the figures of a report between the markers of the page, and draw its pictures."""
    from bench.plots import draw

    facts = report["about"]
    assert isinstance(facts, dict)
    found = {key: rows for key, rows in report.items() if isinstance(rows, list)}
    parts = {
        "about": f"{facts['date']}, {facts['machine']}; {facts['versions']}.\n",
        "goals": goals.table(found) + "\n",
        **{name: tables(name, rows) for name, rows in found.items()},
    }
    text = PAGE.read_text()
    for name, part in parts.items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->\n")
        if begin and end:
            text = before + begin + part + end + after
    PAGE.write_text(text)
    (PICTURES / "results.json").parent.mkdir(exist_ok=True)
    (PICTURES / "results.json").write_text(json.dumps(report, indent=1) + "\n")
    if "growth" in found:
        draw(found["growth"], PICTURES)


if __name__ == "__main__":
    sys.exit(main())
