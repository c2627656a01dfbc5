"""A client's opening handshake (RFC 6455 §4.2)."""

import pytest

from grip.headers import Headers
from host_sim.fanout.handshake import (
    check_handshake,
    negotiate_compression,
    switching_headers,
)

VALID = Headers(
    [
        ("Host", "example.com"),
        ("Upgrade", "WebSocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ]
)


def test_a_valid_handshake() -> None:
    assert check_handshake(VALID) is None


@pytest.mark.parametrize(
    "headers",
    [
        VALID.without("Connection"),
        VALID.replaced("Connection", "close"),
        VALID.without("Sec-WebSocket-Key"),
        VALID.replaced("Sec-WebSocket-Key", ""),
        VALID.replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZQ=="),
        VALID.replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"),
        VALID.replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ\udcff=="),
        VALID.plus(("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")),
    ],
)
def test_an_invalid_handshake(headers: Headers) -> None:
    refusal = check_handshake(headers)
    assert refusal is not None
    assert refusal.status == 400


@pytest.mark.parametrize("version", [None, "8", "13, 8", "13.0"])
def test_another_version(version: str | None) -> None:
    """RFC 6455 §4.2.2: the answer says which version is spoken."""
    headers = VALID.without("Sec-WebSocket-Version")
    if version is not None:
        headers = headers.plus(("Sec-WebSocket-Version", version))
    refusal = check_handshake(headers)
    assert refusal is not None
    assert refusal.status == 426
    assert refusal.headers.get("Sec-WebSocket-Version") == "13"


def test_the_answer_has_the_key_of_the_rfc() -> None:
    """RFC 6455 §1.3; a field that would break the answer is left out."""
    accepted = Headers([("Set-Cookie", "a=1"), ("X-Bad", "1\r\nX-Worse: 2")])
    assert list(switching_headers(VALID, accepted)) == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("Set-Cookie", "a=1"),
    ]


@pytest.mark.parametrize(
    ("offer", "accepted"),
    [
        (None, None),
        ("x-webkit-deflate-frame", None),
        ('permessage-deflate; a="', None),
        ("permessage-deflate; server_max_window_bits=7", None),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
    ],
)
def test_compression_is_accepted_if_it_is_offered(offer: str | None, accepted: str | None) -> None:
    """RFC 7692 §7.1."""
    headers = VALID if offer is None else VALID.plus(("Sec-WebSocket-Extensions", offer))
    answer, extensions = negotiate_compression(headers)
    assert answer.get("Sec-WebSocket-Extensions") == accepted
    assert len(extensions) == (0 if accepted is None else 1)
