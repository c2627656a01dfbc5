"""Steps of a WebSocket client."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.conformance.gripkit import http1
from tests.conformance.gripkit.http1 import Headers
from tests.conformance.gripkit.matchers import HeaderExpectations
from tests.conformance.gripkit.model import CheckError, Run, Step
from tests.conformance.gripkit.ws_client import (
    Arrival,
    Closed,
    Dropped,
    Handshake,
    Message,
    WsConnection,
)
from tests.conformance.gripkit.wsframes import Frame, Opcode

CLIENT = "client"
DEFAULT_FRAGMENT_SIZE = 1 << 62


@dataclass(frozen=True)
class WsConnect(Step):
    """Open a WebSocket and check that the proxy accepts it."""

    path: str = ""
    headers: Sequence[tuple[str, str]] = ()
    response_headers: HeaderExpectations = field(default_factory=dict)
    upgrade: str = "websocket"
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Perform the opening handshake."""
        handshake = await _connect(run, self.client, self.path, self.headers, self.upgrade)
        if handshake.status != 101:
            raise CheckError(f"handshake refused with {handshake.status}, body {handshake.body!r}")
        if not handshake.accept_is_valid:
            raise CheckError("Sec-WebSocket-Accept does not match the key")
        run.check_headers(handshake.headers, self.response_headers)


@dataclass(frozen=True)
class WsRefused(Step):
    """Try to open a WebSocket and check how the proxy refuses."""

    status: int
    reason: str | None = None
    body: bytes | None = None
    path: str = ""
    headers: Sequence[tuple[str, str]] = ()
    response_headers: HeaderExpectations = field(default_factory=dict)
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Perform the opening handshake."""
        handshake = await _connect(run, self.client, self.path, self.headers)
        if handshake.status != self.status:
            raise CheckError(f"status is {handshake.status}, expected {self.status}")
        if self.reason is not None and handshake.reason != self.reason:
            raise CheckError(f"reason is {handshake.reason!r}, expected {self.reason!r}")
        if self.body is not None and handshake.body != self.body:
            raise CheckError(f"body is {handshake.body!r}, expected {self.body!r}")
        run.check_headers(handshake.headers, self.response_headers)


@dataclass(frozen=True)
class WsSend(Step):
    """Send a message, possibly in fragments, or a ping or pong."""

    content: bytes
    opcode: Opcode = Opcode.TEXT
    fragment_size: int = DEFAULT_FRAGMENT_SIZE
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Send the frames."""
        content = run.names.fill(self.content)
        starts = range(0, max(len(content), 1), self.fragment_size)
        for start in starts:
            opcode = self.opcode if start == 0 else Opcode.CONTINUATION
            payload = content[start : start + self.fragment_size]
            await run.ws[self.client].send(Frame(opcode, payload, final=start == starts[-1]))


@dataclass(frozen=True)
class WsClose(Step):
    """Send a close frame. `ExpectWsClosed` then waits for the answer."""

    code: int | None = 1000
    reason: str = ""
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Send the frame."""
        payload = b"" if self.code is None else self.code.to_bytes(2, "big") + self.reason.encode()
        await run.ws[self.client].send(Frame(Opcode.CLOSE, payload))


@dataclass(frozen=True)
class WsHangup(Step):
    """Close the TCP connection of a WebSocket without a close frame."""

    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Close the connection."""
        await run.ws.pop(self.client).close()


@dataclass(frozen=True)
class ExpectWsMessage(Step):
    """Wait for exactly this message, ping or pong as the next one."""

    content: bytes
    opcode: Opcode = Opcode.TEXT
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Check the next message."""
        expected = Message(self.opcode, run.names.fill(self.content))
        arrival = await wait_for_arrival(run, self.client, f"{expected}")
        if arrival != expected:
            raise CheckError(f"got {_shorten(arrival)}, expected {_shorten(expected)}")


@dataclass(frozen=True)
class ExpectWsClosed(Step):
    """Wait for a close frame as the next thing that arrives."""

    code: int | None
    reason: str = ""
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Check the close frame."""
        expected = Closed(self.code, self.reason)
        arrival = await wait_for_arrival(run, self.client, f"{expected}")
        if arrival != expected:
            raise CheckError(f"got {_shorten(arrival)}, expected {expected}")


@dataclass(frozen=True)
class ExpectWsDropped(Step):
    """Wait until the connection ends without a close frame, as the next thing that happens."""

    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Check that the connection ends."""
        arrival = await wait_for_arrival(run, self.client, "the end of the connection")
        if not isinstance(arrival, Dropped):
            raise CheckError(f"got {_shorten(arrival)}, expected a dropped connection")


@dataclass(frozen=True)
class ExpectWsSilence(Step):
    """Check that nothing arrives for a moment."""

    seconds: float = 0.7
    client: str = CLIENT

    async def run(self, run: Run) -> None:
        """Wait and check."""
        await asyncio.sleep(self.seconds)
        if run.ws[self.client].arrivals:
            raise CheckError(f"got {_shorten(run.ws[self.client].arrivals[0])} out of turn")


async def wait_for_arrival(run: Run, client: str, what: str) -> Arrival:
    """Wait for the next message or the end of a WebSocket."""
    return await run.wait(run.ws[client].next_arrival(), what)


async def _connect(
    run: Run,
    client: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    upgrade: str = "websocket",
) -> Handshake:
    proxy = run.settings.proxy
    assert proxy.hostname
    assert proxy.port
    connection = await WsConnection.open(proxy.hostname, proxy.port)
    run.ws[client] = connection
    fields = Headers([("Host", proxy.netloc), *run.names.fill(list(headers))])
    target = run.names.path + run.names.fill(path)
    try:
        return await run.wait(
            connection.handshake(target, fields, upgrade), "the answer to the handshake"
        )
    except (asyncio.IncompleteReadError, ConnectionError, http1.TruncatedBodyError):
        raise CheckError("the connection was closed during the handshake") from None


def _shorten(arrival: Arrival) -> str:
    text = repr(arrival)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"
