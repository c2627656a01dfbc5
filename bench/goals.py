"""The goals of the project, each beside what was measured."""

import dataclasses
from collections.abc import Mapping

from bench import growth
from bench.figures import Row, number, shown

type Report = Mapping[str, list[Row]]

OURS, PUSHPIN, BARE = "host-sim proxy", "Pushpin", "bare write"
SERVE, PEERS = "host-sim serve", "Viceroy + Pushpin"


@dataclasses.dataclass(frozen=True)
class Goal:
    """One figure.

    Attributes:
        name: what it is.
        section, what, column: where it is in a report.
        bound: what it is to be at least, or at most.
        least: whether more is better.
        peer: who is measured beside it.
        of_peer: whether the bound is for the ratio to the peer.
    """

    name: str
    section: str
    what: str
    column: str
    bound: float
    least: bool = False
    ours: str = OURS
    peer: str = PUSHPIN
    of_peer: bool = False


def _requests() -> list[Goal]:
    bounds = {
        ("plain", "reused"): (1.2, 1.2),
        ("plain", "fresh"): (1.2, 1.2),
        ("handed off", "reused"): (8, 2),
        ("handed off", "fresh"): (4, 1.3),
    }
    return [
        Goal(
            f"requests/s, {kind}, {how}, {connections} at a time",
            "requests",
            f"{kind}, {how}, x {connections}",
            "requests_per_s",
            bound,
            least=True,
            ours=SERVE,
            peer=PEERS,
            of_peer=True,
        )
        for (kind, how), pair in bounds.items()
        for connections, bound in zip((1, 8), pair, strict=True)
    ]


def _starts() -> list[Goal]:
    return [
        Goal(name, "start", f"start, {how}", column, bound, ours=SERVE, peer="Viceroy")
        for name, how, column, bound in (
            ("ready with a warm cache, s", "warm", "ready_s", 0.4),
            ("ready with a cold cache, s", "cold", "ready_s", 6),
            ("idle after a warm start, MiB", "warm", "idle_mib", 90),
            ("idle after a cold start, MiB", "cold", "idle_mib", 90),
        )
    ]


def _proxy() -> list[Goal]:
    streams, sockets = "stream x 1000", "ws x 10000"
    return [
        Goal(name, "fan_out", what, column, bound, least=column.endswith("per_s"))
        for name, what, column, bound in (
            ("deliveries/s, 10,000 WebSockets", sockets, "deliveries_per_s", 80_000),
            ("CPU s per million of these, 10,000 WebSockets", sockets, "cpu_s_per_million", 15),
            ("deliveries/s, 1,000 streams", streams, "deliveries_per_s", 120_000),
            ("CPU s per million of these, 1,000 streams", streams, "cpu_s_per_million", 11),
            ("p99 at 10,000/s, 10,000 WebSockets, ms", sockets, "p99_ms", 150),
            ("memory of a stream, KiB", streams, "kib_per_hold", 12),
            ("memory of a WebSocket, KiB", sockets, "kib_per_hold", 16),
            ("streams held per second", streams, "holds_per_s", 3_000),
            ("WebSockets held per second", sockets, "holds_per_s", 2_000),
        )
    ]


GOALS = [
    *_proxy(),
    *_requests(),
    *_starts(),
    Goal("first ES256 verification, ms", "es256", "ES256", "first_ms", 4, ours=SERVE, peer=""),
    Goal("later ES256 verifications, ms", "es256", "ES256", "later_ms", 2, ours=SERVE, peer=""),
    Goal(
        "artifact, MB",
        "start",
        "artifact",
        "size_mb",
        1.05,
        ours="bin/main.wasm",
        peer="hello world",
        of_peer=True,
    ),
]


SUMMARY = (
    "deliveries/s, 10,000 WebSockets",
    "p99 at 10,000/s, 10,000 WebSockets, ms",
    "memory of a WebSocket, KiB",
    "deliveries/s, 1,000 streams",
    "requests/s, plain, fresh, 1 at a time",
    "requests/s, plain, reused, 1 at a time",
    "requests/s, plain, reused, 8 at a time",
    "requests/s, handed off, reused, 1 at a time",
    "requests/s, handed off, reused, 8 at a time",
    "ready with a warm cache, s",
    "ready with a cold cache, s",
    "idle after a warm start, MiB",
)
"""Names of the goals whose figures the README shows."""


def table(report: Report) -> str:
    """Return all goals that a report has figures for, as Markdown."""
    lines = ["| figure | ours | peer | ours / peer | goal | met |", "|---" * 6 + "|"]
    for goal in GOALS:
        ours = _value(report, goal, goal.ours)
        if ours is None:
            continue
        peer = _value(report, goal, goal.peer)
        ratio = None if not peer else ours / peer
        judged = ratio if goal.of_peer else ours
        met = "-"
        if judged is not None:
            met = "yes" if (judged >= goal.bound if goal.least else judged <= goal.bound) else "no"
        cells = (
            goal.name,
            shown(ours),
            "-" if peer is None else f"{shown(peer)} ({goal.peer})",
            "-" if ratio is None else f"{ratio:.2f}",
            f"{'>=' if goal.least else '<='} {goal.bound:,g}{' x peer' if goal.of_peer else ''}",
            met,
        )
        lines.append("| " + " | ".join(cells) + " |")
    for name, spread in growth.spreads(report.get("growth", [])).items():
        met = "yes" if spread <= 2 else "no"
        lines.append(f"| growth: {name}, most / least | {spread:.2f} | - | - | <= 2 | {met} |")
    return "\n".join(lines)


def summary(report: Report) -> str:
    """Return the figures of `SUMMARY` that a report has, as Markdown, without the goals."""
    lines = ["| figure | ours | peer | ours / peer |", "|---|---|---|---|"]
    for goal in GOALS:
        ours, peer = _value(report, goal, goal.ours), _value(report, goal, goal.peer)
        if goal.name in SUMMARY and ours is not None and peer is not None:
            beside = f"{shown(peer)} ({goal.peer})"
            lines.append(f"| {goal.name} | {shown(ours)} | {beside} | {ours / peer:.2f} |")
    return "\n".join(lines)


def _value(report: Report, goal: Goal, peer: str) -> float | None:
    for row in report.get(goal.section, []):
        if (row["what"], row["peer"]) == (goal.what, peer):
            return number(row, goal.column)
    return None
