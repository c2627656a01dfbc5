"""The simulator on the real artifacts, with free ports, for every integration test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from host_sim import Simulator
from tests.support.artifacts import MANIFEST, artifact


@pytest.fixture(params=["main", "edge"])
async def edge(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    """A running simulator, once with each build of the service."""
    async with Simulator(artifact(request.param), manifest=MANIFEST) as simulator:
        yield simulator


@pytest.fixture
async def http(edge: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client whose base is the edge."""
    async with httpx.AsyncClient(base_url=edge.url, timeout=30, trust_env=False) as client:
        yield client
