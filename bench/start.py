"""Starting: until the port answers, until the guest does, and the memory of who then waits.

Warm is with a compiled form from before, cold without. Viceroy keeps none.
"""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import components
from bench.figures import Figures, Row, medians
from bench.peers import ARTIFACT, ROOT, Edge, host_sim, viceroy
from bench.processes import cpu_s, rss_kib, running, tree, wait_port, wait_quiet
from bench.requests import answers

SETTLED_S = 1.0
"""For how long a process that has just started is at rest before its memory is read."""


def measure(repeat: int) -> list[Row]:
    """Measure starts, and the size of the artifact beside the smallest there can be."""
    ours = host_sim("host-sim serve", ARTIFACT, 21761)
    peer = viceroy("Viceroy", ARTIFACT, 21771)
    runs: dict[tuple[str, str], list[Figures]] = {}
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            for what in ("cold", "warm"):
                figures = started(ours, Path(folder), cold=what == "cold")
                runs.setdefault((what, ours.peer.name), []).append(figures)
        if peer.peer.available():
            figures = started(peer, Path("/"), cold=False)
            for what in ("cold", "warm"):
                runs.setdefault((what, peer.peer.name), []).append(figures)
    rows: list[Row] = [
        {"what": f"start, {what}", "peer": name, **medians(figures)}
        for (what, name), figures in sorted(runs.items(), key=lambda run: run[0][0])
    ]
    sizes = (("bin/main.wasm", ARTIFACT), ("hello world", components.hello()))
    rows += [
        {"what": "artifact", "peer": name, "size_mb": path.stat().st_size / 1e6}
        for name, path in sizes
    ]
    return rows


def started(edge: Edge, cache: Path, *, cold: bool) -> Figures:
    """Start an edge with this cache folder twice: to be asked at once, and to be left alone."""
    figures: Figures = {}
    with starting(edge, cache, cold=cold) as (pid, began):
        figures["bound_s"] = time.perf_counter() - began
        answers(edge.peer.port)
        figures["ready_s"] = time.perf_counter() - began
        figures["cpu_s"] = cpu_s(tree(pid))
    with starting(edge, cache, cold=cold) as (pid, _):
        wait_idle(pid)
        figures["idle_mib"] = rss_kib(tree(pid)) / 1024
    return figures


@contextlib.contextmanager
def starting(edge: Edge, cache: Path, *, cold: bool) -> Iterator[tuple[int, float]]:
    """Start an edge, wait for its port, and give its process and when it was started."""
    if cold:
        shutil.rmtree(cache / "host-sim", ignore_errors=True)
    wait_quiet()
    with contextlib.ExitStack() as stack:
        if edge.proxy is not None:
            stack.enter_context(running(edge.proxy, cwd=ROOT))
        # With bytecode, as everybody has it: pip compiles what it installs.
        environment = {"XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
        began = time.perf_counter()
        process = stack.enter_context(running(edge.peer.command, cwd=ROOT, environment=environment))
        wait_port(edge.peer.port, process, 60)
        yield process.pid, began


def wait_idle(pid: int, cores: float = 0.2, patience_s: float = 60) -> None:
    """Wait until a process and its children use less than `cores`, none coming or going."""
    deadline = time.monotonic() + patience_s
    used_s = cpu_s(tree(pid))
    while time.monotonic() < deadline:
        time.sleep(SETTLED_S)
        before_s, used_s = used_s, cpu_s(tree(pid))
        if abs(used_s - before_s) / SETTLED_S < cores:
            return
    raise SystemExit(f"process {pid} does not come to rest in {patience_s:g} s")
