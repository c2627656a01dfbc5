"""Publishing: one message or many items, to all proxies, waiting or with `async`.

A thin hand around `grip.endpoint`: it sends what that builds, over connections that are kept, and
says plainly which proxies did not take it. Nothing is repeated; that is for those who know whether
an item has an id (GRIP §9.2). Fanout may take no more than 65,536 bytes in a publish, Pushpin
takes 1,000,000. Needs `httpx`: install the extra `web`. Source: GRIP §8.1, §13, §14.
"""

import asyncio
import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any, Self

import httpx

from grip.endpoint import Endpoint, PublishRequest, publish_request
from grip.errors import GripError, LocalProtocolError, shorten
from grip.items import HttpStreamFormat, Item
from grip.sse import format_event
from grip.web.settings import Proxies, load_endpoints

__all__ = ["TIMEOUT_S", "AsyncPublisher", "PublishError", "Publisher"]

TIMEOUT_S = 10.0
"""Seconds to wait for a connection, and for each piece of an answer."""


class PublishError(GripError):
    """Some proxies did not take the items; those that are not named did.

    Attributes:
        failures: URL of the publish endpoint, without any key, and why, for each that did not.
    """

    def __init__(self, failures: Iterable[tuple[str, str]], proxies: int) -> None:
        self.failures = tuple(failures)
        reasons = "; ".join(f"{url} {reason}" for url, reason in self.failures)
        super().__init__(f"{len(self.failures)} of {proxies} did not take the items: {reasons}")


class Publisher:
    """Publishes to all proxies of an application, one after the other; threads may share it.

    Use it as a context manager, or `close` it; one for the whole life of a process is fine.
    """

    def __init__(
        self,
        proxies: Proxies = None,
        *,
        timeout_s: float = TIMEOUT_S,
        client: httpx.Client | None = None,
    ) -> None:
        """Publish to `proxies`, by default those of the environment variable `GRIP_URL`.

        Args:
            proxies: see `grip.web.settings`.
            timeout_s: how long each proxy may be silent.
            client: what to send with, for settings of your own, such as time-outs; it is closed
                together with the publisher.

        Raises:
            LocalProtocolError: the settings cannot be used.
        """
        self.endpoints = load_endpoints(proxies)
        self._client = client or httpx.Client(timeout=timeout_s)

    def publish(
        self,
        channel: str,
        content: str | bytes,
        *,
        newline: bool = False,
        sse: bool = False,
        item_id: str | None = None,
        prev_id: str | None = None,
    ) -> None:
        """Publish a message to everybody on a channel, whatever their transport.

        Args:
            channel: who gets it.
            content: text; or bytes, which become a binary WebSocket message.
            newline: end the content of streams with a line end, for clients that read lines.
            sse: make the content of streams a server-sent event, whose id is `item_id`.
            item_id: its id within the channel; the same id again within a minute is dropped.
            prev_id: id of the item before it, so that nobody misses one (GRIP §9).

        Raises:
            LocalProtocolError: it cannot be published.
            PublishError: a proxy did not take it.
        """
        item = _message(
            channel, content, newline=newline, sse=sse, item_id=item_id, prev_id=prev_id
        )
        self.publish_items([item])

    def publish_items(self, items: Iterable[Item]) -> None:
        """Publish items in their order; each proxy takes all of them or none.

        Raises:
            LocalProtocolError: one cannot be published; none is.
            PublishError: a proxy did not take them.
        """
        requests = _requests(self.endpoints, items)
        _check(requests, [self._send(request) for request in requests])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, request: PublishRequest) -> str | None:
        try:
            return _refusal(self._client.request(**_arguments(request)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _fault(error)


class AsyncPublisher:
    """The same for asyncio: all proxies are asked at once. Belongs to one event loop."""

    def __init__(
        self,
        proxies: Proxies = None,
        *,
        timeout_s: float = TIMEOUT_S,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        """Publish to `proxies`, as `Publisher` does."""
        self.endpoints = load_endpoints(proxies)
        self._client = client or httpx.AsyncClient(timeout=timeout_s)

    async def publish(
        self,
        channel: str,
        content: str | bytes,
        *,
        newline: bool = False,
        sse: bool = False,
        item_id: str | None = None,
        prev_id: str | None = None,
    ) -> None:
        """Publish a message; see `Publisher.publish`."""
        item = _message(
            channel, content, newline=newline, sse=sse, item_id=item_id, prev_id=prev_id
        )
        await self.publish_items([item])

    async def publish_items(self, items: Iterable[Item]) -> None:
        """Publish items; see `Publisher.publish_items`."""
        requests = _requests(self.endpoints, items)
        _check(requests, await asyncio.gather(*(self._send(request) for request in requests)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _send(self, request: PublishRequest) -> str | None:
        try:
            return _refusal(await self._client.request(**_arguments(request)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _fault(error)


def _message(
    channel: str,
    content: str | bytes,
    *,
    newline: bool,
    sse: bool,
    item_id: str | None,
    prev_id: str | None,
) -> Item:
    item = Item.message(channel, content, newline=newline, item_id=item_id, prev_id=prev_id)
    if not sse:
        return item
    if isinstance(content, bytes):
        raise LocalProtocolError(f"expected text for an event, got {shorten(content)}")
    event = format_event(content, event_id=item_id)
    return dataclasses.replace(item, http_stream=HttpStreamFormat(content=event))


def _requests(endpoints: Iterable[Endpoint], items: Iterable[Item]) -> list[PublishRequest]:
    given, now = list(items), time.time()
    return [publish_request(endpoint, given, now) for endpoint in endpoints]


def _arguments(request: PublishRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": request.headers.to_wire(),
        "content": request.body,
    }


def _refusal(response: httpx.Response) -> str | None:
    """Return what is wrong with an answer, None if the items were taken."""
    if response.is_success:
        return None
    return f"answered {response.status_code}: {shorten(response.text.strip())}"


def _fault(error: httpx.HTTPError | httpx.InvalidURL) -> str:
    """Return why there is no answer."""
    if isinstance(error, httpx.LocalProtocolError):  # its text repeats header values
        return "cannot be asked: expected header values that HTTP allows"
    return f"cannot be asked: {f'{type(error).__name__} {error}'.strip()}"


def _check(requests: Sequence[PublishRequest], failures: Iterable[str | None]) -> None:
    failed = [(r.url, failure) for r, failure in zip(requests, failures, strict=True) if failure]
    if failed:
        raise PublishError(failed, len(requests))
