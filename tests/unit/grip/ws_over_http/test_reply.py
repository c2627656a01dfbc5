"""A backend's reply taken apart (GRIP §11.3, §11.4, §12)."""

import pytest

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.ws_over_http.events import CONTENT_TYPE, Open, Text
from grip.ws_over_http.reply import (
    handshake_headers,
    is_event_reply,
    parse_message_prefix,
    parse_reply,
)

TYPE = ("Content-Type", CONTENT_TYPE)


@pytest.mark.parametrize(
    ("status", "content_type", "carries"),
    [
        (200, CONTENT_TYPE, True),
        (204, CONTENT_TYPE, False),
        (200, CONTENT_TYPE + "; charset=utf-8", False),
        (200, "text/plain", False),
        (200, None, False),
    ],
)
def test_which_replies_carry_events(status: int, content_type: str | None, carries: bool) -> None:
    headers = Headers([] if content_type is None else [("Content-Type", content_type)])
    assert is_event_reply(status, headers) is carries


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("60", 60), ("5", 20), ("0", 0), ("-1", 0), ("soon", 0), ("", 0)],
)
def test_keep_alive_interval(value: str | None, seconds: int | None) -> None:
    headers = Headers([] if value is None else [("Keep-Alive-Interval", value)])
    assert parse_reply(headers, b"").keep_alive_interval_s == seconds


@pytest.mark.parametrize(
    ("value", "accepted"), [(None, None), ("0", 0), ("12", 12), ("-1", None), ("x", None)]
)
def test_accepted_bytes(value: str | None, accepted: int | None) -> None:
    """GRIP §11.8; what makes no sense accepts everything."""
    headers = Headers([] if value is None else [("Content-Bytes-Accepted", value)])
    assert parse_reply(headers, b"").accepted_bytes == accepted


def test_events_and_metadata() -> None:
    reply = parse_reply(
        Headers([TYPE, ("Set-Meta-User", "alice"), ("set-meta-room", ""), ("Set-Meta-", "x")]),
        b"OPEN\r\nHELLO\r\nTEXT 1\r\na\r\n",
    )
    assert reply.events == [Open(), Text(b"a")]
    assert reply.meta == (("User", "alice"), ("room", ""))


def test_malformed_events() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_reply(Headers([TYPE]), b"TEXT zz\r\n")


@pytest.mark.parametrize(
    ("values", "prefix"),
    [
        ([], None),
        (["permessage-deflate"], None),
        (["grip"], b"m:"),
        (["permessage-deflate, grip"], b"m:"),
        (["x", "grip; message-prefix=p"], b"p"),
        (['grip; message-prefix="=> "'], b"=> "),
        (['grip; message-prefix=""'], b""),
    ],
)
def test_message_prefix(values: list[str], prefix: bytes | None) -> None:
    headers = Headers(("Sec-WebSocket-Extensions", value) for value in values)
    assert parse_message_prefix(headers) == prefix


def test_malformed_extension() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_message_prefix(Headers([("Sec-WebSocket-Extensions", 'grip; a="')]))


def test_headers_for_the_client() -> None:
    """GRIP §11.4."""
    headers = Headers(
        [
            TYPE,
            ("Content-Length", "6"),
            ("Set-Cookie", "a=1"),
            ("Keep-Alive-Interval", "60"),
            ("Set-Meta-User", "alice"),
            ("Sec-WebSocket-Extensions", "grip"),
            ("Sec-WebSocket-Protocol", "chat"),
            ("Connection", "close"),
            ("Grip-Something", "x"),
            ("Set-Cookie", "b=2"),
        ]
    )
    assert list(handshake_headers(headers)) == [
        ("Set-Cookie", "a=1"),
        ("Sec-WebSocket-Protocol", "chat"),
        ("Grip-Something", "x"),
        ("Set-Cookie", "b=2"),
    ]
