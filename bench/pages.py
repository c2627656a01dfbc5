"""Puts the figures of a report into the pages that quote them, and draws the pictures.

What stands between `<!-- NAME -->` and `<!-- /NAME -->` of a page is a part of the report.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from bench import goals
from bench.figures import Row, table
from bench.peers import ROOT

PICTURES = ROOT / "docs" / "performance"
RESULTS = PICTURES / "results.json"
PAGES = (ROOT / "README.md", ROOT / "docs" / "performance.md")

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
"""What is measured, and the columns of its table."""

type Report = Mapping[str, object]
"""`about`, and the rows of each measurement by its name in `COLUMNS`."""


def tables(name: str, rows: list[Row]) -> str:
    """Return the tables of a measurement; rows without its columns have one of their own."""
    shown = [row for row in rows if COLUMNS[name][0] in row]
    text = table(shown, COLUMNS[name]) + "\n"
    others = [row for row in rows if row not in shown]
    if others:
        text += "\n" + table(others, [key for key in others[0] if key not in ("what", "peer")])
        text += "\n"
    return text


def found(report: Report) -> dict[str, list[Row]]:
    """Return what was measured."""
    return {name: rows for name in COLUMNS if isinstance(rows := report.get(name), list)}


def parts(report: Report) -> dict[str, str]:
    """Return what can stand in a page, by name."""
    about = report["about"]
    assert isinstance(about, dict)
    measured = found(report)
    return {
        "about": f"{about['date']}, {about['machine']}; {about['versions']}.\n",
        "goals": goals.table(measured) + "\n",
        "summary": goals.summary(measured) + "\n",
        **{name: tables(name, rows) for name, rows in measured.items()},
    }


def filled(text: str, report: Report) -> str:
    """Return a page with the figures of a report; parts it does not have stay as they are."""
    for name, part in parts(report).items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->\n")
        if begin and end:
            text = before + begin + part + end + after
    return text


def write(report: Report) -> None:
    """Write pages, pictures, and the report beside them."""
    from bench.plots import draw

    for page in PAGES:
        page.write_text(filled(page.read_text(), report))
    PICTURES.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    draw(found(report)["growth"], PICTURES)


def read(path: Path) -> Report:
    """Return the report in a file."""
    report: Report = json.loads(path.read_text())
    return report
