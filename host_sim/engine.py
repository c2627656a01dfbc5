"""What plays Fanout behind the edge: takes clients that were handed off, and publishers.

Ours is here; those of others are in `host_sim.pushpin`. The simulator knows no difference.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from grip.items import Item
from host_sim.edge.upstream import SELF, Backends
from host_sim.errors import StartError
from host_sim.fanout.proxy import FanoutProxy
from host_sim.fanout.publisher import Publisher
from host_sim.fanout.signer import Signer
from host_sim.http1.server import Listener, serve
from host_sim.messages import Address, Downstream, Handler, HandoffTarget, Request

__all__ = ["GRACE_S", "Engine", "OwnEngine", "listen", "url_at"]

log = logging.getLogger("host_sim.engine")

GRACE_S = 2.0
"""How long requests under way may take to end when the simulator stops."""


MAX_MESSAGE_BYTES = 64 << 10
"""How long a published message may be in production."""


class Engine(HandoffTarget, Protocol):
    """Plays Fanout; `start` first, `close` last."""

    @property
    def proxy_url(self) -> str:
        """Where it takes clients, who name a backend in `Pushpin-Route`."""

    @property
    def publish_url(self) -> str:
        """Where it takes publishers."""

    async def start(self, edge: Address) -> None:
        """Begin to listen; `edge` is where the backend `self` is.

        Raises:
            StartError: it cannot.
        """

    async def ready(self) -> None:
        """Wait until clients can be handed off.

        Raises:
            StartError: that will never be.
        """

    async def publish(self, items: Iterable[Item]) -> None:
        """Publish items; they are on their way when this returns.

        Raises:
            HostSimError: they are not.
        """

    def subscribers(self, channel: str) -> int:
        """Return how many connections are subscribed to a channel.

        Raises:
            HostSimError: this engine does not tell.
        """

    async def close(self) -> None:
        """Stop listening, and end what is held."""


class OwnEngine:
    """The proxy of `host_sim.fanout`, in this process; made inside a running event loop."""

    def __init__(
        self,
        backends: Backends,
        signer: Signer,
        *,
        host: str,
        ports: tuple[int, int],
        key: str | None,
        strict: bool = True,
    ) -> None:
        """Describe it.

        Args:
            backends: what clients can be handed off to.
            signer: makes each `Grip-Sig`.
            host: where to listen.
            ports: for clients and for publishers; 0 for any that is free.
            key: what publishers have to present, None for nothing.
            strict: whether a taken port is an error; if not, another one is taken, with a warning.
        """
        self._strict = strict
        self._fanout = FanoutProxy(backends, signer, elsewhere=backends.elsewhere)
        self._publisher = Publisher(self._fanout.registry, key=key, tell_above=MAX_MESSAGE_BYTES)
        self._host = host
        self._ports = ports
        self._listeners: list[Listener] = []

    @property
    def proxy_url(self) -> str:
        """Where it takes clients; without `Pushpin-Route` they go to the backend `self`."""
        return url_at(self._listeners[0].address)

    @property
    def publish_url(self) -> str:
        """Where it takes publishers."""
        return url_at(self._listeners[1].address) + "/publish/"

    async def start(self, edge: Address) -> None:  # noqa: ARG002 - as `Engine` has it
        """Begin to listen; see `Engine`."""
        handlers: list[tuple[Handler, str]] = [
            (self._take_routed, "--proxy-port"),
            (self._publisher, "--publish-port"),
        ]
        for (handler, flag), port in zip(handlers, self._ports, strict=True):
            self._listeners.append(await self._listen(handler, port, flag))

    async def _listen(self, handler: Handler, port: int, flag: str) -> Listener:
        try:
            return await listen(handler, self._host, port, flag)
        except StartError as error:
            if self._strict or port == 0:
                raise
            listener = await listen(handler, self._host, 0, flag)
            purpose = "publishers" if flag == "--publish-port" else "the GRIP proxy"
            text = "%s; %s will be at %s"
            log.warning(text, error.__cause__ or error, purpose, url_at(listener.address))
            return listener

    async def ready(self) -> None:
        """Return: it is."""

    async def take(self, request: Request, backend: str, downstream: Downstream) -> None:
        """Serve a client that was handed off."""
        await self._fanout.take(request, backend, downstream)

    async def publish(self, items: Iterable[Item]) -> None:
        """Publish items."""
        await self._fanout.registry.caught_up()
        self._fanout.registry.publish(items)

    def subscribers(self, channel: str) -> int:
        """Return how many connections are subscribed to a channel."""
        return self._fanout.registry.count(channel)

    async def close(self) -> None:
        """Stop listening, and end what is held."""
        closing = (listener.close(GRACE_S) for listener in self._listeners)
        await asyncio.gather(*closing, self._fanout.close(GRACE_S))

    async def _take_routed(self, request: Request, downstream: Downstream) -> None:
        """Serve a client of the proxy's own port, as the Fastly CLI's Pushpin does."""
        backend = request.headers.get("Pushpin-Route") or SELF
        await self._fanout.take(request, backend, downstream)


async def listen(handler: Handler, host: str, port: int, flag: str) -> Listener:
    """Listen; `flag` is the option that chooses another port.

    Raises:
        StartError: the port is taken.
    """
    try:
        return await serve(handler, host, port)
    except StartError as error:
        raise StartError(f"{error}; {flag} takes another one") from error


def url_at(address: Address) -> str:
    """Return the URL of a listener."""
    host, port = address
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
