"""Instructions written by a backend: what they look like, and what is refused (GRIP §3.3, §4)."""

import json

import pytest

from grip.errors import LocalProtocolError
from grip.headers import Headers
from grip.instruct import (
    Channel,
    Hold,
    HoldMode,
    KeepAlive,
    KeepAliveMode,
    Link,
    parse_instruct,
)
from grip.instruct_encode import instruct_headers, instruct_json

ROOM = Hold(mode=HoldMode.STREAM, channels=(Channel(name="room"),))


def test_headers() -> None:
    headers = instruct_headers(
        Hold(
            mode=HoldMode.RESPONSE,
            channels=(
                Channel(name="a", prev_id="1", filters=("skip-self", "var-subst")),
                Channel(name="b c", prev_id="x y"),
            ),
            timeout_s=20,
            keep_alive=KeepAlive(content=b"\n", timeout_s=30),
        ),
        next_link=Link(uri="/next?a=b", timeout_s=5),
        gone_link=Link(uri="http://h/gone"),
        meta={"user": "alice b"},
    )
    assert list(headers) == [
        ("Grip-Hold", "response"),
        ("Grip-Channel", "a; prev-id=1; filter=skip-self; filter=var-subst"),
        ("Grip-Channel", 'b c; prev-id="x y"'),
        ("Grip-Timeout", "20"),
        ("Grip-Keep-Alive", r"\n; format=cstring; timeout=30"),
        ("Grip-Link", "</next?a=b>; rel=next; timeout=5"),
        ("Grip-Link", "<http://h/gone>; rel=gone"),
        ("Grip-Set-Meta", 'user="alice b"'),
    ]


def test_a_link_needs_no_hold() -> None:
    assert list(instruct_headers(next_link=Link(uri="/n"))) == [("Grip-Link", "</n>; rel=next")]
    assert list(instruct_headers()) == []


@pytest.mark.parametrize(
    "hold",
    [
        Hold(mode=HoldMode.STREAM, channels=(Channel(name="a, b"),)),
        Hold(mode=HoldMode.STREAM, channels=(Channel(name="a;b"),)),
        Hold(mode=HoldMode.STREAM, channels=(Channel(name=" a"),)),
        Hold(mode=HoldMode.STREAM, channels=(Channel(name=""),)),
        Hold(mode=HoldMode.STREAM, channels=(Channel(name="a\r\nX: y"),)),
        Hold(mode=HoldMode.STREAM, channels=(Channel(name="\ud800"),)),
        Hold(mode=HoldMode.STREAM, channels=(Channel(name="a", prev_id="\n"),)),
        Hold(mode=HoldMode.STREAM, channels=(Channel(name="a", filters=("x",) * 6),)),
        Hold(mode=HoldMode.STREAM, channels=(Channel(name="a"), Channel(name="a"))),
        Hold(mode=HoldMode.STREAM, channels=tuple(Channel(name=str(n)) for n in range(21))),
        Hold(mode=HoldMode.RESPONSE, timeout_s=4),
        Hold(mode=HoldMode.RESPONSE, timeout_s=2**31),
        Hold(mode=HoldMode.STREAM, keep_alive=KeepAlive(content=b"")),
    ],
    ids=lambda hold: repr(hold)[:80],
)
def test_headers_that_would_be_misunderstood_are_refused(hold: Hold) -> None:
    with pytest.raises(LocalProtocolError):
        instruct_headers(hold)


@pytest.mark.parametrize("uri", ["", "/a b", "/a,b", "/a;b", "/a>b", "http://h:x/", "/\n"])
def test_a_link_that_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(LocalProtocolError):
        instruct_headers(next_link=Link(uri=uri))


@pytest.mark.parametrize("meta", [{"": "x"}, {"a b": "x"}, {"a": "\n"}])
def test_metadata_that_would_be_misunderstood_is_refused(meta: dict[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        instruct_headers(ROOM, meta=meta)


def test_json() -> None:
    document = instruct_json(
        Hold(
            mode=HoldMode.STREAM,
            channels=(Channel(name="a, b", prev_id="1", filters=("skip-self",)), Channel(name="c")),
            timeout_s=20,
            keep_alive=KeepAlive(content=b"\xff", mode=KeepAliveMode.INTERVAL),
        ),
        status=201,
        reason="Made Up",
        headers=[("A", "1"), ("A", "2")],
        body=b"text",
        meta={"user": "alice"},
    )
    assert json.loads(document) == {
        "hold": {
            "mode": "stream",
            "channels": [{"name": "a, b", "prev-id": "1", "filters": ["skip-self"]}, {"name": "c"}],
            "timeout": 20,
            "keep-alive": {"content-bin": "/w==", "timeout": 55},
            "meta": {"user": "alice"},
        },
        "response": {
            "code": 201,
            "reason": "Made Up",
            "headers": [["A", "1"], ["A", "2"]],
            "body": "text",
        },
    }


def test_json_without_hold_has_a_body_as_pushpin_insists() -> None:
    body = instruct_json(status=204)
    assert json.loads(body) == {"response": {"code": 204, "body": ""}}
    headers = Headers([("Content-Type", "application/grip-instruct")])
    instruct = parse_instruct(status=200, reason="OK", headers=headers, body=body)
    assert (instruct.status, instruct.body) == (204, b"")


def test_json_that_would_be_misunderstood_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="interval"):
        instruct_json(Hold(mode=HoldMode.STREAM, keep_alive=KeepAlive(content=b"x")))
    with pytest.raises(LocalProtocolError, match="filters"):
        instruct_json(Hold(mode=HoldMode.STREAM, channels=(Channel(name="a", filters=("x",) * 6),)))
    with pytest.raises(LocalProtocolError, match="would be understood"):
        instruct_json(Hold(mode=HoldMode.RESPONSE, timeout_s=1))
    with pytest.raises(LocalProtocolError, match="would be understood"):
        instruct_json(meta={"user": "alice"})
    with pytest.raises(LocalProtocolError, match="code"):
        instruct_json(status=1000)
    with pytest.raises(LocalProtocolError, match="headers"):
        instruct_json(headers=[("A", "b\r\nC: d")])
    with pytest.raises(LocalProtocolError, match="JSON can express"):
        instruct_json(reason="\ud800")
