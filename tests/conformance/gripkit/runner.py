"""Running scenarios, most of them side by side."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.conformance.gripkit.model import CheckError, Run, Scenario, Settings
from tests.conformance.gripkit.origin import Origin


@dataclass(frozen=True)
class Outcome:
    """How a scenario went. `problem` is None if it passed."""

    scenario: Scenario
    problem: str | None
    seconds: float
    transcript: Sequence[str]


async def run_scenarios(
    scenarios: Sequence[Scenario],
    settings: Settings,
    origin: Origin,
    jobs: int,
    report: Callable[[Outcome], None],
) -> list[Outcome]:
    """Run scenarios, at most `jobs` at a time, and report each outcome as soon as it is known."""
    await origin.start()
    slots = asyncio.Semaphore(jobs)

    async def run_one(scenario: Scenario) -> Outcome:
        async with slots:
            outcome = await _run(scenario, settings, origin)
        report(outcome)
        return outcome

    slow_first = sorted(scenarios, key=lambda scenario: "slow" not in scenario.tags)
    shared = [run_one(scenario) for scenario in slow_first if not scenario.exclusive]
    outcomes = list(await asyncio.gather(*shared))
    for scenario in scenarios:
        if scenario.exclusive:
            outcomes.append(await run_one(scenario))
            await origin.start()
    await origin.stop()
    return outcomes


async def _run(scenario: Scenario, settings: Settings, origin: Origin) -> Outcome:
    started = time.monotonic()
    run = Run(scenario, settings, origin)
    origin.add(run.names, run.script)
    problem = await _run_steps(scenario, run)
    transcript = run.transcript()
    await run.close()
    origin.remove(run.names)
    return Outcome(scenario, problem, time.monotonic() - started, transcript)


async def _run_steps(scenario: Scenario, run: Run) -> str | None:
    for number, step in enumerate(scenario.steps, start=1):
        try:
            await step.run(run)
        except CheckError as failure:
            return f"step {number} {type(step).__name__}: {failure}"
        except Exception as error:  # noqa: BLE001 - a broken step must not stop the others
            return f"step {number} {type(step).__name__} broke: {error!r}"
    return None
