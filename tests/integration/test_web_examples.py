"""The examples for web frameworks on real servers, behind our own proxy and a real Pushpin."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
import websockets

from grip.signature import Key
from grip.web.publish import AsyncPublisher, Publisher
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.signer import Signer
from host_sim.messages import Address
from host_sim.proxy import GripProxy, ProxySettings
from tests.support import pushpin
from tests.support.pushpin import Pushpin
from tests.support.serving import bound, serving
from tests.support.waiting import PATIENCE_S

ISSUER, KEY = "examples", "a-key-of-these-tests-0123456789-0123456789"
APPLICATIONS = ["flask_app:app", "django_app:application", "starlette_app:app"]
PROXIES = [
    "ours",
    pytest.param(
        "pushpin", marks=pytest.mark.skipif(pushpin.missing(), reason="Pushpin is not installed")
    ),
]

pytestmark = pytest.mark.asyncio(loop_scope="module")

type Publish = Callable[[str], Awaitable[None]]


@dataclass
class Site:
    """An application and the proxy in front of it; `direct` leads past the proxy."""

    url: str
    direct: str
    grip_url: str
    publish: Publish


def proxy_in_front_of(backend: Address, kind: str) -> GripProxy | Pushpin:
    if kind == "pushpin":
        return Pushpin(backend, issuer=ISSUER, key=KEY)
    return GripProxy(
        ProxySettings(
            routes=Routes([Route.parse("app=http://{}:{}".format(*backend))]),
            sign=Signer(Key.secret(KEY), ISSUER),
            address=("127.0.0.1", 0),
            publish_address=("127.0.0.1", 0),
        )
    )


@contextlib.asynccontextmanager
async def publishing(kind: str, grip_url: str) -> AsyncIterator[Publish]:
    """Publish events as an application of that kind would: waiting, or with `async`."""
    if kind.startswith("starlette"):
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            AsyncPublisher(grip_url, client=client) as publisher,
        ):
            yield lambda text: publisher.publish("test", text, sse=True)
    else:
        with (
            httpx.Client(trust_env=False) as waiting,
            Publisher(grip_url, client=waiting) as blocking,
        ):
            yield lambda text: asyncio.to_thread(blocking.publish, "test", text, sse=True)


@pytest.fixture(scope="module", params=PROXIES)
def kind_of_proxy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=APPLICATIONS)
async def site(request: pytest.FixtureRequest, kind_of_proxy: str) -> AsyncIterator[Site]:
    with bound() as (listening, backend):
        async with proxy_in_front_of(backend, kind_of_proxy) as proxy:
            grip_url = "http://{}:{}/".format(*proxy.publish_address)
            grip_url += f"?verify-iss={ISSUER}&verify-key={KEY}"
            with serving(request.param, listening, {"GRIP_URL": grip_url}):
                async with publishing(request.param, grip_url) as publish:
                    url, direct = ("http://{}:{}".format(*a) for a in (proxy.address, backend))
                    yield Site(url, direct, grip_url, publish)


async def test_one_publish_reaches_all_four_transports_and_ws_echoes(site: Site) -> None:
    async with (
        asyncio.timeout(3 * PATIENCE_S),
        httpx.AsyncClient(base_url=site.url, timeout=PATIENCE_S, trust_env=False) as http,
        http.stream("GET", "/stream") as stream,
        http.stream("GET", "/sse") as sse,
        websockets.connect(site.url.replace("http", "ws") + "/ws", proxy=None) as ws,
    ):
        assert stream.headers["content-type"].startswith("text/plain")
        assert sse.headers["content-type"].startswith("text/event-stream")
        assert not [name for name in (*stream.headers, *sse.headers) if name.startswith("grip-")]
        await ws.send("grüße")
        assert await ws.recv() == "grüße"
        # Only the proxy knows when a long poll is held: the publish that ends it is the one.
        poll = asyncio.create_task(http.get("/response"))
        sent = 0
        while not poll.done():
            sent += 1
            await site.publish(f"hello {sent}")
            await asyncio.wait([poll], timeout=0.2)
        text = (await poll).text
        assert text.startswith("hello ")
        event = f"data: {text}\n\n"
        for response in (stream, sse):
            received = ""
            async for piece in response.aiter_text():
                received += piece
                if event in received:
                    break
            assert event in received
        while await ws.recv() != text:
            pass


async def test_pings_and_closes_of_websockets_are_answered(site: Site) -> None:
    async with websockets.connect(site.url.replace("http", "ws") + "/ws", proxy=None) as ws:
        await ws.send(b"\x00\xff")
        assert await ws.recv() == b"\x00\xff"
        await (await ws.ping(b"payload"))
        await ws.close(code=4001, reason="bye")
        assert (ws.close_code, ws.close_reason) == (4001, "bye")


async def test_head_is_not_held(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=PATIENCE_S, trust_env=False) as http:
        for path in ("/stream", "/response"):
            response = await http.head(path)
            assert response.status_code == 200


async def test_ws_refuses_what_is_no_websocket(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=PATIENCE_S, trust_env=False) as http:
        assert (await http.get("/ws")).status_code == 405
        assert (await http.post("/ws")).status_code == 400


async def test_who_comes_past_the_proxy_gets_no_instructions_and_sends_no_events(
    site: Site,
) -> None:
    async with httpx.AsyncClient(base_url=site.direct, timeout=PATIENCE_S, trust_env=False) as http:
        response = await http.get("/stream", headers={"Grip-Sig": "forged"})
        assert (response.status_code, response.text) == (200, "")
        assert not [name for name in response.headers if name.startswith("grip-")]
        headers = {"Content-Type": "application/websocket-events"}
        response = await http.post("/ws", content=b"OPEN\r\n", headers=headers)
        assert response.status_code == 403
