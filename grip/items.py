"""Publish items with their formats, and the JSON they travel in.

Knows what an item is, not what happens to it: delivery, order and filters are others' business.
Error texts are those of Pushpin, because publishers get to see them.
Source: GRIP §8.1 (answers), §8.2 (items and formats), §8.4 (WebSockets).
"""

import base64
import dataclasses
import enum
import json
from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from grip.errors import LocalProtocolError, RemoteProtocolError, shorten
from grip.headers import Headers, is_field
from grip.json_object import JsonObject, encode_content, load_json

__all__ = [
    "Action",
    "HttpResponseFormat",
    "HttpStreamFormat",
    "Item",
    "MessageType",
    "WsMessageFormat",
    "encode_publish",
    "parse_publish",
]

MAX_STATUS = 999
MAX_CONTROL_PAYLOAD = 125  # bytes in a ping or pong (RFC 6455 §5.5)
MAX_CLOSE_REASON = 123  # bytes, what the code leaves of a close frame


class Action(enum.Enum):
    """What an item does to a subscriber."""

    SEND = "send"
    HINT = "hint"
    CLOSE = "close"
    REFRESH = "refresh"


class MessageType(enum.Enum):
    """Type of a WebSocket message."""

    TEXT = "text"
    BINARY = "binary"
    PING = "ping"
    PONG = "pong"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponseFormat:
    """Format `http-response`: the answer to a long poll.

    Attributes:
        code: status, 0 to 999.
        reason: reason phrase, None for the usual one.
        headers: fields of the item, `Grip-*` among them if it has such.
        body: body, None when `patch` is given.
        patch: JSON Patch operations (RFC 6902) for the body of the hold's reply.
        content_filters: the content filters the publisher counts on, None if it does not say.
    """

    action: Action = Action.SEND
    code: int = 200
    reason: str | None = None
    headers: Headers = dataclasses.field(default_factory=Headers)
    body: bytes | None = b""
    patch: tuple[Mapping[str, object], ...] | None = None
    content_filters: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpStreamFormat:
    """Format `http-stream`: a piece of a stream."""

    action: Action = Action.SEND
    content: bytes = b""
    content_filters: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WsMessageFormat:
    """Format `ws-message`: one WebSocket message, or a close.

    Attributes:
        content: the payload; text is UTF-8.
        type: type of the message.
        code: close code for `Action.CLOSE`, None for 1000.
        reason: close reason.
    """

    action: Action = Action.SEND
    content: bytes = b""
    type: MessageType = MessageType.TEXT
    code: int | None = None
    reason: str = ""
    content_filters: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One published item: one channel, at most one payload per format.

    Attributes:
        id: id of the item within its channel.
        prev_id: id of the item before it.
        no_seq: deliver at once, whatever its ids.
        meta: metadata for delivery filters.
    """

    channel: str
    http_response: HttpResponseFormat | None = None
    http_stream: HttpStreamFormat | None = None
    ws_message: WsMessageFormat | None = None
    id: str | None = None
    prev_id: str | None = None
    no_seq: bool = False
    meta: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def message(
        cls,
        channel: str,
        content: str | bytes,
        *,
        newline: bool = False,
        item_id: str | None = None,
        prev_id: str | None = None,
    ) -> "Item":
        """Build an item that says the same to every kind of subscriber.

        Args:
            channel: who gets it.
            content: text; or bytes, which become a binary WebSocket message.
            newline: end the content of streams with a line end, for clients that read lines.
            item_id: its id, see GRIP §9.
            prev_id: id of the item before it.

        Raises:
            LocalProtocolError: the text has lone surrogates.
        """
        try:
            binary = content if isinstance(content, bytes) else content.encode()
        except UnicodeEncodeError:
            raise LocalProtocolError(f"expected text or bytes, got {shorten(content)}") from None
        return cls(
            channel=channel,
            id=item_id,
            prev_id=prev_id,
            http_response=HttpResponseFormat(body=binary),
            http_stream=HttpStreamFormat(content=binary + b"\n" if newline else binary),
            ws_message=WsMessageFormat(
                content=binary,
                type=MessageType.BINARY if isinstance(content, bytes) else MessageType.TEXT,
            ),
        )


_ACTIONS = {action.value: action for action in Action}
_MESSAGE_TYPES = {kind.value: kind for kind in MessageType}
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


def parse_publish(body: bytes) -> list[Item]:
    """Parse the body of a publish request: all items, or none at all (GRIP §8.1).

    Raises:
        RemoteProtocolError: with status 400; its message is the answer to the publisher, less the
            line end.
    """
    try:
        document = load_json(body)
        if not isinstance(document, dict | list):
            raise RemoteProtocolError("expected an object")
    except RemoteProtocolError:
        raise RemoteProtocolError("Body is not valid JSON.", status_hint=400) from None
    if isinstance(document, list):
        raise RemoteProtocolError("Invalid format.", status_hint=400)
    try:
        request = JsonObject(document, "object")
        request.require("items")
        return [_parse_item(item) for item in request.list("items") or ()]
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"Invalid format: {error}", status_hint=400) from None


def encode_publish(items: Iterable[Item]) -> bytes:
    """Write the body of a publish request; `parse_publish` gives the items back.

    Fields with their default values are left out, so that a service which knows only the
    documented ones (GRIP §14) understands as much as possible.

    Raises:
        LocalProtocolError: an item would not arrive as it was given.
    """
    given = list(items)
    document = {"items": [_encode_item(item) for item in given]}
    try:
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        arrived = parse_publish(body)  # the parser knows all the rules, so let it judge
    except (TypeError, ValueError, RecursionError, RemoteProtocolError) as error:
        raise LocalProtocolError(f"item cannot be published: {error}") from None
    for before, after in zip(given, arrived, strict=True):
        if before != after:
            raise LocalProtocolError(
                f"{shorten(before, 300)} would arrive as {shorten(after, 300)}"
            )
    return body


def _parse_item(value: object) -> Item:
    item = JsonObject(value, "publish item object")
    channel = item.required_text("channel")
    item_id, prev_id = item.text("id"), item.text("prev-id")
    formats = item.object("formats")
    if formats is None:
        formats = item
        known = any(name in item for name in ("http-response", "http-stream", "ws-message"))
    else:
        known = len(formats) > 0
    if not known:
        raise RemoteProtocolError("no formats specified")
    parsed = Item(
        channel=channel,
        id=item_id,
        prev_id=prev_id,
        http_response=_parse_format(formats, "http-response", _parse_http_response),
        http_stream=_parse_format(formats, "http-stream", _parse_http_stream),
        ws_message=_parse_format(formats, "ws-message", _parse_ws_message),
        meta=item.text_map("meta") or {},
        no_seq=item.boolean("no-seq") or False,
    )
    item.integer("size")  # for statistics only; checked as Pushpin does
    return parsed


def _parse_format[Format](
    formats: JsonObject, name: str, parse: Callable[[JsonObject], Format]
) -> Format | None:
    return parse(JsonObject(formats.value(name), f"'{name}'")) if name in formats else None


def _parse_http_response(fields: JsonObject) -> HttpResponseFormat:
    action = _parse_action(fields)
    if action is not Action.SEND:
        return HttpResponseFormat(action=action)
    code = fields.integer("code", MAX_STATUS)
    reason = fields.text("reason")
    if reason is not None and not is_field("reason", reason):
        fields.invalid_value("reason")
    headers = fields.headers("headers")
    content_filters = fields.texts("content-filters")
    fields.require("body", "body-bin", "body-patch")
    body = fields.content("body", "body-bin")
    patch = None if body is not None else _parse_patch(fields)
    return HttpResponseFormat(
        code=200 if code is None else code,
        reason=reason or None,
        headers=headers or Headers(),
        body=body,
        patch=patch,
        content_filters=content_filters,
    )


def _parse_patch(fields: JsonObject) -> tuple[Mapping[str, object], ...]:
    operations = fields.list("body-patch") or []
    if not all(isinstance(operation, dict) for operation in operations):
        fields.invalid_value("body-patch")
    return tuple(operations)


def _parse_http_stream(fields: JsonObject) -> HttpStreamFormat:
    action = _parse_action(fields)
    if action is not Action.SEND:
        return HttpStreamFormat(action=action)
    content_filters = fields.texts("content-filters")
    fields.require("content", "content-bin")
    content = fields.content("content", "content-bin")
    return HttpStreamFormat(content=content or b"", content_filters=content_filters)


def _parse_ws_message(fields: JsonObject) -> WsMessageFormat:
    action = _parse_action(fields)
    if action is Action.CLOSE:
        code, reason = fields.integer("code"), fields.text("reason") or ""
        if code is not None and not _is_close_code(code):
            fields.invalid_value("code")
        if len(reason.encode()) > MAX_CLOSE_REASON:
            fields.invalid_value("reason")
        return WsMessageFormat(action=action, code=code, reason=reason)
    if action is not Action.SEND:
        return WsMessageFormat(action=action)
    name = fields.text("type")
    default = MessageType.BINARY if "content-bin" in fields else MessageType.TEXT
    kind = default if name is None else _MESSAGE_TYPES.get(name)
    if kind is None:
        raise RemoteProtocolError("'ws-message' contains 'type' with unknown value")
    content_filters = fields.texts("content-filters")
    if kind in (MessageType.TEXT, MessageType.BINARY):
        fields.require("content", "content-bin")
    content = fields.content("content", "content-bin") or b""
    if not _is_payload(kind, content):
        fields.invalid_value("content-bin" if "content-bin" in fields else "content")
    return WsMessageFormat(content=content, type=kind, content_filters=content_filters)


def _parse_action(fields: JsonObject) -> Action:
    name = fields.text("action")
    action = Action.SEND if name is None else _ACTIONS.get(name)
    if action is None:
        raise RemoteProtocolError(f"unknown 'action' {shorten(name)}")
    return action


def _is_close_code(code: int) -> bool:
    """Tell whether a close frame may carry `code` (RFC 6455 §7.4)."""
    return code in _CLOSE_CODES or 3000 <= code <= 4999


def _is_payload(kind: MessageType, content: bytes) -> bool:
    """Tell whether `content` may go into a frame of that type (RFC 6455 §5.5, §5.6)."""
    match kind:
        case MessageType.TEXT:
            try:
                content.decode()
            except UnicodeDecodeError:
                return False
            return True
        case MessageType.BINARY:
            return True
        case MessageType.PING | MessageType.PONG:
            return len(content) <= MAX_CONTROL_PAYLOAD
        case _:
            assert_never(kind)


def _encode_item(item: Item) -> dict[str, object]:
    formats: dict[str, object] = {}
    if item.http_response is not None:
        formats["http-response"] = _encode_http_response(item.http_response)
    if item.http_stream is not None:
        formats["http-stream"] = _encode_http_stream(item.http_stream)
    if item.ws_message is not None:
        formats["ws-message"] = _encode_ws_message(item.ws_message)
    encoded: dict[str, object] = {"channel": item.channel}
    if item.id is not None:
        encoded["id"] = item.id
    if item.prev_id is not None:
        encoded["prev-id"] = item.prev_id
    if item.no_seq:
        encoded["no-seq"] = True
    if item.meta:
        encoded["meta"] = dict(item.meta)
    return encoded | {"formats": formats}


def _encode_http_response(response: HttpResponseFormat) -> dict[str, object]:
    encoded = _encode_common(response)
    if response.action is not Action.SEND:
        return encoded
    if response.code != 200:
        encoded["code"] = response.code
    if response.reason is not None:
        encoded["reason"] = response.reason
    if response.headers:
        repeated = len({name for name, _ in response.headers}) < len(response.headers)
        encoded["headers"] = list(response.headers) if repeated else dict(response.headers)
    if (response.body is None) == (response.patch is None):
        raise LocalProtocolError("expected either a body or a patch, so one of them as None")
    if response.patch is not None:
        return encoded | {"body-patch": response.patch}
    return encoded | encode_content("body", response.body or b"")


def _encode_http_stream(stream: HttpStreamFormat) -> dict[str, object]:
    encoded = _encode_common(stream)
    if stream.action is not Action.SEND:
        return encoded
    return encoded | encode_content("content", stream.content)


def _encode_ws_message(message: WsMessageFormat) -> dict[str, object]:
    encoded = _encode_common(message)
    match message.action, message.type:
        case Action.SEND, MessageType.TEXT:
            return encoded | encode_content("content", message.content)
        case Action.SEND, MessageType.BINARY:  # `content-bin` alone makes a binary message
            return encoded | {"content-bin": base64.b64encode(message.content).decode()}
        case Action.SEND, kind:
            return encoded | {"type": kind.value} | encode_content("content", message.content)
        case Action.CLOSE, _:
            if message.code is not None:
                encoded["code"] = message.code
            if message.reason:
                encoded["reason"] = message.reason
    return encoded


def _encode_common(
    payload: HttpResponseFormat | HttpStreamFormat | WsMessageFormat,
) -> dict[str, object]:
    encoded: dict[str, object] = {}
    if payload.action is not Action.SEND:
        encoded["action"] = payload.action.value
    if payload.content_filters is not None:
        encoded["content-filters"] = payload.content_filters
    return encoded
