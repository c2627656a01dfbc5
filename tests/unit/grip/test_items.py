"""Publish items: parsing, its answers, and writing (GRIP §8.1, §8.2, §8.4)."""

import json
from typing import Any

import pytest

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


def parse(*items: object) -> list[Item]:
    return parse_publish(json.dumps({"items": items}).encode())


def parse_format(name: str, fields: object) -> Any:
    [item] = parse({"channel": "room", "formats": {name: fields}})
    return getattr(item, name.replace("-", "_"))


def answer(body: bytes) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_publish(body)
    assert caught.value.status_hint == 400
    return str(caught.value)


def answer_to_item(item: object) -> str:
    return answer(json.dumps({"items": [item]}).encode()).removeprefix("Invalid format: ")


def answer_to_format(name: str, fields: object) -> str:
    return answer_to_item({"channel": "room", "formats": {name: fields}})


class TestBody:
    """GRIP §8.1."""

    def test_no_items(self) -> None:
        assert parse() == []

    @pytest.mark.parametrize(
        "body", [b"", b"{", b'"x"', b"5", b"null", b"\xff", rb'{"a":"\ud800"}', b"[" * 10**5]
    )
    def test_no_json(self, body: bytes) -> None:
        assert answer(body) == "Body is not valid JSON."

    def test_no_object(self) -> None:
        assert answer(b'[{"channel": "a"}]') == "Invalid format."

    def test_no_list(self) -> None:
        assert answer(b"{}") == "Invalid format: object does not contain 'items'"
        wrong = "Invalid format: object contains 'items' with wrong type"
        assert answer(b'{"items": {}}') == wrong
        assert answer(b'{"items": null}') == wrong

    def test_one_bad_item_spoils_the_batch(self) -> None:
        good = {"channel": "room", "formats": {"http-stream": {"content": "x"}}}
        body = json.dumps({"items": [good, {"channel": "room"}]}).encode()
        assert answer(body) == "Invalid format: no formats specified"


class TestItem:
    """GRIP §8.2, first table."""

    def test_all_fields(self) -> None:
        [item] = parse(
            {
                "channel": "room",
                "id": "2",
                "prev-id": "1",
                "no-seq": True,
                "meta": {"sender": "alice"},
                "size": "5",
                "unknown": None,
                "formats": {"http-stream": {"content": "x"}, "unknown": 5},
            }
        )
        assert item == Item(
            channel="room",
            id="2",
            prev_id="1",
            no_seq=True,
            meta={"sender": "alice"},
            http_stream=HttpStreamFormat(content=b"x"),
        )

    def test_formats_may_be_fields_of_the_item(self) -> None:
        [item] = parse({"channel": "room", "ws-message": {"content": "x"}})
        assert item == Item(channel="room", ws_message=WsMessageFormat(content=b"x"))

    def test_unknown_formats_are_ignored_even_alone(self) -> None:
        assert parse({"channel": "room", "formats": {"pigeon": {}}}) == [Item(channel="room")]

    @pytest.mark.parametrize(
        ("item", "reason"),
        [
            (1, "publish item object is not an object"),
            ({}, "publish item object does not contain 'channel'"),
            ({"channel": 5}, "publish item object contains 'channel' with wrong type"),
            ({"channel": "a"}, "no formats specified"),
            ({"channel": "a", "formats": {}}, "no formats specified"),
            ({"channel": "a", "pigeon": {}}, "no formats specified"),
            (
                {"channel": "a", "formats": []},
                "publish item object contains 'formats' with wrong type",
            ),
            ({"channel": "a", "id": None}, "publish item object contains 'id' with wrong type"),
            ({"channel": "a", "id": 5}, "publish item object contains 'id' with wrong type"),
            (
                {"channel": "a", "prev-id": 5},
                "publish item object contains 'prev-id' with wrong type",
            ),
        ],
        ids=str,
    )
    def test_faults(self, item: object, reason: str) -> None:
        assert answer_to_item(item) == reason

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"meta": "x"}, "publish item object contains 'meta' with wrong type"),
            ({"meta": {"u": 1}}, "'meta' contains 'u' with wrong type"),
            ({"no-seq": 1}, "publish item object contains 'no-seq' with wrong type"),
            ({"size": []}, "publish item object contains 'size' with wrong type"),
            ({"size": -1}, "publish item object contains 'size' with invalid value"),
        ],
        ids=str,
    )
    def test_faults_beside_a_format(self, fields: dict[str, object], reason: str) -> None:
        assert answer_to_item({"channel": "a", "formats": {"x": {}}} | fields) == reason


FORMATS = [("http-response", "body"), ("http-stream", "content"), ("ws-message", "content")]


@pytest.mark.parametrize(("name", "key"), FORMATS)
class TestEveryFormat:
    """GRIP §8.2, second table, first row."""

    def test_content(self, name: str, key: str) -> None:
        def content(fields: object) -> object:
            parsed = parse_format(name, fields)
            return parsed.body if name == "http-response" else parsed.content

        assert content({key: "hü"}) == "hü".encode()
        assert content({key: ""}) == b""
        assert content({f"{key}-bin": "AP8="}) == b"\x00\xff"
        assert content({f"{key}-bin": "A!P8", key: 5}) == b"\x00\xff"

    def test_content_filters(self, name: str, key: str) -> None:
        assert parse_format(name, {key: ""}).content_filters is None
        fields = {key: "", "content-filters": ["var-subst"]}
        assert parse_format(name, fields).content_filters == ("var-subst",)

    @pytest.mark.parametrize("action", ["hint", "close", "refresh"])
    def test_other_actions_need_no_content(self, name: str, key: str, action: str) -> None:
        fields = {"action": action, "content-filters": "not looked at"}
        parsed = parse_format(name, fields)
        assert parsed == type(parsed)(action=Action(action))

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ("x", "'{name}' is not an object"),
            (None, "'{name}' is not an object"),
            ({"action": 5}, "'{name}' contains 'action' with wrong type"),
            ({"action": "explode"}, "unknown 'action' 'explode'"),
            ({"{key}": 5}, "'{name}' contains '{key}' with wrong type"),
            ({"{key}-bin": 5}, "'{name}' contains '{key}-bin' with wrong type"),
            (
                {"{key}": "", "content-filters": "x"},
                "'{name}' contains 'content-filters' with wrong type",
            ),
            (
                {"{key}": "", "content-filters": [1]},
                "content-filters contains element with wrong type",
            ),
        ],
        ids=str,
    )
    def test_faults(self, name: str, key: str, fields: object, reason: str) -> None:
        if isinstance(fields, dict):
            fields = {field.format(key=key): value for field, value in fields.items()}
        assert answer_to_format(name, fields) == reason.format(name=name, key=key)


class TestHttpResponse:
    """GRIP §8.2, `http-response`."""

    def test_head(self) -> None:
        fields = {"code": "404", "reason": "Lost", "headers": [["A", "1"], ["A", "2"]], "body": "x"}
        assert parse_format("http-response", fields) == HttpResponseFormat(
            code=404, reason="Lost", headers=Headers([("A", "1"), ("A", "2")]), body=b"x"
        )
        bare = parse_format("http-response", {"body": "x", "reason": "", "headers": {"A": "1"}})
        assert bare == HttpResponseFormat(headers=Headers([("A", "1")]), body=b"x")

    def test_body_wins_over_patch(self) -> None:
        patch = [{"op": "remove", "path": "/a"}]
        assert parse_format("http-response", {"body-patch": patch}) == HttpResponseFormat(
            body=None, patch=({"op": "remove", "path": "/a"},)
        )
        assert parse_format("http-response", {"body-patch": patch, "body": ""}).patch is None

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({}, "'http-response' does not contain 'body', 'body-bin', or 'body-patch'"),
            ({"code": 1000}, "'http-response' contains 'code' with invalid value"),
            ({"code": -1}, "'http-response' contains 'code' with invalid value"),
            ({"code": "x"}, "'http-response' contains 'code' with wrong type"),
            ({"reason": 5}, "'http-response' contains 'reason' with wrong type"),
            ({"reason": "a\r\nb"}, "'http-response' contains 'reason' with invalid value"),
            ({"headers": 5}, "'http-response' contains 'headers' with wrong type"),
            ({"headers": {"a": 1}}, "headers contains 'a' with wrong type"),
            ({"headers": {"a": "\n"}}, "headers contains 'a' with invalid value"),
            ({"body-patch": 5}, "'http-response' contains 'body-patch' with wrong type"),
            ({"body-patch": [5]}, "'http-response' contains 'body-patch' with invalid value"),
        ],
        ids=str,
    )
    def test_faults(self, fields: object, reason: str) -> None:
        assert answer_to_format("http-response", fields) == reason


def test_http_stream_needs_content() -> None:
    reason = "'http-stream' does not contain 'content' or 'content-bin'"
    assert answer_to_format("http-stream", {}) == reason


class TestWsMessage:
    """GRIP §8.2, `ws-message`; §8.4."""

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [
            ({"content": "x"}, MessageType.TEXT),
            ({"content-bin": "eA=="}, MessageType.BINARY),
            ({"content": "x", "type": "binary"}, MessageType.BINARY),
            ({"content-bin": "eA==", "type": "text"}, MessageType.TEXT),
            ({"content": "x", "type": "ping"}, MessageType.PING),
            ({"content-bin": "eA==", "type": "pong"}, MessageType.PONG),
        ],
        ids=str,
    )
    def test_type(self, fields: object, kind: MessageType) -> None:
        assert parse_format("ws-message", fields) == WsMessageFormat(content=b"x", type=kind)

    def test_ping_and_pong_need_no_content(self) -> None:
        assert parse_format("ws-message", {"type": "ping"}).content == b""
        assert parse_format("ws-message", {"type": "pong"}).content == b""

    def test_close(self) -> None:
        fields = {"action": "close", "code": 1001, "reason": "bye"}
        expected = WsMessageFormat(action=Action.CLOSE, code=1001, reason="bye")
        assert parse_format("ws-message", fields) == expected

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({}, "'ws-message' does not contain 'content' or 'content-bin'"),
            ({"type": "binary"}, "'ws-message' does not contain 'content' or 'content-bin'"),
            ({"type": 5, "content": ""}, "'ws-message' contains 'type' with wrong type"),
            ({"type": "x", "content": ""}, "'ws-message' contains 'type' with unknown value"),
            ({"action": "close", "code": -1}, "'ws-message' contains 'code' with invalid value"),
            ({"action": "close", "code": "x"}, "'ws-message' contains 'code' with wrong type"),
            ({"action": "close", "reason": 5}, "'ws-message' contains 'reason' with wrong type"),
        ],
        ids=str,
    )
    def test_faults(self, fields: object, reason: str) -> None:
        assert answer_to_format("ws-message", fields) == reason

    @pytest.mark.parametrize(
        "fields",
        [
            {"action": "close", "code": 1005},
            {"action": "close", "code": 999},
            {"action": "close", "code": 5000},
            {"action": "close", "reason": "x" * 124},
            {"type": "text", "content-bin": "/w=="},
            {"type": "ping", "content": "x" * 126},
        ],
        ids=lambda fields: str(fields)[:60],
    )
    def test_what_no_frame_may_carry(self, fields: object) -> None:
        """RFC 6455 §5.5, §5.6, §7.4; Pushpin lets it pass."""
        assert "with invalid value" in answer_to_format("ws-message", fields)


class TestMessage:
    def test_text_in_all_formats(self) -> None:
        item = Item.message("room", "hü", newline=True, item_id="2", prev_id="1")
        assert item == Item(
            channel="room",
            id="2",
            prev_id="1",
            http_response=HttpResponseFormat(body="hü".encode()),
            http_stream=HttpStreamFormat(content="hü\n".encode()),
            ws_message=WsMessageFormat(content="hü".encode()),
        )

    def test_bytes_in_all_formats(self) -> None:
        item = Item.message("room", b"\xff")
        assert item.http_stream == HttpStreamFormat(content=b"\xff")
        assert item.ws_message == WsMessageFormat(content=b"\xff", type=MessageType.BINARY)

    def test_text_that_is_none(self) -> None:
        with pytest.raises(LocalProtocolError):
            Item.message("room", "\ud800")


class TestEncode:
    def test_only_what_has_to_be_said(self) -> None:
        """GRIP §14: Fastly documents few fields."""
        assert json.loads(encode_publish([Item.message("room", "hello")])) == {
            "items": [
                {
                    "channel": "room",
                    "formats": {
                        "http-response": {"body": "hello"},
                        "http-stream": {"content": "hello"},
                        "ws-message": {"content": "hello"},
                    },
                }
            ]
        }

    def test_everything(self) -> None:
        item = Item(
            channel="room",
            id="2",
            prev_id="1",
            no_seq=True,
            meta={"sender": "alice"},
            http_response=HttpResponseFormat(
                code=404,
                reason="Lost",
                headers=Headers([("A", "1"), ("A", "2")]),
                body=b"\xff",
                content_filters=("var-subst",),
            ),
            http_stream=HttpStreamFormat(action=Action.CLOSE),
            ws_message=WsMessageFormat(action=Action.CLOSE, code=1001, reason="bye"),
        )
        body = encode_publish([item])
        assert parse_publish(body) == [item]
        [encoded] = json.loads(body)["items"]
        assert encoded["formats"]["http-response"]["headers"] == [["A", "1"], ["A", "2"]]
        assert encoded["formats"]["http-response"]["body-bin"] == "/w=="

    @pytest.mark.parametrize(
        "item",
        [
            Item(channel="room"),
            Item(channel="\ud800", http_stream=HttpStreamFormat()),
            Item(channel="room", http_response=HttpResponseFormat(body=None)),
            Item(channel="room", http_response=HttpResponseFormat(body=b"", patch=())),
            Item(channel="room", http_response=HttpResponseFormat(code=1000)),
            Item(channel="room", http_response=HttpResponseFormat(reason="")),
            Item(channel="room", http_response=HttpResponseFormat(reason="\n")),
            Item(channel="room", http_response=HttpResponseFormat(headers=Headers([("A", " ")]))),
            Item(channel="room", http_response=HttpResponseFormat(headers=Headers([("", "")]))),
            Item(channel="room", http_stream=HttpStreamFormat(action=Action.HINT, content=b"x")),
            Item(channel="room", ws_message=WsMessageFormat(action=Action.CLOSE, code=5)),
            Item(channel="room", ws_message=WsMessageFormat(action=Action.CLOSE, reason="x" * 124)),
            Item(channel="room", ws_message=WsMessageFormat(action=Action.CLOSE, content=b"x")),
            Item(channel="room", ws_message=WsMessageFormat(content=b"\xff")),
            Item(channel="room", ws_message=WsMessageFormat(content=b"x", code=1000)),
        ],
        ids=lambda item: repr(item)[:100],
    )
    def test_what_would_not_arrive_is_refused(self, item: Item) -> None:
        with pytest.raises(LocalProtocolError):
            encode_publish([item])
