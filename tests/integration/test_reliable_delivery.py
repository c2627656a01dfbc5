"""Every client gets every message once and in order, over real sockets, whatever happens (GRIP §9).

A schedule made from a seed publishes messages and loses, doubles and delays publishes, cuts
clients, and stops, breaks and restarts the backend. The backend has a history; it answers with
`prev-id` and next links, and honours `Grip-Last`. A client knows nothing but the last message it
has seen, from which it goes on when it comes back. `tests/property/test_reliable_delivery.py` plays
the same with machines instead of sockets, and many more schedules.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import parse_qs, urlsplit

import pytest

from grip.headers import Headers
from host_sim.fanout.routes import Route, Routes
from host_sim.http1.server import Listener, serve
from host_sim.messages import Address, Downstream, Request
from host_sim.proxy import GripProxy, ProxySettings
from tests.support.raw import Raw

FREE = ("127.0.0.1", 0)
CHANNEL = "c"
PAGE = 7
"""Messages in a reply of the backend at most."""
BEAT = b"beat\n"
STEPS = 120
CLIENTS = 4
"""Of each kind."""
HEALED_S = 40.0
"""How long it may take until everybody has everything; only reached by a failing test."""
BACK_OFF_S = 0.02
"""How long a client that was refused stays away."""


def encode(message: int) -> bytes:
    return b"message %d\n" % message


class History:
    """What has been said on the channel: the numbers from 1 on."""

    def __init__(self) -> None:
        self.length = 0

    def page(self, after: int) -> tuple[bytes, int]:
        """Return the messages that follow `after`, as many as fit, and the last of them."""
        end = min(after + PAGE, self.length)
        return b"".join(map(encode, range(after + 1, end + 1))), end


class Backend:
    """Answers streams and polls from the history; can be stopped, and told to fail."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._listener: Listener | None = None
        self.address: Address = FREE
        self.faults: list[str] = []  # one for each of the next replies
        self.recovered = 0  # requests with Grip-Last

    async def start(self) -> None:
        if self._listener is None:
            self._listener = await serve(self, *self.address)
            self.address = self._listener.address

    async def stop(self) -> None:
        """Refuse connections, and cut those there are."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            await listener.close(0)

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        if request.target == "/":
            downstream.send_head(200, "OK", Headers(), 0)
            downstream.finish()
            return
        path, after = self._position(request)
        content, end = self._history.page(after)
        if path == "/poll":
            held = [] if content else [("Grip-Hold", "response"), ("Grip-Timeout", "5")]
        elif end < self._history.length:  # there is more: by the link, at once
            held = [("Grip-Link", f"</stream?after={end}>; rel=next")]
        else:
            held = [
                ("Grip-Hold", "stream"),
                ("Grip-Link", f"</stream?after={end}>; rel=next; timeout=1"),
                ("Grip-Keep-Alive", "beat\\n; format=cstring; timeout=1"),
            ]
        if held:
            held.append(("Grip-Channel", f"{CHANNEL}; prev-id={end}"))
        self._reply(Headers(held), content, downstream)

    def _reply(self, headers: Headers, content: bytes, downstream: Downstream) -> None:
        match self.faults.pop() if self.faults else None:
            case "breaks":
                downstream.send_head(200, "OK", headers, len(content) + 1)
                downstream.write(content[: len(content) // 2])
                downstream.abort()
            case "fails":
                downstream.send_head(503, "Service Unavailable", Headers(), 0)
                downstream.finish()
            case "hangs up":
                downstream.abort()
            case _:
                downstream.send_head(200, "OK", headers, len(content))
                downstream.write(content)
                downstream.finish()

    def _position(self, request: Request) -> tuple[str, int]:
        """Return the path of a request, and the message after which to go on."""
        parts = urlsplit(request.target)
        last = request.headers.get("Grip-Last")
        if last is not None:
            self.recovered += 1
            channel, _, last_id = last.partition("; last-id=")
            assert channel == CHANNEL
            return parts.path, int(last_id)
        return parts.path, int(parse_qs(parts.query)["after"][0])


class Client:
    """Connects again and again, each time from the last message it has seen."""

    def __init__(self, address: Address, path: str) -> None:
        self.last = 0
        self.news = asyncio.Event()
        self.connections = 0
        self._address = address
        self._path = path
        self._raw: Raw | None = None

    def cut(self) -> None:
        """Lose the connection."""
        if self._raw is not None:
            self._raw.reset()

    async def run(self) -> None:
        while True:
            if not await self._attempt():
                await asyncio.sleep(BACK_OFF_S)

    async def _attempt(self) -> bool:
        """Take what a connection brings until it ends; false if the proxy refused."""
        self._raw = raw = await Raw.connect(self._address)
        self.connections += 1
        try:
            while True:
                target = f"{self._path}?after={self.last}".encode()
                raw.send(b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % target)
                head = await raw.reader.readuntil(b"\r\n\r\n")
                if b" 200 OK\r\n" not in head:
                    return False
                await self._take(head, raw.reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return True
        finally:
            self._raw = None
            raw.abort()

    async def _take(self, head: bytes, reader: asyncio.StreamReader) -> None:
        """Take a body line by line; a line that breaks off does not count."""
        content = b""
        async for piece in _pieces(head, reader):
            *lines, content = (content + piece).split(b"\n")
            for line in lines:
                self._take_line(line + b"\n")

    def _take_line(self, line: bytes) -> None:
        if line != BEAT:
            assert line == encode(self.last + 1), f"after {self.last} came {line!r}"
            self.last += 1
            self.news.set()

    async def reaches(self, message: int) -> None:
        while self.last < message:
            self.news.clear()
            await self.news.wait()


async def _pieces(head: bytes, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the body of a response as it comes (RFC 9112 §7.1).

    Raises:
        IncompleteReadError: it broke off.
    """
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            left = int(line[15:])
            while left:
                piece = await reader.read(left)
                if not piece:
                    raise asyncio.IncompleteReadError(b"", left)
                left -= len(piece)
                yield piece
            return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)


class World:
    """A proxy, its backend, a publisher, and clients of both kinds."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.history = History()
        self.backend = Backend(self.history)
        self.clients: list[Client] = []
        self.delayed: list[int] = []  # messages whose publish has not been sent yet
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self.backend.start()
            stack.push_async_callback(self.backend.stop)
            port = self.backend.address[1]
            settings = ProxySettings(
                routes=Routes([Route.parse(f"history=http://127.0.0.1:{port}")]),
                sign=lambda: "sig",
                address=FREE,
                publish_address=FREE,
                message_wait_s=0.2,
            )
            self.proxy = await stack.enter_async_context(GripProxy(settings))
            self.clients = [
                Client(self.proxy.address, path) for path in ("/stream", "/poll") * CLIENTS
            ]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def say(self, *, times: int) -> None:
        """Add a message to the history, and publish it so often."""
        self.history.length += 1
        for _ in range(times):
            await self.publish(self.history.length)

    async def publish(self, message: int) -> None:
        content = encode(message).decode()
        item = {
            "channel": CHANNEL,
            "id": str(message),
            "prev-id": str(message - 1),
            "formats": {"http-stream": {"content": content}, "http-response": {"body": content}},
        }
        body = json.dumps({"items": [item]}).encode()
        raw = await Raw.connect(self.proxy.publish_address)
        raw.send(b"POST /publish/ HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body))
        raw.send(body)
        head, _ = await raw.answer()
        raw.abort()
        assert head.startswith(b"HTTP/1.1 200 "), head

    async def suffer(self) -> None:
        """Do one thing of those that happen; the request that each makes is what takes time."""
        match self.chance.choices(
            ["say", "lose", "double", "delay", "arrive", "cut", "crowd", "stop", "start", "fault"],
            [30, 6, 6, 8, 8, 12, 2, 3, 8, 8],
        )[0]:
            case "say":
                await self.say(times=1)
            case "lose":
                await self.say(times=0)
            case "double":
                await self.say(times=2)
            case "delay":
                await self.say(times=0)
                self.delayed.append(self.history.length)
            case "arrive" if self.delayed:
                await self.publish(self.delayed.pop(self.chance.randrange(len(self.delayed))))
            case "cut":
                self.chance.choice(self.clients).cut()
            case "crowd":  # all at once
                for client in self.clients:
                    client.cut()
            case "stop":
                await self.backend.stop()
            case "start":
                await self.backend.start()
            case "fault":
                self.backend.faults.append(self.chance.choice(["breaks", "fails", "hangs up"]))
        await self.look_in()

    async def look_in(self) -> None:
        """Make a request of no consequence, so that everybody gets on for a moment."""
        raw = await Raw.connect(self.proxy.address)
        raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await raw.answer()
        raw.abort()

    async def heal(self) -> None:
        """End all faults, and let what is delayed arrive, and one more message."""
        self.backend.faults.clear()
        await self.backend.start()
        self.chance.shuffle(self.delayed)
        for message in self.delayed:
            await self.publish(message)
        await self.say(times=1)


@pytest.mark.parametrize("seed", range(6))
async def test_every_client_gets_every_message_once_and_in_order(seed: int) -> None:
    async with asyncio.timeout(HEALED_S), World(seed) as world:
        async with asyncio.TaskGroup() as group:  # a client that is told wrongly ends everything
            running = [group.create_task(client.run()) for client in world.clients]
            for _ in range(STEPS):
                await world.suffer()
            await world.heal()
            for client in world.clients:
                await client.reaches(world.history.length)
            for task in running:
                task.cancel()
        assert {client.last for client in world.clients} == {world.history.length}
        assert world.backend.recovered, "nothing was ever missed"
        assert sum(client.connections for client in world.clients) > 2 * len(world.clients)
