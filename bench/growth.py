"""How the cost of a delivery grows with connections, channels and the size of messages."""

from bench.fanout import SIZE_BYTES, crowd, origin
from bench.figures import Row, medians, number
from bench.peers import PROXIES

OURS = PROXIES[0]

CONNECTIONS = (100, 300, 1_000, 3_000, 10_000)
CHANNELS = (1, 10, 100, 1_000)
SIZES = (10, 100, 1_000, 10_000, 100_000, 990_000)
"""Bytes; a publish request takes 1,000,000 with all that is around the message."""

LARGE = 100_000
"""Bytes from which on it is each byte that costs, and not each message."""


def measure(seconds: float, repeat: int) -> list[Row]:
    """Measure each step on our proxy; `cost_us` is CPU time for each delivery."""
    steps = [
        *(("stream", "connections", count, (count, SIZE_BYTES, 1)) for count in CONNECTIONS),
        *(("ws", "connections", count, (count, SIZE_BYTES, 1)) for count in CONNECTIONS),
        *(("stream", "channels", count, (10_000, SIZE_BYTES, count)) for count in CHANNELS),
        *(("stream", "bytes", size, (100, size, 1)) for size in SIZES),
    ]
    rows: list[Row] = []
    with origin():
        for kind, axis, x, (connections, size, channels) in steps:
            with crowd(OURS, kind, connections, size=size, channels=channels) as one:
                held = one.hold()
                runs = [one.saturate(seconds) for _ in range(repeat)]
            found = medians(runs)
            rows.append(
                {
                    "what": f"{kind}, {x:,} {axis}",
                    "peer": OURS.name,
                    "kind": kind,
                    "axis": axis,
                    "x": x,
                    "cost_us": found["cpu_s_per_million"],
                    "lost": held["lost"] + found["lost"],
                }
            )
    return rows


def spreads(rows: list[Row]) -> dict[str, float]:
    """Return, for each kind and axis, the highest cost over the lowest one.

    Of large messages it is the cost of a byte that counts.
    """
    found: dict[str, float] = {}
    for kind, axis in dict.fromkeys((str(row["kind"]), str(row["axis"])) for row in rows):
        steps = [row for row in rows if (row["kind"], row["axis"]) == (kind, axis)]
        groups = {
            f"{kind}, {axis}": [
                number(row, "cost_us")
                for row in steps
                if axis != "bytes" or number(row, "x") < LARGE
            ],
            f"{kind}, {axis} of large messages": [
                number(row, "cost_us") / number(row, "x")
                for row in steps
                if axis == "bytes" and number(row, "x") >= LARGE
            ],
        }
        found |= {name: max(costs) / min(costs) for name, costs in groups.items() if costs}
    return found
