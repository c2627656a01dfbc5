"""A WebSocket client connection that records every frame the proxy sends."""

import asyncio
import base64
import hashlib
import os
from collections import deque
from dataclasses import dataclass

from tests.conformance.gripkit import http1
from tests.conformance.gripkit.http1 import Headers
from tests.conformance.gripkit.wsframes import Frame, FrameError, Opcode, read_frame

_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Message:
    """A whole message, or a ping or pong."""

    opcode: Opcode
    content: bytes


@dataclass(frozen=True)
class Closed:
    """The proxy closed the WebSocket with a close frame."""

    code: int | None
    reason: str


@dataclass(frozen=True)
class Dropped:
    """The proxy closed the connection without a close frame."""


@dataclass(frozen=True)
class Garbled:
    """The proxy sent something that is not a valid frame."""

    problem: str


Arrival = Message | Closed | Dropped | Garbled


@dataclass(frozen=True)
class Handshake:
    """The answer to the opening handshake, with the body if it was refused."""

    status: int
    reason: str
    headers: Headers
    body: bytes
    accept_is_valid: bool


class WsConnection:
    """A WebSocket connection to the proxy. It answers a close frame, but never a ping."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._receiver: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._close_sent = False
        self._fragments: list[Frame] = []
        self.arrivals: deque[Arrival] = deque()

    @classmethod
    async def open(cls, host: str, port: int) -> "WsConnection":
        """Connect to a server, without the handshake."""
        return cls(*await asyncio.open_connection(host, port, limit=http1.STREAM_LIMIT))

    @property
    def has_news(self) -> bool:
        """Whether something has arrived that no step has looked at yet."""
        return bool(self.arrivals)

    async def handshake(self, target: str, headers: Headers, upgrade: str) -> Handshake:
        """Perform the opening handshake; start to receive frames if it succeeds."""
        key = base64.b64encode(os.urandom(16))
        fields = Headers(headers)
        fields.add("Upgrade", upgrade)
        fields.add("Connection", "Upgrade")
        fields.add("Sec-WebSocket-Version", "13")
        fields.add("Sec-WebSocket-Key", key.decode())
        self._writer.write(f"GET {target} HTTP/1.1\r\n".encode() + fields.encode())
        await self._writer.drain()

        start_line, response_headers = await http1.read_head(self._reader)
        status, reason = http1.parse_status_line(start_line)
        plan = http1.plan_response_body("GET", status, response_headers)
        body = b"".join([piece async for piece in http1.iter_body(self._reader, plan)])
        accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_SUFFIX).digest()).decode()
        if status == 101:
            self._receiver = asyncio.create_task(self._receive())
        accept_is_valid = response_headers.get("Sec-WebSocket-Accept") == accept
        return Handshake(status, reason, response_headers, body, accept_is_valid)

    async def send(self, frame: Frame) -> None:
        """Send a frame."""
        self._close_sent = self._close_sent or frame.opcode is Opcode.CLOSE
        self._writer.write(frame.encode_masked())
        await self._writer.drain()

    async def next_arrival(self) -> Arrival:
        """Wait for the next message or the end of the connection."""
        while not self.arrivals:
            self._arrived.clear()
            await self._arrived.wait()
        return self.arrivals.popleft()

    async def close(self) -> None:
        """Close the TCP connection without a close frame."""
        if self._receiver is not None:
            self._receiver.cancel()
        self._writer.close()

    async def _receive(self) -> None:
        try:
            while not isinstance(arrival := await self._receive_one(), Closed):
                self._add(arrival)
            self._add(arrival)
        except (asyncio.IncompleteReadError, ConnectionError):
            self._add(Dropped())
        except FrameError as error:
            self._add(Garbled(str(error)))

    async def _receive_one(self) -> Message | Closed:
        while True:
            frame = await read_frame(self._reader)
            if frame.opcode is Opcode.CLOSE:
                return await self._answer_close(frame.payload)
            if frame.opcode in (Opcode.PING, Opcode.PONG):
                return Message(frame.opcode, frame.payload)
            self._fragments.append(frame)
            if frame.final:
                content = b"".join(fragment.payload for fragment in self._fragments)
                message = Message(self._fragments[0].opcode, content)
                self._fragments.clear()
                return message

    async def _answer_close(self, payload: bytes) -> Closed:
        if not self._close_sent:
            await self.send(Frame(Opcode.CLOSE, payload))
        if not payload:
            return Closed(None, "")
        return Closed(int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace"))

    def _add(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        self._arrived.set()
