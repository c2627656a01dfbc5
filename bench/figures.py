"""Figures of one run, of several, and how they are shown."""

import statistics
from collections.abc import Sequence

type Figures = dict[str, float]
type Row = dict[str, object]
"""`what` was measured, on which `peer`, and figures by name."""


def medians(runs: Sequence[Figures]) -> Figures:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def number(row: Row, column: str) -> float:
    value = row[column]
    assert isinstance(value, int | float)
    return value


def shown(value: float) -> str:
    """Return a figure as a person reads it: four digits that mean something, no exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(rows: list[Row], columns: Sequence[str]) -> str:
    """Return rows as Markdown; the last column is the first figure over that of each peer."""
    lines = [
        "| what | peer | " + " | ".join(columns) + " | ours / peer |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for row in rows:
        cells = [shown(number(row, column)) for column in columns]
        ours = next(other for other in rows if other["what"] == row["what"])
        base = number(row, columns[0])
        ratio = "" if row is ours or not base else f"{number(ours, columns[0]) / base:.2f}"
        lines.append(f"| {row['what']} | {row['peer']} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines)
