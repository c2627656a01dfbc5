"""The proxy's side of one WebSocket: the client's messages in, requests to the backend out.

The machine decides; its driver owns the sockets, sends the requests, keeps the subscriptions and
the time. It starts with the handshake and lasts until the client has gone and the backend has been
told. Requests are the courier's part, subscriptions and timed messages the client side's; here is
who is still there and who has yet to say goodbye. Source: GRIP §11.4 to §11.7, §8.4.
"""

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.ws_over_http.client import ClientSide
from grip.ws_over_http.control import Outgoing
from grip.ws_over_http.courier import Courier
from grip.ws_over_http.events import Binary, Close, Disconnect, Event, Open, Ping, Pong, Text
from grip.ws_over_http.reply import Reply, handshake_headers, parse_message_prefix
from grip.ws_over_http.states import TRANSITIONS, State
from grip.ws_over_http.steps import (
    Accept,
    CloseItem,
    Delivered,
    Drop,
    Fail,
    Failed,
    Faulted,
    Gone,
    Handshake,
    Hangup,
    Received,
    Refresh,
    Refuse,
    Refused,
    Replied,
    SendClose,
    SessionAction,
    SessionEvent,
    Tick,
    Unreachable,
)

__all__ = ["CLOSE_WAIT_S", "WebSocketSession"]

CLOSE_WAIT_S: Final = 10.0
"""How long a client may take to answer a close frame; ours."""


_FOLLOWED: Final = (State.OPEN, State.ENDING, State.FAILING)
"""Where replies of the backend have their effect on the client."""


class WebSocketSession:
    """One connection; see the module for its life and `TRANSITIONS` for where it may go.

    Attributes:
        state: where it is.
    """

    __slots__ = ("_client", "_close_by", "_courier", "_farewell", "_verdict", "state")

    def __init__(self, connection_id: str) -> None:
        """Start a session; `connection_id` is unique and goes with all requests."""
        self.state = State.OPENING
        self._client = ClientSide()
        self._courier = Courier(connection_id)
        self._farewell: Close | Disconnect | None = None  # the last that the backend hears
        self._verdict: Close | None = None  # how to close on a client that broke the protocol
        self._close_by: float | None = None  # when to wait for the other side no longer

    @property
    def deadline(self) -> float | None:
        """When to send a `Tick`, in seconds on the caller's clock; None for never."""
        deadlines = (self._courier.deadline, self._client.deadline, self._close_by)
        return min((at for at in deadlines if at is not None), default=None)

    @property
    def full(self) -> bool:
        """Whether so much waits for the backend that the client should not be read for now."""
        return self._courier.full

    @property
    def wants_deliveries(self) -> bool:
        """Whether `Delivered` makes a difference, so that it need not be told otherwise."""
        return self._client.beats_when_idle

    @property
    def plain(self) -> bool:
        """Whether a message that is sent to all goes to this client as it is, and nothing else.

        Until the next event a driver may then send it without asking.
        """
        filtered = any(self._client.subscriptions.values())
        return self.state is State.OPEN and not filtered and not self.wants_deliveries

    @property
    def subscriptions(self) -> Mapping[str, tuple[str, ...]]:
        """The channels of the client, each with its filters in order."""
        return self._client.subscriptions

    @property
    def filter_meta(self) -> Mapping[str, str]:
        """The metadata that filters use."""
        return self._client.filter_meta

    def handle(self, event: SessionEvent, now: float) -> Sequence[SessionAction]:
        """Take an event and return what to do about it, in order.

        Raises:
            LocalProtocolError: the event cannot happen in this state.
        """
        if type(event) not in TRANSITIONS[self.state]:
            name = type(event).__name__
            raise LocalProtocolError(f"{name} cannot happen while {self.state.name.lower()}")
        match event:
            case Received(content):
                return self._received(content, now)
            case Replied():
                return self._replied(event, now)
            case Refused(reason) | Failed(reason, _):
                return self._failed(event, reason)
            case Unreachable(reason, chance):
                return self._unreachable(reason, chance, now)
            case Faulted(code, reason):
                return self._faulted(Close(code, reason), now)
            case Delivered():
                self._client.put_off_beat(now)
                return ()
            case CloseItem(code, reason):
                return self._close_item(code, reason, now)
            case Refresh():
                return self._refreshed()
            case Tick():
                return self._ticked(now)
            case Handshake():
                self._courier.repeats = Open()
                self._courier.add(Open())
                return self._courier.proceed()
            case Gone():
                return self._gone()
            case _:
                assert_never(event)

    def _received(self, event: Outgoing | Close, now: float) -> Sequence[SessionAction]:
        """Take what the client has sent."""
        match self.state, event:
            case State.OPEN, _:
                self._courier.add(event)
                if isinstance(event, Close):
                    self._farewell = self._courier.repeats = event
                    self.state = State.ENDING
                return self._courier.proceed()
            case State.DETACHED, Close():
                return [*self._answer_close(1000, ""), *self._proceed()]
            case State.DETACHED, Ping(content):  # nobody else would answer (RFC 6455 §5.5.2)
                return [self._client.send(Pong(content), now)]
            case State.CLOSING, Close():
                return [Hangup(), *self._leave(event)]
            case _:
                return ()  # the rest has nobody to go to

    def _faulted(self, verdict: Close, now: float) -> Sequence[SessionAction]:
        """Fail the connection (RFC 6455 §7.1.7), once earlier messages are answered."""
        match self.state:
            case State.OPEN if not self._courier.idle:
                self._courier.stop_polling()
                self._verdict = verdict
                self._close_by = now + CLOSE_WAIT_S
                self.state = State.FAILING
                return ()
            case State.OPEN | State.DETACHED:
                self._verdict = verdict
                return self._fail()
            case State.CLOSING:
                return [Hangup(), *self._leave(Disconnect())]
            case _:
                return ()

    def _gone(self) -> Sequence[SessionAction]:
        """Take note that the client has vanished."""
        match self.state:
            case State.OPENING:
                self._courier.stop_polling()
                self.state = State.LEAVING  # without a farewell: only if the backend accepts
                return self._proceed()
            case State.LEAVING | State.OVER:
                return ()
            case _:
                return self._leave(Disconnect())

    def _replied(self, event: Replied, now: float) -> Sequence[SessionAction]:
        """Take a reply of the backend."""
        if self.state is State.OVER:
            return ()
        try:
            reply = self._courier.settle(event.headers, event.body, now)
            match self.state:
                case State.OPENING:
                    return self._opened(event, reply, now)
                case state if state in _FOLLOWED:
                    return self._obey(reply.events, now)
        except RemoteProtocolError as error:
            return self._failed(event, f"faulty reply of the backend: {error}")
        abandoned = self.state is State.LEAVING and self._farewell is None
        if abandoned and reply.events and isinstance(reply.events[0], Open):
            return self._leave(Disconnect())
        return self._proceed()

    def _opened(self, event: Replied, reply: Reply, now: float) -> Sequence[SessionAction]:
        """Take the reply to the handshake."""
        if not reply.events and self._courier.waits:
            return ()
        if not reply.events or not isinstance(reply.events[0], Open):
            raise RemoteProtocolError("expected OPEN as the first event of the reply")
        self._client.prefix = parse_message_prefix(event.headers)
        self._courier.repeats = None
        self.state = State.OPEN
        return [Accept(handshake_headers(event.headers)), *self._obey(reply.events[1:], now)]

    def _obey(self, events: Sequence[Event], now: float) -> Sequence[SessionAction]:
        """Do what a reply says to a connection that both sides hold."""
        actions: list[SessionAction] = []
        for event in events:
            match event:
                case Text() | Binary():
                    actions += self._client.take(event, now)
                case Ping() | Pong():
                    actions.append(self._client.send(event, now))
                case Close(code, reason) if self.state is State.ENDING:
                    actions += self._answer_close(code, reason)
                case Close() if self.state is State.FAILING:
                    return [*actions, *self._fail()]
                case Close(code, reason):
                    actions.append(self._send_close(code, reason, now))
                case Open():
                    return [*actions, *self._drop("the reply has a second OPEN")]
                case Disconnect():
                    return [*actions, *self._drop("the backend disconnected")]
                case _:
                    assert_never(event)
            if self._client.detached and self.state in _FOLLOWED:
                actions += self._detach()
            if self.state in (State.CLOSING, State.LEAVING):
                break
        unanswered = self.state is State.ENDING and self._courier.idle
        if unanswered and not self._courier.waits:
            return [*actions, *self._drop("the backend did not answer a close")]
        if self.state is State.FAILING and self._courier.idle:
            return [*actions, *self._fail()]
        return [*actions, *self._proceed()]

    def _failed(self, event: SessionEvent, reason: str) -> Sequence[SessionAction]:
        """Have nothing more to do with the backend; what that means depends on the client."""
        self._courier.forsake()
        match self.state:
            case State.OPENING:
                self.state = State.OVER
                if isinstance(event, Refused):
                    return [Refuse()]
                return [Fail(reason, isinstance(event, Failed) and event.timed_out)]
            case state if state in _FOLLOWED:
                return self._drop(reason)
            case _:
                self._farewell = self._farewell or Disconnect()
                return self._proceed()

    def _unreachable(self, reason: str, chance: float, now: float) -> Sequence[SessionAction]:
        """Let the request be repeated, except the first one of all."""
        opening = self._farewell is None and self.state in (State.OPENING, State.LEAVING)
        if self.state is not State.OVER and not opening and self._courier.postpone(chance, now):
            return ()
        return self._failed(Failed(reason), reason)

    def _close_item(self, code: int | None, reason: str, now: float) -> Sequence[SessionAction]:
        """Close because a publisher says so (§8.4)."""
        if self.state not in (State.OPEN, State.DETACHED):
            return ()
        if self._farewell is None:
            self._farewell = Close()
            self._courier.add(self._farewell)
        return [self._send_close(code, reason, now), *self._courier.proceed()]

    def _refreshed(self) -> Sequence[SessionAction]:
        if self.state is not State.OPEN:
            return ()
        self._courier.refresh()
        return self._courier.proceed()

    def _ticked(self, now: float) -> Sequence[SessionAction]:
        actions = [*self._client.tick(now), *self._courier.tick(now)]
        if self._close_by is not None and self._close_by <= now:
            if self.state is State.FAILING:
                actions += self._fail()
            else:
                actions += [Drop("no answer to the close frame"), *self._leave(Disconnect())]
        return actions

    def _detach(self) -> Sequence[SessionAction]:
        """Leave the client to the proxy (§12); if it has closed already, answer that."""
        if self.state is State.ENDING:
            return self._answer_close(1000, "")
        if self.state is State.FAILING:
            return self._fail()
        self._farewell = Close()
        self._courier.add(self._farewell)
        self._courier.stop_polling()
        self.state = State.DETACHED
        return ()

    def _send_close(self, code: int | None, reason: str, now: float) -> SendClose:
        """Close the connection from this side."""
        self._client.silence()
        self._courier.stop_polling()
        self._close_by = now + CLOSE_WAIT_S
        self.state = State.CLOSING
        return SendClose(1000 if code is None else code, reason)

    def _answer_close(self, code: int | None, reason: str) -> Sequence[SessionAction]:
        """Answer the client's close. The backend knows of it, or is about to."""
        self._client.silence()
        self._courier.stop_polling()
        self.state = State.LEAVING
        return [SendClose(1000 if code is None else code, reason), Hangup()]

    def _fail(self) -> Sequence[SessionAction]:
        """Close because the client broke the protocol."""
        assert self._verdict is not None
        assert self._verdict.code is not None
        close = SendClose(self._verdict.code, self._verdict.reason)
        return [close, Hangup(), *self._leave(Disconnect())]

    def _leave(self, farewell: Close | Disconnect) -> Sequence[SessionAction]:
        """The client is gone; let the backend know unless it does."""
        self._client.silence()
        self._courier.stop_polling()
        self._close_by = None
        if self._farewell is None:
            self._farewell = farewell
            self._courier.add(farewell)
        self.state = State.LEAVING
        return self._proceed()

    def _drop(self, reason: str) -> Sequence[SessionAction]:
        """Cut the client, and tell nobody."""
        self._client.silence()
        self._courier.forsake()
        self._close_by = None
        self.state = State.OVER
        return [Drop(reason)]

    def _proceed(self) -> Sequence[SessionAction]:
        """Send the next request if there is one to send, and see whether that was all."""
        asks = self._courier.proceed()
        if self.state is State.LEAVING and self._courier.idle:
            self.state = State.OVER
        return asks
