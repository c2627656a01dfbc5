"""Joins the rooms: the edge runs the guest, hands clients to Fanout, and is its own backend.

Also the simulator in a test's own process: `async with Simulator("bin/main.wasm") as edge`.
"""

import asyncio
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from grip.errors import LocalProtocolError
from grip.items import Item
from grip.keys import Key
from host_sim.config.backends import Backend
from host_sim.config.manifest import Manifest, load_manifest
from host_sim.edge.dispatch import Dispatcher
from host_sim.edge.upstream import SELF, Backends
from host_sim.engine import GRACE_S, Engine, OwnEngine, listen, url_at
from host_sim.errors import ConfigError
from host_sim.fanout.signer import Signer
from host_sim.http1.client import HttpClient
from host_sim.http2.client import Http2Client
from host_sim.lookups import host_data, send_dynamic
from host_sim.messages import Address
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.loading.engine import check
from host_sim.sandbox.waiting import Limits

if TYPE_CHECKING:
    from host_sim.http1.server import Listener

__all__ = ["LOCAL_SIG_ISS", "LOCAL_SIG_KEY", "Simulator", "parse_key"]

LOCAL_SIG_ISS = "viceroy"
LOCAL_SIG_KEY = "viceroy_dev_signing_key_dont_use_in_production"
"""How the Fastly CLI lets its local proxy sign; public, and in `fastly.toml` for the guest."""

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
        reuse: int = 5,
        sig_iss: str = LOCAL_SIG_ISS,
        sig_key: str = LOCAL_SIG_KEY,
        fanout: str | None = None,
        fanout_publish: str | None = None,
        state: Path | str | None = None,
        http_cache: bool = True,
        strict: bool = True,
        websockets: bool = True,
        quick: bool = False,
        pool: bool = False,
        trap_unknown: bool = False,
        wait: bool = True,
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
            reuse: how many more requests a sandbox may have that asks for the next one.
            sig_iss: issuer in `Grip-Sig`.
            sig_key: key of `Grip-Sig`, a secret or a PEM.
            fanout: the GRIP proxy behind the edge: None for ours; `pushpin` for a Pushpin that is
                installed and started; or the URL of one that runs, which brings its own ports,
                key and issuer.
            fanout_publish: publish endpoint of the latter, by default port 5561 of its host.
            state: folder where KV stores are kept; None: they are lost at the end.
            http_cache: whether guests have the HTTP cache; without it SDKs send past it.
            strict: whether taken ports of Fanout are an error, and a proxy that does not run yet;
                if not, other ports are taken, with a warning.
            websockets: whether guests may hand off to a backend (WebSocket pass-through).
            quick: compile a component that is new in less time, to slower code.
            pool: reserve a place in memory for guests, which makes fresh ones cheaper; for a
                process that has one simulator, since it takes many addresses.
            trap_unknown: let a component start that imports what nobody here has; calling it ends
                the guest.
            wait: let requests wait while the component is compiled; if not, they are answered 503
                with `Retry-After`.

        Raises:
            ConfigError: the manifest, the key or a URL cannot be used.
        """
        self._wasm = Path(wasm)
        self._manifest = Manifest() if manifest is None else load_manifest(manifest)
        self._host = host
        self._port = port
        self._fanout_ports = (proxy_port, publish_port)
        self._publish_key = publish_key
        self._strict = strict
        self._websockets = websockets
        self._quick = quick
        self._pool = pool
        self._trap_unknown = trap_unknown
        self._wait = wait
        self._limits = Limits(request_timeout_s=request_timeout_s, reuse=reuse)
        self._sig = (parse_key(sig_key), sig_iss)
        self._fanout = fanout
        self._fanout_publish = fanout_publish
        self._state = None if state is None else Path(state)
        self._http_cache = http_cache
        self._listener: Listener | None = None
        self._loading: asyncio.Task[None] | None = None
        self.cached = False
        self.load_s = 0.0

    @property
    def manifest(self) -> Manifest:
        """The manifest."""
        return self._manifest

    @property
    def address(self) -> Address:
        """Where the edge listens."""
        assert self._listener is not None
        return self._listener.address

    @property
    def url(self) -> str:
        """URL of the edge."""
        return url_at(self.address)

    @property
    def proxy_url(self) -> str:
        """URL of the GRIP proxy."""
        return self._engine.proxy_url

    @property
    def publish_url(self) -> str:
        """URL of the publish endpoint."""
        return self._engine.publish_url

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
        """Listen, and begin to load the component; what becomes of requests till then says `wait`.

        Raises:
            StartError: there is no such component, a port is taken, or there can be no state.
        """
        check(self._wasm)
        self._client, self._http2_client = HttpClient(), Http2Client()
        backends = self._backends_by_name()
        upstream = Backends(backends, self._client, self._http2_client)
        self._engine = self._make_engine(backends, upstream)
        self._sandboxes = Sandboxes(
            upstream=upstream,
            send_dynamic=send_dynamic(upstream),
            data=dataclasses.replace(host_data(self._manifest), websockets=self._websockets),
            limits=self._limits,
            state=self._state,
            http_cache=self._http_cache,
            wait=self._wait,
        )
        dispatcher = Dispatcher(self._sandboxes, self._engine, upstream.patient)
        try:
            self._listener = await listen(dispatcher, self._host, self._port, "--addr")
            await self._engine.start(self._listener.address)
        except BaseException:
            await self.stop()
            raise
        upstream.enter_at(dispatcher, [self._listener.address])
        self._loading = asyncio.create_task(self._load())

    async def ready(self) -> None:
        """Wait until the component can be run, and clients be handed off.

        Raises:
            StartError: they cannot.
        """
        assert self._loading is not None
        await asyncio.gather(self._loading, self._engine.ready())

    async def stop(self) -> None:
        """Stop listening, end what is held, end the guests."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._listener is not None:
            await asyncio.gather(self._listener.close(GRACE_S), self._engine.close())
        else:
            await self._engine.close()
        await self._sandboxes.close(GRACE_S)
        await self._client.close()
        await self._http2_client.close()

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
        await self.publish_items(Item.message(channel, content, newline=newline, **ids))

    async def publish_items(self, *items: Item) -> None:
        """Publish items as they are.

        Raises:
            HostSimError: an engine in another process does not take them.
        """
        await self._engine.publish(items)

    async def subscribed(self, channel: str, count: int = 1, *, timeout_s: float = 30) -> None:
        """Wait until exactly `count` connections are subscribed to a channel.

        Raises:
            HostSimError: the engine is not our own, and does not tell.
            TimeoutError: it takes longer than `timeout_s`.
        """
        async with asyncio.timeout(timeout_s):
            while self._engine.subscribers(channel) != count:  # noqa: ASYNC110 - cheap to ask
                await asyncio.sleep(POLL_S)

    def _backends_by_name(self) -> dict[str, Backend]:
        """Return the manifest's backends; one without a manifest still has `self`."""
        return dict(self._manifest.backends) or {SELF: Backend(url=f"http://{self._host}")}

    def _make_engine(self, backends: dict[str, Backend], upstream: Backends) -> Engine:
        key, issuer = self._sig
        match self._fanout:
            case None:
                return OwnEngine(
                    upstream,
                    Signer(key, issuer),
                    host=self._host,
                    ports=self._fanout_ports,
                    key=self._publish_key,
                    strict=self._strict,
                )
            case "pushpin":
                from host_sim.pushpin.engine import PushpinEngine

                return PushpinEngine(
                    self._client,
                    backends,
                    key,
                    issuer,
                    host=self._host,
                    ports=self._fanout_ports,
                    publish_key=self._publish_key,
                )
            case url:
                from host_sim.pushpin.running import RunningEngine

                return RunningEngine(self._client, url, self._fanout_publish, strict=self._strict)

    async def _load(self) -> None:
        began = time.perf_counter()
        loaded = await self._sandboxes.load(
            self._wasm, quick=self._quick, pool=self._pool, trap_unknown=self._trap_unknown
        )
        self.cached = loaded.cached
        self.load_s = time.perf_counter() - began
