"""What the proxy does for a client on behalf of its backend: subscriptions and timed messages.

Decides which messages of the backend are for the client and which for the proxy, and obeys the
latter. Knows neither requests nor the closing of connections. Source: GRIP §12, §6.2 (keep-alive).
"""

from collections.abc import Sequence
from typing import Final, assert_never

from grip.errors import RemoteProtocolError
from grip.instruct import KeepAliveMode
from grip.ws_over_http.control import (
    CONTROL_PREFIX,
    Control,
    Detach,
    FlushDelayed,
    KeepAlive,
    Outgoing,
    SendDelayed,
    Session,
    SetMeta,
    Subscribe,
    Unsubscribe,
    parse_control,
)
from grip.ws_over_http.events import Message, Text
from grip.ws_over_http.steps import Join, Leave, Send, SessionAction

__all__ = ["MAX_CHANNELS", "MAX_FILTER_META", "ClientSide"]

MAX_CHANNELS: Final = 20
"""Subscriptions of a connection; more are ignored (GRIP §12)."""

MAX_FILTER_META: Final = 64
"""Names of metadata for filters of a connection; more are ignored; ours."""


class ClientSide:
    """The client of one connection.

    Attributes:
        prefix: what marks messages for the client; None while the GRIP extension is off.
        detached: the backend has left the client to the proxy.
        subscriptions: channels, each with its filters in order.
        filter_meta: metadata for filters.
    """

    __slots__ = (
        "_beat_at",
        "_delayed",
        "_delayed_at",
        "_keep_alive",
        "detached",
        "filter_meta",
        "prefix",
        "subscriptions",
    )

    def __init__(self) -> None:
        self.prefix: bytes | None = None
        self.detached = False
        self.subscriptions: dict[str, tuple[str, ...]] = {}
        self.filter_meta: dict[str, str] = {}
        self._keep_alive: KeepAlive | None = None
        self._beat_at: float | None = None
        self._delayed: Outgoing | None = None
        self._delayed_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """When to call `tick`, in seconds on the caller's clock; None for never."""
        if self._beat_at is None or self._delayed_at is None:
            return self._beat_at if self._delayed_at is None else self._delayed_at
        return min(self._beat_at, self._delayed_at)

    @property
    def beats_when_idle(self) -> bool:
        """Whether messages put off the keep-alive message."""
        return self._keep_alive is not None and self._keep_alive.mode is KeepAliveMode.IDLE

    def take(self, message: Message, now: float) -> Sequence[SessionAction]:
        """Take a message of the backend."""
        if self.prefix is None:
            return (self.send(message, now),)
        content = message.content
        if isinstance(message, Text) and content.startswith(CONTROL_PREFIX):
            try:
                return self._obey(parse_control(content), now)
            except RemoteProtocolError:
                return ()  # to be ignored
        if not content.startswith(self.prefix):
            return ()
        return (self.send(type(message)(content[len(self.prefix) :]), now),)

    def send(self, message: Outgoing, now: float) -> Send:
        """Send a message to the client."""
        self.put_off_beat(now)
        return Send(message)

    def put_off_beat(self, now: float) -> None:
        """Note that something is sent to the client."""
        if self._keep_alive is not None and self._keep_alive.mode is KeepAliveMode.IDLE:
            self._beat_at = now + self._keep_alive.timeout_s

    def silence(self) -> None:
        """Send nothing more by itself."""
        self._keep_alive = self._beat_at = None
        self._delayed = self._delayed_at = None

    def tick(self, now: float) -> Sequence[SessionAction]:
        """Return the messages that are due."""
        actions: list[SessionAction] = []
        if self._delayed_at is not None and self._delayed_at <= now:
            actions += self._flush(now)
        if self._beat_at is not None and self._beat_at <= now:
            assert self._keep_alive is not None
            assert self._keep_alive.message is not None
            self._beat_at = now + self._keep_alive.timeout_s
            actions.append(Send(self._keep_alive.message))
        return actions

    def _flush(self, now: float) -> Sequence[SessionAction]:
        message, self._delayed, self._delayed_at = self._delayed, None, None
        return () if message is None else (self.send(message, now),)

    def _obey(self, control: Control, now: float) -> Sequence[SessionAction]:
        match control:
            case Subscribe(channel, filters):
                known = channel in self.subscriptions
                if not known and len(self.subscriptions) >= MAX_CHANNELS:
                    return ()
                self.subscriptions[channel] = filters
                return () if known else (Join(channel),)
            case Unsubscribe(channel):
                known = self.subscriptions.pop(channel, None) is not None
                return (Leave(channel),) if known else ()
            case Detach():
                self.detached = True
            case KeepAlive(message, timeout_s):
                self._keep_alive = None if message is None else control
                self._beat_at = None if message is None else now + timeout_s
            case SendDelayed(message, timeout_s):
                flushed = self._flush(now)
                self._delayed = message
                self._delayed_at = now + timeout_s
                return flushed
            case FlushDelayed():
                return self._flush(now)
            case SetMeta(name, value):
                if value is None:
                    self.filter_meta.pop(name, None)
                elif name in self.filter_meta or len(self.filter_meta) < MAX_FILTER_META:
                    self.filter_meta[name] = value
            case Session():
                pass  # names a session of an external state service, which there is none of
            case _:
                assert_never(control)
        return ()
