"""JSON Patch: RFC 6902 with the examples of its appendix A, RFC 6901, and GRIP §5."""

import json
from typing import Any

import pytest

from grip.errors import RemoteProtocolError
from grip.json_patch import MAX_OPERATIONS, apply_patch, patch_body


def op(kind: str, path: str, **more: object) -> dict[str, object]:
    """Return an operation; `from_` is `from`."""
    return {"op": kind, "path": path} | {name.rstrip("_"): value for name, value in more.items()}


APPLIES: dict[str, tuple[Any, list[dict[str, object]], Any]] = {
    "A.1 object member": ({"foo": "bar"}, [op("add", "/baz", value=1)], {"foo": "bar", "baz": 1}),
    "A.2 array element": (
        {"a": ["b", "c"]},
        [op("add", "/a/1", value="x")],
        {"a": ["b", "x", "c"]},
    ),
    "A.3 remove member": ({"a": 1, "b": 2}, [op("remove", "/a")], {"b": 2}),
    "A.4 remove element": ({"a": [1, 2, 3]}, [op("remove", "/a/1")], {"a": [1, 3]}),
    "A.5 replace": ({"a": 1, "b": 2}, [op("replace", "/a", value=3)], {"a": 3, "b": 2}),
    "A.6 move value": (
        {"foo": {"bar": "x", "w": "fred"}, "qux": {"c": "g"}},
        [op("move", "/qux/thud", from_="/foo/w")],
        {"foo": {"bar": "x"}, "qux": {"c": "g", "thud": "fred"}},
    ),
    "A.7 move element": (
        {"a": [1, 2, 3, 4]},
        [op("move", "/a/3", from_="/a/1")],
        {"a": [1, 3, 4, 2]},
    ),
    "A.8 test": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [op("test", "/baz", value="qux"), op("test", "/foo/1", value=2)],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.10 nested": ({"a": 1}, [op("add", "/b", value={"c": {}})], {"a": 1, "b": {"c": {}}}),
    "A.11 unknown members": ({"a": 1}, [op("add", "/b", value=2, xyz=123)], {"a": 1, "b": 2}),
    "A.14 escapes": ({"/": 9, "~1": 10}, [op("test", "/~01", value=10)], {"/": 9, "~1": 10}),
    "A.16 array value": ({"a": [1]}, [op("add", "/a/-", value=[2, 3])], {"a": [1, [2, 3]]}),
    "add replaces a member": ({"a": 1}, [op("add", "/a", value=2)], {"a": 2}),
    "add at the end": ([1], [op("add", "/1", value=2)], [1, 2]),
    "add at the start": ([1], [op("add", "/0", value=0)], [0, 1]),
    "add null": ({}, [op("add", "/a", value=None)], {"a": None}),
    "empty key": ({"": {"": 1}}, [op("replace", "//", value=2)], {"": {"": 2}}),
    "slash in key": ({"a/b": 1}, [op("remove", "/a~1b")], {}),
    "whole document": ({"a": 1}, [op("replace", "", value=[1])], [1]),
    "add whole document": ([1], [op("add", "", value={})], {}),
    "move up": ({"a": {"b": 1}}, [op("move", "/a", from_="/a/b")], {"a": 1}),
    "move to root": ({"a": {"b": 1}}, [op("move", "", from_="/a")], {"b": 1}),
    "move to itself": ({"a": [1, 2]}, [op("move", "/a/0", from_="/a/0")], {"a": [1, 2]}),
    "copy": (
        {"a": [1]},
        [op("copy", "/b", from_="/a"), op("add", "/b/0", value=0)],
        {"a": [1], "b": [0, 1]},
    ),
    "copy into itself": ({"a": {}}, [op("copy", "/a/b", from_="/a")], {"a": {"b": {}}}),
    "numbers by value": ({"a": 1}, [op("test", "/a", value=1.0)], {"a": 1}),
    "objects without order": (
        {"a": {"x": [1, {"y": None}], "z": True}},
        [op("test", "/a", value={"z": True, "x": [1, {"y": None}]})],
        {"a": {"x": [1, {"y": None}], "z": True}},
    ),
    "test of all": ([], [op("test", "", value=[])], []),
}


@pytest.mark.parametrize(("document", "patch", "expected"), APPLIES.values(), ids=APPLIES.keys())
def test_applies(document: Any, patch: list[dict[str, object]], expected: Any) -> None:
    before = json.dumps(document)
    assert apply_patch(document, patch) == expected
    assert json.dumps(document) == before, "the document is not changed in place"


REFUSED: dict[str, tuple[Any, list[Any]]] = {
    "A.9 test fails": ({"baz": "qux"}, [op("test", "/baz", value="bar")]),
    "A.12 no parent": ({"foo": "bar"}, [op("add", "/baz/bat", value="qux")]),
    "A.15 number is no string": ({"~1": 10}, [op("test", "/~01", value="10")]),
    "true is not 1": ({"a": True}, [op("test", "/a", value=1)]),
    "false is not null": ({"a": None}, [op("test", "/a", value=False)]),
    "test nothing": ({}, [op("test", "/a", value=None)]),
    "test shorter list": ({"a": [1, 2]}, [op("test", "/a", value=[1])]),
    "test other keys": ({"a": {"b": 1}}, [op("test", "/a", value={"c": 1})]),
    "beyond the end": ([1], [op("add", "/2", value=0)]),
    "leading zero": ([1, 2], [op("add", "/01", value=0)]),
    "negative index": ([1], [op("add", "/-1", value=0)]),
    "huge index": ([1], [op("add", "/" + "9" * 5000, value=0)]),
    "other digits": ([1, 2], [op("remove", "/\u0661")]),
    "name in array": ([1], [op("add", "/a", value=0)]),
    "remove behind the end": ([1], [op("remove", "/-")]),
    "remove absent": ({}, [op("remove", "/a")]),
    "remove all": ({}, [op("remove", "")]),
    "replace absent": ({}, [op("replace", "/a", value=1)]),
    "replace behind the end": ([1], [op("replace", "/1", value=1)]),
    "into a string": ({"a": "b"}, [op("add", "/a/0", value=1)]),
    "move absent": ({}, [op("move", "/a", from_="/b")]),
    "move into itself": ({"a": {"b": {}}}, [op("move", "/a/b", from_="/a")]),
    "copy absent": ({}, [op("copy", "/a", from_="/b")]),
    "no op": ({}, [{"path": "/a"}]),
    "no path": ({}, [{"op": "add", "value": 1}]),
    "no value": ({}, [op("add", "/a")]),
    "no from": ({}, [op("move", "/a")]),
    "unknown op": ({}, [op("spin", "/a")]),
    "op of a wrong type": ({}, [{"op": 5, "path": "/a"}]),
    "pointer without slash": ({"a": 1}, [op("remove", "a")]),
    "bad escape": ({"~2": 1}, [op("remove", "/~2")]),
    "open escape": ({"~": 1}, [op("remove", "/~")]),
    "no object": ({}, [5]),
    "too many": ({}, [op("test", "", value={})] * (MAX_OPERATIONS + 1)),
}


@pytest.mark.parametrize(("document", "patch"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(document: Any, patch: list[Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        apply_patch(document, patch)
    assert caught.value.status_hint == 502


class TestBody:
    """GRIP §5."""

    def test_compact_sorted_utf8(self) -> None:
        body = b'{ "b": "\\u00fc", "a": [1, 2.5] }'
        assert patch_body(body, []) == '{"a":[1,2.5],"b":"ü"}'.encode()

    @pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
    def test_line_end_is_kept(self, end: bytes) -> None:
        assert patch_body(b"[1]" + end, [op("add", "/-", value=2)]) == b"[1,2]" + end

    @pytest.mark.parametrize("body", [b"", b"text", b"5", b'"x"', b"null", b"\xff", b"[" * 10**5])
    def test_body_must_be_an_object_or_array(self, body: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            patch_body(body, [])

    def test_number_without_json_form(self) -> None:
        with pytest.raises(RemoteProtocolError):
            patch_body(b"[1e999]", [])

    def test_doubling_is_bounded(self) -> None:
        """Every operation doubles the document: forty would fill any memory."""
        doubling = [op("copy", f"/{number}", from_="") for number in range(40)]
        with pytest.raises(RemoteProtocolError, match="bytes"):
            patch_body(b"{}", doubling)

    def test_one_patch_serves_many(self) -> None:
        patch = [op("add", "/a", value=[]), op("add", "/a/0", value=1)]
        assert patch_body(b"{}", patch) == patch_body(b"{}", patch) == b'{"a":[1]}'
