"""The driver of WebSockets, with a client, a backend and a clock that are played."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine, Iterator

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from grip.headers import Headers, Pair
from grip.items import Action, Item, WsMessageFormat
from grip.ws_over_http.control import (
    Control,
    KeepAlive,
    SetMeta,
    Subscribe,
    encode_control,
)
from grip.ws_over_http.events import (
    CONTENT_TYPE,
    MAX_BODY_BYTES,
    Binary,
    Close,
    Event,
    Open,
    Text,
    decode_events,
    encode_events,
)
from host_sim.body import NO_TRAILERS, Body
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.fanout.forward import Forwarder
from host_sim.fanout.registry import Registry
from host_sim.fanout.websockets import MAX_UNSENT_BYTES, WebSockets
from host_sim.messages import Piece, Request, Response
from host_sim.trace import Trace
from tests.support.waiting import PATIENCE_S, soon

GRIP = ("Sec-WebSocket-Extensions", "grip")
HANDSHAKE = Headers(
    [
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Cookie", "a=1"),
        ("Accept", "text/html"),
        ("Meta-User", "forged"),
        ("Connection-Id", "forged"),
    ]
)


class Clock:
    """A clock that is set by hand; calls what is due on the way."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[ClockTimer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> "ClockTimer":
        timer = ClockTimer(self, when, callback)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self.now = max(self.now, timer.when)
            timer.cancel()
            timer.callback()
        self.now = end


@dataclasses.dataclass(eq=False)
class ClockTimer:
    clock: Clock
    when: float
    callback: Callable[[], object]

    def cancel(self) -> None:
        if self in self.clock.timers:
            self.clock.timers.remove(self)


class Tunnel:
    """The client's connection after the handshake, read by a real WebSocket peer."""

    def __init__(self) -> None:
        self.buffered = 0
        self.paused = self.closed = self.aborted = False
        self.on_data: Callable[[bytes], None] = lambda _: None
        self.on_gone: Callable[[], None] = lambda: None
        self.client = Protocol(Side.CLIENT, max_size=None)
        self.sink = self

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def start(self, on_data: Callable[[bytes], None], on_gone: Callable[[], None]) -> None:
        self.on_data, self.on_gone = on_data, on_gone

    def write(self, data: bytes) -> None:
        if not self.closed and not self.aborted:
            self.client.receive_data(data)

    async def drain(self) -> None:
        raise AssertionError("nothing waits for a client")

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def send(self, opcode: Opcode, data: bytes = b"") -> None:
        self.on_data(Frame(opcode, data).serialize(mask=True))

    def received(self) -> list[tuple[Opcode, bytes]]:
        """Return the frames since the last call."""
        return [
            (event.opcode, bytes(event.data))
            for event in self.client.events_received()
            if isinstance(event, Frame)
        ]


class Downstream:
    """The way back to a client that asks for a WebSocket."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.head: tuple[int, str, Headers] | None = None
        self.body = b""
        self.closed = self.aborted = False
        self.buffered = 0
        self.sink = None
        self.gone: Callable[[], None] = lambda: None
        self.tunnel: Tunnel | None = None

    def on_gone(self, callback: Callable[[], None]) -> None:
        self.gone = callback

    def send_head(self, status: int, reason: str, headers: Headers, length: int | None) -> None:
        self.head = (status, reason, headers)
        self._trace.status = status

    def write(self, data: bytes | Piece) -> None:
        assert isinstance(data, bytes)
        self.body += data

    async def drain(self) -> None:
        pass

    def finish(self, trailers: Headers = NO_TRAILERS) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def upgrade(self, headers: Headers) -> Tunnel:
        assert self.head is None
        self.head = (101, "", headers)
        self.closed = True
        self.tunnel = Tunnel()
        return self.tunnel


def response(status: int, headers: Headers, body: bytes, reason: str = "OK") -> Response:
    return Response(status=status, reason=reason, headers=headers, body=Body.of(body))


@dataclasses.dataclass
class Asked:
    """A request the backend has to answer."""

    request: Request
    body: bytes
    answer: "asyncio.Future[Response]"

    @property
    def events(self) -> list[Event]:
        return decode_events(self.body)

    def reply(self, *events: Event, fields: tuple[Pair, ...] = (GRIP,), status: int = 200) -> None:
        headers = Headers([("Content-Type", CONTENT_TYPE), *fields])
        self.answer.set_result(response(status, headers, encode_events(events)))


class Backend:
    """Keeps requests until the test answers them (`messages.Upstream`)."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[Asked] = asyncio.Queue()

    async def send(self, request: Request, backend: str) -> Response:
        assert backend == "self"
        body = await request.body.whole(1 << 20)
        assert body is not None
        asked = Asked(request, body, asyncio.get_running_loop().create_future())
        self.requests.put_nowait(asked)
        return await asked.answer

    async def asked(self) -> Asked:
        return await asyncio.wait_for(self.requests.get(), PATIENCE_S)


class Stage:
    """Everything around the WebSockets of a proxy."""

    def __init__(self, *, compression: bool = False) -> None:
        self.clock = Clock()
        self.backend = Backend()
        self.registry = Registry(self.clock)
        forwarder = Forwarder(self.backend, lambda: "signature", timeout_s=None)
        self.sockets = WebSockets(forwarder, self.registry, self.clock, compression=compression)
        self.trace = Trace(method="GET", target="/chat?x=1")
        self.downstream = Downstream(self.trace)

    @property
    def tunnel(self) -> Tunnel:
        assert self.downstream.tunnel is not None
        return self.downstream.tunnel

    def handshake(self, headers: Headers = HANDSHAKE) -> Coroutine[None, None, None]:
        request = Request(
            method="GET",
            scheme="http",
            authority="example.com",
            target="/chat?x=1",
            headers=headers,
            body=Body.of(b""),
            client=None,
            server=None,
            trace=self.trace,
        )
        return self.sockets.serve(request, "self", self.downstream)

    async def opening(self) -> tuple["asyncio.Task[None]", Asked]:
        task = asyncio.ensure_future(self.handshake())
        return task, await self.backend.asked()

    async def open(self, *events: Event, fields: tuple[Pair, ...] = (GRIP,)) -> None:
        task, asked = await self.opening()
        asked.reply(Open(), *events, fields=fields)
        await task

    def publish(self, message: WsMessageFormat, *, channel: str = "room", **meta: str) -> None:
        self.registry.publish([Item(channel=channel, ws_message=message, meta=meta)])


type Told = list[tuple[int | None, str | None]]


class Ear(logging.Handler):
    """Hears what is told of requests: status and note at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Told = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = record.__dict__["trace"]
        self.told.append((trace.status, trace.note))


@pytest.fixture
async def stage() -> Stage:
    return Stage()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Told]:
    ear, logger = Ear(), logging.getLogger("host_sim.access")
    logger.addHandler(ear)
    with caplog.at_level(logging.INFO, "host_sim.access"):
        yield ear.told
    logger.removeHandler(ear)


def control(message: Control) -> Text:
    return Text(encode_control(message))


def text(content: bytes) -> tuple[Opcode, bytes]:
    return (Opcode.TEXT, content)


JOIN = control(Subscribe("room"))


async def explode(request: Request, backend: str) -> Response:
    raise RuntimeError("a bug")


async def test_a_handshake_is_accepted(stage: Stage, told: Told) -> None:
    """GRIP §11.2, §11.4."""
    task, asked = await stage.opening()
    request = asked.request
    assert (request.method, request.target, asked.events) == ("POST", "/chat?x=1", [Open()])
    headers = dict(request.headers)
    assert headers.pop("Connection-Id") != "forged"
    assert headers.pop("Grip-Feature")
    assert headers == {
        "Host": "example.com",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Cookie": "a=1",
        "Accept": CONTENT_TYPE,
        "Content-Type": CONTENT_TYPE,
        "Sec-WebSocket-Extensions": "grip",
        "Grip-Sig": "signature",
    }
    asked.reply(Open(), JOIN, Text(b"m:hi"), fields=(GRIP, ("Set-Cookie", "b=2")))
    await task
    assert stage.downstream.head is not None
    status, _, answer = stage.downstream.head
    assert status == 101
    assert list(answer) == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("Set-Cookie", "b=2"),
    ]
    assert stage.tunnel.received() == [text(b"hi")]
    assert (stage.trace.hold, stage.trace.channels) == ("websocket", ("room",))
    assert told == [(101, None)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (HANDSHAKE.replaced("Sec-WebSocket-Version", "8"), 426),
        (HANDSHAKE.without("Sec-WebSocket-Key"), 400),
    ],
)
async def test_an_invalid_handshake_is_refused(stage: Stage, headers: Headers, status: int) -> None:
    await stage.handshake(headers)
    assert stage.downstream.head is not None
    assert stage.downstream.head[0] == status
    assert stage.downstream.closed


async def test_the_backend_may_refuse(stage: Stage, told: Told) -> None:
    """GRIP §11.4: its reply is the answer."""
    task, asked = await stage.opening()
    headers = Headers([("WWW-Authenticate", "Basic")])
    asked.answer.set_result(response(401, headers, b"who are you?", "Not Yet"))
    await task
    assert stage.downstream.head == (401, "Not Yet", headers)
    assert stage.downstream.body == b"who are you?"
    assert stage.downstream.closed
    assert told == [(401, None)]


@pytest.mark.parametrize(
    ("fault", "status"), [(BackendFault.UNREACHABLE, 502), (BackendFault.TIMEOUT, 504)]
)
async def test_the_backend_may_fail(stage: Stage, fault: BackendFault, status: int) -> None:
    """GRIP §11.4."""
    task, asked = await stage.opening()
    asked.answer.set_exception(BackendError("self", fault, "why"))
    await task
    assert stage.downstream.head is not None
    assert stage.downstream.head[0] == status
    assert stage.downstream.body == b"Error while proxying to origin.\n"


async def test_an_error_of_our_own_during_the_handshake(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.backend, "send", explode)
    with pytest.raises(RuntimeError, match="a bug"):
        await stage.handshake()
    await stage.sockets.close(5)  # returns, since nothing is left


async def test_messages_go_both_ways(stage: Stage) -> None:
    """GRIP §11.5."""
    await stage.open()
    stage.tunnel.send(Opcode.TEXT, b"a")
    asked = await stage.backend.asked()
    stage.tunnel.send(Opcode.PING, b"p")
    stage.tunnel.send(Opcode.BINARY, b"b")
    assert asked.events == [Text(b"a")]
    asked.reply(Text(b"m:1"))
    asked = await stage.backend.asked()
    assert asked.body == b"PING 1\r\np\r\nBINARY 1\r\nb\r\n"
    assert stage.tunnel.received() == [text(b"1")]
    assert stage.backend.requests.empty()


async def test_the_client_is_not_read_while_too_much_waits(stage: Stage) -> None:
    await stage.open()
    stage.tunnel.send(Opcode.TEXT, b"a")
    asked = await stage.backend.asked()
    stage.tunnel.send(Opcode.BINARY, b"x" * 200_000)
    paused = [stage.tunnel.paused]
    asked.reply()
    asked = await stage.backend.asked()
    paused.append(stage.tunnel.paused)
    asked.reply()
    await soon(lambda: not stage.tunnel.paused)
    assert paused == [True, True]


@pytest.mark.parametrize(
    "answer",
    [
        response(500, Headers(), b"oops"),
        response(200, Headers([("Content-Type", CONTENT_TYPE)]), b"x" * (MAX_BODY_BYTES + 1)),
        BackendError("self", BackendFault.CLOSED, "why"),
        BodyError("broke off"),
    ],
    ids=["status", "size", "no reply", "half a reply"],
)
async def test_errors_after_opening_drop_the_connection(
    stage: Stage, answer: Response | Exception
) -> None:
    """GRIP §11.7: without a close frame."""
    await stage.open(JOIN)
    stage.tunnel.send(Opcode.TEXT, b"a")
    asked = await stage.backend.asked()
    if isinstance(answer, Exception):
        asked.answer.set_exception(answer)
    else:
        asked.answer.set_result(answer)
    await soon(lambda: stage.tunnel.aborted)
    assert not stage.registry.has("room")
    assert stage.tunnel.received() == []
    stage.tunnel.on_gone()
    assert stage.backend.requests.empty()


async def test_a_backend_out_of_reach_is_asked_again(stage: Stage) -> None:
    """GRIP §11.7."""
    await stage.open()
    stage.tunnel.send(Opcode.TEXT, b"a")
    asked = await stage.backend.asked()
    asked.answer.set_exception(BackendError("self", BackendFault.UNREACHABLE, "why"))
    await soon(lambda: bool(stage.clock.timers))
    stage.clock.advance(2)
    assert (await stage.backend.asked()).events == [Text(b"a")]


async def test_the_client_vanishes(stage: Stage) -> None:
    """GRIP §11.6."""
    await stage.open(JOIN)
    stage.tunnel.on_gone()
    assert not stage.registry.has("room")
    asked = await stage.backend.asked()
    assert asked.body == b"DISCONNECT\r\n"
    asked.reply()
    await stage.sockets.close(5)  # returns, since nothing is left


async def test_the_client_vanishes_before_the_reply(stage: Stage, told: Told) -> None:
    """GRIP §11.4: then the backend hears of it if it accepts."""
    task, asked = await stage.opening()
    stage.downstream.gone()
    asked.reply(Open(), JOIN)
    await task
    assert (await stage.backend.asked()).body == b"DISCONNECT\r\n"
    assert stage.downstream.head is None
    assert not stage.registry.has("room")
    assert told == [(None, "the client left before its answer")]


async def test_the_client_closes(stage: Stage) -> None:
    """GRIP §11.6."""
    await stage.open(JOIN)
    stage.tunnel.send(Opcode.CLOSE, b"\x0f\xa0bye")
    asked = await stage.backend.asked()
    assert asked.events == [Close(4000, "bye")]
    asked.reply(Close(4000, "bye"))
    await soon(lambda: stage.tunnel.closed)
    assert stage.tunnel.received() == [(Opcode.CLOSE, b"\x0f\xa0bye")]
    assert not stage.registry.has("room")


async def test_a_client_that_takes_nothing_more_is_cut_in_the_end(stage: Stage) -> None:
    await stage.open()
    stage.tunnel.send(Opcode.CLOSE)
    asked = await stage.backend.asked()
    stage.tunnel.buffered = 100
    asked.reply(Close())
    await soon(lambda: stage.tunnel.closed)
    assert not stage.tunnel.aborted
    stage.clock.advance(10)
    assert stage.tunnel.aborted


async def test_a_client_that_breaks_the_protocol_is_told(stage: Stage) -> None:
    """RFC 6455 §7.1.7."""
    await stage.open()
    stage.tunnel.send(Opcode.TEXT, b"\xff")
    assert stage.tunnel.received() == [(Opcode.CLOSE, b"\x03\xeftext is not UTF-8")]
    assert stage.tunnel.closed
    assert (await stage.backend.asked()).body == b"DISCONNECT\r\n"


async def test_a_message_that_is_too_large_drops_the_connection(stage: Stage) -> None:
    """GRIP §11.5."""
    await stage.open()
    stage.tunnel.send(Opcode.BINARY, b"x" * 200_001)
    assert stage.tunnel.aborted
    assert stage.tunnel.received() == []
    assert (await stage.backend.asked()).body == b"DISCONNECT\r\n"


async def test_published_messages_are_written_at_once(stage: Stage) -> None:
    """GRIP §8.4, also while the backend is being asked."""
    await stage.open(JOIN)
    stage.tunnel.send(Opcode.TEXT, b"a")
    await stage.backend.asked()
    stage.publish(WsMessageFormat(content=b"m:hi"))
    stage.publish(WsMessageFormat(action=Action.HINT))
    stage.publish(WsMessageFormat(content=b"other"), channel="hall")
    stage.registry.publish([Item(channel="room")])
    assert stage.tunnel.received() == [text(b"m:hi")]


async def test_compression() -> None:
    """RFC 7692: messages both ways, but not what is published, since all share its frame."""
    stage = Stage(compression=True)
    await stage.open(JOIN)
    assert stage.downstream.head is not None
    _, _, answer = stage.downstream.head
    assert answer.get("Sec-WebSocket-Extensions") == (
        "permessage-deflate; server_max_window_bits=12"
    )
    deflate = PerMessageDeflate(
        remote_no_context_takeover=False,
        local_no_context_takeover=False,
        remote_max_window_bits=12,
        local_max_window_bits=15,
    )
    stage.tunnel.client.extensions = [deflate]
    content = b"compressible " * 20
    frame = Frame(Opcode.TEXT, content).serialize(mask=True, extensions=[deflate])
    assert len(frame) < 50
    stage.tunnel.on_data(frame)
    asked = await stage.backend.asked()
    assert asked.events == [Text(content)]
    asked.reply(Text(b"m:" + content))
    await soon(lambda: stage.tunnel.client.events)
    stage.publish(WsMessageFormat(content=content))
    assert stage.tunnel.received() == [text(content), text(content)]


async def test_filters(stage: Stage) -> None:
    """GRIP §10, §8.3."""
    await stage.open(
        control(SetMeta("user", "alice")), control(Subscribe("room", ("skip-self", "var-subst")))
    )
    stage.publish(WsMessageFormat(content=b"own"), sender="alice")
    stage.publish(WsMessageFormat(content=b"for %(user)s"), sender="bob")
    stage.publish(WsMessageFormat(content=b"for %(nobody)s"))
    stage.publish(WsMessageFormat(content=b"plain", content_filters=("var-subst",)))
    stage.publish(WsMessageFormat(content=b"misfit", content_filters=()))
    assert stage.tunnel.received() == [text(b"for alice"), text(b"plain")]


async def test_an_item_may_count_on_filters_that_are_not_there(stage: Stage) -> None:
    """GRIP §8.3."""
    await stage.open(JOIN)
    stage.publish(WsMessageFormat(content=b"misfit", content_filters=("var-subst",)))
    stage.publish(WsMessageFormat(content=b"fits", content_filters=()))
    assert stage.tunnel.received() == [text(b"fits")]


async def test_an_item_may_close(stage: Stage) -> None:
    """GRIP §8.4."""
    await stage.open(JOIN)
    stage.publish(WsMessageFormat(action=Action.CLOSE, code=4005, reason="done"))
    stage.publish(WsMessageFormat(content=b"too late"))
    assert stage.tunnel.received() == [(Opcode.CLOSE, b"\x0f\xa5done")]
    assert (await stage.backend.asked()).events == [Close()]
    stage.tunnel.send(Opcode.CLOSE, b"\x0f\xa5")
    assert stage.tunnel.closed


async def test_an_item_may_ask_for_a_request(stage: Stage) -> None:
    """GRIP §8.4."""
    await stage.open(JOIN)
    stage.publish(WsMessageFormat(action=Action.REFRESH))
    assert (await stage.backend.asked()).body == b""


async def test_first_subscriptions_and_recovery_do_not_ask_the_backend(stage: Stage) -> None:
    """GRIP §9.5."""
    await stage.open(JOIN)
    stage.clock.advance(2)
    stage.registry.recover()
    assert stage.backend.requests.empty()


async def test_a_client_that_does_not_read_is_cut_alone(stage: Stage) -> None:
    await stage.open(JOIN)
    first, stage.downstream = stage.downstream, Downstream(stage.trace)
    await stage.open(JOIN)
    assert first.tunnel is not None
    first.tunnel.buffered = MAX_UNSENT_BYTES + 1
    stage.publish(WsMessageFormat(content=b"hi"))
    assert first.tunnel.aborted
    assert stage.tunnel.received() == [text(b"hi")]
    first.tunnel.on_gone()
    assert (await stage.backend.asked()).body == b"DISCONNECT\r\n"


async def test_keep_alive_messages(stage: Stage) -> None:
    """GRIP §12: put off by what is published."""
    await stage.open(JOIN, control(KeepAlive(Binary(b"beat"), 10)))
    stage.clock.advance(9)
    stage.publish(WsMessageFormat(content=b"hi"))
    stage.clock.advance(9)
    assert stage.tunnel.received() == [text(b"hi")]
    stage.clock.advance(1)
    assert stage.tunnel.received() == [(Opcode.BINARY, b"beat")]


async def test_an_idle_connection_has_neither_task_nor_timer(stage: Stage) -> None:
    await stage.open(JOIN)
    stage.clock.advance(2)  # until the registry has dealt with the first subscription
    assert stage.clock.timers == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_all_connections_are_closed_with_the_proxy(stage: Stage) -> None:
    await stage.open(JOIN)
    closing = asyncio.ensure_future(stage.sockets.close(5))
    asked = await stage.backend.asked()
    assert asked.events == [Close()]
    assert stage.tunnel.received() == [(Opcode.CLOSE, b"\x03\xe9")]
    asked.reply()
    stage.tunnel.send(Opcode.CLOSE, b"\x03\xe9")
    assert stage.tunnel.closed
    await closing


async def test_who_does_not_answer_is_cut_when_the_proxy_closes(stage: Stage) -> None:
    await stage.open(JOIN)
    await stage.sockets.close(0)
    assert stage.tunnel.aborted
    assert asyncio.all_tasks() == {asyncio.current_task()} or not stage.registry.has("room")


async def test_a_handshake_is_cut_when_the_proxy_closes(stage: Stage) -> None:
    task, asked = await stage.opening()
    await stage.sockets.close(5)
    assert stage.downstream.aborted
    asked.reply(Open(), JOIN)
    await task
    assert stage.downstream.tunnel is None
    assert not stage.registry.has("room")


async def test_an_error_of_our_own_cuts_one_connection(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.open(JOIN)
    monkeypatch.setattr(stage.backend, "send", explode)
    stage.tunnel.send(Opcode.TEXT, b"a")
    await soon(lambda: stage.tunnel.aborted)
    assert not stage.registry.has("room")
    assert "a bug" in caplog.text
