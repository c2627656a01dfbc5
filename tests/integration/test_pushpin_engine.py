"""A real Pushpin behind the edge: it starts, signs, and ends with the simulator in any case."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import jwt
import pytest
import websockets
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from grip.signature import Key, verify
from host_sim import Simulator
from host_sim.errors import HostSimError, StartError
from host_sim.messages import Address
from host_sim.pushpin.process import Pushpin, PushpinSettings, free_addresses
from tests.support import pushpin
from tests.support.artifacts import MANIFEST, ROOT, artifact
from tests.support.audience import subscribed
from tests.support.backend import Backend
from tests.support.raw import Raw
from tests.support.waiting import PATIENCE_S, soon

pytestmark = [
    pytest.mark.pushpin,
    pytest.mark.skipif(pushpin.missing(), reason="pushpin is not installed"),
]

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
SEC1 = serialization.PrivateFormat.TraditionalOpenSSL


def ec_key(form: serialization.PrivateFormat) -> str:
    """Return a fresh key on P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(PEM, form, serialization.NoEncryption()).decode()


async def serve(*arguments: str) -> asyncio.subprocess.Process:
    """Start `host-sim serve` on free ports."""
    ports = ("--addr=127.0.0.1:0", "--proxy-port=0", "--publish-port=0", "--json")
    command = (sys.executable, "-m", "host_sim", "serve", str(artifact("main")), *ports)
    return await asyncio.create_subprocess_exec(
        *command, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


async def event(process: asyncio.subprocess.Process, name: str) -> dict[str, str]:
    """Return the line with an event that a simulator prints."""
    assert process.stdout is not None
    async with asyncio.timeout(6 * PATIENCE_S):
        async for line in process.stdout:
            entry: dict[str, str] = json.loads(line)
            if entry["event"] == name:
                return entry
    raise AssertionError(f"the simulator ended before {name}")


def listens(url: str) -> bool:
    """Tell whether anybody accepts connections there."""
    parts = httpx.URL(url)
    with contextlib.suppress(OSError):
        socket.create_connection((parts.host, parts.port or 80), timeout=1).close()
        return True
    return False


@pytest.mark.wasm
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_pushpin_ends_with_the_simulator(how: signal.Signals) -> None:
    """compute-host §5.2: the Fastly CLI kills what it runs."""
    process = await serve("--fanout", "pushpin")
    try:
        proxy = (await event(process, "listening"))["fanout"]
        await event(process, "ready")
        assert listens(proxy)
        process.send_signal(how)
        await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert process.returncode == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    await soon(lambda: not listens(proxy))


async def test_without_pushpin_serve_says_what_to_install(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "host_sim", "serve", str(artifact("main")), "--addr=127.0.0.1:0"),
        *("--proxy-port=0", "--publish-port=0", "--fanout=pushpin"),
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert b"apt install pushpin" in said


async def test_free_ports_are_none_that_connections_out_could_take() -> None:
    """Pushpin binds them later than we have looked."""
    addresses = free_addresses("127.0.0.1", [0] * 50)
    assert len(set(addresses)) == 50
    assert all(port < 32_768 for _, port in addresses)


async def test_a_host_that_is_not_ours_is_said_so() -> None:
    with pytest.raises(StartError, match=r"^cannot listen on 192\.0\.2\.1: "):
        free_addresses("192.0.2.1", [0])


async def test_a_proxy_that_does_not_run_is_said_so() -> None:
    [(host, port)] = free_addresses("127.0.0.1", [0])
    with pytest.raises(StartError, match="is it running"):
        async with Simulator(artifact("main"), fanout=f"http://{host}:{port}"):
            pass


@contextlib.asynccontextmanager
async def running(
    routes: tuple[str, ...], issuer: str, key: Key
) -> AsyncIterator[tuple[Address, Address]]:
    """Run a Pushpin and return where it takes clients and publishers."""
    address, publish_address = free_addresses("127.0.0.1", [0, 0])
    proxy = Pushpin(
        PushpinSettings(
            address=address,
            publish_address=publish_address,
            routes=routes,
            sig_iss=issuer,
            sig_key=key,
        )
    )
    await proxy.start()
    try:
        await proxy.ready()
        yield address, publish_address
    finally:
        await proxy.stop()


@pytest.mark.wasm
async def test_a_pushpin_that_runs_can_be_used() -> None:
    """compute-host §3.2: any GRIP proxy with a route for each backend."""
    [edge_address] = free_addresses("127.0.0.1", [0])
    key = Key.secret("viceroy_dev_signing_key_dont_use_in_production")
    route = f"id=self {edge_address[0]}:{edge_address[1]},over_http"
    async with (
        running((route,), "viceroy", key) as (address, publish_address),
        Simulator(
            artifact("main"),
            manifest=MANIFEST,
            port=edge_address[1],
            fanout=f"http://127.0.0.1:{address[1]}",
            fanout_publish=f"http://127.0.0.1:{publish_address[1]}/publish/",
        ) as edge,
    ):
        assert edge.proxy_url.endswith(f":{address[1]}")
        url = edge.url.replace("http", "ws") + "/ws"
        async with websockets.connect(url, proxy=None) as ws:
            await subscribed(edge, ws.recv)
            await edge.publish("test", "hello")
            assert await ws.recv() == "hello"
        with pytest.raises(HostSimError, match="only the simulator's own engine"):
            await edge.subscribed("test")


@pytest.mark.parametrize(
    ("issuer", "key"),
    [
        ("viceroy", 'secret: with # odd, "characters" \\ and ü, long enough'),
        ('odd, "issuer" \\', "base64:" + "c2VjcmV0" * 8),
        ("fastly:1", ec_key(PKCS8)),
        ("fastly:1", ec_key(SEC1)),
    ],
    ids=["secret", "base64", "ES256, PKCS 8", "ES256, SEC 1"],
)
async def test_requests_are_signed_as_told(issuer: str, key: str) -> None:
    """GRIP §2.2: whatever issuer and key are made of; a route may have a prefix and a host."""
    heads: list[bytes] = []

    async def script(raw: Raw) -> None:
        heads.append(await raw.until(b"\r\n\r\n"))
        raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    parsed = Key.parse(key)
    async with Backend(script) as backend:
        host, port = backend.address
        route = f'id="my, backend",replace_beg=/pre {host}:{port},over_http,host=o.example'
        async with (
            running((route,), issuer, parsed) as (address, _),
            httpx.AsyncClient(trust_env=False) as client,
        ):
            url = f"http://127.0.0.1:{address[1]}/path?q"
            response = await client.get(url, headers={"Pushpin-Route": "my, backend"})
    assert (response.status_code, response.text) == (200, "hi")
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "GET /pre/path?q HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines[1:] if line)
    assert fields["Host"] == "o.example"
    now = jwt.decode(fields["Grip-Sig"], options={"verify_signature": False})["exp"] - 60
    assert verify(fields["Grip-Sig"], parsed, issuer, now).issuer == issuer


async def test_pushpin_that_ends_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A port that is taken is what usually goes wrong."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = PushpinSettings(
            address=taken.getsockname(),
            publish_address=free_addresses("127.0.0.1", [0])[0],
            routes=(),
            sig_iss="viceroy",
            sig_key=Key.secret("secret"),
        )
        proxy = Pushpin(settings)
        caplog.set_level(logging.DEBUG, "host_sim.pushpin")
        await proxy.start()
        try:
            with pytest.raises(StartError, match="pushpin has ended: "):
                await proxy.ready()
        finally:
            await proxy.stop()
    assert "nobody can be handed off any more" in caplog.text
