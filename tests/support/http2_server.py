"""An HTTP/2 server that echoes, or does what a path says that it should not."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, cast

import h2.config
import h2.connection
import h2.events

if TYPE_CHECKING:
    from host_sim.messages import Address

__all__ = ["Http2Server"]


class Http2Server:
    """What was asked of it.

    Attributes:
        address: where it listens.
        requests: fields of each request.
        trailers: fields that came after a request's content.
        release: lets paths go on that wait.
        asked: set by the first request.
        connections: how many were made.
    """

    def __init__(self) -> None:
        self.address: Address = ("", 0)
        self.requests: list[list[tuple[str, str]]] = []
        self.trailers: list[list[tuple[str, str]]] = []
        self.release = asyncio.Event()
        self.asked = asyncio.Event()
        self.connections = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, tls: ssl.SSLContext | None = None) -> AsyncIterator["Http2Server"]:
        self = cls()
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=tls)
        self.address = server.sockets[0].getsockname()
        async with server:
            yield self


def _text(pairs: Any) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode("latin-1")) for name, value in pairs]


class _Connection(asyncio.Protocol):
    def __init__(self, server: Http2Server) -> None:
        self._server = server
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self._paths: dict[int, str] = {}
        self._waiting: dict[int, bytes] = {}  # what there is no window for
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections += 1
        self._h2.initiate_connection()
        self._flush()

    def _flush(self) -> None:
        self._transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            match event:
                case h2.events.RequestReceived():
                    self._begin(event)
                case h2.events.DataReceived():
                    self._echo(event)
                case h2.events.TrailersReceived():
                    self._server.trailers.append(_text(event.headers))
                case h2.events.StreamEnded():
                    self._end(event.stream_id)
                case h2.events.WindowUpdated():
                    for stream in list(self._waiting):
                        self._send(stream, b"")
        self._flush()

    def _begin(self, event: h2.events.RequestReceived) -> None:
        fields, stream = _text(event.headers), event.stream_id or 0
        self._server.requests.append(fields)
        self._server.asked.set()
        path = self._paths[stream] = dict(fields)[":path"]
        match path:
            case "/refused":
                self._h2.reset_stream(stream, 7)
            case "/away":
                self._h2.close_connection(2, last_stream_id=0)
            case "/closed":
                self._transport.abort()
            case "/none" | "/slow-head":
                pass
            case "/trailers-only":
                head = [
                    (":status", "200"),
                    ("grpc-status", "12"),
                    ("content-type", "application/grpc"),
                ]
                self._h2.send_headers(stream, head, end_stream=True)
            case "/empty":
                self._h2.send_headers(stream, [(":status", "204"), ("x", "y")], end_stream=True)
            case "/huge":
                self._h2.send_headers(stream, [(":status", "200"), ("x", "y" * (70 << 10))])
            case "/odd":
                self._h2.send_headers(stream, [(":status", "2x0")], end_stream=True)
            case "/early":
                self._h2.send_headers(stream, [(":status", "413")], end_stream=True)
            case "/large":
                self._h2.send_headers(stream, [(":status", "200")])
                self._send(stream, b"x" * 300_000)
            case "/cut" | "/stalled":
                self._h2.send_headers(stream, [(":status", "200")])
                self._h2.send_data(stream, b"part")
                if path == "/cut":
                    self._h2.reset_stream(stream, 2)
            case _:
                self._h2.send_headers(stream, [(":status", "103"), ("link", "x")])
                head = [(":status", "200"), ("X-Two".lower(), "1"), ("x-two", "2")]
                self._h2.send_headers(stream, head)

    def _echo(self, event: h2.events.DataReceived) -> None:
        stream = event.stream_id or 0
        if self._paths[stream] == "/waits":
            self._later(stream, event)
            return
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
        if self._paths[stream] == "/echo":
            self._send(stream, event.data or b"")

    def _later(self, stream: int, event: h2.events.DataReceived) -> None:
        async def take() -> None:
            await self._server.release.wait()
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            self._flush()

        task = asyncio.ensure_future(take())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _send(self, stream: int, data: bytes) -> None:
        data = self._waiting.pop(stream, b"") + data
        while data:
            size = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if size <= 0:
                self._waiting[stream] = data
                return
            self._h2.send_data(stream, data[:size])
            data = data[size:]
        if self._paths[stream] == "/large":
            self._h2.end_stream(stream)

    def _end(self, stream: int | None) -> None:
        if stream is not None and self._paths.get(stream) in ("/echo", "/waits", "/head"):
            self._h2.send_headers(
                stream, [("grpc-status", "0"), ("grpc-message", "ok")], end_stream=True
            )
