"""JSON objects with checked fields: what every reader takes and refuses (GRIP §4, §8.2)."""

from collections.abc import Callable
from typing import Any

import pytest

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.json_object import (
    JsonObject,
    decode_base64,
    encode_content,
    load_json,
    parse_integer,
)


def reading(value: object, read: Callable[[JsonObject], Any]) -> Any:
    """Return what `read` makes of an object with the field `x`, or the error's text."""
    try:
        return read(JsonObject({"x": value}, "thing"))
    except RemoteProtocolError as error:
        return str(error)


class TestLoad:
    def test_json(self) -> None:
        assert load_json(b' {"a": [1, null, "\\ud83d\\ude00"]} ') == {"a": [1, None, "😀"]}
        assert load_json("5") == 5
        assert load_json(b"\xef\xbb\xbf[]") == []

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{",
            b"[NaN]",
            b"[-Infinity]",
            b"\xff",
            b'"\xed\xa0\x80"',
            rb'"\ud800"',
            rb'{"\uDC00": 1}',
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"1" * 10_000,
        ],
        ids=repr,
    )
    def test_anything_else_is_the_peers_fault(self, data: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            load_json(data)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        (" 42\t", 42),
        ("+7", 7),
        ("-7", -7),
        ("2147483647", 2**31 - 1),
        ("2147483648", None),
        ("9" * 10_000, None),
        ("", None),
        ("1.0", None),
        ("0x5", None),
        ("1 2", None),
        ("1_0", None),
        ("\u0661", None),  # a digit, but not one of ours
    ],
)
def test_parse_integer(text: str, number: int | None) -> None:
    assert parse_integer(text) == number


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("aGVsbG8=", b"hello"),
        ("aGVsbG8", b"hello"),
        ("aGVs\nbG8=", b"hello"),
        ("a!G-V_s=bG8", b"hello"),
        ("AP8=", b"\x00\xff"),
        ("", b""),
        ("é", b""),
        ("A", b""),
        ("AAAAA", b"\x00\x00\x00"),
        ("\ud800AA", b"\x00"),
    ],
)
def test_base64_is_decoded_leniently(text: str, data: bytes) -> None:
    """GRIP §8.2: invalid characters are skipped."""
    assert decode_base64(text) == data


@pytest.mark.parametrize("content", [b"", b"hello", "é".encode(), b"\xff\x00"])
def test_content_comes_back(content: bytes) -> None:
    assert JsonObject(encode_content("body", content), "x").content("body", "body-bin") == content


WRONG_TYPE = "thing contains 'x' with wrong type"


@pytest.mark.parametrize(
    ("value", "result"),
    [("a", "a"), ("", ""), (5, WRONG_TYPE), (None, WRONG_TYPE), ([], WRONG_TYPE)],
)
def test_text(value: object, result: object) -> None:
    assert reading(value, lambda thing: thing.text("x")) == result
    assert reading(value, lambda thing: thing.required_text("x")) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (5, 5),
        ("5", 5),
        (5.0, 5),
        (99, 99),
        (100, "thing contains 'x' with invalid value"),
        (-1, "thing contains 'x' with invalid value"),
        ("-1", "thing contains 'x' with invalid value"),
        (1e300, "thing contains 'x' with invalid value"),
        (10**100, "thing contains 'x' with invalid value"),
        (float("inf"), WRONG_TYPE),
        (5.5, WRONG_TYPE),
        ("x", WRONG_TYPE),
        ("", WRONG_TYPE),
        (True, WRONG_TYPE),
        (None, WRONG_TYPE),
    ],
)
def test_integer(value: object, result: object) -> None:
    """GRIP §8.2: numbers may be given as strings."""
    assert reading(value, lambda thing: thing.integer("x", 99)) == result


@pytest.mark.parametrize(("value", "result"), [(True, True), (1, WRONG_TYPE), (None, WRONG_TYPE)])
def test_boolean(value: object, result: object) -> None:
    assert reading(value, lambda thing: thing.boolean("x")) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ([], ()),
        (["a", "b"], ("a", "b")),
        (["a", 1], "x contains element with wrong type"),
        ("a", WRONG_TYPE),
        ({}, WRONG_TYPE),
    ],
)
def test_texts(value: object, result: object) -> None:
    assert reading(value, lambda thing: thing.texts("x")) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({}, {}),
        ({"a": "b"}, {"a": "b"}),
        ({"a": 1}, "'x' contains 'a' with wrong type"),
        ([], WRONG_TYPE),
        (None, WRONG_TYPE),
    ],
)
def test_text_map(value: object, result: object) -> None:
    assert reading(value, lambda thing: thing.text_map("x")) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"a": "1", "b": "2"}, Headers([("a", "1"), ("b", "2")])),
        ([["a", "1"], ["a", " 2 "]], Headers([("a", "1"), ("a", "2")])),
        ({"a": 1}, "x contains 'a' with wrong type"),
        ([1], "x contains element with wrong type"),
        ([["a"]], "x contains list with wrong number of elements"),
        ([[1, "a"]], "header contains name element with wrong type"),
        ([["a", 1]], "header contains value element with wrong type"),
        ({"a": "1\r\nb: 2"}, "x contains 'a' with invalid value"),
        ({"a b": "1"}, "x contains 'a b' with invalid value"),
        (5, WRONG_TYPE),
    ],
)
def test_headers(value: object, result: object) -> None:
    """GRIP §4: an object of strings, or a list of pairs; and nothing that splits the header."""
    assert reading(value, lambda thing: thing.headers("x")) == result


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"c": "text"}, b"text"),
        ({"c": "é"}, "é".encode()),
        ({"c-bin": "AP8="}, b"\x00\xff"),
        ({"c-bin": "AP8=", "c": "text"}, b"\x00\xff"),
        ({"c-bin": "", "c": "text"}, b""),
        ({}, None),
    ],
)
def test_content_in_base64_wins(fields: dict[str, object], result: bytes | None) -> None:
    assert JsonObject(fields, "thing").content("c", "c-bin") == result


def test_absent_fields_read_as_none() -> None:
    thing = JsonObject({}, "thing")
    assert thing.text("x") is None
    assert thing.integer("x") is None
    assert thing.boolean("x") is None
    assert thing.list("x") is None
    assert thing.texts("x") is None
    assert thing.object("x") is None
    assert thing.text_map("x") is None
    assert thing.headers("x") is None
    assert len(thing) == 0
    assert "x" not in thing


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("a",), "thing does not contain 'a'"),
        (("a", "b"), "thing does not contain 'a' or 'b'"),
        (("a", "b", "c"), "thing does not contain 'a', 'b', or 'c'"),
    ],
)
def test_required_fields(keys: tuple[str, ...], message: str) -> None:
    thing = JsonObject({}, "thing")
    with pytest.raises(RemoteProtocolError) as caught:
        thing.require(*keys)
    assert str(caught.value) == message
    JsonObject({"c": None, "a": None}, "thing").require(*keys)


def test_objects() -> None:
    def inner(thing: JsonObject) -> JsonObject:
        value = thing.object("x")
        assert value is not None
        return value

    assert reading({"y": 1}, lambda thing: inner(thing).value("y")) == 1
    assert reading({}, lambda thing: inner(thing).value("y")) == "x does not contain 'y'"
    assert reading([], lambda thing: thing.object("x")) == WRONG_TYPE
    with pytest.raises(RemoteProtocolError, match=r"^thing is not an object$"):
        JsonObject([], "thing")
