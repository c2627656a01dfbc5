"""What is fuzzed: functions of bytes that return for any input, or there is a fault in ours.

Each takes only the errors its parser documents, and checks what must hold of a result: that it
survives the way to the wire and back, and that it makes no difference where the input was split.
Sources: GRIP §3, §4 (instructions), §8 (publishing), §10 (filters), §11, §12 (events, control
messages), §2.2 (signatures); RFC 6455 §5 (frames).
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Final

from grip import filters
from grip.errors import LocalProtocolError, RemoteProtocolError, SignatureError
from grip.headers import Headers
from grip.instruct import MAX_CHANNELS, MAX_FILTERS, MEDIA_TYPE, Instruct, parse_instruct
from grip.items import encode_publish, parse_publish
from grip.json_object import load_json
from grip.json_patch import MAX_PATCHED, patch_body
from grip.signature import FASTLY_FANOUT_KEY, MAX_TOKEN, Key, sign, verify
from grip.ws_over_http.control import encode_control, parse_control
from grip.ws_over_http.events import (
    NEED_DATA,
    Event,
    EventDecoder,
    decode_events,
    encode_events,
)
from host_sim.fanout.frames import ClientError, MessageReader, TooLargeError

__all__ = ["SEEDS", "TARGETS", "Target"]

type Target = Callable[[bytes], None]

SECRET: Final = Key.secret(b"k" * 32)
META: Final = {"user": "alice", "id_format": "%(room)s-%%", "id_encoding": "hex"}
PREV_IDS: Final = {"room": "1", "hall": None}
FILTERS: Final = ("var-subst", "build-id", "skip-self", "require-sub", "unknown")


def instruct_headers(data: bytes) -> None:
    """Lines `name: value`, as a backend may send them."""
    lines = (line.partition(b":") for line in data.split(b"\n"))
    headers = Headers.from_wire((name, value.strip()) for name, _, value in lines)
    with contextlib.suppress(RemoteProtocolError):
        _check(parse_instruct(status=200, reason="", headers=headers, body=None))


def instruct_json(data: bytes) -> None:
    """The body of a reply with instructions as JSON."""
    headers = Headers([("Content-Type", MEDIA_TYPE), ("Grip-Channel", "room; filter=build-id")])
    with contextlib.suppress(RemoteProtocolError):
        _check(parse_instruct(status=200, reason="", headers=headers, body=data))


def _check(instruct: Instruct) -> None:
    """Check what every hold relies on."""
    assert 0 <= instruct.status <= 999
    if instruct.hold is not None:
        channels = instruct.hold.channels
        assert len({channel.name for channel in channels}) == len(channels) <= MAX_CHANNELS
        assert all(len(channel.filters) <= MAX_FILTERS for channel in channels)
        assert instruct.hold.timeout_s >= 0


def items(data: bytes) -> None:
    """The body of a publish."""
    try:
        published = parse_publish(data)
    except RemoteProtocolError as error:
        if error.status_hint != 400:  # the publisher would be told something else
            raise
        return
    with contextlib.suppress(LocalProtocolError):  # nobody means to publish in no format at all
        assert parse_publish(encode_publish(published)) == published
    for item in published:
        if item.http_response is not None and item.http_response.patch is not None:
            with contextlib.suppress(RemoteProtocolError):
                patch_body(b'{"a": [1, {"b": null}]}\n', item.http_response.patch)


def patches(data: bytes) -> None:
    """A document, and behind a zero byte the operations on it."""
    document, _, text = data.partition(b"\0")
    with contextlib.suppress(RemoteProtocolError):
        operations = load_json(text)
        if isinstance(operations, list) and all(isinstance(one, dict) for one in operations):
            assert len(patch_body(document, operations)) <= 4 * MAX_PATCHED


def events(data: bytes) -> None:
    """The body of a WebSocket-over-HTTP message."""
    try:
        whole = decode_events(data)
    except RemoteProtocolError:
        assert _split(data) is None
    else:
        assert decode_events(encode_events(whole)) == whole == _split(data)


def _split(data: bytes) -> list[Event] | None:
    """Decode a body that comes in small pieces; None if it is malformed."""
    decoder, decoded = EventDecoder(), []
    size = 1 + len(data) // 50
    try:
        for start in range(0, len(data), size):
            decoder.receive_data(data[start : start + size])
            while (event := decoder.next_event()) is not NEED_DATA:
                decoded.append(event)
        decoder.receive_end()
    except RemoteProtocolError:
        return None
    return decoded


def control(data: bytes) -> None:
    """A control message."""
    try:
        message = parse_control(data)
    except RemoteProtocolError:
        return
    with contextlib.suppress(LocalProtocolError):  # not all that is taken can be written
        assert parse_control(encode_control(message).removeprefix(b"c:")) == message


def frames(data: bytes) -> None:
    """What a WebSocket client sends."""
    reader = MessageReader()
    try:
        reader.receive_data(data)
        while reader.next_message() is not NEED_DATA:
            pass
    except (ClientError, TooLargeError):
        pass


def content_filters(data: bytes) -> None:
    """Metadata and an id in the first lines, then the content that filters change."""
    user, _, rest = data.partition(b"\n")
    id_format, _, content = rest.partition(b"\n")
    meta = {
        **META,
        "user": user.decode("utf-8", "surrogateescape"),
        "id_format": id_format.decode("utf-8", "surrogateescape"),
    }
    for names in (FILTERS[:1], FILTERS[1:2], FILTERS):
        with contextlib.suppress(RemoteProtocolError):
            filters.filter_content(names, content, meta=meta, prev_ids=PREV_IDS)
        with contextlib.suppress(RemoteProtocolError):
            filters.filter_reply(names, content, meta=meta)
    filters.delivers(FILTERS, meta=meta, item_meta={"skip_users": meta["user"]}, channels=PREV_IDS)


def tokens(data: bytes) -> None:
    """A `Grip-Sig`, which nobody has signed."""
    token = data.decode("utf-8", "surrogateescape")
    for key in (SECRET, FASTLY_FANOUT_KEY):
        try:
            claims = verify(token, key, None, 0)
        except SignatureError:
            continue
        assert len(token) <= MAX_TOKEN
        # Base64 can be written in several ways, but nobody without the key makes a new token.
        assert (claims.issuer, claims.expires_at) == ("me", 3600), claims


TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target
    for target in (
        content_filters,
        control,
        events,
        frames,
        instruct_headers,
        instruct_json,
        items,
        patches,
        tokens,
    )
}

_HOLD: Final = {
    "hold": {
        "mode": "stream",
        "channels": [{"name": "room", "prev-id": "1", "filters": ["skip-self"]}],
        "timeout": 55,
        "keep-alive": {"content": "\n", "content-bin": "Cg==", "timeout": 55},
        "meta": {"user": "alice"},
    },
    "response": {"code": 200, "reason": "OK", "headers": [["A", "b"]], "body-bin": "dGV4dA=="},
}
_ITEMS: Final = {
    "items": [
        {
            "channel": "room",
            "id": "2",
            "prev-id": "1",
            "no-seq": False,
            "meta": {"skip_users": "alice"},
            "formats": {
                "http-response": {
                    "code": "200",
                    "headers": {"A": "b"},
                    "body-patch": [{"op": "add", "path": "/a/-", "value": 1}],
                },
                "http-stream": {"content": "x", "content-filters": ["var-subst"]},
                "ws-message": {"type": "ping", "content-bin": "AA=="},
            },
        },
        {"channel": "room", "ws-message": {"action": "close", "code": 1000, "reason": "r"}},
    ]
}

SEEDS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "content_filters": (b"alice\n%(room)s-%%\n%(user)s %I %(text)I %%",),
    "control": (
        b'{"type": "subscribe", "channel": "room", "filters": ["skip-self"]}',
        b'{"type": "keep-alive", "content-bin": "AA==", "timeout": 5, "mode": "interval"}',
        b'{"type": "send-delayed", "content": "x", "message-type": "ping", "timeout": 1}',
        b'{"type": "set-meta", "name": "user", "value": "alice"}',
    ),
    "events": (
        b"OPEN\r\nTEXT 5\r\nhello\r\nBINARY 1\r\n\0\r\nPING\r\nCLOSE 2\r\n\x03\xe8\r\n",
        b"DISCONNECT\r\nUNKNOWN a\r\n0123456789\r\n",
    ),
    "frames": (
        b"\x81\x85\x01\x02\x03\x04ign`n",
        b"\x01\x81\0\0\0\0h\x89\x80\0\0\0\0\x80\x81\0\0\0\0i\x88\x82\0\0\0\0\x03\xe8",
    ),
    "instruct_headers": (
        (
            b'Grip-Hold: stream\nGrip-Channel: room; prev-id="1"; filter=skip-self, hall\n'
            b"Grip-Link: </next>; rel=next; timeout=5\n"
            b"Grip-Keep-Alive: \\n; format=cstring; timeout=9"
        ),
        (
            b"Grip-Hold: response\nGrip-Status: 404 No\nGrip-Timeout: 20\n"
            b"Grip-Set-Meta: user=alice\n"
            b"Grip-Expose-Headers: A\nA: b\nGrip-Keep-Alive: Cg==; format=base64; mode=interval"
        ),
    ),
    "instruct_json": (json.dumps(_HOLD).encode(), b'{"response": {"code": "200", "body": ""}}'),
    "items": (json.dumps(_ITEMS).encode(),),
    "patches": (
        (
            b'{"a": [1, {"b~/": null}]}\r\n\0[{"op": "move", "from": "/a/1", "path": "/a/0"}, '
            b'{"op": "copy", "from": "", "path": "/c"}, {"op": "test", "path": "/a/1", "value": 1}]'
        ),
    ),
    "tokens": (
        sign(SECRET, "me", 0).encode(),
        b"e30.e30.",
        b"eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjF9.AAAA",
    ),
}
"""Inputs to start from; mutations of them get further than random bytes."""
