"""Who goes past a limit is told, and nobody else notices (GRIP §13, `docs/protocol.md`).

In each test a bystander holds a stream on the same proxy; at the end it gets what is published to
it, and nothing else. Limits on replies of backends are in `test_backend_faults.py`, those that need
no socket (items that wait, ids remembered) in the unit tests of `grip`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from grip.instruct import MAX_CHANNELS, MAX_FILTERS
from grip.ws_over_http.events import MAX_BODY_BYTES as MAX_EVENTS_BYTES
from grip.ws_over_http.events import MAX_EVENTS
from host_sim.fanout.frames import MAX_MESSAGE_BYTES
from host_sim.fanout.proxy import MAX_HELD
from host_sim.fanout.publisher import MAX_BODY_BYTES as MAX_PUBLISH_BYTES
from host_sim.fanout.replies import MAX_INSTRUCTED_BYTES
from host_sim.fanout.streams import MAX_BUFFERED
from host_sim.fanout.websockets import MAX_UNSENT_BYTES
from host_sim.http1.server import MAX_HEAD_BYTES
from host_sim.proxy import GripProxy
from tests.support.backend import Backend
from tests.support.proxies import (
    EVENTS,
    HANDSHAKE,
    OK,
    POLL,
    STREAM,
    connected,
    pages,
    proxy_for,
    publish,
    sized,
)
from tests.support.raw import Raw
from tests.support.waiting import soon

BYSTANDER = b"/bystander"
OTHERS = STREAM.replace(b"room", b"others")
ACCEPT = EVENTS + b"Sec-WebSocket-Extensions: grip\r\n"


def request(path: bytes = b"/a", *fields: bytes, body: bytes = b"") -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"POST %s HTTP/1.1\r\nHost: h\r\n%s" % (path, sized(lines, body))


def subscribing(*channels: str) -> bytes:
    """Return a reply that opens a WebSocket and subscribes it."""
    controls = (b'c:{"type": "subscribe", "channel": "%s"}' % name.encode() for name in channels)
    events = b"".join(b"TEXT %x\r\n%s\r\n" % (len(control), control) for control in controls)
    return sized(ACCEPT, b"OPEN\r\n" + events)


@contextlib.asynccontextmanager
async def proxy_before(answer: bytes, *, max_held: int = MAX_HELD) -> AsyncIterator[GripProxy]:
    """Run a proxy whose backend gives this answer, with a bystander who must not notice."""
    async with (
        Backend(pages({b"/a": answer, BYSTANDER: OTHERS, b"/plain": sized(OK, b"hi")})) as backend,
        proxy_for(backend, max_held=max_held) as proxy,
        connected(proxy.address) as bystander,
    ):
        bystander.send(request(BYSTANDER))
        await bystander.until(b"start;\r\n")
        yield proxy
        await publish(proxy.publish_address, "end", channel="others")
        assert await bystander.until(b"\r\nend\r\n") == b"3\r\nend\r\n"


async def opened(raw: Raw) -> None:
    raw.send(HANDSHAKE)
    head = await raw.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")


class TestSizes:
    async def test_long_request_head_gives_431(self) -> None:
        async with proxy_before(sized(OK, b"")) as proxy, connected(proxy.address) as raw:
            raw.send(request(b"/a", b"A: " + b"a" * MAX_HEAD_BYTES))
            head, _ = await raw.answer()
            assert head.startswith(b"HTTP/1.1 431 ")

    async def test_long_request_gets_no_hold_but_400(self) -> None:
        """GRIP §3.1."""
        async with proxy_before(POLL) as proxy, connected(proxy.address) as raw:
            raw.send(request(body=b"a" * (MAX_INSTRUCTED_BYTES + 1)))
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 400 ")
            assert body == b"Request too large to accept GRIP instruct.\n"

    async def test_long_publish_gives_400(self) -> None:
        """GRIP §8.1: as soon as the head is read."""
        async with proxy_before(POLL) as proxy, connected(proxy.publish_address) as raw:
            head = b"POST /publish/ HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
            raw.send(head % (MAX_PUBLISH_BYTES + 1))
            head, body = await raw.answer()
            assert head.startswith(b"HTTP/1.1 400 ")
            assert body == b"Request body too large.\n"

    async def test_long_publish_head_gives_431(self) -> None:
        async with proxy_before(POLL) as proxy, connected(proxy.publish_address) as raw:
            raw.send(request(b"/publish/", b"A: " + b"a" * MAX_HEAD_BYTES))
            head, _ = await raw.answer()
            assert head.startswith(b"HTTP/1.1 431 ")

    async def test_long_websocket_message_drops_the_connection(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """GRIP §11.5; dropped without a close frame, as Pushpin does."""
        async with proxy_before(subscribing()) as proxy, connected(proxy.address) as raw:
            await opened(raw)
            size = MAX_MESSAGE_BYTES + 1
            raw.send(b"\x82\xff" + size.to_bytes(8) + b"\0\0\0\0")
            assert await raw.rest() == b""
            assert f"a message has more than {MAX_MESSAGE_BYTES} bytes" in caplog.text

    @pytest.mark.parametrize(
        ("events", "reason"),
        [
            (b"OPEN\r\n" + b"PONG\r\n" * MAX_EVENTS, f"expected at most {MAX_EVENTS} events"),
            (b"OPEN\r\n" * (1 + MAX_EVENTS_BYTES // 6), f"more than {MAX_EVENTS_BYTES} bytes"),
        ],
        ids=["number", "size"],
    )
    async def test_too_many_events_give_502(
        self, events: bytes, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """GRIP §11.3."""
        async with proxy_before(sized(ACCEPT, events)) as proxy, connected(proxy.address) as raw:
            raw.send(HANDSHAKE)
            head, _ = await raw.answer()
            assert head.startswith(b"HTTP/1.1 502 ")
            assert "backend 'b0': " in caplog.text
            assert reason in caplog.text


class TestSubscriptions:
    """GRIP §3.3, §12: channels beyond the 20th are ignored; §14: a sixth filter is an error."""

    NAMES = tuple(f"channel-{number}" for number in range(MAX_CHANNELS + 1))

    async def test_stream_has_twenty_channels(self) -> None:
        held = OK + b"Grip-Hold: stream\r\nGrip-Channel: %s\r\n" % ",".join(self.NAMES).encode()
        async with proxy_before(sized(held, b"start;")) as proxy, connected(proxy.address) as raw:
            raw.send(request())
            await raw.until(b"start;\r\n")
            assert [proxy.registry.has(name) for name in self.NAMES] == [True] * 20 + [False]

    async def test_websocket_has_twenty_channels(self) -> None:
        async with (
            proxy_before(subscribing(*self.NAMES)) as proxy,
            connected(proxy.address) as raw,
        ):
            await opened(raw)
            assert [proxy.registry.has(name) for name in self.NAMES] == [True] * 20 + [False]

    async def test_too_many_filters_give_502(self, caplog: pytest.LogCaptureFixture) -> None:
        filters = b"; filter=x" * (MAX_FILTERS + 1)
        held = sized(OK + b"Grip-Hold: stream\r\nGrip-Channel: room%s\r\n" % filters, b"")
        async with proxy_before(held) as proxy, connected(proxy.address) as raw:
            raw.send(request())
            head, _ = await raw.answer()
            assert head.startswith(b"HTTP/1.1 502 ")
            assert f"expected at most {MAX_FILTERS} filters" in caplog.text


class TestHeldClients:
    @pytest.mark.parametrize("answer", [POLL, STREAM, subscribing("room")])
    async def test_one_too_many_gets_503(
        self, answer: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        ask = HANDSHAKE if b"OPEN" in answer else request()
        async with (
            proxy_before(answer, max_held=2) as proxy,  # one of them is the bystander
            connected(proxy.address) as held,
            connected(proxy.address) as refused,
        ):
            held.send(ask)
            await soon(lambda: proxy.registry.has("room"))
            refused.send(ask)
            head, body = await refused.answer()
            assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert body == b"Too many connections are held.\n"
            assert "refused: 2 clients are held" in caplog.text

            refused.send(request(b"/plain"))  # who is not to be held is served
            assert (await refused.answer())[1] == b"hi"

            held.abort()
            await soon(lambda: proxy._fanout.held == 1)
            assert not proxy.registry.has("room")
            refused.send(ask)
            await soon(lambda: proxy.registry.has("room"))


class TestSlowReaders:
    """GRIP §6.1, §13: what waits for a client is bounded."""

    async def test_stream_is_cut(self, caplog: pytest.LogCaptureFixture) -> None:
        async with proxy_before(STREAM) as proxy, connected(proxy.address, limit=1) as raw:
            raw.send(request())
            await soon(lambda: proxy.registry.has("room"))
            await self._flood(proxy, MAX_BUFFERED)
            assert "the client reads too slowly and is cut off" in caplog.text

    async def test_websocket_is_cut(self, caplog: pytest.LogCaptureFixture) -> None:
        async with (
            proxy_before(subscribing("room")) as proxy,
            connected(proxy.address, limit=1) as raw,
        ):
            raw.send(HANDSHAKE)
            await soon(lambda: proxy.registry.has("room"))
            await self._flood(proxy, MAX_UNSENT_BYTES)
            assert f"the client is more than {MAX_UNSENT_BYTES} bytes behind" in caplog.text

    async def _flood(self, proxy: GripProxy, limit: int) -> None:
        """Publish until the only client of the room is gone, which must be soon enough."""
        content = "x" * (limit // 4)
        for _ in range(100):  # most of it fits into the buffers of the system
            await publish(proxy.publish_address, content)
            if not proxy.registry.has("room"):
                return
        raise AssertionError("nobody was cut")

    async def test_client_that_floods_a_busy_backend_is_read_no_further(self) -> None:
        """GRIP §11.5: messages wait for the request under way, and the client for them."""
        asked = asyncio.Event()
        go_on = asyncio.Event()

        async def script(raw: Raw) -> None:
            await raw.until(b"OPEN\r\n")
            raw.send(subscribing("room"))
            await raw.until(b"TEXT")
            asked.set()
            await go_on.wait()

        message = b"\x81\xfe" + (10_000).to_bytes(2) + b"\0\0\0\0" + b"x" * 10_000
        async with (
            Backend(script) as backend,
            proxy_for(backend) as proxy,
            connected(proxy.address) as raw,
        ):
            await opened(raw)
            raw.send(message)
            await asked.wait()
            transport = raw.writer.transport
            sent = 0
            while transport.get_write_buffer_size() < len(message) * 10:
                raw.send(message)
                sent += 1
                assert sent < 10_000, "everything is read"
                await publish(proxy.publish_address, "x")  # makes the proxy's loop run
                await raw.until(b"x")
            go_on.set()
