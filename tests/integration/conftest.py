"""The simulator on the real artifacts, with free ports, for every integration test.

With our own proxy behind the edge, and with a real Pushpin where one is installed.
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from host_sim import Simulator
from tests.support import pushpin
from tests.support.artifacts import MANIFEST, artifact

without_pushpin = pytest.mark.skipif(pushpin.missing(), reason="pushpin is not installed")


@pytest.fixture(
    params=[
        pytest.param(("main", None), id="main"),
        pytest.param(("edge", None), id="edge"),
        pytest.param(
            ("main", "pushpin"), id="pushpin", marks=[pytest.mark.pushpin, without_pushpin]
        ),
    ]
)
async def edge(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    """A running simulator, with each build of the service and with each engine."""
    name, fanout = request.param
    async with Simulator(artifact(name), manifest=MANIFEST, fanout=fanout) as simulator:
        yield simulator


@pytest.fixture
async def http(edge: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client whose base is the edge."""
    async with httpx.AsyncClient(base_url=edge.url, timeout=30, trust_env=False) as client:
        yield client
