"""Keep-alive data and its header (GRIP §6.2)."""

import pytest

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.keep_alive import KeepAlive, KeepAliveMode, format_keep_alive, parse_keep_alive


@pytest.mark.parametrize(
    ("header", "content"),
    [
        ("beat", b"beat"),
        (" beat ; x=y", b"beat"),
        ("a, b", b"a, b"),
        (r"\n; format=raw", rb"\n"),
        ("beat; format=", b"beat"),
        ("\udcff", b"\xff"),
        (r"\n\r\\\x41\xfF; format=cstring", b"\n\r\\A\xff"),
        (r"a\qb; format=cstring", b"ab"),
        ('\\";format=cstring', b""),
        (r"\\x41; format=cstring", rb"\x41"),
        ("Cg==; format=base64", b"\n"),
        ("C!g; format=base64", b"\n"),
        ("!; format=base64", b""),
        ("", b""),
    ],
)
def test_data(header: str, content: bytes) -> None:
    parsed = parse_keep_alive(header)
    assert (parsed.content if parsed else b"") == content
    assert (parsed is None) == (content == b""), "nothing to send is no keep-alive"


@pytest.mark.parametrize(
    ("parameters", "timeout_s", "mode"),
    [
        ("", 55, KeepAliveMode.IDLE),
        ("; timeout=20", 20, KeepAliveMode.IDLE),
        ("; timeout=0", 1, KeepAliveMode.IDLE),
        ('; TIMEOUT="3"; mode=interval', 3, KeepAliveMode.INTERVAL),
        ("; mode=", 55, KeepAliveMode.IDLE),
    ],
)
def test_timeout_and_mode(parameters: str, timeout_s: int, mode: KeepAliveMode) -> None:
    expected = KeepAlive(content=b"x", timeout_s=timeout_s, mode=mode)
    assert parse_keep_alive(f"x{parameters}") == expected


@pytest.mark.parametrize(
    "header",
    [
        " ",
        "; timeout=5",
        "x; format=yaml",
        "x; mode=sometimes",
        "x; mode=IDLE",
        "x; timeout=x",
        "x; timeout=",
        "x; timeout=-1",
        "x; timeout=99999999999",
        'x; timeout="5',
        "a\\; format=cstring",
        r"\x4; format=cstring",
        r"\xzz; format=cstring",
    ],
)
def test_faults(header: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_keep_alive(header)
    assert caught.value.status_hint == 502


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (b": keep-alive\n\n", r": keep-alive\n\n"),
        (b"\r\n\\", r"\r\n\\"),
        (b" x ", r"\x20x\x20"),
        (b';,"', r"\x3b\x2c\x22"),
        ("é".encode(), r"\xc3\xa9"),
    ],
)
def test_written_so_that_a_header_can_carry_it(content: bytes, data: str) -> None:
    assert format_keep_alive(KeepAlive(content=content)) == f"{data}; format=cstring; timeout=55"


def test_every_byte_comes_back() -> None:
    keep_alive = KeepAlive(content=bytes(range(256)), timeout_s=7, mode=KeepAliveMode.INTERVAL)
    assert parse_keep_alive(format_keep_alive(keep_alive)) == keep_alive


@pytest.mark.parametrize(
    "keep_alive",
    [
        KeepAlive(content=b""),
        KeepAlive(content=b"x", timeout_s=0),
        KeepAlive(content=b"x", timeout_s=2**31),
    ],
)
def test_what_cannot_be_said_is_refused(keep_alive: KeepAlive) -> None:
    with pytest.raises(LocalProtocolError):
        format_keep_alive(keep_alive)
