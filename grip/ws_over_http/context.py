r"""A backend's side of WebSocket-over-HTTP: one request's events in, one response out.

A connection is a series of such requests; what has to last from one to the next is kept by the
proxy as metadata (`meta`). Pings are answered with their content and a close with its code, unless
the handler closes first. Pure: knows no web framework and no connection but this request's.
Source: GRIP §11, §12.

A handler that echoes:

>>> headers = Headers([("Content-Type", CONTENT_TYPE), ("Sec-WebSocket-Extensions", "grip")])
>>> context = WebSocketContext.from_request(headers, b"OPEN\r\nTEXT 2\r\nhi\r\n")
>>> if context.opening:
...     context.accept()
...     context.subscribe("room")
>>> for message in context.receive():
...     context.send(message)
>>> context.to_response()[2]
b'OPEN\r\nTEXT 27\r\nc:{"type":"subscribe","channel":"room"}\r\nTEXT 4\r\nm:hi\r\n'
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from grip.errors import LocalProtocolError, RemoteProtocolError, shorten
from grip.headers import Headers, Pair, format_value, is_field, parse_list
from grip.instruct import KeepAliveMode
from grip.ws_over_http.control import (
    DEFAULT_KEEP_ALIVE_S,
    Control,
    Detach,
    KeepAlive,
    Outgoing,
    SetMeta,
    Subscribe,
    Unsubscribe,
    encode_control,
)
from grip.ws_over_http.events import (
    CONTENT_TYPE,
    MAX_BODY_BYTES,
    Binary,
    Close,
    Disconnect,
    Event,
    Message,
    Open,
    Ping,
    Pong,
    Text,
    decode_events,
    encode_events,
)

__all__ = ["DEFAULT_MESSAGE_PREFIX", "WebSocketContext", "is_websocket_request"]

DEFAULT_MESSAGE_PREFIX = "m:"
"""What a message for the client starts with when the GRIP extension is on (GRIP §12)."""


def is_websocket_request(headers: Headers) -> bool:
    """Tell whether a request carries WebSocket events (its media type, parameters ignored)."""
    media_type = (headers.get("Content-Type") or "").partition(";")[0]
    return media_type.strip(" \t").lower() == CONTENT_TYPE


class WebSocketContext:
    """What a handler sees of a connection while it answers one request.

    Attributes:
        connection_id: the same on all requests of a connection, None from a proxy without.
        opening: the request is the handshake, to be answered with `accept` or refused with an
            ordinary response instead of `to_response`.
        meta: what `set_meta` kept, by lower-case name.
        grip: control messages can be sent, and messages carry the prefix.
        closed: the close code and reason of either side, None while the connection lasts.
        disconnected: the client has vanished, perhaps after messages that are still to be
            received; what is sent is dropped.
    """

    def __init__(
        self,
        events: Iterable[Event],
        *,
        connection_id: str | None = None,
        meta: Mapping[str, str] | None = None,
        grip: bool = True,
        message_prefix: str = DEFAULT_MESSAGE_PREFIX,
    ) -> None:
        self.connection_id = connection_id
        self.meta = dict(meta or {})
        self.grip = grip
        self.closed: Close | None = None
        self._prefix = message_prefix
        self._incoming = deque(events)
        self.opening = bool(self._incoming) and isinstance(self._incoming[0], Open)
        self.disconnected = any(isinstance(event, Disconnect) for event in self._incoming)
        self._accepted = False
        self._outgoing: list[Event] = []
        self._headers: list[Pair] = []

    @classmethod
    def from_request(
        cls,
        headers: Headers,
        body: bytes,
        *,
        grip: bool = True,
        message_prefix: str = DEFAULT_MESSAGE_PREFIX,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> "WebSocketContext":
        """Read a request of the proxy; whoever calls has checked its signature.

        Args:
            headers: header fields of the request.
            body: the whole body.
            grip: use the GRIP extension if the proxy offers it. It must be the same on all
                requests of a connection, as must `message_prefix`.
            message_prefix: what marks messages for the client.
            max_bytes: limit of the body.

        Raises:
            RemoteProtocolError: the request carries no events or malformed ones; `status_hint` is
                400.
        """
        if not is_websocket_request(headers):
            got = shorten(headers.get("Content-Type"))
            raise RemoteProtocolError(f"expected {CONTENT_TYPE}, got {got}", status_hint=400)
        try:
            events = decode_events(body, max_bytes=max_bytes)
            extensions = parse_list(headers.get_all("Sec-WebSocket-Extensions"))
        except RemoteProtocolError as error:
            error.status_hint = 400
            raise
        return cls(
            events,
            connection_id=headers.get("Connection-Id"),
            meta={
                name.lower().removeprefix("meta-"): value
                for name, value in headers
                if name.lower().startswith("meta-")
            },
            grip=grip and any(extension.value == "grip" for extension in extensions),
            message_prefix=message_prefix,
        )

    def accept(
        self,
        *,
        subprotocol: str | None = None,
        headers: Iterable[Pair] = (),
        keep_alive_interval_s: int | None = None,
    ) -> None:
        """Accept the handshake.

        Args:
            subprotocol: one of those the client offered.
            headers: further fields of the answer to the client, for example cookies.
            keep_alive_interval_s: let the proxy send a request after that much silence, at least
                20 seconds; 0 turns it off.

        Raises:
            LocalProtocolError: this request is no handshake, or was accepted before.
        """
        if not self.opening or self._accepted:
            raise LocalProtocolError("expected to accept a handshake, once")
        self._accepted = True
        self._outgoing.insert(0, Open())
        if self.grip:
            custom = self._prefix != DEFAULT_MESSAGE_PREFIX
            parameters = [("message-prefix", self._prefix)] if custom else []
            self._add_header("Sec-WebSocket-Extensions", format_value("grip", parameters))
        if subprotocol is not None:
            self._add_header("Sec-WebSocket-Protocol", subprotocol)
        for name, value in headers:
            self._add_header(name, value)
        if keep_alive_interval_s is not None:
            self.set_keep_alive_interval(keep_alive_interval_s)

    def receive(self) -> Iterator[Message]:
        """Yield the messages of the client, in order.

        Pings and a close are answered on the way, pongs skipped. `closed` and `disconnected` tell
        in the end whether the client has left.
        """
        while self._incoming:
            match self._incoming.popleft():
                case Text() | Binary() as message:
                    yield message
                case Ping(content) if self.closed is None:
                    self.pong(content)
                case Close(code, reason) if self.closed is None:
                    self.close(code, reason)
                case _:
                    pass

    def send(self, message: Message) -> None:
        """Send a message to the client."""
        if self.grip:
            message = type(message)(self._prefix.encode() + message.content)
        self._push(message)

    def send_text(self, text: str) -> None:
        """Send a text message to the client.

        Raises:
            LocalProtocolError: half of a surrogate pair, or the connection is closed.
        """
        try:
            self.send(Text(text.encode()))
        except UnicodeEncodeError:
            raise LocalProtocolError(f"expected text, got {shorten(text)}") from None

    def send_binary(self, data: bytes) -> None:
        """Send a binary message to the client."""
        self.send(Binary(data))

    def ping(self, content: bytes = b"") -> None:
        """Send a ping to the client, at most 125 bytes."""
        self._push(Ping(content))

    def pong(self, content: bytes = b"") -> None:
        """Send a pong to the client, at most 125 bytes. `receive` answers pings by itself."""
        self._push(Pong(content))

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close the connection, after what was sent before.

        Raises:
            LocalProtocolError: no such close code, the reason is too long, or it is closed.
        """
        closed = Close(code, reason)
        self._push(closed)
        self.closed = closed

    def disconnect(self) -> None:
        """Cut the connection without a close frame; what was sent before may be lost."""
        self._push(Disconnect())
        self.disconnected = True

    def control(self, control: Control) -> None:
        """Send a control message to the proxy.

        Raises:
            LocalProtocolError: the GRIP extension is off, or the message makes no sense.
        """
        if not self.grip:
            raise LocalProtocolError("expected a connection with the GRIP extension")
        self._push(Text(encode_control(control)))

    def subscribe(self, channel: str, filters: Iterable[str] = ()) -> None:
        """Subscribe the connection to a channel; a proxy allows 20 of them."""
        self.control(Subscribe(channel, tuple(filters)))

    def unsubscribe(self, channel: str) -> None:
        """End a subscription."""
        self.control(Unsubscribe(channel))

    def keep_alive(
        self,
        message: Outgoing | None,
        timeout_s: int = DEFAULT_KEEP_ALIVE_S,
        mode: KeepAliveMode = KeepAliveMode.IDLE,
    ) -> None:
        """Let the proxy send `message` to the client after silence, or regularly; None: never."""
        self.control(KeepAlive(message, timeout_s, mode))

    def detach(self) -> None:
        """Leave the connection to the proxy: no more requests, publishing goes on."""
        self.control(Detach())

    def set_filter_meta(self, name: str, value: str | None) -> None:
        """Set metadata that filters of subscriptions use, or remove it with None."""
        self.control(SetMeta(name, value))

    def set_meta(self, name: str, value: str | None) -> None:
        """Let the proxy keep `value` and send it with every later request; None removes it.

        Raises:
            LocalProtocolError: the name is no token, the value has control characters or is empty.
        """
        if value == "":
            raise LocalProtocolError("expected a value, or None to remove it")
        self._add_header(f"Set-Meta-{name}", value or "")
        if value is None:
            self.meta.pop(name.lower(), None)
        else:
            self.meta[name.lower()] = value

    def set_keep_alive_interval(self, seconds: int) -> None:
        """Let the proxy send a request after so many seconds of silence, at least 20; 0: never."""
        self._add_header("Keep-Alive-Interval", str(seconds))

    def to_response(self) -> tuple[int, Headers, bytes]:
        """Return status, header fields and body of the answer; messages not yet received are lost.

        Raises:
            LocalProtocolError: the request is a handshake that was not accepted. To refuse one,
                answer with an ordinary response, for example 403.
        """
        if self.opening and not self._accepted:
            raise LocalProtocolError("expected a handshake to be accepted, or refused otherwise")
        for _ in self.receive():
            pass  # so that a ping or close is answered whatever the handler reads
        headers = Headers([("Content-Type", CONTENT_TYPE), *self._headers])
        return 200, headers, encode_events(self._outgoing)

    def _push(self, event: Event) -> None:
        if self.closed is not None:
            raise LocalProtocolError("expected an open connection, but it is closed")
        if not self.disconnected:
            self._outgoing.append(event)

    def _add_header(self, name: str, value: str) -> None:
        if not is_field(name, value):
            raise LocalProtocolError(f"expected a header field, got {shorten(f'{name}: {value}')}")
        self._headers.append((name, value))
