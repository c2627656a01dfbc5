"""Steps of an HTTP client."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.conformance.gripkit.http1 import Framing, Headers
from tests.conformance.gripkit.http_client import HttpConnection, HttpResponse
from tests.conformance.gripkit.matchers import HeaderExpectations
from tests.conformance.gripkit.model import CheckError, Run, Step

CLIENT = "client"


@dataclass(frozen=True)
class Request(Step):
    """Send a request to the proxy. A connection that is already open is used again."""

    method: str = "GET"
    path: str = ""
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    client: str = CLIENT
    chunked: bool = False

    async def run(self, run: Run) -> None:
        """Send the request without waiting for the response."""
        proxy = run.settings.proxy
        if self.client not in run.http:
            assert proxy.hostname
            assert proxy.port
            run.http[self.client] = await HttpConnection.open(proxy.hostname, proxy.port)
        headers = Headers(run.names.fill(list(self.headers)))
        if "Host" not in headers:
            headers.add("Host", proxy.netloc)
        body = run.names.fill(self.body)
        if self.chunked:
            headers.add("Transfer-Encoding", "chunked")
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        elif body or self.method in ("POST", "PUT"):
            headers.add("Content-Length", str(len(body)))
        target = run.names.path + run.names.fill(self.path)
        await run.http[self.client].send(self.method, target, headers, body)


@dataclass(frozen=True)
class ExpectResponse(Step):
    """Wait for the head of the response, and for the whole body if one is given."""

    status: int = 200
    reason: str | None = None
    headers: HeaderExpectations = field(default_factory=dict)
    framing: Framing | None = None
    body: bytes | None = None
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Check the response."""
        response = await wait_for_response(run, self.client)
        if response.status != self.status:
            raise CheckError(
                f"status is {response.status}, expected {self.status}; body {response.unread!r}"
            )
        if self.reason is not None and response.reason != self.reason:
            raise CheckError(f"reason is {response.reason!r}, expected {self.reason!r}")
        if self.framing is not None and response.framing is not self.framing:
            raise CheckError(f"framing is {response.framing}, expected {self.framing}")
        run.check_headers(response.headers, self.headers)
        if self.body is not None:
            await ExpectRestOfBody(self.body, client=self.client).run(run)


@dataclass(frozen=True)
class ExpectBodyPart(Step):
    """Wait for exactly these bytes as the next part of the body."""

    data: bytes
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Check the next part of the body."""
        response = await wait_for_response(run, self.client)
        expected = run.names.fill(self.data)
        await run.wait(
            run.http[self.client].wait_until(
                lambda: (
                    response.ended
                    or len(response.unread) >= len(expected)
                    or not expected.startswith(response.unread)
                )
            ),
            f"{expected!r}, got {response.unread!r}",
        )
        found = response.unread[: len(expected)]
        if found != expected:
            raise CheckError(f"body goes on with {response.unread!r}, expected {expected!r}")
        response.read_up_to += len(expected)


@dataclass(frozen=True)
class ExpectBodyMatch(Step):
    """Wait until all of the body that has not been checked yet matches a regular expression."""

    pattern: bytes
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Check the body as it grows."""
        response = await wait_for_response(run, self.client)
        pattern = re.compile(run.names.fill(self.pattern))
        await run.wait(
            run.http[self.client].wait_until(
                lambda: response.ended or pattern.fullmatch(response.unread) is not None
            ),
            f"the body to match {pattern.pattern!r}, got {response.unread!r}",
        )
        if pattern.fullmatch(response.unread) is None:
            raise CheckError(f"body ends with {response.unread!r}, expected {pattern.pattern!r}")
        response.read_up_to = len(response.body)


@dataclass(frozen=True)
class ExpectRestOfBody(Step):
    """Wait for the end of the body, after exactly these bytes."""

    data: bytes = b""
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Check that the body ends properly."""
        response = await wait_for_response(run, self.client)
        expected = run.names.fill(self.data)
        await run.wait(
            run.http[self.client].wait_until(lambda: response.ended),
            f"the end of the body, got {response.unread!r}",
        )
        if response.truncation is not None:
            raise CheckError(f"the body is cut short: {response.truncation}")
        if response.unread != expected:
            raise CheckError(f"body ends with {response.unread!r}, expected {expected!r}")
        response.read_up_to += len(expected)


@dataclass(frozen=True)
class ExpectSilence(Step):
    """Check that nothing more arrives for a moment: no response, or no further part of its body."""

    seconds: float = 0.7
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Wait and check."""
        await asyncio.sleep(self.seconds)
        connection = run.http[self.client]
        if connection.failure is not None:
            raise CheckError(connection.failure)
        response = connection.response
        if response is not None and response.ended:
            raise CheckError(f"the response has ended with {response.unread!r}")
        if response is not None and (response.unread or not response.head_is_read):
            raise CheckError(f"got {response.status} and {response.unread!r} out of turn")


@dataclass(frozen=True)
class Hangup(Step):
    """Close the connection of an HTTP client at once."""

    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Close the connection."""
        await run.http.pop(self.client).close()


async def wait_for_response(run: Run, client: str) -> HttpResponse:
    """Wait until the head of the response has arrived."""
    connection = run.http[client]
    await run.wait(connection.wait_until(lambda: connection.has_news), "a response")
    if connection.response is None:
        raise CheckError(connection.failure or "there is no response")
    connection.response.head_is_read = True
    return connection.response
