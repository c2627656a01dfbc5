"""An HTTP client connection that shows how a response arrives, piece by piece."""

import asyncio
import contextlib
from collections.abc import Callable

from tests.conformance.gripkit import http1
from tests.conformance.gripkit.http1 import BodyPlan, Headers


class HttpResponse:
    """A response that may still be arriving."""

    def __init__(self, status: int, reason: str, headers: Headers, plan: BodyPlan) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.framing = plan.framing
        self.body = bytearray()
        self.head_is_read = False
        self.read_up_to = 0
        self.ended = False
        self.truncation: str | None = None

    @property
    def unread(self) -> bytes:
        """The part of the body that no step has looked at yet."""
        return bytes(self.body[self.read_up_to :])


class HttpConnection:
    """A connection to the proxy that carries one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._changed = asyncio.Condition()
        self._receiver: asyncio.Task[None] | None = None
        self.response: HttpResponse | None = None
        self.failure: str | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> "HttpConnection":
        """Connect to a server."""
        return cls(*await asyncio.open_connection(host, port, limit=http1.STREAM_LIMIT))

    @property
    def has_news(self) -> bool:
        """Whether anything of a response to the latest request has arrived."""
        return self.response is not None or self.failure is not None

    async def send(self, method: str, target: str, headers: Headers, body: bytes) -> None:
        """Send a request and start to receive its response in the background."""
        if self._receiver is not None:
            await self._receiver
        self.response = None
        head = f"{method} {target} HTTP/1.1\r\n".encode() + headers.encode()
        self._writer.write(head + body)
        with contextlib.suppress(ConnectionError):  # the peer may answer before it has read it all
            await self._writer.drain()
        self._receiver = asyncio.create_task(self._receive(method))

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that arrives makes the condition true."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def close(self) -> None:
        """Close the connection at once, whatever is going on."""
        if self._receiver is not None:
            self._receiver.cancel()
        self._writer.close()

    async def _receive(self, method: str) -> None:
        try:
            await self._receive_response(method)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.failure = "the connection was closed without a response"
        except http1.ProtocolError as error:
            self.failure = f"malformed response: {error}"
        await self._notify()

    async def _receive_response(self, method: str) -> None:
        status = 100
        while 100 <= status < 200:
            start_line, headers = await http1.read_head(self._reader)
            status, reason = http1.parse_status_line(start_line)
        plan = http1.plan_response_body(method, status, headers)
        self.response = HttpResponse(status, reason, headers, plan)
        await self._notify()
        try:
            async for piece in http1.iter_body(self._reader, plan):
                self.response.body += piece
                await self._notify()
        except (http1.ProtocolError, http1.TruncatedBodyError, ConnectionError) as error:
            self.response.truncation = str(error)
        self.response.ended = True

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
