"""`django-grip` (PyPI) as it is, in a Django project served by WSGI."""

import asyncio
import functools

import pytest
import websockets

from tests.support.serving import serving
from tests.support.sites import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

serve = functools.partial(serving, "tests.integration.clients.backends.django_grip_app:application")


async def test_stream_gets_what_is_published_and_is_kept_alive(site: Site) -> None:
    async with site.http.stream("GET", "/stream") as stream:
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


@pytest.mark.slow
async def test_long_poll_ends_with_the_status_the_view_wanted(site: Site) -> None:
    response = await site.http.get("/response")
    assert (response.status_code, response.content) == (304, b"")


async def test_next_links_are_followed_also_with_a_blank_in_their_path(site: Site) -> None:
    response = await site.http.get("/a tale/1")
    assert response.text == "chapter 1\nchapter 2\nchapter 3\n"


async def test_websocket_has_metadata_and_closes_with_the_clients_code(site: Site) -> None:
    async with websockets.connect(site.ws_url("/ws"), proxy=None) as ws:
        for count, message in enumerate(["grüße", "", "three"], 1):
            await ws.send(message)
            assert await ws.recv() == f"{count} {message}"
        await (await ws.ping(b"payload"))
        await ws.close(code=4001)
        assert ws.close_code == 4001


@pytest.mark.parametrize("by", ["view", "client"])
async def test_websocket_closed_by_a_view_that_names_no_code(site: Site, by: str) -> None:
    """The library then says code 0, which no frame may carry (RFC 6455 §7.4): taken as none.

    Pushpin sends it, and clients complain.
    """
    async with websockets.connect(site.ws_url("/ws"), proxy=None) as ws:
        if by == "client":
            await ws.send("forget codes")
            await ws.close(code=4001)
        else:
            await ws.send("close")
        await ws.wait_closed()
        assert ws.close_code == {"ours": 1000, "pushpin": 1006}[site.kind]


async def test_websocket_gets_what_is_published(site: Site) -> None:
    async with websockets.connect(site.ws_url("/ws"), proxy=None) as ws:
        received = asyncio.create_task(ws.recv())
        await site.publish_until(received)
        assert str(await received).startswith("hello ")


@pytest.mark.parametrize("signature", [{}, {"Grip-Sig": "forged"}], ids=["none", "forged"])
async def test_who_comes_past_the_proxy_is_told_so(site: Site, signature: dict[str, str]) -> None:
    past = await site.http.get(f"{site.direct}/stream", headers=signature)
    assert past.status_code == 501
    async with site.http.stream("GET", "/stream", headers=signature) as through:
        assert through.status_code == 200
