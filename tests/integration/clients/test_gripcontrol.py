"""`gripcontrol` and `pubcontrol` (PyPI) as they are: holds, events, publishes, signatures."""

import asyncio
import functools

import pytest
import websockets

from tests.support.serving import serving
from tests.support.sites import Site, site_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

serve = functools.partial(serving, "tests.integration.clients.backends.gripcontrol_app:app")


@pytest.mark.parametrize("form", ["headers", "json"])
async def test_stream_hold_gets_what_is_published(site: Site, form: str) -> None:
    async with site.http.stream("GET", f"/{form}/stream") as stream:
        assert stream.headers.get("x-held") == {"headers": None, "json": "stream"}[form]
        assert not [name for name in stream.headers if name.startswith("grip-")]
        lines = stream.aiter_lines()
        assert await anext(lines) == "open"
        await site.publish("grüße")
        await site.publish("two")
        assert [await anext(lines), await anext(lines)] == ["grüße", "two"]


@pytest.mark.parametrize("form", ["headers", "json"])
async def test_response_hold_is_answered_by_a_publish(site: Site, form: str) -> None:
    poll = asyncio.create_task(site.http.get(f"/{form}/response"))
    await site.publish_until(poll)
    response = await poll
    assert response.status_code == 200
    assert response.headers.get("x-held") == {"headers": None, "json": "response"}[form]
    assert response.text.startswith("hello ")


async def test_events_are_understood_in_both_directions(site: Site) -> None:
    async with websockets.connect(site.ws_url("/ws"), proxy=None) as ws:
        for message in ("grüße", "", b"\x00\xff", "c" * 10_000, "m:kept"):
            await ws.send(message)
            assert await ws.recv() == message
        await (await ws.ping(b"payload"))
        await ws.close(code=4001, reason="bye")
        assert (ws.close_code, ws.close_reason) == (4001, "bye")


async def test_control_message_subscribes_a_websocket(site: Site) -> None:
    async with websockets.connect(site.ws_url("/ws"), proxy=None) as ws:
        received = asyncio.create_task(ws.recv())
        await site.publish_until(received)
        assert str(await received).startswith("hello ")


@pytest.mark.parametrize("signature", [{}, {"Grip-Sig": "forged"}], ids=["none", "forged"])
async def test_who_comes_past_the_proxy_has_no_valid_signature(
    site: Site, signature: dict[str, str]
) -> None:
    past = await site.http.get(f"{site.direct}/headers/stream", headers=signature)
    assert (past.status_code, past.text) == (403, "unsigned\n")
    async with site.http.stream("GET", "/headers/stream", headers=signature) as through:
        assert through.status_code == 200


async def test_publishing_may_need_a_key() -> None:
    async with site_of(serve, "ours", publish_key="secret", sent_key="secret") as site:
        await site.publish("hello")
    async with site_of(serve, "ours", publish_key="secret", sent_key="guess") as site:
        refused = await site.http.post(f"{site.direct}/publish", data={"text": "hello"})
        assert refused.status_code == 502
        assert "failed status code 403" in refused.text


async def test_signatures_with_a_private_key_are_verified() -> None:
    async with (
        site_of(serve, "ours", es256=True) as site,
        site.http.stream("GET", "/headers/stream") as stream,
    ):
        assert stream.status_code == 200
