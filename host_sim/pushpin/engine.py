"""A Pushpin started for this simulator as the engine, with one route for each backend.

The rest is as with one that runs already (`running`), but for the publish endpoint: ours is before
it, with its three forms of paths and its key. Source: GRIP §2.5; compute-host §5.3.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from grip.items import Item
from grip.keys import Key
from host_sim.config.backends import Backend
from host_sim.edge.upstream import SELF
from host_sim.engine import GRACE_S, listen, url_at
from host_sim.fanout.publish_relay import PublishRelay
from host_sim.http1.client import HttpClient
from host_sim.messages import Address, Downstream, Request
from host_sim.pushpin.process import Pushpin, PushpinSettings, free_addresses, quoted
from host_sim.pushpin.running import Publishing, RunningEngine

if TYPE_CHECKING:
    from host_sim.http1.server import Listener

__all__ = ["PushpinEngine", "route_of"]

log = logging.getLogger("host_sim.pushpin")

_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where to connect to reach who is bound there


class PushpinEngine:
    """Implements `engine.Engine` with a Pushpin of its own."""

    def __init__(
        self,
        client: HttpClient,
        backends: Mapping[str, Backend],
        key: Key,
        issuer: str,
        *,
        host: str,
        ports: tuple[int, int],
        publish_key: str | None,
    ) -> None:
        """Describe it.

        Args:
            client: reaches it.
            backends: what clients can be handed off to, by name.
            key: signs requests.
            issuer: who signs.
            host: where to listen.
            ports: for clients and for publishers; 0 for any that is free.
            publish_key: what publishers have to present, None for nothing.

        Raises:
            StartError: `host` is not one of this machine.
        """
        proxy_port, self._publish_port = ports
        self._host = host
        [self._address] = free_addresses(host, [proxy_port])
        [self._inner] = free_addresses("127.0.0.1", [0])
        self._backends = backends
        self._key = key
        self._issuer = issuer
        self._running = RunningEngine(
            client, url_at(_reachable(self._address)), url_at(self._inner) + "/publish/"
        )
        self._relay = PublishRelay(Publishing(client, self._inner), key=publish_key)
        self._pushpin: Pushpin | None = None
        self._listener: Listener | None = None
        self._is_ready = asyncio.Event()

    @property
    def proxy_url(self) -> str:
        """Where it takes clients; without `Pushpin-Route` they go to the backend `self`."""
        return url_at(self._address)

    @property
    def publish_url(self) -> str:
        """Where it takes publishers."""
        assert self._listener is not None
        return url_at(self._listener.address) + "/publish/"

    async def start(self, edge: Address) -> None:
        """Start Pushpin, and listen for publishers.

        Raises:
            StartError: it is not installed, or a port is taken.
        """
        self._listener = await listen(self._relay, self._host, self._publish_port, "--publish-port")
        routes = [route_of(name, backend, edge) for name, backend in self._backends.items()]
        if SELF not in self._backends:
            routes.append(route_of(SELF, Backend(url=url_at(edge)), edge))
        self._pushpin = Pushpin(
            PushpinSettings(
                address=self._address,
                publish_address=self._inner,
                routes=tuple(routes),
                sig_iss=self._issuer,
                sig_key=self._key,
            )
        )
        await self._pushpin.start()

    async def ready(self) -> None:
        """Wait until Pushpin can hold clients.

        Raises:
            StartError: it ended, or takes too long.
        """
        assert self._pushpin is not None
        await self._pushpin.ready()
        self._is_ready.set()

    async def take(self, request: Request, backend: str, downstream: Downstream) -> None:
        """Serve a client that was handed off, as soon as Pushpin is ready."""
        await self._is_ready.wait()
        await self._running.take(request, backend, downstream)

    async def publish(self, items: Iterable[Item]) -> None:
        """Publish items.

        Raises:
            HostSimError: Pushpin refuses them, or has ended.
        """
        await self._running.publish(items)

    def subscribers(self, channel: str) -> int:
        """Refuse to say.

        Raises:
            HostSimError: always.
        """
        return self._running.subscribers(channel)

    async def close(self) -> None:
        """End Pushpin; it cuts off what it holds."""
        if self._listener is not None:
            await self._listener.close(GRACE_S)
        if self._pushpin is not None:
            await self._pushpin.stop()


def route_of(name: str, backend: Backend, edge: Address) -> str:
    """Return the line for a backend in a `routes` file, as the Fastly CLI writes it (GRIP §2.5).

    The backend `self` is at `edge` whatever its URL says, and takes those who name no backend.
    """
    condition = f"id={quoted(name)}"
    if name == SELF:
        condition = f"*,{condition}"
    if backend.path:
        condition += f",replace_beg={quoted(backend.path)}"
    here = name == SELF
    host, port = _reachable(edge) if here else (backend.host, backend.port)
    target = f"[{host}]:{port},over_http" if ":" in host else f"{host}:{port},over_http"
    if backend.is_tls and not here:
        target += ",ssl"
    if backend.override_host:
        target += f",host={quoted(backend.override_host)}"
    if backend.ca_certificates or backend.client_certificate or backend.cert_host:
        log.warning("backend %r: pushpin takes no certificates for it, nor their names", name)
    return f"{condition} {target}"


def _reachable(bound: Address) -> Address:
    host, port = bound
    return _ANY_HOST.get(host, host), port
