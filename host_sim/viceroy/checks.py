"""Asks each backend once, at the start, whether it is there; that is only told, nothing follows.

Source: compute-host §4.1.
"""

import asyncio
import logging
import urllib.parse
from collections.abc import Mapping

from grip.headers import Headers
from host_sim.body import Body
from host_sim.config.backends import Backend
from host_sim.edge.upstream import SELF, Backends
from host_sim.errors import BackendError, BackendFault
from host_sim.http1.client import HttpClient
from host_sim.messages import Address, Request
from host_sim.trace import Trace

__all__ = ["Checks"]

log = logging.getLogger("host_sim.viceroy")

PATIENCE_S = 5.0
"""How long a backend may take to answer."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Checks:
    """Asks all backends at the same time; one that is this process is not asked."""

    def __init__(self, backends: Mapping[str, Backend], own: Address) -> None:
        """Ask `backends`; `own` is where this process listens."""
        self._backends = backends
        self._own = own
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Say who is asked, and begin."""
        for name in self._backends:
            log.info("checking if backend '%s' is up", name)
        self._task = asyncio.create_task(self._ask_all())

    async def stop(self) -> None:
        """Wait no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask_all(self) -> None:
        client = HttpClient(keep_idle_s=0)
        upstream = Backends(self._backends, client)
        try:
            await asyncio.gather(*(self._ask(upstream, name) for name in self._backends))
        finally:
            await client.close()

    async def _ask(self, upstream: Backends, name: str) -> None:
        backend = self._backends[name]
        if name == SELF or self._is_own(backend) or await _answers(upstream, name, backend):
            log.info("backend '%s' is up", name)
        else:
            log.warning("backend '%s' on '%s' is not up right now", name, _shown(backend))

    def _is_own(self, backend: Backend) -> bool:
        host, port = self._own
        hosts = (host, *_LOOPBACK)
        return not backend.is_tls and backend.port == port and backend.host in hosts


async def _answers(upstream: Backends, name: str, backend: Backend) -> bool:
    """Tell whether there is somebody to connect to, who answers whatever it is."""
    trace = Trace(method="GET", target="/", internal=True, id=0)  # no client's
    request = Request(
        method="GET",
        scheme="https" if backend.is_tls else "http",
        authority=backend.authority,
        target="/" if not backend.path else "",
        headers=Headers([("Host", backend.authority)]),
        body=Body.of(b""),
        client=None,
        server=None,
        trace=trace,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            response = await upstream.send(request, name)
            await response.body.aclose()
    except BackendError as error:
        return error.fault not in (BackendFault.UNREACHABLE, BackendFault.TIMEOUT)
    except TimeoutError:
        return False
    return True


def _shown(backend: Backend) -> str:
    """Return a backend's URL with a path, as Viceroy shows it."""
    parts = urllib.parse.urlsplit(backend.url)
    return backend.url if parts.path else f"{backend.url}/"
