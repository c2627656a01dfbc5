"""What a host call costs, measured inside a guest, on the fast border and on the slow one.

Times are CPU time of the guest's thread, as the guest is told it, which other work on the machine
does not change much.
"""

import asyncio
import statistics
from typing import Any

from bench.figures import Figures, Row
from host_sim.sandbox.instance import Sandboxes
from tests.support.sandbox import Scripted, Upstream, build_guest

BORDERS = {"direct": (10_000, 5), "public": (1000, 1)}
"""By border: calls that are timed together, and bodies of 1 MiB that are read."""

SCRIPT = """
def mean_ms(times, call):
    start = compute_runtime.get_vcpu_ms()
    for _ in range(times):
        call()
    return (compute_runtime.get_vcpu_ms() - start) / times

calls, reads = {calls}, {reads}
empty = mean_ms(calls, lambda: None)
bodies = [written(bytes(1 << 20)) for _ in range(reads)]
answer({{
    "get_method_us": 1000 * (mean_ms(calls, lambda: request.get_method(99)) - empty),
    "get_header_us": 1000 * (mean_ms(calls, lambda: request.get_header_value("host", 99)) - empty),
    "read_1mib_ms": mean_ms(reads, lambda: read_all(bodies.pop())),
}})
"""


async def _measure(border: str, repeat: int) -> list[dict[str, Any]]:
    calls, reads = BORDERS[border]
    upstream = Upstream()
    sandboxes = Sandboxes(upstream=upstream)
    await sandboxes.load(build_guest(), border=border)
    guest = Scripted(sandboxes, upstream)
    script = SCRIPT.format(calls=calls, reads=reads)
    runs = [await guest.json(script) for _ in range(repeat)]
    await sandboxes.close()
    return runs


def measure(repeat: int) -> list[Row]:
    """Measure a host call on each border."""
    return [
        {"what": "host call", "peer": border, **host_calls(border, repeat)} for border in BORDERS
    ]


def host_calls(border: str, repeat: int) -> Figures:
    """Return medians: of the mean time of a call in a guest, and of reading a body."""
    runs = asyncio.run(_measure(border, repeat))
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}
