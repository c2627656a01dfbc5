"""Sandboxes of a test's own: with data of its own, or with real sockets to real backends."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from host_sim.config.manifest import Manifest
from host_sim.edge.upstream import Backends
from host_sim.http1.client import HttpClient
from host_sim.http2.client import Http2Client
from host_sim.lookups import host_data, send_dynamic
from host_sim.sandbox.data import HostData
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits
from tests.support.sandbox import Scripted, Upstream, build_guest

__all__ = ["guests", "networked"]

LIMITS = Limits(cpu_s=10.0, request_timeout_s=30.0)


@contextlib.asynccontextmanager
async def guests(
    border: str = "direct", *, data: HostData | None = None, state: Path | None = None
) -> AsyncIterator[Scripted]:
    """Run guests that can look up `data`, and keep what they keep in `state`."""
    upstream = Upstream()
    sandboxes = Sandboxes(
        upstream=upstream,
        send_dynamic=upstream.send_dynamic,
        data=data,
        limits=LIMITS,
        state=state,
    )
    try:
        await sandboxes.load(build_guest(), border=border)
        yield Scripted(sandboxes, upstream)
    finally:
        await sandboxes.close()


@contextlib.asynccontextmanager
async def networked(
    border: str = "direct", manifest: Manifest | None = None
) -> AsyncIterator[Scripted]:
    """Run guests of a service with this manifest, whose requests go over the network."""
    manifest = manifest or Manifest()
    client, http2_client = HttpClient(), Http2Client()
    upstream = Backends(manifest.backends, client, http2_client)
    sandboxes = Sandboxes(
        upstream=upstream,
        send_dynamic=send_dynamic(upstream),
        data=host_data(manifest),
        limits=LIMITS,
    )
    try:
        await sandboxes.load(build_guest(), border=border)
        yield Scripted(sandboxes, Upstream())
    finally:
        await sandboxes.close()
        await client.close()
        await http2_client.close()
