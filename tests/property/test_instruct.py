"""Instructions under any input, and what backends write (GRIP §3, §4)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.headers import Headers
from grip.instruct import (
    MAX_CHANNELS,
    Channel,
    Hold,
    HoldMode,
    Instruct,
    KeepAlive,
    KeepAliveMode,
    Link,
    has_instructions,
    parse_instruct,
)
from grip.instruct_encode import instruct_headers, instruct_json
from grip.keep_alive import format_keep_alive, parse_keep_alive

TEXTS = st.text(max_size=8)
WORDS = st.text("abcü.-_ ", min_size=1, max_size=8).filter(lambda text: text == text.strip())
SECONDS = st.integers(5, 2**31 - 1)
CHANNELS = st.lists(
    st.builds(
        Channel,
        name=WORDS,
        prev_id=st.none() | WORDS | st.just('"\\"'),
        filters=st.lists(WORDS, max_size=5).map(tuple),
    ),
    max_size=MAX_CHANNELS,
    unique_by=lambda channel: channel.name,
).map(tuple)
MODES = st.sampled_from(KeepAliveMode)
KEEP_ALIVES = st.builds(
    KeepAlive, content=st.binary(min_size=1, max_size=20), timeout_s=SECONDS, mode=MODES
)
HOLDS = st.builds(
    Hold,
    mode=st.sampled_from(HoldMode),
    channels=CHANNELS,
    timeout_s=SECONDS,
    keep_alive=st.none() | KEEP_ALIVES,
)
URIS = st.sampled_from(["/", "/next?a=1&b=%2C", "http://[::1]:80/x", "//host/", "next", "/ü#x"])
LINKS = st.builds(Link, uri=URIS, timeout_s=st.integers(0, 2**31 - 1))
META = st.dictionaries(st.text("abc-_", min_size=1), WORDS | st.just(""), max_size=3)

VALUES = [
    *("response", "stream", "", "a", "a, b", "a; prev-id=1; filter=x", '"', 'a; b="', "5", "-1"),
    *(
        "</n>; rel=next",
        "<>; rel=next",
        "</g>; rel=gone; timeout=5",
        r"\x4; format=cstring",
        "\udcff",
    ),
]
NAMES = [
    *("Grip-Hold", "Grip-Channel", "Grip-Timeout", "Grip-Keep-Alive", "Grip-Status"),
    *("Grip-Set-Meta", "Grip-Expose-Headers", "Grip-Link", "grip-x", "X", "Content-Length"),
]
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(',;=<>"\\ 1aü', max_size=12)
    ),
    max_size=6,
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def nearly(*keys: str, inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Return objects with some of the known fields, and values that may fit."""
    return st.dictionaries(st.sampled_from(keys), inner | JSON_VALUES, max_size=len(keys))


DOCUMENTS = nearly(
    "hold",
    "response",
    inner=nearly(
        *("mode", "channels", "timeout", "keep-alive", "meta"),
        *("code", "reason", "headers", "body", "body-bin"),
        inner=st.just([])
        | st.just("stream")
        | st.lists(nearly("name", "prev-id", "filters", inner=TEXTS), max_size=2)
        | nearly("content", "content-bin", "timeout", inner=TEXTS),
    ),
)


def understand(headers: Headers, body: bytes | None) -> Instruct:
    return parse_instruct(status=200, reason="OK", headers=headers, body=body)


@given(st.none() | HOLDS, st.none() | LINKS, st.none() | URIS, META)
def test_headers_come_back(
    hold: Hold | None, next_link: Link | None, gone: str | None, meta: dict[str, str]
) -> None:
    gone_link = None if gone is None else Link(uri=gone)
    headers = instruct_headers(hold, next_link=next_link, gone_link=gone_link, meta=meta)
    instruct = understand(headers.plus(("X", "y")), None)
    assert instruct == Instruct(
        hold=hold,
        next_link=next_link,
        gone_link=gone_link,
        status=200,
        reason="OK",
        headers=Headers([("X", "y")]),
        body=None,
        meta=meta,
    )
    assert has_instructions(headers) == bool(hold or next_link or gone_link or meta)


@given(HOLDS, st.integers(0, 999), st.binary(max_size=20), st.dictionaries(TEXTS, TEXTS))
def test_json_comes_back(hold: Hold, status: int, body: bytes, meta: dict[str, str]) -> None:
    if hold.keep_alive is not None and hold.keep_alive.mode is KeepAliveMode.IDLE:
        with pytest.raises(LocalProtocolError, match="interval"):
            instruct_json(hold, status=status, body=body, meta=meta)
        return
    document = instruct_json(hold, status=status, body=body, meta=meta)
    headers = Headers([("Content-Type", "application/grip-instruct")])
    instruct = understand(headers, document)
    assert (instruct.hold, instruct.status, instruct.body) == (hold, status, body)
    assert instruct.meta == meta


@given(st.text(), st.text() | st.none(), st.lists(st.text()), st.dictionaries(st.text(), st.text()))
def test_no_channel_or_meta_is_ever_misunderstood(
    name: str, prev_id: str | None, filters: list[str], meta: dict[str, str]
) -> None:
    """Whatever a backend says, a proxy understands it or the backend is told."""
    channel = Channel(name=name, prev_id=prev_id, filters=tuple(filters))
    hold = Hold(mode=HoldMode.RESPONSE, channels=(channel,))
    try:
        headers = instruct_headers(hold, meta=meta)
    except LocalProtocolError:
        return
    instruct = understand(headers, None)
    assert (instruct.hold, instruct.meta) == (hold, meta)


@given(KEEP_ALIVES)
def test_keep_alive_comes_back(keep_alive: KeepAlive) -> None:
    assert parse_keep_alive(format_keep_alive(keep_alive)) == keep_alive


@given(st.integers(0, 999), FIELDS)
def test_any_headers_are_understood_or_a_bad_gateway(
    status: int, fields: list[tuple[str, str]]
) -> None:
    instruct = outcome(Headers(fields), None, status)
    if instruct is not None:
        assert not any(name.lower().startswith("grip-") for name, _ in instruct.headers)


@given(st.binary() | JSON_VALUES.map(json.dumps).map(str.encode), FIELDS)
def test_any_body_is_understood_or_a_bad_gateway(
    body: bytes, fields: list[tuple[str, str]]
) -> None:
    try_json(body, fields)


@given(DOCUMENTS, FIELDS)
def test_any_document_is_understood_or_a_bad_gateway(
    document: object, fields: list[tuple[str, str]]
) -> None:
    try_json(json.dumps(document).encode(), fields)


def try_json(body: bytes, fields: list[tuple[str, str]]) -> None:
    headers = Headers([*fields, ("Content-Type", "application/grip-instruct")])
    instruct = outcome(headers, body, 200)
    assert instruct is None or instruct.body is not None


def outcome(headers: Headers, body: bytes | None, status: int) -> Instruct | None:
    """Return the instruct, checked, or None if it was refused as a bad gateway."""
    fault: RemoteProtocolError | None = None
    try:
        instruct = parse_instruct(status=status, reason="", headers=headers, body=body)
    except RemoteProtocolError as error:
        fault = error
    if fault is not None:
        assert fault.status_hint == 502
        return None
    check(instruct)
    return instruct


def check(instruct: Instruct) -> None:
    """Check what everybody relies on."""
    assert 0 <= instruct.status <= 999
    assert instruct.reason
    instruct.headers.to_wire()
    for name, value in instruct.meta.items():
        (name + value).encode()
    if instruct.hold is None:
        return
    names = [channel.name for channel in instruct.hold.channels]
    assert len(names) == len(set(names)) <= MAX_CHANNELS
    assert 5 <= instruct.hold.timeout_s < 2**31
    "".join(names).encode()
    if instruct.hold.keep_alive is not None:
        assert instruct.hold.keep_alive.content
        assert instruct.hold.keep_alive.timeout_s >= 1
