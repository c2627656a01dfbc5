"""The scripted origin server: replies as a scenario says and records what it received."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.conformance.gripkit import events, http1
from tests.conformance.gripkit.events import Event
from tests.conformance.gripkit.http1 import Framing, Headers
from tests.conformance.gripkit.naming import Names


@dataclass(frozen=True)
class Gate:
    """A point in a reply where the origin waits until a step opens the gate."""

    name: str


@dataclass(frozen=True)
class Reply:
    """What the origin sends back for one request.

    `body` may be a sequence of pieces with gates between them, and `events` are put in front of
    it. `after` names a gate to wait for before sending anything. `drop` closes the connection
    instead of replying, after the bytes of `wire`, if there are any: these need not be HTTP.
    """

    status: int = 200
    reason: str = "OK"
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Sequence[bytes | Gate] = b""
    events: Sequence[Event] = ()
    framing: Framing = Framing.LENGTH
    after: str | None = None
    drop: bool = False
    wire: bytes = b""

    def pieces(self, names: Names) -> list[bytes | Gate]:
        """Return the whole body in pieces, with the placeholders replaced."""
        filled = [Event(event.type, names.fill(event.content)) for event in self.events]
        body = [self.body] if isinstance(self.body, bytes) else self.body
        return [events.encode(filled), *names.fill(list(body))]


@dataclass(frozen=True)
class OriginRequest:
    """A request as the origin received it."""

    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def events(self) -> list[Event]:
        """The body as WebSocket-over-HTTP events."""
        return events.decode(self.body)


class Script:
    """What the origin does for one scenario run, and what it has received so far.

    `replies` maps a path suffix to the replies for its first, second, ... request; the last one
    is repeated for all further requests.
    """

    def __init__(self, names: Names, replies: Mapping[str, Sequence[Reply]]) -> None:
        self.names = names
        self._replies = replies
        self._requests: dict[str, list[OriginRequest]] = defaultdict(list)
        self._changed = asyncio.Condition()
        self._gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    @property
    def requests(self) -> Mapping[str, Sequence[OriginRequest]]:
        """The requests received so far by path suffix."""
        return self._requests

    async def wait_for(self, suffix: str, count: int) -> Sequence[OriginRequest]:
        """Wait until `count` requests have arrived for a path suffix and return them all."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._requests[suffix]) >= count)
        return self._requests[suffix]

    async def record(self, suffix: str, request: OriginRequest) -> Reply:
        """Record a request and return the reply for it."""
        async with self._changed:
            self._requests[suffix].append(request)
            self._changed.notify_all()
        replies = self._replies.get(suffix)
        if not replies:
            return Reply(404, "Not Found", body=b"the scenario has no reply for this path\n")
        return replies[min(len(self._requests[suffix]), len(replies)) - 1]

    def open_gate(self, name: str) -> None:
        """Let all replies that wait at the gate go on."""
        self._gates[name].set()

    async def pass_gate(self, name: str) -> None:
        """Wait until the gate is open."""
        await self._gates[name].wait()


class Origin:
    """An HTTP server on the loopback interface that serves the scripts of all running scenarios.

    With port 0 it takes one that is free, and keeps it when it is stopped and started again.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._scripts: dict[str, Script] = {}
        self._stray = Script(Names(), {})
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen for connections, unless it does already."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, limit=http1.STREAM_LIMIT, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop all connections, as a crashed server does."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        handlers = list(self._handlers)
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    def add(self, names: Names, script: Script) -> None:
        """Serve a script below the path of its run."""
        self._scripts[names.path.lstrip("/")] = script

    def remove(self, names: Names) -> None:
        """Stop serving the script of a run."""
        self._scripts.pop(names.path.lstrip("/"), None)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            with contextlib.suppress(
                asyncio.IncompleteReadError,
                asyncio.CancelledError,
                http1.ProtocolError,
                http1.TruncatedBodyError,
                ConnectionError,
            ):
                while await self._serve_request(reader, writer):
                    pass
        finally:
            writer.close()
            self._handlers.discard(task)

    async def _serve_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Handle one request; return whether the connection stays open."""
        start_line, headers = await http1.read_head(reader)
        method, target = http1.parse_request_line(start_line)
        if headers.get("Expect") == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        plan = http1.plan_request_body(headers)
        body = b"".join([piece async for piece in http1.iter_body(reader, plan)])
        request = OriginRequest(method, target, headers, body)

        run, slash, suffix = urlsplit(target).path.lstrip("/").partition("/")
        script = self._scripts.get(run, self._stray)
        reply = await script.record(slash + suffix, request)
        if reply.after is not None:
            await script.pass_gate(reply.after)
        if reply.drop:
            writer.write(script.names.fill(reply.wire))
            await writer.drain()
            return False
        await _send(writer, method, reply, script)
        return reply.framing is not Framing.UNTIL_CLOSE


async def _send(writer: asyncio.StreamWriter, method: str, reply: Reply, script: Script) -> None:
    pieces = reply.pieces(script.names)
    headers = Headers(script.names.fill(list(reply.headers)))
    if reply.framing is Framing.CHUNKED:
        headers.add("Transfer-Encoding", "chunked")
    elif reply.framing is Framing.LENGTH:
        size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        headers.add("Content-Length", str(size))
    writer.write(f"HTTP/1.1 {reply.status} {reply.reason}\r\n".encode() + headers.encode())
    await writer.drain()
    if method == "HEAD":
        return
    for piece in pieces:
        if isinstance(piece, Gate):
            await script.pass_gate(piece.name)
        elif reply.framing is Framing.CHUNKED:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if piece else b"")
        else:
            writer.write(piece)
        await writer.drain()
    if reply.framing is Framing.CHUNKED:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
