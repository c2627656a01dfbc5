"""Instructions of a backend to the proxy: `Grip-*` headers and `application/grip-instruct`.

Understands replies; what to do about them is the hold's business (`grip.hold`), and
`grip.instruct_encode` is the way back. Every fault in instructions means 502 for the client.
Source: GRIP §3 (headers), §4 (JSON), §13 (limits).
"""

import dataclasses
import enum
import http
import re
import urllib.parse
from collections.abc import Iterable, Mapping

from grip.errors import RemoteProtocolError, shorten
from grip.headers import Headers, is_field, parse_list, parse_parameters, split_list
from grip.json_object import JsonObject, load_json, parse_integer
from grip.keep_alive import (
    DEFAULT_KEEP_ALIVE_S,
    MIN_KEEP_ALIVE_S,
    KeepAlive,
    KeepAliveMode,
    parse_keep_alive,
)

__all__ = [
    "MAX_CHANNELS",
    "MAX_FILTERS",
    "MEDIA_TYPE",
    "Channel",
    "Hold",
    "HoldMode",
    "Instruct",
    "KeepAlive",
    "KeepAliveMode",
    "Link",
    "has_instructions",
    "parse_instruct",
    "usual_reason",
]

MEDIA_TYPE = "application/grip-instruct"
MAX_CHANNELS = 20  # subscriptions of a connection; more are ignored
MAX_FILTERS = 5  # filters of a channel; more are an error (Pushpin 1.41)
MAX_STATUS = 999
DEFAULT_TIMEOUT_S = 55
MIN_TIMEOUT_S = 5
DEFAULT_LINK_TIMEOUT_S = 120

_REASONS = {status.value: status.phrase for status in http.HTTPStatus}
_NOT_IN_URI = re.compile(r"[\x00-\x1f\x7f<>\"]")  # blanks pass: Django's `request.path` has them


class HoldMode(enum.Enum):
    """How a request is held."""

    RESPONSE = "response"
    STREAM = "stream"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A subscription: channel name, the id it is at, and its filters in order."""

    name: str
    prev_id: str | None = None
    filters: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Hold the client's request.

    Attributes:
        timeout_s: seconds until a long poll ends, at least 5.
        channels: at most 20, each name once.
    """

    mode: HoldMode
    channels: tuple[Channel, ...] = ()
    timeout_s: int = DEFAULT_TIMEOUT_S
    keep_alive: KeepAlive | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A `next` or `gone` link; `uri` as given, absolute or relative."""

    uri: str
    timeout_s: int = DEFAULT_LINK_TIMEOUT_S


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Instruct:
    """A backend's reply, understood.

    Attributes:
        hold: how to hold, None to answer at once.
        next_link, gone_link: links to follow, None without.
        status, reason, headers: head of the response for the client; `Grip-*` removed and
            `Grip-Expose-Headers` obeyed, `Content-Length` removed.
        body: body of that response, None where it is the body of the reply itself.
        meta: metadata of the subscriber, for filters.
    """

    hold: Hold | None
    next_link: Link | None
    gone_link: Link | None
    status: int
    reason: str
    headers: Headers
    body: bytes | None
    meta: Mapping[str, str]


_HOLD_MODES = {mode.value: mode for mode in HoldMode}


def usual_reason(status: int) -> str:
    """Return the reason phrase that belongs to `status` (RFC 9110 §15)."""
    return _REASONS.get(status, "Undefined Reason")


def has_instructions(headers: Headers) -> bool:
    """Tell whether a reply has instructions, so that `parse_instruct` must see it (GRIP §3.1)."""
    return any(name[:5].lower() == "grip-" for name, _ in headers) or _is_json(headers)


def parse_instruct(*, status: int, reason: str, headers: Headers, body: bytes | None) -> Instruct:
    """Understand a backend's reply.

    Args:
        status: status of the reply.
        reason: its reason phrase; the usual one if empty.
        headers: its headers.
        body: its whole body, or None if that is relayed as it comes (GRIP §3.1), which needs
            instructions by headers alone.

    Raises:
        RemoteProtocolError: with status 502; there is a fault in the instructions.
    """
    grip: dict[str, list[str]] = {}
    others: list[tuple[str, str]] = []
    for name, value in headers:
        lower = name.lower()
        if lower.startswith("grip-"):
            grip.setdefault(lower, []).append(value)
        elif lower != "content-length":
            others.append((name, value))
    draft = _Draft(status=status, reason=reason, headers=others)
    _obey_headers(draft, grip)
    if _is_json(headers):
        if status != 200:
            raise RemoteProtocolError(f"expected status 200 of an {MEDIA_TYPE} reply, got {status}")
        if body is None:
            raise RemoteProtocolError(f"expected the whole body of an {MEDIA_TYPE} reply")
        _obey_json(draft, JsonObject(load_json(body), "instruct"))
    return draft.finished()


def _is_json(headers: Headers) -> bool:
    content_type = headers.get("content-type")
    return content_type is not None and (
        content_type.partition(";")[0].strip(" \t").lower() == MEDIA_TYPE
    )


@dataclasses.dataclass(slots=True, kw_only=True)
class _Draft:
    """An instruct in the making; headers fill it first, then JSON."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes | None = None
    mode: HoldMode | None = None
    channels: list[Channel] = dataclasses.field(default_factory=list)
    timeout_s: int = DEFAULT_TIMEOUT_S
    keep_alive: KeepAlive | None = None
    next_link: Link | None = None
    gone_link: Link | None = None
    meta: dict[str, str] = dataclasses.field(default_factory=dict)

    def finished(self) -> Instruct:
        """Apply the rules that hold for headers and JSON together."""
        hold = None
        if self.mode is not None:
            # Named twice is subscribed once, with what was said last.
            channels = {channel.name: channel for channel in self.channels}
            for channel in channels.values():
                if len(channel.filters) > MAX_FILTERS:
                    raise RemoteProtocolError(
                        f"expected at most {MAX_FILTERS} filters for channel "
                        f"{shorten(channel.name)}, got {len(channel.filters)}"
                    )
            hold = Hold(
                mode=self.mode,
                channels=tuple(channels.values())[:MAX_CHANNELS],
                timeout_s=max(self.timeout_s, MIN_TIMEOUT_S),
                keep_alive=self.keep_alive,
            )
        return Instruct(
            hold=hold,
            next_link=self.next_link,
            gone_link=self.gone_link,
            status=self.status,
            reason=self.reason or usual_reason(self.status),
            headers=Headers(self.headers),
            body=self.body,
            meta=self.meta,
        )


def _obey_headers(draft: _Draft, grip: Mapping[str, list[str]]) -> None:
    """Take over `Grip-*` headers (GRIP §3.3); names are in lower case."""
    for name, values in grip.items():
        if name == "grip-keep-alive":  # its data may be any bytes
            draft.keep_alive = parse_keep_alive(values[0])
            continue
        for value in values:
            _check_utf8(name, value)
        match name:
            case "grip-hold":
                draft.mode = _parse_mode(values[0])
            case "grip-channel":
                draft.channels = [
                    Channel(
                        name=channel.value,
                        prev_id=channel.get("prev-id"),
                        filters=tuple(v for key, v in channel.parameters if key == "filter"),
                    )
                    for channel in parse_list(values)
                ]
            case "grip-timeout":
                draft.timeout_s = _parse_seconds(name, values[0])
            case "grip-status" if values[0]:
                code, _, draft.reason = values[0].partition(" ")
                draft.status = _parse_status(code)
            case "grip-set-meta":
                # Not `parse_list`: here the first part is a parameter too, and may be quoted.
                pairs = [parse_parameters(element)[:1] for element in split_list(values)]
                draft.meta = {key: value for pair in pairs for key, value in pair}
            case "grip-expose-headers":
                exposed = {header.lower() for header in split_list(values)}
                if exposed:
                    draft.headers = [pair for pair in draft.headers if pair[0].lower() in exposed]
            case "grip-link":
                _obey_links(draft, values)


def _obey_links(draft: _Draft, values: Iterable[str]) -> None:
    for link in parse_list(values):
        rel = link.get("rel")
        if rel not in ("next", "gone"):
            continue
        uri = link.value[1:-1]
        if link.value != f"<{uri}>" or not _is_uri(uri):
            raise RemoteProtocolError(f"expected <URI> in grip-link, got {shorten(link.value)}")
        if rel == "gone":
            draft.gone_link = Link(uri=uri)
        else:
            timeout = link.get("timeout")
            timeout_s = DEFAULT_LINK_TIMEOUT_S
            if timeout is not None:
                timeout_s = _parse_seconds("timeout of grip-link", timeout)
            draft.next_link = Link(uri=uri, timeout_s=timeout_s)


def _is_uri(text: str) -> bool:
    if not text or _NOT_IN_URI.search(text):
        return False
    try:
        return urllib.parse.urlsplit(text).port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _parse_mode(value: str) -> HoldMode:
    mode = _HOLD_MODES.get(value)
    if mode is None:
        raise RemoteProtocolError(f"expected a hold of response or stream, got {shorten(value)}")
    return mode


def _parse_status(text: str) -> int:
    status = parse_integer(text)
    if status is None or not 0 <= status <= MAX_STATUS:
        raise RemoteProtocolError(f"expected 0 to {MAX_STATUS} in grip-status, got {shorten(text)}")
    return status


def _parse_seconds(what: str, text: str) -> int:
    seconds = parse_integer(text)
    if seconds is None or seconds < 0:
        raise RemoteProtocolError(f"expected whole seconds in {what}, got {shorten(text)}")
    return seconds


def _check_utf8(name: str, value: str) -> None:
    """Refuse bytes that are no UTF-8: they could name a channel that nobody can publish to."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RemoteProtocolError(f"expected UTF-8 in {name}, got {shorten(value)}") from None


def _obey_json(draft: _Draft, document: JsonObject) -> None:
    """Take over a JSON document (GRIP §4)."""
    hold = document.object("hold")
    if hold is not None:
        draft.mode = _parse_mode(_or(hold.text("mode"), "response"))
        draft.timeout_s = _or(hold.integer("timeout"), draft.timeout_s)
        draft.meta |= hold.text_map("meta") or {}
        hold.require("channels")
        for value in hold.list("channels") or ():
            channel = JsonObject(value, "channel")
            draft.channels.append(
                Channel(
                    name=channel.required_text("name"),
                    prev_id=channel.text("prev-id"),
                    filters=channel.texts("filters") or (),
                )
            )
        keep_alive = hold.object("keep-alive")
        if keep_alive is not None:
            content = keep_alive.content("content", "content-bin")
            timeout_s = _or(keep_alive.integer("timeout"), DEFAULT_KEEP_ALIVE_S)
            draft.keep_alive = None
            if content:
                draft.keep_alive = KeepAlive(
                    content=content,
                    timeout_s=max(timeout_s, MIN_KEEP_ALIVE_S),
                    mode=KeepAliveMode.INTERVAL,
                )
    draft.headers = []
    body: bytes | None = None
    response = document.object("response")
    if response is not None:
        code = response.integer("code", MAX_STATUS)
        if code is not None:
            draft.status, draft.reason = code, ""
        reason = response.text("reason")
        if reason:
            if not is_field("reason", reason):
                response.invalid_value("reason")
            draft.reason = reason
        draft.headers = [
            pair
            for pair in response.headers("headers") or ()
            if not (lower := pair[0].lower()).startswith("grip-") and lower != "content-length"
        ]
        body = response.content("body", "body-bin")
    if body is None and draft.mode is None and draft.next_link is None:
        # Pushpin insists, so it is better to hear of it here than in production.
        raise RemoteProtocolError("expected a body, maybe empty, in a response that is not held")
    draft.body = body or b""


def _or[T](value: T | None, default: T) -> T:
    return default if value is None else value
