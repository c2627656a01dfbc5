"""Instructions as a backend writes them: `Grip-*` headers, or an `application/grip-instruct` body.

What is written is read back by `grip.instruct` before it is returned, so that a backend learns of a
mistake at once and not by the proxy's 502. Rules are the parser's; here is only spelling.
Source: GRIP §3.3, §4.
"""

import json
from collections.abc import Iterable, Mapping

from grip.errors import LocalProtocolError, RemoteProtocolError, shorten
from grip.headers import Headers, format_value
from grip.instruct import (
    DEFAULT_LINK_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    MEDIA_TYPE,
    Channel,
    Hold,
    Instruct,
    KeepAlive,
    KeepAliveMode,
    Link,
    parse_instruct,
    usual_reason,
)
from grip.json_object import encode_content
from grip.keep_alive import format_keep_alive

__all__ = ["instruct_headers", "instruct_json"]


def instruct_headers(
    hold: Hold | None = None,
    *,
    next_link: Link | None = None,
    gone_link: Link | None = None,
    meta: Mapping[str, str] | None = None,
) -> Headers:
    """Write the headers to add to a response that is to be held, or continued by a link.

    Args:
        hold: hold the request, None for a link only.
        next_link: where the rest of the stream comes from.
        gone_link: whom to tell when the client has gone; it has no time-out to set.
        meta: metadata of the subscriber, for filters.

    Raises:
        LocalProtocolError: something that headers cannot express, such as a comma in the name of
            a channel; `instruct_json` can express more.

    >>> from grip.instruct import HoldMode
    >>> list(instruct_headers(Hold(mode=HoldMode.STREAM, channels=(Channel(name="room"),))))
    [('Grip-Hold', 'stream'), ('Grip-Channel', 'room')]
    """
    fields: list[tuple[str, str]] = []
    if hold is not None:
        fields.append(("Grip-Hold", hold.mode.value))
        fields += [("Grip-Channel", _format_channel(channel)) for channel in hold.channels]
        if hold.timeout_s != DEFAULT_TIMEOUT_S:
            fields.append(("Grip-Timeout", str(hold.timeout_s)))
        if hold.keep_alive is not None:
            fields.append(("Grip-Keep-Alive", format_keep_alive(hold.keep_alive)))
    if next_link is not None:
        fields.append(("Grip-Link", _format_link(next_link, "next")))
    if gone_link is not None:
        fields.append(("Grip-Link", _format_link(gone_link, "gone")))
    for name, value in (meta or {}).items():
        # The value behind the first `;` would be lost, so it is quoted: it is a parameter itself.
        fields.append(("Grip-Set-Meta", format_value("x", [(name, value)]).removeprefix("x; ")))
    headers = Headers(fields)
    _expect(
        Instruct(
            hold=hold,
            next_link=next_link,
            gone_link=gone_link,
            status=200,
            reason=usual_reason(200),
            headers=Headers(),
            body=None,
            meta=dict(meta or {}),
        ),
        headers,
        None,
    )
    return headers


def instruct_json(
    hold: Hold | None = None,
    *,
    status: int = 200,
    reason: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    meta: Mapping[str, str] | None = None,
) -> bytes:
    """Write the body of a reply with status 200 and type `application/grip-instruct`.

    Args:
        hold: hold the request; a keep-alive in it is by interval, JSON knows no other.
        status: status of the response to the client.
        reason: its reason phrase, None for the usual one.
        headers: its headers.
        body: its body.
        meta: metadata of the subscriber, for filters; JSON has it in the hold.

    Raises:
        LocalProtocolError: something that JSON cannot express, such as an idle keep-alive.
    """
    document: dict[str, object] = {}
    if hold is not None:
        document["hold"] = _hold_object(hold, meta or {})
    fields = Headers(headers)
    response: dict[str, object] = {"code": status, **encode_content("body", body)}
    if reason is not None:
        response["reason"] = reason
    if fields:
        response["headers"] = list(fields)
    document["response"] = response
    try:
        encoded = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise LocalProtocolError(f"expected what JSON can express: {error}") from None
    _expect(
        Instruct(
            hold=hold,
            next_link=None,
            gone_link=None,
            status=status,
            reason=reason or usual_reason(status),
            headers=fields,
            body=body,
            meta=dict(meta or {}),
        ),
        Headers([("Content-Type", MEDIA_TYPE)]),
        encoded,
    )
    return encoded


def _expect(meant: Instruct, headers: Headers, body: bytes | None) -> None:
    """Refuse what a proxy would not understand as it is meant."""
    try:
        understood = parse_instruct(status=200, reason="", headers=headers, body=body)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"instructions not valid: {error}") from None
    if understood != meant:
        raise LocalProtocolError(
            f"{shorten(meant, 500)} would be understood as {shorten(understood, 500)}"
        )


def _format_channel(channel: Channel) -> str:
    parameters = [] if channel.prev_id is None else [("prev-id", channel.prev_id)]
    parameters += [("filter", name) for name in channel.filters]
    return format_value(channel.name, parameters)


def _format_link(link: Link, rel: str) -> str:
    if " " in link.uri:  # read from others, but not written: RFC 3986 has no blanks
        raise LocalProtocolError(f"expected a URI, got {shorten(link.uri)}; a blank is %20")
    parameters = [("rel", rel)]
    if rel == "next" and link.timeout_s != DEFAULT_LINK_TIMEOUT_S:
        parameters.append(("timeout", str(link.timeout_s)))
    return format_value(f"<{link.uri}>", parameters)


def _hold_object(hold: Hold, meta: Mapping[str, str]) -> dict[str, object]:
    channels: list[dict[str, object]] = []
    for channel in hold.channels:
        entry: dict[str, object] = {"name": channel.name}
        if channel.prev_id is not None:
            entry["prev-id"] = channel.prev_id
        if channel.filters:
            entry["filters"] = channel.filters
        channels.append(entry)
    encoded: dict[str, object] = {"mode": hold.mode.value, "channels": channels}
    if hold.timeout_s != DEFAULT_TIMEOUT_S:
        encoded["timeout"] = hold.timeout_s
    if hold.keep_alive is not None:
        encoded["keep-alive"] = _keep_alive_object(hold.keep_alive)
    if meta:
        encoded["meta"] = dict(meta)
    return encoded


def _keep_alive_object(keep_alive: KeepAlive) -> dict[str, object]:
    if keep_alive.mode is not KeepAliveMode.INTERVAL:
        raise LocalProtocolError("expected an interval keep-alive, JSON knows no other mode")
    return {**encode_content("content", keep_alive.content), "timeout": keep_alive.timeout_s}
