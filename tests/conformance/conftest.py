"""Runs the scenarios side by side against a proxy of our own, in a thread with its event loop.

The scenarios spend their time waiting, so one after the other they would take many minutes. The
first test that needs an outcome starts all those that were selected; each test then waits for its
own.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from urllib.parse import urlsplit

import pytest

from grip.signature import Key
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.signer import Signer
from host_sim.proxy import GripProxy, ProxySettings
from tests.conformance.gripkit.matchers import SigningKey
from tests.conformance.gripkit.model import Scenario, Settings
from tests.conformance.gripkit.origin import Origin
from tests.conformance.gripkit.runner import Outcome, run_scenarios

JOBS = 16
PATIENCE_S = 20
ISSUER = "conformance"
KEY = "conformance-key-0123456789-0123456789"

type Outcomes = Mapping[str, Future[Outcome]]


async def run_all(scenarios: list[Scenario], outcomes: Outcomes) -> None:
    """Start origin and proxy on free ports and run the scenarios."""
    origin = Origin(0)
    await origin.start()
    settings = ProxySettings(
        routes=Routes([Route.parse(f"conformance=http://127.0.0.1:{origin.port}")]),
        sign=Signer(Key.secret(KEY), ISSUER),
        address=("127.0.0.1", 0),
        publish_address=("127.0.0.1", 0),
    )
    async with GripProxy(settings) as proxy:
        await run_scenarios(
            scenarios,
            Settings(
                urlsplit("http://{}:{}".format(*proxy.address)),
                urlsplit("http://{}:{}/publish/".format(*proxy.publish_address)),
                SigningKey(KEY, "HS256", ISSUER),
                PATIENCE_S,
            ),
            origin,
            JOBS,
            lambda outcome: outcomes[outcome.scenario.id].set_result(outcome),
        )


def run_in_thread(scenarios: list[Scenario], outcomes: Outcomes) -> None:
    """Run the scenarios; whatever has no outcome at the end gets the reason for that."""
    problem: BaseException = AssertionError("the scenario was not run")
    try:
        asyncio.run(run_all(scenarios, outcomes))
    except Exception as error:  # noqa: BLE001 - told by every test that waits
        problem = error
    for future in outcomes.values():
        if not future.done():
            future.set_exception(problem)


@pytest.fixture(scope="module")  # so that the thread has ended before anything else runs
def outcomes(request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """The outcomes to come of all scenarios that were selected."""
    parameters = [
        item.callspec.params["scenario"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "outcomes" in item.fixturenames
    ]
    scenarios = [parameter for parameter in parameters if isinstance(parameter, Scenario)]
    to_come: Outcomes = {scenario.id: Future() for scenario in scenarios}
    thread = threading.Thread(target=run_in_thread, args=(scenarios, to_come), daemon=True)
    thread.start()
    yield to_come
    thread.join()
