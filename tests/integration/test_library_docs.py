"""Every code block of docs/library.md, run as it stands there, with only the ports replaced."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import django
import httpx
import pytest
from django.conf import settings
from django.test import RequestFactory
from flask import Flask
from starlette.applications import Starlette

from grip.headers import Headers
from grip.instruct import Hold, HoldMode, parse_instruct
from grip.signature import Key, sign
from host_sim.fanout.delivery import Delivery
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.signer import Signer
from host_sim.proxy import GripProxy, ProxySettings
from host_sim.pushpin.process import free_addresses
from tests.support.waiting import PATIENCE_S

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "library.md"
BLOCKS = [
    text
    for _, text in re.findall(
        r"^```(\w+)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )
]
(
    FIVE_LINES,
    RUN_PROXY,
    RUN_FLASK,
    PUBLISH_ONE,
    DJANGO_VIEWS,
    DJANGO_WSGI,
    STARLETTE_CHAT,
    PUBLISH_MORE,
    PUBLISH_ASYNC,
    FLASK_SIGNED,
) = BLOCKS
ISSUER, KEY = "local", "a-key-for-local-work-0123456789"
SIGNED = {"Grip-Sig": sign(Key.secret(KEY), ISSUER, time.time())}


def run(block: str, **namespace: object) -> dict[str, Any]:
    """Run a block of Python and return what it defines."""
    names: dict[str, Any] = {"__name__": "library", **namespace}
    exec(block, names)
    return names


def held(headers: Iterable[tuple[str, str]]) -> Hold:
    """Return the hold a proxy would understand."""
    instruct = parse_instruct(status=200, reason="", headers=Headers(headers), body=b"")
    assert instruct.hold is not None
    return instruct.hold


@contextlib.asynccontextmanager
async def shell(
    commands: str, folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a block of shell as a reader would; everything it started ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", commands),
        cwd=folder,
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # SIGINT is ignored in the background
        await process.wait()


async def test_the_first_screen(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FIVE_LINES)
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    [(_, free)] = free_addresses("127.0.0.1", [0])  # Flask cannot be given a socket here
    port = str(free)
    proxy_command = RUN_PROXY.replace("8000", port).strip()
    proxy_command += " --addr 127.0.0.1:0 --publish-addr 127.0.0.1:0"
    async with (
        asyncio.timeout(6 * PATIENCE_S),
        shell(proxy_command, tmp_path, environment) as proxy,
    ):
        assert proxy.stdout is not None
        printed = (await proxy.stdout.readuntil(b"/publish/\n")).decode()
        fanout, publish = re.findall(r"http://127\.0\.0\.1:\d+(?=\n|/publish/)", printed)[-2:]
        flask_commands = RUN_FLASK.replace("8000", port).replace("http://127.0.0.1:5561", publish)
        grip_url = re.findall(r'"(.*)"', flask_commands)[0]
        async with (
            shell(flask_commands, tmp_path, environment),
            httpx.AsyncClient(base_url=fanout, trust_env=False, timeout=PATIENCE_S) as http,
        ):
            # 502 until Flask listens, which it says to nobody else.
            while (await http.get("/nothing")).status_code != 404:  # noqa: ASYNC110  (as above)
                await asyncio.sleep(0.05)
            async with http.stream("GET", "/stream") as response:
                environment["GRIP_URL"] = grip_url
                publisher = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", PUBLISH_ONE), env=environment
                )
                assert await publisher.wait() == 0
                async for piece in response.aiter_text():
                    assert piece == "hello\n"
                    break


def test_django(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIP_URL", f"http://127.0.0.1:5561/?verify-iss={ISSUER}&verify-key={KEY}")
    settings.configure(ALLOWED_HOSTS=["testserver"])
    django.setup()
    views = run(DJANGO_VIEWS)
    request = RequestFactory().get("/")
    stream, events, long_poll = (views[name](request) for name in ("stream", "events", "long_poll"))
    hold = held(stream.headers.items())
    assert [channel.name for channel in hold.channels] == ["news", "weather"]
    assert hold.mode is HoldMode.STREAM
    assert events.headers["Content-Type"] == "text/event-stream"
    assert held(events.headers.items()).keep_alive is not None
    assert held(long_poll.headers.items()).timeout_s == 20
    assert callable(run(DJANGO_WSGI)["application"])


async def test_starlette(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIP_URL", f"http://127.0.0.1:5561/?verify-iss={ISSUER}&verify-key={KEY}")
    app = run(STARLETTE_CHAT)["app"]
    assert isinstance(app, Starlette)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        headers = SIGNED | {
            "Content-Type": "application/websocket-events",
            "Sec-WebSocket-Extensions": "grip",
        }
        reply = await http.post("/chat", content=b"OPEN\r\nTEXT 2\r\nhi\r\n", headers=headers)
        assert reply.status_code == 200
        assert reply.content.startswith(b"OPEN\r\n")
        assert reply.content.endswith(b"TEXT 4\r\nm:hi\r\n")
        assert (await http.post("/chat")).status_code == 400


def test_flask_with_settings_of_its_own() -> None:
    app = run(FLASK_SIGNED)["app"]
    assert isinstance(app, Flask)
    response = app.test_client().get("/members", headers=SIGNED)
    assert held(response.headers.items()).mode is HoldMode.RESPONSE
    assert app.test_client().get("/members").status_code == 501


class Listener:
    """Subscribed to a channel of a proxy; keeps what it gets."""

    def __init__(self) -> None:
        self.streams: list[bytes] = []

    def deliver(self, channel: str, delivery: Delivery) -> None:
        assert channel == "test"
        assert delivery.item.http_stream is not None
        self.streams.append(delivery.item.http_stream.content)

    def refresh(self) -> None:
        """Nothing to ask again."""


async def test_publishing_to_two_proxies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listeners = Listener(), Listener()
    route = Route.parse("nobody=http://127.0.0.1:9")
    async with contextlib.AsyncExitStack() as stack:
        urls = []
        for listener in listeners:
            proxy = await stack.enter_async_context(
                GripProxy(
                    ProxySettings(
                        routes=Routes([route]),
                        sign=Signer(Key.secret(KEY), ISSUER),
                        address=("127.0.0.1", 0),
                        publish_address=("127.0.0.1", 0),
                    )
                )
            )
            proxy.registry.subscribe("test", listener)
            urls.append("http://{}:{}/".format(*proxy.publish_address))
        monkeypatch.setenv("GRIP_URL", " ".join(urls))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for block in (PUBLISH_ONE, PUBLISH_MORE, PUBLISH_ASYNC):
            await asyncio.to_thread(run, block)
    expected = [b"hello\n", b"hello\n", b"id: 2\ndata: hello\n\n", b"for streams\n", b"hello"]
    assert [listener.streams for listener in listeners] == [expected, expected]
    assert not capsys.readouterr().out  # no failure was printed
