"""A GRIP proxy as the engine that somebody else runs: handed off to, and published to, over HTTP.

Who is subscribed to what it tells nobody. Source: compute-host §3.2; GRIP §8.1.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from grip.headers import Headers
from grip.items import Item, encode_publish
from host_sim.body import Body
from host_sim.edge.handoff_http import HttpHandoff
from host_sim.engine import url_at
from host_sim.errors import BackendError, BodyError, ConfigError, HostSimError, StartError
from host_sim.http1.client import HttpClient
from host_sim.messages import Address, Downstream, Request, Response
from host_sim.trace import Trace

__all__ = ["Publishing", "RunningEngine"]

PUBLISH_PORT: Final = 5561
"""Where a Pushpin takes publishers unless told otherwise."""

_CONNECT_S = 5.0


class Publishing:
    """Implements `messages.Upstream` for a proxy's publish endpoint."""

    def __init__(self, client: HttpClient, address: Address) -> None:
        """Reach the endpoint at an address through `client`."""
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

    def __init__(
        self,
        client: HttpClient,
        url: str,
        publish_url: str | None = None,
        *,
        strict: bool = True,
    ) -> None:
        """Use the proxy at `url`, such as `http://127.0.0.1:7999`.

        Args:
            client: reaches it.
            url: where it takes clients.
            publish_url: where it takes publishers; by default port 5561 of the same host.
            strict: whether it has to be there when this starts.

        Raises:
            ConfigError: a URL cannot be used.
        """
        self._strict = strict
        self._address = _address(url)
        host, _ = self._address
        publish_address = _address(publish_url) if publish_url else (host, PUBLISH_PORT)
        self._publish_url = publish_url or url_at(publish_address) + "/publish/"
        self._handoff = HttpHandoff(client, self._address)
        self._publishing = Publishing(client, publish_address)

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
        if not self._strict:
            return
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


def _address(url: str) -> Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{url!r}: {error}") from None
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(f"expected http://HOST:PORT for a GRIP proxy, got {url!r}")
    return parts.hostname, 80 if port is None else port
