"""Starting: until the port answers, until the guest does, and the memory of who then waits.

Warm is with a compiled form from before, cold without. Viceroy keeps none.
"""

import contextlib
import tempfile
import time
from pathlib import Path

from bench import components
from bench.figures import Figures, Row, medians
from bench.peers import ARTIFACT, ROOT, Edge, host_sim, viceroy
from bench.processes import cpu_s, rss_kib, running, tree, wait_port, wait_quiet
from bench.requests import answers

SETTLED_S = 2.0
"""How long a process that has just started is left alone before its memory is read."""


def measure(repeat: int) -> list[Row]:
    """Measure starts, and the size of the artifact beside the smallest there can be."""
    ours = host_sim("host-sim serve", ARTIFACT, 21761)
    peer = viceroy("Viceroy", ARTIFACT, 21771)
    runs: dict[tuple[str, str], list[Figures]] = {}
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            for what in ("cold", "warm"):
                runs.setdefault((what, ours.peer.name), []).append(started(ours, Path(folder)))
        if peer.peer.available():
            figures = started(peer, Path("/"))
            for what in ("cold", "warm"):
                runs.setdefault((what, peer.peer.name), []).append(figures)
    rows: list[Row] = [
        {"what": f"start, {what}", "peer": name, **medians(figures)}
        for (what, name), figures in sorted(runs.items())
    ]
    sizes = (("bin/main.wasm", ARTIFACT), ("hello world", components.hello()))
    rows += [
        {"what": "artifact", "peer": name, "size_mb": path.stat().st_size / 1e6}
        for name, path in sizes
    ]
    return rows


def started(edge: Edge, cache: Path) -> Figures:
    """Start an edge with this cache folder and stop it."""
    wait_quiet()
    with contextlib.ExitStack() as stack:
        if edge.proxy is not None:
            stack.enter_context(running(edge.proxy, cwd=ROOT))
        began = time.perf_counter()
        process = stack.enter_context(
            running(edge.peer.command, cwd=ROOT, environment={"XDG_CACHE_HOME": str(cache)})
        )
        wait_port(edge.peer.port, process, 60)
        bound_s = time.perf_counter() - began
        answers(edge.peer.port)
        ready_s = time.perf_counter() - began
        time.sleep(SETTLED_S)
        pids = tree(process.pid)
        return {
            "ready_s": ready_s,
            "bound_s": bound_s,
            "cpu_s": cpu_s(pids),
            "idle_mib": rss_kib(pids) / 1024,
        }
