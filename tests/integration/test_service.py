"""The service end to end: the artifact, real sockets, real clients, one publish for all of them."""

import asyncio
import contextlib
import functools
import json
import shutil
import time
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest
import websockets

from host_sim import Simulator
from tests.support.artifacts import MANIFEST, artifact
from tests.support.audience import subscribed, until_answered

pytestmark = pytest.mark.wasm

OWN_ENGINE = [("main", None), ("edge", None)]
ENDPOINTS = ["/stream", "/sse", "/response", "/ws"]
EVERY_FORMAT = {
    "http-stream": {"content": "data: hello\n\n"},
    "http-response": {"body": "hello\n"},
    "ws-message": {"content": "hello"},
}
LOCAL_KEY = "viceroy_dev_signing_key_dont_use_in_production"
FASTLY_TOKEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJleHAiOjE2NzUzNjU0MjgsImlzcyI6ImZhc3RseSJ9."
    "QL2Pm1JnXV_vAYK7ijeD4U1CBjOTLihNMDZ-qfvjkKOTUiK1jyxGEwjZfeApijRaOtQT8fVkdPnKjF-tBiUzkA"
)


async def curl_publish(edge: Simulator, formats: object, path: str = "publish/") -> str:
    """Publish to channel `test` with the command of the README and return what it prints."""
    item = {"items": [{"channel": "test", "formats": formats}]}
    url = edge.publish_url.removesuffix("publish/") + path
    command = ["curl", "-sS", "--user", "service:secret", "-d", json.dumps(item), url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


@contextlib.asynccontextmanager
async def curl(*arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run `curl -N` and give its output, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-sSN", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_one_publish_reaches_all_four_transports(edge: Simulator) -> None:
    async with (
        curl(f"{edge.url}/stream") as stream,
        curl(f"{edge.url}/sse") as sse,
        curl(f"{edge.url}/response") as response,
        websockets.connect(edge.url.replace("http", "ws") + "/ws", proxy=None) as ws,
    ):
        lines = (functools.partial(reader.readuntil, b"\n\n") for reader in (stream, sse))
        await subscribed(edge, *lines, ws.recv, polls=1)
        publish = functools.partial(curl_publish, edge, EVERY_FORMAT)
        assert await publish() == "Published\n"
        assert await stream.readuntil(b"\n\n") == b"data: hello\n\n"
        assert await sse.readuntil(b"\n\n") == b"data: hello\n\n"
        assert await ws.recv() == "hello"
        assert await until_answered(response.read(), publish) == b"hello\n"


@pytest.mark.parametrize("path", ["publish/", "0123456789/publish/", "service/0123456789/publish/"])
async def test_publish_endpoint_has_three_forms(edge: Simulator, path: str) -> None:
    async with websockets.connect(edge.url.replace("http", "ws") + "/ws", proxy=None) as ws:
        await subscribed(edge, ws.recv)
        await curl_publish(edge, {"ws-message": {"content": path}}, path)
        assert await ws.recv() == path


async def test_websocket_echoes_text_and_binary_and_closes_with_the_clients_code(
    edge: Simulator,
) -> None:
    async with websockets.connect(edge.url.replace("http", "ws") + "/ws", proxy=None) as ws:
        await ws.send("grüße")
        assert await ws.recv() == "grüße"
        await ws.send(b"\x00\xff")
        assert await ws.recv() == b"\x00\xff"
        await (await ws.ping(b"payload"))
        await ws.close(code=4001, reason="bye")
        assert (ws.close_code, ws.close_reason) == (4001, "bye")


async def test_stream_and_sse_say_what_they_are_and_nothing_of_grip(
    http: httpx.AsyncClient,
) -> None:
    for path, kind in [("/stream", "text/plain"), ("/sse", "text/event-stream")]:
        async with http.stream("GET", path) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].split(";")[0] == kind
            assert not [name for name in response.headers if name.startswith("grip-")]


def signed(**claims: object) -> str:
    return jwt.encode(claims, LOCAL_KEY, algorithm="HS256")


def bad_tokens() -> dict[str, str]:
    later = int(time.time()) + 600
    good = signed(iss="viceroy", exp=later)
    unsigned = jwt.encode({"iss": "viceroy", "exp": later}, "", algorithm="none")
    return {
        "garbage": "garbage",
        "empty": "",
        "expired": signed(iss="viceroy", exp=1675365428),
        "other issuer": signed(iss="somebody", exp=later),
        "without issuer": signed(exp=later),
        "without expiry": signed(iss="viceroy"),
        "algorithm none": unsigned,
        "other algorithm": jwt.encode(
            {"iss": "viceroy", "exp": later}, LOCAL_KEY * 2, algorithm="HS512"
        ),
        "forged": good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
        "fastly's own": FASTLY_TOKEN,
    }


@pytest.mark.parametrize("kind", bad_tokens())
async def test_bad_signature_is_refused_and_never_handed_off(
    http: httpx.AsyncClient, kind: str
) -> None:
    response = await http.get("/stream", headers={"Grip-Sig": bad_tokens()[kind]})
    assert response.status_code == 403
    assert "grip-hold" not in response.headers
    assert kind.split(maxsplit=1)[0] not in response.text  # the reason is for the log


async def test_good_signature_from_outside_is_answered_with_instructions(
    http: httpx.AsyncClient,
) -> None:
    token = signed(iss="viceroy", exp=int(time.time()) + 600)
    response = await http.get("/stream", headers={"Grip-Sig": token})
    assert response.status_code == 200
    assert response.headers["grip-hold"] == "stream"
    assert response.headers["grip-channel"] == "test"
    assert "grip-keep-alive" in response.headers


@pytest.mark.parametrize("path", ["/stream", "/sse", "/response", "/ws"])
async def test_wrong_method_gets_405_with_allow(http: httpx.AsyncClient, path: str) -> None:
    response = await http.delete(path)
    assert response.status_code == 405
    assert "GET" in response.headers["allow"] or "POST" in response.headers["allow"]


async def test_unknown_path_gets_404(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nothing")).status_code == 404


async def test_plain_get_on_ws_gets_a_clear_4xx(http: httpx.AsyncClient) -> None:
    response = await http.get("/ws")
    assert 400 <= response.status_code < 500
    assert "websocket" in response.text.lower()


async def test_websocket_on_another_path_is_refused(edge: Simulator) -> None:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await websockets.connect(edge.url.replace("http", "ws") + "/stream", proxy=None)
    assert 400 <= refusal.value.response.status_code < 500


async def test_long_uri_and_many_repeated_headers_pass_through_the_guest(
    request: pytest.FixtureRequest, http: httpx.AsyncClient
) -> None:
    many = 40 if "pushpin" in request.node.callspec.id else 200  # Pushpin takes 64 fields in all
    headers = [(b"X-Many-%d" % n, b"v" * 60) for n in range(many)]
    headers += [(b"X-Same", b"%d" % n) for n in range(9)]
    response = await http.get(
        "/nothing", params={"q": "x" * 4000}, headers=[*headers, (b"X-Bin", b"caf\xe9")]
    )
    assert response.status_code == 404


@pytest.mark.parametrize("edge", OWN_ENGINE, indirect=True)  # no other engine tells
async def test_a_client_that_goes_is_unsubscribed_at_once(edge: Simulator) -> None:
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("GET", f"{edge.url}/stream"),
    ):
        await edge.subscribed("test")
    await edge.subscribed("test", count=0)


async def test_many_clients_at_once_each_get_the_message_once(edge: Simulator) -> None:
    async with contextlib.AsyncExitStack() as stack:
        url = edge.url.replace("http", "ws") + "/ws"
        connections = [
            await stack.enter_async_context(websockets.connect(url, proxy=None)) for _ in range(20)
        ]
        await subscribed(edge, *(ws.recv for ws in connections))
        await edge.publish("test", "one")
        await edge.publish("test", "two")
        for ws in connections:
            assert [await ws.recv(), await ws.recv()] == ["one", "two"]


async def test_holds_are_closed_properly_when_the_simulator_stops() -> None:
    async with Simulator(artifact("main"), manifest=MANIFEST) as edge:
        ws = await websockets.connect(edge.url.replace("http", "ws") + "/ws", proxy=None)
        client = httpx.AsyncClient(trust_env=False, timeout=30)
        stream = await client.send(client.build_request("GET", f"{edge.url}/stream"), stream=True)
        await edge.subscribed("test", count=2)
    assert await stream.aread() is not None  # the body ended with its last chunk
    await ws.wait_closed()
    assert ws.close_code == 1001
    await client.aclose()
