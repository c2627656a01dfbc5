"""The proxy behaves like Pushpin 1.36.0, as seen from outside: every scenario of the kit."""

from collections.abc import Mapping
from concurrent.futures import Future

import pytest

from tests.conformance.gripkit.loader import SCENARIOS, load_scenarios
from tests.conformance.gripkit.model import Scenario
from tests.conformance.gripkit.runner import Outcome


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(
            scenario, id=scenario.id, marks=[pytest.mark.slow] if "slow" in scenario.tags else []
        )
        for scenario in load_scenarios(SCENARIOS)
    ],
)
def test_scenario(scenario: Scenario, outcomes: Mapping[str, Future[Outcome]]) -> None:
    outcome = outcomes[scenario.id].result()
    assert outcome.problem is None, "\n".join(
        [scenario.about, outcome.problem, *outcome.transcript]
    )
