"""`@fanoutio/grip` (npm) as it is: holds, WebSockets, publishes, signatures."""

import asyncio
import functools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import websockets

from tests.support.node import installed, serving_node
from tests.support.sites import PROXIES, Serve, Site, site_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest.fixture(scope="module")
def serve(request: pytest.FixtureRequest) -> Serve:
    assert request.config.cache is not None
    folder = installed(Path(__file__).with_name("node"), request.config.cache)
    return functools.partial(serving_node, folder / "backend.mjs")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROXIES)
async def site(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Site]:
    async with site_of(serve, request.param) as site:
        yield site


async def test_stream_gets_what_is_published_and_is_kept_alive(site: Site) -> None:
    async with site.http.stream("GET", "/stream") as stream:
        assert not [name for name in stream.headers if name.startswith("grip-")]
        lines = stream.aiter_lines()
        assert await anext(lines) == "open"
        assert await anext(lines) == "alive"
        await site.publish("grüße")
        received = await anext(lines)
        while received == "alive":
            received = await anext(lines)
        assert received == "grüße"


async def test_long_poll_gets_what_is_published(site: Site) -> None:
    poll = asyncio.create_task(site.http.get("/response"))
    await site.publish_until(poll)
    response = await poll
    assert (response.status_code, response.headers["x-message"]) == (201, "yes")
    assert response.text.startswith("hello ")


async def test_websocket_has_metadata_and_closes_with_the_clients_code(site: Site) -> None:
    async with websockets.connect(site.ws_url("/ws"), proxy=None) as ws:
        for count, message in enumerate(["grüße", "", "c" * 10_000], 1):
            await ws.send(message)
            assert await ws.recv() == f"{count} {message}"
        await ws.send(b"\x00\xff")
        assert await ws.recv() == b"\x00\xff"
        await ws.close(code=4001)
        assert ws.close_code == 4001


async def test_websocket_gets_what_is_published(site: Site) -> None:
    async with websockets.connect(site.ws_url("/ws"), proxy=None) as ws:
        received = asyncio.create_task(ws.recv())
        await site.publish_until(received)
        assert str(await received).startswith("hello ")


@pytest.mark.parametrize("signature", [{}, {"Grip-Sig": "forged"}], ids=["none", "forged"])
async def test_who_comes_past_the_proxy_has_no_valid_signature(
    site: Site, signature: dict[str, str]
) -> None:
    past = await site.http.get(f"{site.direct}/stream", headers=signature)
    assert (past.status_code, past.text) == (403, "unsigned\n")
    async with site.http.stream("GET", "/stream", headers=signature) as through:
        assert through.status_code == 200


async def test_signatures_with_a_private_key_are_verified(serve: Serve) -> None:
    async with (
        site_of(serve, "ours", es256=True) as site,
        site.http.stream("GET", "/stream") as stream,
    ):
        assert stream.status_code == 200
