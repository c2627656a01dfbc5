"""GRIP control messages: what a backend tells the proxy within a text message that starts `c:`.

The rest of such a message is a JSON object with a `type`. The codec says whether a message makes
sense; that a senseless one is to be ignored, and what one does, is the session's business.
Source: GRIP §12.
"""

import base64
import dataclasses
import json
from typing import Final, assert_never

from grip.errors import LocalProtocolError, RemoteProtocolError, shorten
from grip.instruct import KeepAliveMode
from grip.items import MessageType
from grip.json_object import JsonObject, load_json
from grip.ws_over_http.events import Binary, Ping, Pong, Text

__all__ = [
    "CONTROL_PREFIX",
    "DEFAULT_DELAY_S",
    "DEFAULT_KEEP_ALIVE_S",
    "MAX_CONTROL_BYTES",
    "Control",
    "Detach",
    "FlushDelayed",
    "KeepAlive",
    "Outgoing",
    "SendDelayed",
    "Session",
    "SetMeta",
    "Subscribe",
    "Unsubscribe",
    "encode_control",
    "parse_control",
]

CONTROL_PREFIX: Final = b"c:"
"""What a text message starts with if it is a control message."""

MAX_CONTROL_BYTES: Final = 16_384
"""Size of a control message with its prefix; larger ones are ignored (GRIP §12)."""

DEFAULT_KEEP_ALIVE_S: Final = 55
DEFAULT_DELAY_S: Final = 1

type Outgoing = Text | Binary | Ping | Pong
"""What the proxy can be asked to send to the client."""


@dataclasses.dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe the connection to a channel, with filters in order."""

    channel: str
    filters: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Unsubscribe:
    """End a subscription."""

    channel: str


@dataclasses.dataclass(frozen=True, slots=True)
class Detach:
    """Leave the connection to the proxy; the backend hears nothing more of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class KeepAlive:
    """Send `message` after `timeout_s` seconds of silence, or regularly; None turns that off."""

    message: Outgoing | None = None
    timeout_s: int = DEFAULT_KEEP_ALIVE_S
    mode: KeepAliveMode = KeepAliveMode.IDLE


@dataclasses.dataclass(frozen=True, slots=True)
class SendDelayed:
    """Send `message` once, in `timeout_s` seconds."""

    message: Outgoing
    timeout_s: int = DEFAULT_DELAY_S


@dataclasses.dataclass(frozen=True, slots=True)
class FlushDelayed:
    """Send the delayed message now."""


@dataclasses.dataclass(frozen=True, slots=True)
class SetMeta:
    """Set metadata for filters; None removes it."""

    name: str
    value: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """Name the session, for an external state service."""

    id: str | None = None


type Control = (
    Subscribe | Unsubscribe | Detach | KeepAlive | SendDelayed | FlushDelayed | SetMeta | Session
)


def encode_control(control: Control) -> bytes:
    """Return the content of the text message that carries `control`, prefix included.

    Raises:
        LocalProtocolError: `parse_control` would refuse it.

    >>> encode_control(Subscribe("room"))
    b'c:{"type":"subscribe","channel":"room"}'
    """
    text = json.dumps(_fields(control), separators=(",", ":"))
    content = CONTROL_PREFIX + text.encode()
    try:
        parse_control(content)
    except RemoteProtocolError as error:
        raise LocalProtocolError(str(error)) from None
    return content


def parse_control(content: bytes) -> Control:
    """Read a text message that starts with `c:`.

    Raises:
        RemoteProtocolError: it makes no sense, or is larger than `MAX_CONTROL_BYTES`. The proxy
            ignores such messages.
    """
    if len(content) > MAX_CONTROL_BYTES:
        raise RemoteProtocolError(
            f"expected a control message of at most {MAX_CONTROL_BYTES} bytes, got {len(content)}"
        )
    fields = JsonObject(load_json(content.removeprefix(CONTROL_PREFIX)), "control message")
    match fields.required_text("type"):
        case "subscribe":
            return Subscribe(_required(fields, "channel"), fields.texts("filters") or ())
        case "unsubscribe":
            return Unsubscribe(_required(fields, "channel"))
        case "detach":
            return Detach()
        case "keep-alive":
            return _parse_keep_alive(fields)
        case "send-delayed":
            message = _parse_message(fields)
            if message is None:
                fields.require("content", "content-bin")
                raise AssertionError("unreachable")
            timeout_s = fields.integer("timeout")
            return SendDelayed(message, DEFAULT_DELAY_S if timeout_s is None else timeout_s)
        case "flush-delayed":
            return FlushDelayed()
        case "set-meta":
            return SetMeta(_required(fields, "name"), fields.text("value"))
        case "session":
            return Session(fields.text("id"))
        case other:
            raise RemoteProtocolError(f"expected a type of control message, got {shorten(other)}")


def _required(fields: JsonObject, key: str) -> str:
    return fields.required_text(key) or fields.invalid_value(key)


def _parse_keep_alive(fields: JsonObject) -> KeepAlive:
    message = _parse_message(fields)
    if message is None:
        return KeepAlive()
    timeout_s = fields.integer("timeout")
    mode = fields.text("mode")
    try:
        return KeepAlive(
            message,
            DEFAULT_KEEP_ALIVE_S if timeout_s is None else max(timeout_s, 1),
            KeepAliveMode.IDLE if mode is None else KeepAliveMode(mode),
        )
    except ValueError:
        fields.invalid_value("mode")


def _parse_message(fields: JsonObject) -> Outgoing | None:
    """Return the message with its type, None without content. Binary content may be text."""
    content = fields.content("content", "content-bin")
    kind = fields.text("message-type")
    try:
        build = _MESSAGES[MessageType.TEXT if kind is None else MessageType(kind)]
    except ValueError:
        fields.invalid_value("message-type")
    if content is None:
        return None
    try:
        if build is Text:
            content.decode()
        return build(content)
    except (UnicodeDecodeError, LocalProtocolError):
        fields.invalid_value("content")


def _fields(control: Control) -> dict[str, object]:
    """Return the JSON object for `control`, without what is the default."""
    match control:
        case Subscribe(channel, filters):
            fields: dict[str, object] = {"type": "subscribe", "channel": channel}
            return fields | ({"filters": filters} if filters else {})
        case Unsubscribe(channel):
            return {"type": "unsubscribe", "channel": channel}
        case Detach():
            return {"type": "detach"}
        case KeepAlive(message, timeout_s, mode):
            fields = {"type": "keep-alive"}
            if message is not None:
                fields |= _message_fields(message) | {"timeout": timeout_s}
                if mode is not KeepAliveMode.IDLE:
                    fields["mode"] = mode.value
            return fields
        case SendDelayed(message, timeout_s):
            return {"type": "send-delayed", **_message_fields(message), "timeout": timeout_s}
        case FlushDelayed():
            return {"type": "flush-delayed"}
        case SetMeta(name, value):
            fields = {"type": "set-meta", "name": name}
            return fields | ({} if value is None else {"value": value})
        case Session(session_id):
            fields = {"type": "session"}
            return fields | ({} if session_id is None else {"id": session_id})
        case _:
            assert_never(control)


def _message_fields(message: Outgoing) -> dict[str, object]:
    if isinstance(message, Text):
        return {"content": message.text}
    kind = next(kind for kind, build in _MESSAGES.items() if build is type(message))
    return {
        "content-bin": base64.b64encode(message.content).decode(),
        "message-type": kind.value,
    }


_MESSAGES: Final[dict[MessageType, type[Outgoing]]] = {
    MessageType.TEXT: Text,
    MessageType.BINARY: Binary,
    MessageType.PING: Ping,
    MessageType.PONG: Pong,
}
