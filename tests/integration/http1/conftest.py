"""Every test of the HTTP room runs on both event loops the simulator may use."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

import pytest
import uvloop

from host_sim.http1.server import Listener, serve
from host_sim.messages import Address, Handler
from tests.support.raw import Raw


@pytest.hookimpl
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


class Listen(Protocol):
    """Starts a listener that is closed after the test."""

    def __call__(
        self, handler: Handler, *, max_head_bytes: int = ..., idle_timeout_s: float = ...
    ) -> Awaitable[Listener]: ...


class Connect(Protocol):
    """Connects a plain client that is closed after the test."""

    def __call__(self, address: Address, *, limit: int = ...) -> Awaitable[Raw]: ...


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients: list[Raw] = []

    async def start(address: Address, *, limit: int = 1 << 20) -> Raw:
        clients.append(await Raw.connect(address, limit=limit))
        return clients[-1]

    yield start
    for client in clients:
        client.abort()
    await asyncio.sleep(0)


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    listeners: list[Listener] = []

    async def start(handler: Handler, **options: float) -> Listener:
        listener = await serve(handler, "127.0.0.1", 0, **options)  # type: ignore[arg-type]
        listeners.append(listener)
        return listener

    yield start
    for listener in listeners:
        await listener.close(0.1)
