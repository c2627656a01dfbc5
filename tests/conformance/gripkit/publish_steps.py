"""Steps of a publisher."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.gripkit.http1 import Headers
from tests.conformance.gripkit.http_client import HttpConnection, HttpResponse
from tests.conformance.gripkit.matchers import HeaderExpectations
from tests.conformance.gripkit.model import CheckError, Run, Step
from tests.conformance.gripkit.ws_client import Message
from tests.conformance.gripkit.ws_steps import wait_for_arrival

CLIENT = "client"
RETRY_INTERVAL = 0.25
JSON_HEADERS = (("Content-Type", "application/json"),)

Item = Mapping[str, Any]


def item(
    channel: str,
    *,
    response: Mapping[str, Any] | str | None = None,
    stream: Mapping[str, Any] | str | None = None,
    ws: Mapping[str, Any] | str | None = None,
    **fields: Any,
) -> Item:
    """Return a publish item. A plain string is short for a format with just that content.

    Further fields are given with underscores for dashes, for example `prev_id="1"`.
    """
    formats: dict[str, Any] = {}
    if response is not None:
        formats["http-response"] = {"body": response} if isinstance(response, str) else response
    if stream is not None:
        formats["http-stream"] = {"content": stream} if isinstance(stream, str) else stream
    if ws is not None:
        formats["ws-message"] = {"content": ws} if isinstance(ws, str) else ws
    extra = {name.replace("_", "-"): value for name, value in fields.items()}
    return {"channel": channel, "formats": formats, **extra}


@dataclass(frozen=True)
class Publish(Step):
    """Publish items and check that the proxy takes them."""

    items: Sequence[Item]

    def __init__(self, *items: Item) -> None:
        object.__setattr__(self, "items", items)

    async def run(self, run: Run) -> None:
        """Send the items in one request."""
        await publish_items(run, self.items)


@dataclass(frozen=True)
class PublishUntilAnswered(Step):
    """Publish an item again and again until the client receives something.

    A client cannot see that a long poll has been subscribed, so a single publish may be too early.
    """

    item: Item
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Publish until something arrives."""
        connection = run.http[self.client]

        async def keep_publishing() -> None:
            while not connection.has_news:
                await publish_items(run, [self.item])
                await asyncio.sleep(RETRY_INTERVAL)

        await run.wait(keep_publishing(), "the published item to arrive")


@dataclass(frozen=True)
class AwaitSubscription(Step):
    """Publish probes until a WebSocket receives one, then read the probes that are on their way."""

    channel: str
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Wait until the WebSocket is subscribed to the channel."""
        connection = run.ws[self.client]
        sent = 0

        async def probe() -> None:
            nonlocal sent
            while not connection.has_news:
                sent += 1
                await publish_items(run, [item(self.channel, ws=f"probe {sent}")])
                await asyncio.sleep(RETRY_INTERVAL)

        await run.wait(probe(), f"a subscription to {self.channel}")
        arrival = None
        last = f"probe {sent}".encode()
        while not (isinstance(arrival, Message) and arrival.content == last):
            arrival = await wait_for_arrival(run, self.client, last.decode())
            if not (isinstance(arrival, Message) and arrival.content.startswith(b"probe ")):
                raise CheckError(f"got {arrival} instead of a probe on {self.channel}")


@dataclass(frozen=True)
class PublishRequest(Step):
    """Send any request to the publish endpoint and check the response.

    `path` replaces the path of the publish URL. `status` may list several acceptable ones.
    """

    body: bytes | None = None
    method: str = "POST"
    path: str = ""
    headers: Sequence[tuple[str, str]] = JSON_HEADERS
    send_length: bool = True
    status: int | tuple[int, ...] = 200
    response_headers: HeaderExpectations = field(default_factory=dict)
    response_body: bytes | None = None

    async def run(self, run: Run) -> None:
        """Send the request and check the response."""
        body = run.names.fill(self.body or b"")
        headers = Headers(self.headers)
        if self.body is not None and self.send_length:
            headers.add("Content-Length", str(len(body)))
        path = self.path or run.settings.publish.path
        response = await _exchange(run, self.method, path, headers, body)
        allowed = self.status if isinstance(self.status, tuple) else (self.status,)
        if response.status not in allowed:
            found = f"status is {response.status} with body {bytes(response.body)!r}"
            raise CheckError(f"{found}, expected {self.status}")
        run.check_headers(response.headers, self.response_headers)
        if self.response_body is not None and response.body != self.response_body:
            raise CheckError(f"body is {bytes(response.body)!r}, expected {self.response_body!r}")


async def publish_items(run: Run, items: Sequence[Item]) -> None:
    """Publish items in one request."""
    body = json.dumps({"items": run.names.fill(list(items))}).encode()
    headers = Headers([*JSON_HEADERS, ("Content-Length", str(len(body)))])
    response = await _exchange(run, "POST", run.settings.publish.path, headers, body)
    if response.status != 200:
        raise CheckError(f"publish refused: {response.status} {bytes(response.body)!r}")


async def _exchange(
    run: Run, method: str, path: str, headers: Headers, body: bytes
) -> HttpResponse:
    publish = run.settings.publish
    assert publish.hostname
    assert publish.port
    connection = await HttpConnection.open(publish.hostname, publish.port)
    try:
        fields = Headers([("Host", publish.netloc), *headers])
        await connection.send(method, path, fields, body)
        await run.wait(
            connection.wait_until(
                lambda: (
                    connection.failure is not None
                    or (connection.response is not None and connection.response.ended)
                )
            ),
            "the answer to a publish request",
        )
    finally:
        await connection.close()
    if connection.response is None:
        raise CheckError(f"publish endpoint: {connection.failure}")
    return connection.response
