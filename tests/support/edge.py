"""The whole simulator around the guest that runs scripts, and a client that speaks plain bytes."""

import base64
import contextlib
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from host_sim.simulator import Simulator
from tests.support.backend import Backend
from tests.support.raw import Raw
from tests.support.sandbox import build_guest

__all__ = ["Edge", "ask", "edge", "url"]


class Edge:
    """A running simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.clients: list[Raw] = []

    async def connect(self, *, limit: int = 1 << 20) -> Raw:
        """Return a new client, which is closed with the simulator."""
        host, _, port = self.simulator.url.removeprefix("http://").partition(":")
        self.clients.append(await Raw.connect((host, int(port)), limit=limit))
        return self.clients[-1]


@contextlib.asynccontextmanager
async def edge(folder: Path, backends: str = "", **options: Any) -> AsyncIterator[Edge]:
    """Run the scripted guest with these entries of `[local_server.backends]`."""
    manifest = folder / "fastly.toml"
    manifest.write_text(f"[local_server.backends]\n{backends}\n")
    async with Simulator(build_guest(), manifest=manifest, **options) as simulator:
        running = Edge(simulator)
        try:
            yield running
        finally:
            for client in running.clients:
                client.abort()


def ask(
    script: str,
    *,
    line: bytes = b"GET /ws?x HTTP/1.1",
    host: bytes = b"Host: edge.test\r\n",
    fields: bytes = b"",
) -> bytes:
    """Return a request whose guest runs `script`."""
    code = base64.b64encode(textwrap.dedent(script).encode())
    return b"%s\r\n%s%sX-Script: %s\r\n\r\n" % (line, host, fields, code)


def url(backend: Backend, scheme: str = "http", path: str = "") -> str:
    """Return where a backend is."""
    return "{}://{}:{}{}".format(scheme, *backend.address, path)
