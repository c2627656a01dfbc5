"""Joins the rooms: the edge runs the guest, hands clients to Fanout, and is its own backend.

Also the simulator in a test's own process: `async with Simulator("bin/main.wasm") as edge`.
"""

import asyncio
import time
from pathlib import Path
from typing import Self

from grip.errors import LocalProtocolError
from grip.items import Item
from grip.signature import Key
from host_sim.config.backends import Backend
from host_sim.config.manifest import Manifest, load_manifest
from host_sim.edge.dispatch import Dispatcher
from host_sim.edge.upstream import Backends
from host_sim.errors import ConfigError, StartError
from host_sim.fanout.proxy import FanoutProxy
from host_sim.fanout.publisher import Publisher
from host_sim.fanout.signer import Signer
from host_sim.http1.client import HttpClient
from host_sim.http1.server import Listener, serve
from host_sim.lookups import host_data, send_dynamic
from host_sim.messages import Downstream, Handler, Request
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits

__all__ = ["LOCAL_SIG_ISS", "LOCAL_SIG_KEY", "Simulator", "parse_key"]

LOCAL_SIG_ISS = "viceroy"
LOCAL_SIG_KEY = "viceroy_dev_signing_key_dont_use_in_production"
"""How the Fastly CLI lets its local proxy sign; public, and in `fastly.toml` for the guest."""

SELF = "self"
GRACE_S = 2.0
"""How long requests under way may take to end when the simulator stops."""

POLL_S = 0.002
"""How often `subscribed` looks."""


def parse_key(text: str) -> Key:
    """Return the key of `Grip-Sig` from a secret or the text of a PEM.

    Raises:
        ConfigError: it has the form of a key but is none.
    """
    try:
        return Key.parse(text)
    except LocalProtocolError as error:
        raise ConfigError(f"key of Grip-Sig: {error}") from error


class Simulator:
    """An edge with Fanout, in this process.

    As an async context manager it is ready inside the block: the component is compiled, everything
    listens. Ports are free ones unless given.

    Example::

        async with Simulator("bin/main.wasm", manifest="fastly.toml") as edge:
            ...  # connect any client to edge.url
            await edge.publish("test", "hello")
    """

    def __init__(
        self,
        wasm: Path | str,
        *,
        manifest: Path | str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        proxy_port: int = 0,
        publish_port: int = 0,
        publish_key: str | None = None,
        request_timeout_s: float = 120.0,
        sig_iss: str = LOCAL_SIG_ISS,
        sig_key: str = LOCAL_SIG_KEY,
    ) -> None:
        """Describe a simulator; nothing happens before `start`.

        Args:
            wasm: the component.
            manifest: a `fastly.toml`; without one there is just the backend `self`.
            host: where to listen.
            port: of the edge; 0 for any that is free, likewise the others.
            proxy_port: of the GRIP proxy, which takes a backend's name in `Pushpin-Route`.
            publish_port: of the publish endpoint.
            publish_key: what publishers have to present, None for nothing.
            request_timeout_s: how long the guest may work on one request.
            sig_iss: issuer in `Grip-Sig`.
            sig_key: key of `Grip-Sig`, a secret or a PEM.

        Raises:
            ConfigError: the manifest or the key cannot be used.
        """
        self._wasm = Path(wasm)
        self._manifest = Manifest() if manifest is None else load_manifest(manifest)
        self._host = host
        self._ports = (port, proxy_port, publish_port)
        self._publish_key = publish_key
        self._limits = Limits(request_timeout_s=request_timeout_s)
        self._signer = Signer(parse_key(sig_key), sig_iss)
        self._listeners: list[Listener] = []
        self._loading: asyncio.Task[None] | None = None
        self.cached = False
        self.load_s = 0.0

    @property
    def url(self) -> str:
        """URL of the edge."""
        return self._url(0)

    @property
    def proxy_url(self) -> str:
        """URL of the GRIP proxy."""
        return self._url(1)

    @property
    def publish_url(self) -> str:
        """URL of the publish endpoint."""
        return self._url(2) + "/publish/"

    def _url(self, number: int) -> str:
        host, port = self._listeners[number].address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def __aenter__(self) -> Self:
        """Start and wait until ready."""
        await self.start()
        try:
            await self.ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen, and begin to load the component; requests that come before it is there wait.

        Raises:
            StartError: a port is taken.
        """
        self._client = HttpClient()
        self._backends = Backends(self._backends_by_name(), self._client)
        self._fanout = FanoutProxy(self._backends, self._signer, elsewhere=self._backends.elsewhere)
        self._sandboxes = Sandboxes(
            upstream=self._backends,
            send_dynamic=send_dynamic(self._backends),
            data=host_data(self._manifest),
            limits=self._limits,
        )
        dispatcher = Dispatcher(self._sandboxes, self._fanout, self._backends)
        publisher = Publisher(self._fanout.registry, key=self._publish_key)
        handlers: list[tuple[Handler, str]] = [
            (dispatcher, "--addr"),
            (self._take_routed, "--proxy-port"),
            (publisher, "--publish-port"),
        ]
        try:
            for (handler, flag), port in zip(handlers, self._ports, strict=True):
                self._listeners.append(await self._listen(handler, port, flag))
        except BaseException:
            await self.stop()
            raise
        self._backends.enter_at(dispatcher, [self._listeners[0].address])
        self._loading = asyncio.create_task(self._load())

    async def ready(self) -> None:
        """Wait until the component can be run.

        Raises:
            StartError: it cannot.
        """
        assert self._loading is not None
        await self._loading

    async def stop(self) -> None:
        """Stop listening, end what is held, end the guests."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        closing = (listener.close(GRACE_S) for listener in self._listeners)
        await asyncio.gather(*closing, self._fanout.close(GRACE_S))
        await self._sandboxes.close(GRACE_S)
        await self._client.close()

    async def publish(
        self, channel: str, content: str | bytes, *, newline: bool = True, **ids: str
    ) -> None:
        """Publish one message in all formats; it is on its way to everybody on return.

        Args:
            channel: who gets it.
            content: text; or bytes, which become a binary WebSocket message.
            newline: end the content of streams with a line end.
            ids: `item_id` and `prev_id`, see GRIP §9.
        """
        self.publish_items(Item.message(channel, content, newline=newline, **ids))

    def publish_items(self, *items: Item) -> None:
        """Publish items as they are."""
        self._fanout.registry.publish(items)

    async def subscribed(self, channel: str, count: int = 1, *, timeout_s: float = 30) -> None:
        """Wait until exactly `count` connections are subscribed to a channel.

        Raises:
            TimeoutError: it takes longer than `timeout_s`.
        """
        async with asyncio.timeout(timeout_s):
            while self._fanout.registry.count(channel) != count:  # noqa: ASYNC110 - cheap to ask
                await asyncio.sleep(POLL_S)

    def _backends_by_name(self) -> dict[str, Backend]:
        """Return the manifest's backends; one without a manifest still has `self`."""
        return dict(self._manifest.backends) or {SELF: Backend(url=f"http://{self._host}")}

    async def _listen(self, handler: Handler, port: int, flag: str) -> Listener:
        try:
            return await serve(handler, self._host, port)
        except StartError as error:
            raise StartError(f"{error}; {flag} takes another one") from error

    async def _take_routed(self, request: Request, downstream: Downstream) -> None:
        """Serve a client of the GRIP proxy's own port, as the Fastly CLI's Pushpin does."""
        backend = request.headers.get("Pushpin-Route") or SELF
        await self._fanout.take(request, backend, downstream)

    async def _load(self) -> None:
        began = time.perf_counter()
        loaded = await self._sandboxes.load(self._wasm)
        self.cached = loaded.cached
        self.load_s = time.perf_counter() - began
