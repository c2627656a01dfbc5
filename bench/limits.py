"""What bounds a proxy in Python: servers that hold and deliver, and know nothing of GRIP.

    python -m bench.limits {write,aiohttp} PORT PUBLISH_PORT

`write` frames a message once and calls the transport of each connection, no more; `aiohttp` has
its own API do the same. Both take the publishes of `loadgen`, and greet clients as `origin` does.
"""

import asyncio
import json
import sys
import urllib.parse
from collections import defaultdict
from collections.abc import Iterator

import uvloop
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

GREETING = b"[subscribed]\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def frame(content: bytes) -> bytes:
    return Frame(Opcode.TEXT, content).serialize(mask=False)


def published(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Return channel and content of each item, which is the same in all its formats."""
    for item in json.loads(body)["items"]:
        sent, *_ = item["formats"].values()
        yield item["channel"], sent["content"].encode()


type Clients = dict[str, set[asyncio.Transport]]
streams: Clients = defaultdict(set)
sockets: Clients = defaultdict(set)


class Peer(asyncio.Protocol):
    """A connection whose requests come whole and one at a time, as those of `loadgen` do."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.received = b""
        self.joined: set[asyncio.Transport] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's is not a subclass

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self.joined is not None:
            self.joined.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        if self.joined is not None:
            return
        self.received += data
        head, separator, rest = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        line, *lines = head.decode().split("\r\n")
        fields = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
        length = int(fields.get("content-length", 0))
        if len(rest) >= length:
            self.received = rest[length:]
            self.answer(line.split()[1], fields, rest[:length])

    def answer(self, target: str, fields: dict[str, str], body: bytes) -> None:
        if body:
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            for channel, content in published(body):
                chunked, framed = chunk(content), frame(content)
                for transport in streams[channel]:
                    transport.write(chunked)
                for transport in sockets[channel]:
                    transport.write(framed)
            return
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)
        key = fields.get("sec-websocket-key")
        self.joined = (streams if key is None else sockets)[query.get("channel", ["test"])[0]]
        self.joined.add(self.transport)
        if key is None:
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            self.transport.write(head + chunk(GREETING))
        else:
            head = (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept_key(key).encode()
            )
            self.transport.write(head + frame(GREETING))


async def serve_write(port: int, publish_port: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (port, publish_port):
        await loop.create_server(Peer, "127.0.0.1", number, backlog=1024)


async def serve_aiohttp(port: int, publish_port: int) -> None:
    from aiohttp import web

    streaming: dict[str, set[web.StreamResponse]] = defaultdict(set)
    talking: dict[str, set[web.WebSocketResponse]] = defaultdict(set)

    async def hold(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(GREETING)
        joined = streaming[request.query.get("channel", "test")]
        joined.add(response)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            joined.discard(response)
        return response

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(GREETING.decode())
        joined = talking[request.query.get("channel", "test")]
        joined.add(socket)
        try:
            async for _ in socket:
                pass
        finally:
            joined.discard(socket)
        return socket

    async def publish(request: web.Request) -> web.Response:
        for channel, content in published(await request.read()):
            for response in tuple(streaming[channel]):
                await response.write(content)
            text = content.decode()
            for socket in tuple(talking[channel]):
                await socket.send_str(text)
        return web.Response()

    app = web.Application()
    app.router.add_get("/stream", hold)
    app.router.add_get("/ws", talk)
    app.router.add_post("/publish/", publish)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    for number in (port, publish_port):
        await web.TCPSite(runner, "127.0.0.1", number, backlog=1024).start()


async def main(kind: str, port: str, publish_port: str) -> None:
    serve = {"write": serve_write, "aiohttp": serve_aiohttp}[kind]
    await serve(int(port), int(publish_port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
