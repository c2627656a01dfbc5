"""A real browser: `EventSource` over a bad network, and the service with `WebSocket`."""

from collections.abc import AsyncIterator

import httpx
import pytest

from host_sim import Simulator
from tests.integration.clients.test_django_eventstream import send
from tests.integration.clients.test_django_eventstream import serve as eventstream
from tests.support import browser
from tests.support.artifacts import MANIFEST, artifact
from tests.support.browser import Page, browsing
from tests.support.relay import Relay
from tests.support.sites import site_of
from tests.support.waiting import soon

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.missing(), reason="chromium or chromedriver is not installed"),
]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browsing() as page:
        yield page


async def test_event_source_comes_back_and_misses_nothing(page: Page) -> None:
    """By Last-Event-ID when the connection was cut, by the next link when publishes were lost."""
    async with site_of(eventstream, "ours") as site, Relay(site.address) as relay:
        await page.open("http://{}:{}/page?channel=news".format(*relay.address))
        await page.until("return opened.length", 1)
        expected: list[str] = []

        async def tell(*texts: str, lost: bool = False) -> None:
            expected.extend(texts)
            await send(site, "news", *texts, lost=lost)

        await tell("1", "grüße")
        await page.until("return received", expected)
        for again in (1, 2):
            relay.cut()
            await tell(f"missed {again}", f"missed {again}, too")
            await soon(lambda: relay.refused)
            await tell(f"missed {again} as well")
            relay.mend()
            await page.until("return opened.length", 1 + again)
            await page.until("return received", expected)
            await tell(f"lost {again}", lost=True)
            await tell(f"live {again}")
            await page.until("return received", expected)


@pytest.mark.wasm
async def test_web_socket_and_event_source_with_the_service(page: Page) -> None:
    async with Simulator(artifact("main"), manifest=MANIFEST) as edge:
        await page.open(f"{edge.url}/nothing")  # any page of that origin
        await page.run(WATCH)
        await page.until("return state.open", ["sse", "ws"])
        await edge.subscribed("test", count=2)
        await page.run("ws.send('grüße'); ws.send(new Uint8Array([0, 255]))")
        await page.until("return state.ws", ["grüße", [0, 255]])
        formats = {
            "http-stream": {"content": "data: to all\n\n"},
            "ws-message": {"content": "to all"},
        }
        items = {"items": [{"channel": "test", "formats": formats}]}
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(edge.publish_url, json=items)).status_code == 200
        await page.until("return state.ws", ["grüße", [0, 255], "to all"])
        await page.until("return state.sse", ["to all"])
        await page.run("ws.close(4001, 'bye')")
        await page.until("return state.closed", [4001, "bye", True])


WATCH = """
globalThis.state = {open: [], ws: [], sse: [], closed: null};
globalThis.ws = new WebSocket(`ws://${location.host}/ws`);
ws.binaryType = "arraybuffer";
ws.onopen = () => { state.open.push("ws"); state.open.sort(); };
ws.onmessage = ({data}) =>
  state.ws.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
ws.onclose = (event) => { state.closed = [event.code, event.reason, event.wasClean]; };
globalThis.sse = new EventSource("/sse");
sse.onopen = () => { state.open.push("sse"); state.open.sort(); };
sse.onmessage = ({data}) => state.sse.push(data);
"""
