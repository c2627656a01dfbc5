"""Publish items under any input, and what publishers of ours write (GRIP §8)."""

import json

from hypothesis import given
from hypothesis import strategies as st

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.headers import Headers
from grip.items import (
    Action,
    HttpResponseFormat,
    HttpStreamFormat,
    Item,
    MessageType,
    WsMessageFormat,
    encode_publish,
    parse_publish,
)

TEXTS = st.text(max_size=8)
IDS = st.none() | TEXTS
FILTERS = st.none() | st.lists(TEXTS, max_size=2).map(tuple)
ACTIONS = st.sampled_from(Action)
HEADERS = st.lists(
    st.tuples(st.text("aB-", min_size=1, max_size=3), st.text("xü", max_size=3)), max_size=3
).map(Headers)
PATCHES = st.lists(
    st.fixed_dictionaries({"op": TEXTS, "path": TEXTS, "value": st.integers() | TEXTS}), max_size=2
).map(tuple)
RESPONSES = (
    st.builds(
        HttpResponseFormat,
        code=st.integers(0, 999),
        reason=st.none() | st.text("ab ", min_size=1, max_size=5),
        headers=HEADERS,
        body=st.binary(max_size=10),
        content_filters=FILTERS,
    )
    | st.builds(HttpResponseFormat, body=st.none(), patch=PATCHES)
    | st.builds(HttpResponseFormat, action=ACTIONS)
)
STREAMS = st.builds(
    HttpStreamFormat, content=st.binary(max_size=10), content_filters=FILTERS
) | st.builds(HttpStreamFormat, action=ACTIONS)
MESSAGES = (
    st.builds(WsMessageFormat, content=st.text().map(str.encode), content_filters=FILTERS)
    | st.builds(
        WsMessageFormat,
        content=st.binary(max_size=125),
        type=st.sampled_from([MessageType.BINARY, MessageType.PING, MessageType.PONG]),
    )
    | st.builds(
        WsMessageFormat,
        action=st.just(Action.CLOSE),
        code=st.none() | st.integers(3000, 4999),
        reason=st.text(max_size=30),
    )
    | st.builds(WsMessageFormat, action=ACTIONS)
)
ITEMS = st.builds(
    Item,
    channel=TEXTS,
    http_response=st.none() | RESPONSES,
    http_stream=st.none() | STREAMS,
    ws_message=st.none() | MESSAGES,
    id=IDS,
    prev_id=IDS,
    no_seq=st.booleans(),
    meta=st.dictionaries(TEXTS, TEXTS, max_size=2),
).filter(lambda item: any((item.http_response, item.http_stream, item.ws_message)))

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.sampled_from([*Action]).map(lambda action: action.value),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
FORMATS = st.dictionaries(
    st.sampled_from(["http-response", "http-stream", "ws-message", "other"]),
    st.dictionaries(
        st.sampled_from(
            [
                *("action", "code", "reason", "headers", "body", "body-bin", "body-patch"),
                *("content", "content-bin", "type", "content-filters"),
            ]
        ),
        JSON_VALUES,
        max_size=4,
    )
    | JSON_VALUES,
    max_size=4,
)
NEARLY_ITEMS = st.dictionaries(
    st.sampled_from(["id", "prev-id", "no-seq", "meta", "size", "http-stream", "formats"]),
    FORMATS | JSON_VALUES,
    max_size=4,
).map(lambda fields: {"channel": "room", "formats": {"other": {}}} | fields)


@given(st.lists(ITEMS, max_size=4))
def test_items_come_back(items: list[Item]) -> None:
    assert parse_publish(encode_publish(items)) == items


@given(
    st.text(),
    st.text(max_size=10) | st.binary(max_size=10),
    st.booleans(),
)
def test_messages_can_always_be_published(
    channel: str, content: str | bytes, newline: bool
) -> None:
    item = Item.message(channel, content, newline=newline)
    assert parse_publish(encode_publish([item])) == [item]


@given(
    st.builds(
        WsMessageFormat,
        action=ACTIONS,
        content=st.binary(max_size=200),
        type=st.sampled_from(MessageType),
        code=st.none() | st.integers(),
        reason=st.text(max_size=200),
    )
)
def test_nothing_arrives_as_something_else(message: WsMessageFormat) -> None:
    item = Item(channel="room", ws_message=message)
    try:
        body = encode_publish([item])
    except LocalProtocolError:
        return
    assert parse_publish(body) == [item]


def try_publish(body: bytes) -> None:
    fault: RemoteProtocolError | None = None
    items: list[Item] = []
    try:
        items = parse_publish(body)
    except RemoteProtocolError as error:
        fault = error
    assert fault is None or fault.status_hint == 400
    for item in items:
        item.channel.encode()
        if item.http_response is not None:
            item.http_response.headers.to_wire()
            assert 0 <= item.http_response.code <= 999
            assert (item.http_response.body is None) != (item.http_response.patch is None)


@given(st.binary() | JSON_VALUES.map(json.dumps).map(str.encode))
def test_any_body_is_published_or_refused(body: bytes) -> None:
    try_publish(body)


@given(st.lists(JSON_VALUES | NEARLY_ITEMS, max_size=3))
def test_any_items_are_published_or_refused(items: list[object]) -> None:
    try_publish(json.dumps({"items": items}).encode())
