"""Requests through the guest, answered by the first call, or handed off and by the second.

The service answers an unknown path with 404 at once if the request is signed, and hands it off to
`self` if it is not; so the same path measures both.
"""

import asyncio
import statistics
import time

from bench.fanout import Figures
from bench.peers import LOCAL_KEY
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
        while time.perf_counter() < until:
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
    cuts = statistics.quantiles(times, n=100)
    return {
        "requests_per_s": len(times) / elapsed,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
    }


def through_guest(port: int, connections: int, seconds: float, *, handed_off: bool) -> Figures:
    """Measure requests on a running edge that serves the artifact on `port`."""
    request = _request(port, handed_off=handed_off)
    asyncio.run(_run(port, connections, 0.5, request))  # warm up
    return asyncio.run(_run(port, connections, seconds, request))
