"""Drives `grip.ws_over_http.session` over a client's WebSocket: frames, requests, subscriptions.

An idle connection has no task and no timer. What is published is written at once, in a frame made
once for all; a client that does not take what it is sent is cut, and nobody else notices.
Source: GRIP §11 (WebSocket-over-HTTP), §8.4 (publishing), §10 (filters); RFC 6455.
"""

import asyncio
import dataclasses
import logging
import uuid
from typing import Final, assert_never

from websockets.extensions import Extension

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.items import Action, WsMessageFormat
from grip.ws_over_http import steps
from grip.ws_over_http.events import NEED_DATA
from grip.ws_over_http.session import CLOSE_WAIT_S, WebSocketSession
from grip.ws_over_http.states import State
from host_sim.body import Body
from host_sim.fanout.alarm import Alarm, Clock
from host_sim.fanout.answers import PLAIN_TEXT, fail, pass_on, respond
from host_sim.fanout.asking import ask_backend
from host_sim.fanout.delivery import Delivery
from host_sim.fanout.forward import Forwarder
from host_sim.fanout.frames import (
    ClientError,
    MessageReader,
    TooLargeError,
    close_frame,
    message_frame,
)
from host_sim.fanout.handshake import (
    check_handshake,
    negotiate_compression,
    switching_headers,
)
from host_sim.fanout.registry import Registry
from host_sim.messages import Downstream, Request, Response, Sink, Tunnel

__all__ = ["MAX_UNSENT_BYTES", "WebSocket", "WebSockets"]

MAX_UNSENT_BYTES: Final = 1_000_000
"""What may wait for a client to take it; one that is further behind is cut."""

log = logging.getLogger("host_sim.fanout")

_NO_BODY: Final = Body.of(b"")
_NOT_COMPRESSED: Final[tuple[Headers, tuple[Extension, ...]]] = (Headers(), ())

# Fields of a handshake that the requests have with values of their own, or that are for the proxy.
_NOT_IN_REQUESTS: Final = frozenset(
    {"accept", "connection-id", "content-length", "content-type", "sec-websocket-extensions"}
)


class WebSockets:
    """The WebSockets of a proxy."""

    def __init__(
        self, forwarder: Forwarder, registry: Registry, clock: Clock, *, compression: bool = False
    ) -> None:
        """Ask backends through `forwarder`, and subscribe connections in `registry`.

        With `compression` clients may have `permessage-deflate`; what is published is sent to them
        uncompressed all the same, in the frames that all share.
        """
        self.forwarder: Final = forwarder
        self.registry: Final = registry
        self.clock: Final = clock
        self.compression: Final = compression
        self._open: set[WebSocket] = set()
        self._empty = asyncio.Event()

    @property
    def count(self) -> int:
        """How many there are, those that are being opened included."""
        return len(self._open)

    async def serve(self, request: Request, backend: str, downstream: Downstream) -> None:
        """Answer a handshake; returns when the backend has replied to it."""
        refusal = check_handshake(request.headers)
        if refusal is not None:
            request.trace.note = refusal.text.strip()
            respond(
                downstream,
                request.trace,
                status=refusal.status,
                reason="",
                headers=PLAIN_TEXT.plus(*refusal.headers),
                body=refusal.text.encode(),
            )
            return
        socket = WebSocket(self, request, backend, downstream)
        self._open.add(socket)
        await socket.open()

    def over(self, socket: "WebSocket") -> None:
        """Note that a connection has ended for good."""
        self._open.discard(socket)
        if not self._open:
            self._empty.set()

    async def close(self, grace_s: float) -> None:
        """Close all connections, and give clients and backends `grace_s` seconds to hear of it."""
        if not self._open:
            return
        self._empty.clear()
        for socket in list(self._open):
            socket.close()
        try:
            async with asyncio.timeout(grace_s):
                await self._empty.wait()
        except TimeoutError:
            for socket in list(self._open):
                socket.cut("the proxy closes")


class WebSocket:
    """One client's connection, and what the proxy knows of it (`registry.Subscriber`)."""

    __slots__ = (
        "_accepted", "_alarm", "_backend", "_downstream", "_extensions", "_over", "_paused",
        "_reader", "_request", "_session", "_sink", "_sockets", "_task", "_tunnel",
    )  # fmt: skip

    def __init__(
        self, sockets: WebSockets, request: Request, backend: str, downstream: Downstream
    ) -> None:
        self._sockets = sockets
        self._backend = backend
        headers = sockets.forwarder.clean(request.headers).where(_is_in_requests)
        self._request = dataclasses.replace(request, method="POST", headers=headers, body=_NO_BODY)
        self._downstream: Downstream | None = downstream  # until the handshake is answered
        self._tunnel: Tunnel | None = None  # from then on
        self._accepted, self._extensions = _NOT_COMPRESSED
        if sockets.compression:
            self._accepted, self._extensions = negotiate_compression(request.headers)
        self._reader = MessageReader(self._extensions)
        self._paused = False
        self._session = WebSocketSession(str(uuid.uuid4()))
        self._alarm: Alarm | None = None  # made when there is something to wait for
        self._task: asyncio.Task[None] | None = None  # while a request is under way
        self._sink: Sink | None = None  # there while nobody has to be asked about what is for all
        self._over = False

    async def open(self) -> None:
        """Ask the backend whether it accepts."""
        assert self._downstream is not None
        self._downstream.on_gone(self._gone)
        for action in self._session.handle(steps.Handshake(), self._sockets.clock.time()):
            assert isinstance(action, steps.Ask)
            try:
                await self._ask(action)
            except BaseException:
                self._retire()
                raise

    # What is published (`registry.Subscriber`).

    def deliver(self, channel: str, delivery: Delivery) -> None:
        """Take an item of a channel."""
        sink, frame = self._sink, delivery.common_frame
        if sink is not None and frame and sink.get_write_buffer_size() <= MAX_UNSENT_BYTES:
            sink.write(frame)
            return
        message = delivery.item.ws_message
        if message is None:
            return
        match message.action:
            case Action.SEND:
                frame = self._frame(channel, message, delivery)
                if frame:
                    self._write(frame)
                    if self._session.wants_deliveries:
                        self._handle(steps.Delivered())
            case Action.CLOSE:
                self._handle(steps.CloseItem(message.code, message.reason))
            case Action.REFRESH:
                self._handle(steps.Refresh())
            case Action.HINT:
                pass
            case _:
                assert_never(message.action)

    def refresh(self) -> None:
        """Do nothing: WebSockets do not ask again after a first subscription (§9.5)."""

    def _frame(self, channel: str, message: WsMessageFormat, delivery: Delivery) -> bytes:
        """Return the frame of an item for this connection; empty if it is not for it."""
        session = self._session
        names = session.subscriptions.get(channel, ())
        if not names and message.content_filters is None:
            return delivery.frame
        try:
            return delivery.frame_for(
                names, meta=session.filter_meta, channels=session.subscriptions
            )
        except RemoteProtocolError as error:
            log.info("request %d: an item is skipped: %s", self._request.trace.id, error)
            return b""

    # The client.

    def _received(self, data: bytes) -> None:
        """Take bytes of the client."""
        self._reader.receive_data(data)
        try:
            while (event := self._reader.next_message()) is not NEED_DATA:
                self._handle(steps.Received(event))
        except ClientError as error:
            log.info("request %d: WebSocket client: %s", self._request.trace.id, error)
            self._handle(steps.Faulted(error.code, str(error)))
        except TooLargeError as error:
            self._drop(str(error))
            self._gone()

    def _gone(self) -> None:
        """Hear that the client has gone."""
        if self._downstream is not None:
            self._request.trace.note = "the client left before its answer"
            self._request.trace.emit()
        self._sockets.registry.leave(self)
        self._handle(steps.Gone())

    def _write(self, frame: bytes) -> None:
        """Send a frame, unless the client has not taken what it was sent before."""
        assert self._tunnel is not None
        if self._tunnel.buffered > MAX_UNSENT_BYTES:
            self._drop(f"the client is more than {MAX_UNSENT_BYTES} bytes behind")
        else:
            self._tunnel.write(frame)

    def _hang_up(self) -> None:
        """End the connection when the client has taken all, or will not."""
        assert self._tunnel is not None
        self._sockets.registry.leave(self)
        self._tunnel.close()
        if self._tunnel.buffered:
            clock = self._sockets.clock
            clock.call_at(clock.time() + CLOSE_WAIT_S, self._tunnel.abort)

    def _drop(self, reason: str) -> None:
        """Cut the client's connection; the session hears of it as of any other end."""
        number = self._request.trace.id
        log.warning("request %d: backend %r: WebSocket dropped: %s", number, self._backend, reason)
        assert self._tunnel is not None
        self._sockets.registry.leave(self)
        self._tunnel.abort()

    # The backend.

    async def _ask(self, ask: steps.Ask) -> None:
        """Send a request to the backend, and take its reply."""
        sockets, trace, downstream = self._sockets, self._request.trace, self._downstream
        ending = await ask_backend(sockets.forwarder, self._request, self._backend, ask)
        if not isinstance(ending, Response):
            if downstream is None and not isinstance(ending, steps.Replied):
                log.warning("request %d: backend %r: %s", trace.id, self._backend, ending.reason)
            self._handle(ending)
            return
        content_type = ending.headers.get("Content-Type")
        reason = f"the reply has status {ending.status} and content type {content_type!r}"
        opening = self._session.state is State.OPENING
        self._handle(steps.Refused(reason))
        if opening and downstream is not None:
            await pass_on(ending, downstream, trace)
            return
        if ending.tunnel is not None:
            ending.tunnel.abort()
        await ending.body.aclose()

    def _spawn(self, ask: steps.Ask) -> None:
        self._task = asyncio.get_running_loop().create_task(self._ask_apart(ask))

    async def _ask_apart(self, ask: steps.Ask) -> None:
        task = self._task
        try:
            await self._ask(ask)
        except Exception:
            log.exception("request %d failed", self._request.trace.id)
            self.cut("an error of the proxy")
        finally:
            if self._task is task:
                self._task = None

    # The session.

    def _handle(self, event: steps.SessionEvent) -> None:
        """Let the session decide, and do what it says."""
        if self._over:
            return
        session, opening = self._session, self._downstream is not None
        for action in session.handle(event, self._sockets.clock.time()):
            self._carry_out(action)
        if opening and self._tunnel is not None:
            trace = self._request.trace
            trace.hold, trace.channels = "websocket", tuple(session.subscriptions)
            trace.emit()
        self._sink = self._tunnel.sink if self._tunnel is not None and session.plain else None
        if session.state is State.OVER:
            self._retire()
            return
        deadline = session.deadline
        if self._alarm is None and deadline is not None:
            self._alarm = Alarm(self._sockets.clock, self._ring)
        if self._alarm is not None:
            self._alarm.set(deadline)
        if self._tunnel is not None and session.full is not self._paused:
            self._paused = session.full
            if self._paused:
                self._tunnel.pause_reading()
            else:
                self._tunnel.resume_reading()

    def _carry_out(self, action: steps.SessionAction) -> None:
        match action:
            case steps.Ask():
                self._spawn(action)
            case steps.Accept(headers):
                assert self._downstream is not None
                accepted = headers.plus(*self._accepted)
                answer = switching_headers(self._request.headers, accepted)
                self._request.trace.status = 101
                self._tunnel = self._downstream.upgrade(answer)
                self._tunnel.start(self._received, self._gone)
                self._downstream = None
            case steps.Refuse():
                self._downstream = None  # the reply is passed on
            case steps.Fail(reason, timed_out):
                assert self._downstream is not None
                what = f"backend {self._backend!r}: {reason}"
                fail(self._downstream, self._request.trace, what, 504 if timed_out else 502)
                self._downstream = None
            case steps.Send(message):
                self._write(message_frame(message, self._extensions))
            case steps.SendClose(code, reason):
                self._write(close_frame(code, reason))
                self._sockets.registry.leave(self)
            case steps.Hangup():
                self._hang_up()
            case steps.Drop(reason):
                self._drop(reason)
            case steps.Join(channel):
                self._sockets.registry.subscribe(channel, self)
            case steps.Leave(channel):
                self._sockets.registry.unsubscribe(channel, self)
            case _:
                assert_never(action)

    def _ring(self) -> None:
        self._handle(steps.Tick())

    def close(self) -> None:
        """Close the connection because the proxy closes."""
        if self._tunnel is None:
            self.cut("the proxy closes")
        else:
            self._handle(steps.CloseItem(1001, ""))

    def cut(self, reason: str) -> None:
        """End the connection at once, and tell nobody."""
        log.info("request %d: WebSocket cut: %s", self._request.trace.id, reason)
        if self._task is not None:
            self._task.cancel()
        if self._downstream is not None:
            self._request.trace.note = reason
            self._request.trace.emit()
            self._downstream.abort()
        if self._tunnel is not None:
            self._tunnel.abort()
        self._retire()

    def _retire(self) -> None:
        """Let go of everything, since the session is over."""
        self._over = True
        if self._alarm is not None:
            self._alarm.cancel()
        self._sockets.registry.leave(self)
        self._sockets.over(self)


def _is_in_requests(name: str) -> bool:
    """Tell whether a field of the handshake belongs to all requests (§11.2)."""
    return name not in _NOT_IN_REQUESTS and not name.startswith("meta-")
