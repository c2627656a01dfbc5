# ruff: noqa: T201 - part of a command line tool
"""Telling how scenarios went."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.conformance.gripkit.runner import Outcome


def print_outcome(outcome: Outcome, *, trace: bool) -> None:
    """Print a line about one scenario, and with `trace` what happened before it failed."""
    verdict = "PASS" if outcome.problem is None else "FAIL"
    reason = "" if outcome.problem is None else f": {outcome.problem}"
    print(f"{verdict} {outcome.scenario.id} ({outcome.seconds:.1f} s){reason}", flush=True)
    if trace and outcome.problem is not None:
        for line in outcome.transcript:
            print(f"    {line}", flush=True)


def print_summary(outcomes: Sequence[Outcome]) -> None:
    """Print the totals."""
    failed = sum(outcome.problem is not None for outcome in outcomes)
    print(f"{len(outcomes) - failed} passed, {failed} failed")


def write_junit(outcomes: Sequence[Outcome], file: Path) -> None:
    """Write the outcomes in the JUnit XML format."""
    failed = sum(outcome.problem is not None for outcome in outcomes)
    suite = ElementTree.Element(
        "testsuite", name="grip-conformance", tests=str(len(outcomes)), failures=str(failed)
    )
    for outcome in outcomes:
        group, _, name = outcome.scenario.id.partition(".")
        case = ElementTree.SubElement(
            suite, "testcase", classname=group, name=name, time=f"{outcome.seconds:.3f}"
        )
        if outcome.problem is not None:
            ElementTree.SubElement(case, "failure", message=outcome.problem)
    ElementTree.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)
