"""Finding scenarios in a directory."""

import fnmatch
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.conformance.gripkit.model import Scenario

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"


class ScenarioError(Exception):
    """The scenario files themselves are wrong."""


def load_scenarios(directory: Path) -> list[Scenario]:
    """Return the scenarios in the `SCENARIOS` lists of all Python files in a directory."""
    files = sorted(directory.glob("*.py"))
    if not files:
        raise ScenarioError(f"there are no scenario files in {directory}")
    scenarios = [scenario for file in files for scenario in _load_file(file)]
    seen: set[str] = set()
    for scenario in scenarios:
        if scenario.id in seen:
            raise ScenarioError(f"two scenarios are called {scenario.id}")
        seen.add(scenario.id)
    return scenarios


def select(
    scenarios: Iterable[Scenario], patterns: Sequence[str], skipped_tags: Iterable[str]
) -> list[Scenario]:
    """Return the scenarios that match any of the glob patterns, without those with certain tags."""
    skipped = frozenset(skipped_tags)
    return [
        scenario
        for scenario in scenarios
        if not scenario.tags & skipped
        and (not patterns or any(_matches(scenario.id, pattern) for pattern in patterns))
    ]


def _matches(scenario_id: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(scenario_id, pattern) or fnmatch.fnmatchcase(
        scenario_id, f"{pattern}.*"
    )


def _load_file(file: Path) -> Iterator[Scenario]:
    spec = importlib.util.spec_from_file_location(f"scenarios_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield from getattr(module, "SCENARIOS", [])
