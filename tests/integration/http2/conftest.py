"""Every test of the HTTP/2 room runs on both event loops the simulator may use."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from host_sim.http2.client import Http2Client
from tests.support.http2_server import Http2Server


@pytest.hookimpl
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def server() -> AsyncIterator[Http2Server]:
    async with Http2Server.running() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[Http2Client]:
    made = Http2Client()
    yield made
    await made.close()
