"""Pages that quote figures quote those of the report, and explain the goals that are not met."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import goals, pages

REPORT = pages.read(pages.RESULTS)


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_a_page_says_what_was_measured(page: Path) -> None:
    """`python -m bench --write-pages docs/performance/results.json` brings it up to date."""
    text = page.read_text()
    assert "<!-- about -->" in text
    assert text == pages.filled(text, REPORT)


def test_everything_was_measured() -> None:
    """No row is missing because somebody had measured a part only, or without a peer."""
    assert list(pages.found(REPORT)) == list(pages.COLUMNS)
    lines = goals.table(pages.found(REPORT)).splitlines()[2:]
    for goal in goals.GOALS:
        (line,) = [line for line in lines if line.startswith(f"| {goal.name} |")]
        assert not goal.peer or f"({goal.peer})" in line
    assert sum("growth: " in line for line in lines) == 5


def test_each_goal_that_is_not_met_is_explained() -> None:
    """By its name, in the part of the page that is about those goals."""
    _, _, explained = " ".join(pages.PAGES[1].read_text().split()).partition(
        "## Goals that are not met "
    )
    for line in goals.table(pages.found(REPORT)).splitlines()[2:]:
        name, *_, met = [cell.strip() for cell in line.strip("|").split("|")]
        assert met in ("yes", "no"), line
        assert met == "yes" or f"**{name}" in explained, name


def test_all_figures_of_the_summary_exist() -> None:
    """A name that is no goal's would be left out without a word."""
    names = [goal.name for goal in goals.GOALS]
    assert all(names.count(name) == 1 for name in goals.SUMMARY)


def test_the_pictures_show_the_figures_of_the_report() -> None:
    """One for each thing that grows, with a mark for each step that was measured."""
    rows = pages.found(REPORT)["growth"]
    for axis in dict.fromkeys(str(row["axis"]) for row in rows):
        picture = ET.parse(pages.PICTURES / f"{axis}.svg")
        marks = list(picture.iter("{http://www.w3.org/2000/svg}use"))
        assert len(marks) >= sum(row["axis"] == axis for row in rows)
