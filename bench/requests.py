"""Requests through the guest, answered by the first call, or handed off and by the second.

The service answers an unknown path with 404 at once if the request is signed, and hands it off to
`self` if it is not; so the same path measures both.
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

from bench import components
from bench.figures import Figures, Row, medians
from bench.peers import ARTIFACT, LOCAL_KEY, ROOT, Edge, host_sim, viceroy
from bench.processes import halted, running, wait_port, wait_quiet
from grip.signature import Key, sign

PATH = "/bench"


def _request(port: int, *, handed_off: bool) -> bytes:
    head = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if not handed_off:
        token = sign(Key.secret(LOCAL_KEY), "viceroy", time.time())
        head += f"Grip-Sig: {token}\r\n"
    return f"{head}\r\n".encode()


async def _client(port: int, request: bytes, until: float, times: list[float]) -> None:
    """Send one request after the other on one connection; answers carry a Content-Length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < until or not times:
            start = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 404"):
                raise SystemExit(f"expected a 404 on port {port}, got {head[:60]!r}")
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - start)
    finally:
        writer.close()


async def _run(port: int, connections: int, seconds: float, request: bytes) -> Figures:
    times: list[float] = []
    start = time.perf_counter()
    clients = [_client(port, request, start + seconds, times) for _ in range(connections)]
    await asyncio.gather(*clients)
    elapsed = time.perf_counter() - start
    cuts = statistics.quantiles(times * 2, n=100)  # of a single one, too
    return {
        "requests_per_s": len(times) / elapsed,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
    }


def through_guest(port: int, connections: int, seconds: float, *, handed_off: bool) -> Figures:
    """Measure requests on a running edge that serves the artifact on `port`."""
    request = _request(port, handed_off=handed_off)
    asyncio.run(_run(port, connections, 0.3, request))  # warm up
    return asyncio.run(_run(port, connections, seconds, request))


def measure(seconds: float, repeat: int) -> list[Row]:
    """Measure plain and handed-off requests on every edge that is here, in turn."""
    main, once = ARTIFACT, components.once()
    edges = [
        ("reused", host_sim("host-sim serve --reuse 1000", main, 21711, "--reuse", "1000")),
        ("reused", host_sim("host-sim serve", main, 21721)),
        ("reused", viceroy("Viceroy + Pushpin", main, 21731)),
        ("fresh", host_sim("host-sim serve", once, 21741)),
        ("fresh", viceroy("Viceroy + Pushpin", once, 21751)),
    ]
    here = [(how, edge) for how, edge in edges if edge.peer.available()]
    loads = [(handed_off, count) for handed_off in (False, True) for count in (1, 8)]
    runs: dict[tuple[str, str], list[Figures]] = {}
    with contextlib.ExitStack() as stack:
        # Those whose turn it is not are stopped: an idle Viceroy wakes thousands of times a second.
        turns = [stack.enter_context(_started(edge)) for _, edge in here]
        for _ in range(repeat):
            for handed_off, connections in loads:
                for (how, edge), turn in zip(here, turns, strict=True):
                    what = f"{'handed off' if handed_off else 'plain'}, {how}, x {connections}"
                    with turn():
                        wait_quiet(patience_s=3)
                        figures = through_guest(
                            edge.peer.port, connections, seconds, handed_off=handed_off
                        )
                    runs.setdefault((what, edge.peer.name), []).append(figures)
    return [
        {"what": what, "peer": peer, **medians(figures)} for (what, peer), figures in runs.items()
    ]


@contextlib.contextmanager
def _started(edge: Edge) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Start an edge, with the proxy it needs, and stop it until its turns, see `halted`."""
    with contextlib.ExitStack() as stack:
        roots: list[int] = []
        if edge.proxy is not None:
            roots.append(stack.enter_context(running(edge.proxy, cwd=ROOT)).pid)
        process = stack.enter_context(running(edge.peer.command, cwd=ROOT))
        wait_port(edge.peer.port, process, 60)
        answers(edge.peer.port)
        yield stack.enter_context(halted([*roots, process.pid]))


def answers(port: int, patience_s: float = 60) -> float:
    """Wait until the guest answers both kinds of requests; return the seconds it took."""
    began = time.perf_counter()
    for handed_off in (False, True):
        while True:
            with contextlib.suppress(SystemExit, OSError, asyncio.IncompleteReadError):
                asyncio.run(_run(port, 1, 0.0, _request(port, handed_off=handed_off)))
                break
            if time.perf_counter() - began > patience_s:
                raise SystemExit(f"nobody answers on port {port}")
            time.sleep(0.05)
    return time.perf_counter() - began
