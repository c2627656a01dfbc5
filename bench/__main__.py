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

from bench import es256, fanout, goals, growth, hostcalls, pages, requests, start
from bench.peers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.figures import Row

PACKAGES = ("wasmtime", "uvloop", "h11", "websockets", "aiohttp")
PROGRAMS = ("pushpin", "viceroy")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1, help="how long each load lasts")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--offered", type=float, default=10_000, help="deliveries/s for latency")
    parser.add_argument("--only", choices=pages.COLUMNS, action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results.json")
    parser.add_argument(
        "--write-pages", type=Path, metavar="JSON", help="measure nothing, put these into the docs"
    )
    arguments = parser.parse_args()
    if arguments.write_pages is not None:
        pages.write(pages.read(arguments.write_pages))
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
            print(pages.tables(name, found[name]), flush=True)
            arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(goals.table(found))
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        print(f"\nnot installed, so not measured: {', '.join(absent)}")
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
