"""The deployable artifact on the real peers, Viceroy with Pushpin: the same answers as anywhere.

Needs `viceroy` and `pushpin` (1.36, as Debian has it); skipped without them.
"""

import asyncio
import time
import tomllib
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import jwt
import pytest
import pytest_asyncio
import websockets

from tests.support import pushpin, viceroy
from tests.support.artifacts import MANIFEST, artifact

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.wasm,
    pytest.mark.slow,
    pytest.mark.skipif(viceroy.missing(), reason="Viceroy is not installed"),
    pytest.mark.skipif(pushpin.missing(), reason="Pushpin is not installed"),
]

# What `fastly.toml` tells the service to trust locally.
TRUSTED = tomllib.loads(MANIFEST.read_text())["local_server"]["config_stores"]["fanout"]["contents"]
PUBLISHED = {
    "http-stream": {"content": "data: hello\n\n"},
    "http-response": {"body": "hello\n"},
    "ws-message": {"content": "hello"},
}


class Edge(NamedTuple):
    """Where to connect, where to publish, and Viceroy itself."""

    url: str
    publish_url: str
    viceroy: viceroy.Viceroy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge() -> AsyncIterator[Edge]:
    runtime = viceroy.Viceroy(artifact("main"), MANIFEST)
    proxy = pushpin.Pushpin(runtime.address, issuer=TRUSTED["issuer"], key=TRUSTED["key"])
    runtime.proxy_port = proxy.address[1]
    async with proxy, runtime:
        url, publish_url = (
            f"http://{host}:{port}" for host, port in (runtime.address, proxy.publish_address)
        )
        yield Edge(url, f"{publish_url}/publish/", runtime)
    assert "WebAssembly trapped" not in runtime.output
    assert "exited with an error" not in runtime.output


@pytest_asyncio.fixture(loop_scope="module")
async def http(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=edge.url, timeout=30, trust_env=False) as client:
        yield client


async def publish(edge: Edge) -> None:
    items = {"items": [{"channel": "test", "formats": PUBLISHED}]}
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(edge.publish_url, json=items)
        assert response.text == "Published\n"


def websocket(edge: Edge, path: str = "/ws") -> websockets.connect:
    return websockets.connect(edge.url.replace("http", "ws") + path, proxy=None)


@pytest.mark.parametrize(
    ("path", "media_type"), [("/stream", "text/plain"), ("/sse", "text/event-stream")]
)
async def test_streams_get_what_is_published(
    edge: Edge, http: httpx.AsyncClient, path: str, media_type: str
) -> None:
    async with http.stream("GET", path) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == media_type
        assert not [name for name in response.headers if name.startswith("grip-")]
        await publish(edge)
        pieces = response.aiter_text()
        received = ""
        while len(received) < len("data: hello\n\n"):
            received += await anext(pieces)
        assert received == "data: hello\n\n"


async def test_long_poll_is_answered_by_what_is_published(
    edge: Edge, http: httpx.AsyncClient
) -> None:
    poll = asyncio.ensure_future(http.get("/response"))
    while not poll.done():  # nothing tells when it is held, so publish until it has come
        await publish(edge)
        await asyncio.wait([poll], timeout=0.2)
    response = await poll
    assert (response.status_code, response.text) == (200, "hello\n")
    assert response.headers["content-type"] == "text/plain"


async def test_websocket_echoes_pings_gets_what_is_published_and_closes(edge: Edge) -> None:
    async with websocket(edge) as ws:
        for message in ("grüße", b"\x00\xff", "", "c:{}", "m:x"):
            await ws.send(message)
            assert await ws.recv() == message
        await (await ws.ping(b"payload"))
        await publish(edge)
        assert await ws.recv() == "hello"
        await ws.close(code=4001, reason="bye")
        assert (ws.close_code, ws.close_reason) == (4001, "bye")


async def test_all_four_get_one_publish(edge: Edge, http: httpx.AsyncClient) -> None:
    poll = asyncio.ensure_future(http.get("/response"))
    async with (
        websocket(edge) as ws,
        http.stream("GET", "/stream") as stream,
        http.stream("GET", "/sse") as sse,
    ):
        await publish(edge)
        assert await ws.recv() == "hello"
        assert await anext(stream.aiter_text()) == "data: hello\n\n"
        assert await anext(sse.aiter_text()) == "data: hello\n\n"
        while not poll.done():
            await publish(edge)
            await asyncio.wait([poll], timeout=0.2)
        assert poll.result().text == "hello\n"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/ws", 400),
        ("DELETE", "/ws", 405),
        ("POST", "/stream", 405),
        ("PUT", "/sse", 405),
        ("PATCH", "/response", 405),
    ],
)
async def test_what_is_not_served_gets_a_clear_4xx(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await http.request(method, path)
    assert response.status_code == status
    assert response.text.strip()
    assert status != 405 or "GET" in response.headers["allow"]


async def test_head_does_not_hold(http: httpx.AsyncClient) -> None:
    response = await http.head("/stream")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain")


@pytest.mark.parametrize("path", ["/stream", "/nothing"])
async def test_websocket_elsewhere_is_refused(edge: Edge, path: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await websocket(edge, path)
    assert 400 <= refusal.value.response.status_code < 500


@pytest.mark.parametrize("token", ["", "garbage", "a.b.c"])
async def test_bad_signature_gets_403_and_the_log_says_why(
    edge: Edge, http: httpx.AsyncClient, token: str
) -> None:
    response = await http.get("/stream", headers={"Grip-Sig": token})
    assert (response.status_code, response.text) == (403, "forbidden\n")
    await edge.viceroy.prints("403, Grip-Sig does not hold: ")


async def test_long_uri_and_many_headers_pass(http: httpx.AsyncClient) -> None:
    # Signed by us and not through Pushpin, which takes 8192 bytes of headers.
    claims = {"iss": TRUSTED["issuer"], "exp": int(time.time()) + 600}
    headers = [
        (b"Grip-Sig", jwt.encode(claims, TRUSTED["key"], algorithm="HS256").encode()),
        (b"X-Binary", b"caf\xe9 \xff"),
        (b"X-Long", b"v" * 20_000),
        *((f"X-Many-{n}".encode(), b"v" * 200) for n in range(60)),
        *((b"X-Same", str(n).encode()) for n in range(20)),
    ]
    response = await http.get("/nothing", params={"q": "x" * 8000}, headers=headers)
    assert response.status_code == 404
    events = {"Content-Type": "application/websocket-events", "Sec-WebSocket-Extensions": "grip"}
    headers += [(name.encode(), value.encode()) for name, value in events.items()]
    response = await http.post("/ws", content=b"PING 2\r\nhi\r\n", headers=headers)
    assert (response.status_code, response.content) == (200, b"PONG 2\r\nhi\r\n")


async def test_reused_sandboxes_answer_one_request_like_another(http: httpx.AsyncClient) -> None:
    for _ in range(12):  # a sandbox serves six
        assert (await http.get("/nothing")).status_code == 404
        async with http.stream("GET", "/stream") as response:
            assert response.status_code == 200
