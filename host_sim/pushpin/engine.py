"""A GRIP proxy of others as the engine: one that runs already, or a Pushpin started for us.

Clients are handed off to it over HTTP, and what is published here goes to its publish endpoint; who
is subscribed to what it tells nobody. Source: compute-host §3.2, §5.3.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from grip.headers import Headers
from grip.items import Item, encode_publish
from grip.signature import Key
from host_sim.body import Body
from host_sim.config.backends import Backend
from host_sim.edge.handoff_http import HttpHandoff
from host_sim.edge.upstream import SELF
from host_sim.engine import GRACE_S, listen, url_at
from host_sim.errors import BackendError, BodyError, ConfigError, HostSimError, StartError
from host_sim.fanout.publish_relay import PublishRelay
from host_sim.http1.client import HttpClient
from host_sim.messages import Address, Downstream, Request, Response
from host_sim.pushpin.process import Pushpin, PushpinSettings, free_addresses, quoted
from host_sim.trace import Trace

if TYPE_CHECKING:
    from host_sim.http1.server import Listener

__all__ = ["PushpinEngine", "RunningEngine", "route_of"]

log = logging.getLogger("host_sim.pushpin")

PUBLISH_PORT: Final = 5561
"""Where a Pushpin takes publishers unless told otherwise."""

_CONNECT_S = 5.0
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where to connect to reach who is bound there


class _Publishing:
    """Implements `messages.Upstream` for a proxy's publish endpoint."""

    def __init__(self, client: HttpClient, address: Address) -> None:
        self._client = client
        self._host, self._port = address

    async def send(self, request: Request, backend: str) -> Response:
        """Send a request of a publisher on."""
        return await self._client.send(request, backend=backend, host=self._host, port=self._port)

    async def publish(self, items: Iterable[Item]) -> None:
        """Publish items.

        Raises:
            HostSimError: the endpoint refuses, or cannot be reached.
        """
        body = encode_publish(items)
        headers = [("Host", f"{self._host}:{self._port}"), ("Content-Type", "application/json")]
        request = Request(
            method="POST",
            scheme="http",
            authority=self._host,
            target="/publish/",
            headers=Headers(headers),
            body=Body.of(body),
            client=None,
            server=None,
            trace=Trace(method="POST", target="/publish/", internal=True),
        )
        try:
            response = await self.send(request, "publish")
            said = await response.body.whole(1 << 16)
        except (BackendError, BodyError) as error:
            raise HostSimError(f"cannot publish: {error}") from error
        if response.status != 200:
            raise HostSimError(f"publishing was answered {response.status}: {said!r}")


class RunningEngine:
    """A GRIP proxy that somebody else runs and has configured.

    It has to have a route for each backend, by name, to take `Pushpin-Route`, and to sign as the
    service expects.
    """

    def __init__(self, client: HttpClient, url: str, publish_url: str | None = None) -> None:
        """Use the proxy at `url`, such as `http://127.0.0.1:7999`.

        Args:
            client: reaches it.
            url: where it takes clients.
            publish_url: where it takes publishers; by default port 5561 of the same host.

        Raises:
            ConfigError: a URL cannot be used.
        """
        self._address = _address(url)
        host, _ = self._address
        publish_address = _address(publish_url) if publish_url else (host, PUBLISH_PORT)
        self._publish_url = publish_url or url_at(publish_address) + "/publish/"
        self._handoff = HttpHandoff(client, self._address)
        self._publishing = _Publishing(client, publish_address)

    @property
    def proxy_url(self) -> str:
        """Where it takes clients."""
        return url_at(self._address)

    @property
    def publish_url(self) -> str:
        """Where it takes publishers."""
        return self._publish_url

    async def start(self, edge: Address) -> None:  # noqa: ARG002 - as `Engine` has it
        """See that it is there; where the edge listens it has been told by somebody else.

        Raises:
            StartError: it is not.
        """
        host, port = self._address
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            reason = error.strerror or str(error) or "no answer"
            raise StartError(
                f"cannot reach a GRIP proxy at {self.proxy_url}: {reason}; is it running?"
            ) from error
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def ready(self) -> None:
        """Return: whoever runs it has seen to that."""

    async def take(self, request: Request, backend: str, downstream: Downstream) -> None:
        """Serve a client that was handed off."""
        await self._handoff.take(request, backend, downstream)

    async def publish(self, items: Iterable[Item]) -> None:
        """Publish items.

        Raises:
            HostSimError: the proxy refuses them, or cannot be reached.
        """
        await self._publishing.publish(items)

    def subscribers(self, channel: str) -> int:
        """Refuse to say.

        Raises:
            HostSimError: always.
        """
        raise HostSimError(
            f"cannot tell who is subscribed to {channel!r}: only the simulator's own engine knows"
        )

    async def close(self) -> None:
        """Leave it running."""


class PushpinEngine:
    """A Pushpin started for this simulator, with one route for each backend.

    Its publish endpoint is behind one of ours, which takes the three forms of paths and the key.
    """

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
        self._relay = PublishRelay(_Publishing(client, self._inner), key=publish_key)
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


def _address(url: str) -> Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{url!r}: {error}") from None
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(f"expected http://HOST:PORT for a GRIP proxy, got {url!r}")
    return parts.hostname, port or 80
