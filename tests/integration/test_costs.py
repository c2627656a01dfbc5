"""What the proxy costs, beside servers that do nothing but hold and write, in the same run.

Ratios of CPU time only: a machine that is slow or busy slows both. The bounds are about twice what
was measured when they were set, so that it takes a real regression to go past them.
"""

import asyncio
import contextlib
import statistics
import sys
from collections.abc import AsyncIterator

import pytest

from bench.limits import GREETING, chunk, frame
from host_sim.messages import Address
from host_sim.pushpin.process import free_addresses
from tests.support.backend import Backend
from tests.support.crowds import (
    WS,
    Running,
    all_have,
    proxy_process,
    published,
    stream,
    ws_reply,
)
from tests.support.proxies import STREAM, connected, pages, sized
from tests.support.waiting import PATIENCE_S

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

TARGETS = {"stream": b"/stream?channel=room", "ws": b"/ws?channel=room"}
REQUESTS = {
    "stream": stream(TARGETS["stream"].decode()),
    "ws": WS.replace(b"/ws", TARGETS["ws"]),
}
GREETINGS = {"stream": chunk(GREETING), "ws": frame(GREETING)}
STREAM_HEAD = STREAM.partition(b"Content-Length")[0]
REPLIES = {
    TARGETS["stream"]: sized(STREAM_HEAD, GREETING),
    TARGETS["ws"]: ws_reply(greeting=GREETING),
}

ROUNDS = 3
CLIENTS = 300
TEXTS = [f"<{number:03}{'x' * 56}>" for number in range(200)]
BATCH = 20

MAX_DELIVERY = {"stream": 2.2, "ws": 2.2}
"""CPU time of a delivery over that of a bare write."""

MAX_HOLD = {"stream": 25.0, "ws": 20.0}
"""CPU time of a hold, with its request to a backend, over that of a bare connection."""


@contextlib.asynccontextmanager
async def bare() -> AsyncIterator[Running]:
    """Run the server that frames a message once and writes it to everybody."""
    addresses = free_addresses("127.0.0.1", [0, 0])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.limits", "write"),
        *(str(port) for _, port in addresses),
    )
    try:
        for address in addresses:
            await listening(address)
        yield Running(process.pid, *addresses)
    finally:
        process.terminate()
        await process.wait()


async def listening(address: Address) -> None:
    """Wait until somebody listens there."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                async with connected(address):
                    return
            await asyncio.sleep(0.01)


async def costs(server: Running, kind: str) -> tuple[float, float]:
    """Return the CPU time of a hold and of a delivery, in seconds."""
    before = server.cpu_s
    greeting = GREETINGS[kind]
    async with (
        server.crowd(*[REQUESTS[kind]] * CLIENTS, greeting=greeting) as members,
        connected(server.publish_address) as publisher,
    ):
        held = server.cpu_s
        for start in range(0, len(TEXTS), BATCH):
            await published(publisher, *TEXTS[start : start + BATCH])
        await all_have(members, TEXTS)
        delivered = server.cpu_s
    return (held - before) / CLIENTS, (delivered - held) / CLIENTS / len(TEXTS)


@pytest.mark.parametrize("kind", ["stream", "ws"])
async def test_costs_beside_a_bare_server(kind: str) -> None:
    async with (
        Backend(pages(REPLIES)) as backend,
        proxy_process(backend.address) as proxy,
        bare() as limit,
    ):
        for server in (limit, proxy):  # a process's first hold loads what signs requests
            await costs(server, kind)
        ours, least = [], []
        for _ in range(ROUNDS):  # in turn, so that a change of the machine's speed hits both
            least.append(await costs(limit, kind))
            ours.append(await costs(proxy, kind))
    hold, delivery = (
        statistics.median(mine[part] for mine in ours)
        / statistics.median(other[part] for other in least)
        for part in (0, 1)
    )
    costly = f"a hold costs {hold:.1f} times a bare one, a delivery {delivery:.2f} times"
    assert delivery < MAX_DELIVERY[kind], costly
    assert hold < MAX_HOLD[kind], costly
