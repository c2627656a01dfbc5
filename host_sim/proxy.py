"""The GRIP proxy on its own, in front of any HTTP backend: joins listeners, routes and `fanout`.

What `host-sim proxy` runs; no wasm. Source: GRIP §2 (forwarding), §8.1 (publish endpoint).
"""

import asyncio
import dataclasses
import ssl
from typing import Self

from grip.keys import Key
from grip.sequence import GAP_WAIT_S
from host_sim.fanout.answers import refuse
from host_sim.fanout.forward import DEFAULT_FORWARDED, TIMEOUT_S, Forwarded, Sign
from host_sim.fanout.proxy import MAX_HELD, FanoutProxy
from host_sim.fanout.publisher import MAX_BODY_BYTES, Publisher
from host_sim.fanout.registry import Registry
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.test_target import reply_to
from host_sim.http1.client import HttpClient
from host_sim.http1.server import MAX_HEAD_BYTES, Listener, serve
from host_sim.messages import Address, Downstream, Request, Response

__all__ = ["GRACE_S", "GripProxy", "ProxySettings"]

GRACE_S = 2.0
"""How long a proxy that closes lets others take in what it still has to tell them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How a proxy is set up.

    Attributes:
        routes: where requests go.
        sign: makes the `Grip-Sig` of each request, for example a `fanout.signer.Signer`.
        address: where clients connect; port 0 for any that is free.
        publish_address: where publishers connect.
        publish_key: what publishers have to know, None for nothing.
        max_publish_bytes: how long a publish may be.
        tls_addresses: where clients connect with TLS, and what with.
        max_head_bytes: how long the head of a client's request may be.
        max_publish_head_bytes: how long that of a publisher's may be.
        forwarded: what backends are told about clients.
        trusted_key: key of another GRIP proxy, whose requests are passed on as they are.
        timeout_s: how long backends may be silent.
        message_wait_s: how long a published item waits for its predecessor.
        max_held: clients that are held at the same time, WebSockets included.
        compression: let clients of WebSockets have `permessage-deflate`.
    """

    routes: Routes
    sign: Sign
    address: Address = ("127.0.0.1", 7999)
    publish_address: Address = ("127.0.0.1", 5561)
    publish_key: str | None = None
    max_publish_bytes: int = MAX_BODY_BYTES
    tls_addresses: tuple[tuple[Address, ssl.SSLContext], ...] = ()
    max_head_bytes: int = MAX_HEAD_BYTES
    max_publish_head_bytes: int = MAX_HEAD_BYTES
    forwarded: Forwarded = DEFAULT_FORWARDED
    trusted_key: Key | None = None
    timeout_s: float | None = TIMEOUT_S
    message_wait_s: float = GAP_WAIT_S
    max_held: int = MAX_HELD
    compression: bool = False


class _Backends:
    """Reaches backends (`messages.Upstream`) by the names of routes, and other services by origin.

    An origin is scheme, host and port of a link, such as `http://127.0.0.1:8000`.
    """

    def __init__(self, routes: Routes, silence_s: float | None) -> None:
        self._routes = routes
        self._silence_s = silence_s
        self._client = HttpClient()
        self._contexts: dict[bool, ssl.SSLContext] = {}

    async def send(self, request: Request, backend: str) -> Response:
        """Send to where the route leads."""
        route = self._routes.named(backend) or Route.parse(f"{backend}={backend}")
        if route.scheme == "test":
            return reply_to(request)
        return await self._client.send(
            route.adapted(request),
            backend=backend,
            host=route.host,
            port=route.port,
            tls=self._context(insecure=route.insecure) if route.scheme == "https" else None,
            server_hostname="" if route.insecure else None,
            between_bytes_timeout_s=self._silence_s,
        )

    def _context(self, *, insecure: bool) -> ssl.SSLContext:
        if insecure not in self._contexts:
            context = self._contexts[insecure] = ssl.create_default_context()
            if insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        return self._contexts[insecure]

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


class GripProxy:
    """A proxy that listens while an `async with` block runs.

    Attributes:
        address: where it takes clients.
        publish_address: where it takes publishers.
        registry: who is subscribed to what.
    """

    address: Address
    publish_address: Address
    registry: Registry

    def __init__(self, settings: ProxySettings) -> None:
        self._settings = settings
        self._backends = _Backends(settings.routes, settings.timeout_s)
        self._listeners: list[Listener] = []

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            StartError: an address cannot be had.
        """
        settings = self._settings
        self._fanout = FanoutProxy(
            self._backends,
            settings.sign,
            elsewhere=self._backends,
            timeout_s=settings.timeout_s,
            message_wait_s=settings.message_wait_s,
            max_held=settings.max_held,
            compression=settings.compression,
            forwarded=settings.forwarded,
            trusted_key=settings.trusted_key,
        )
        self.registry = self._fanout.registry
        publisher = Publisher(
            self.registry, key=settings.publish_key, max_body_bytes=settings.max_publish_bytes
        )
        try:
            for address, tls in ((settings.address, None), *settings.tls_addresses):
                self._listeners.append(
                    await serve(
                        self._take, *address, tls=tls, max_head_bytes=settings.max_head_bytes
                    )
                )
            self._listeners.append(
                await serve(
                    publisher,
                    *settings.publish_address,
                    max_head_bytes=settings.max_publish_head_bytes,
                )
            )
        except BaseException:
            await self.__aexit__()
            raise
        self.address = self._listeners[0].address
        self.publish_address = self._listeners[-1].address
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, end what is held, and give others a moment to hear of it."""
        closing = (listener.close(GRACE_S) for listener in self._listeners)
        await asyncio.gather(*closing, self._fanout.close(GRACE_S))
        await self._backends.close()

    async def _take(self, request: Request, downstream: Downstream) -> None:
        route = self._settings.routes.choose(request)
        if route is None:
            text = f"No route for host: {request.authority}\n"
            refuse(downstream, request.trace, 502, text)
        else:
            await self._fanout.take(request, route.name, downstream)
