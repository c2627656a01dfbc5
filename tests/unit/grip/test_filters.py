"""Delivery and content filters (GRIP §10)."""

from collections.abc import Mapping

import pytest

from grip.errors import RemoteProtocolError
from grip.filters import (
    changes_reply,
    content_filters,
    delivers,
    filter_content,
    filter_reply,
)


def test_content_filters_in_order() -> None:
    assert content_filters(["skip-self", "var-subst", "x", "build-id"]) == ("var-subst", "build-id")
    assert content_filters([]) == ()


@pytest.mark.parametrize(
    ("name", "meta", "item_meta", "delivered"),
    [
        ("skip-self", {"user": "alice"}, {"sender": "alice"}, False),
        ("skip-self", {"user": "alice"}, {"sender": "bob"}, True),
        ("skip-self", {"user": "alice"}, {}, True),
        ("skip-self", {}, {"sender": "alice"}, True),
        ("skip-self", {"user": ""}, {"sender": ""}, True),
        ("skip-users", {"user": "alice"}, {"skip_users": "bob, alice"}, False),
        ("skip-users", {"user": "alice"}, {"skip_users": "alice"}, False),
        ("skip-users", {"user": "alice"}, {"skip_users": "bob,alice2"}, True),
        ("skip-users", {"user": "alice"}, {}, True),
        ("skip-users", {"user": ""}, {"skip_users": ","}, True),
        ("require-sub", {}, {"require_sub": "b"}, True),
        ("require-sub", {}, {"require_sub": "c"}, False),
        ("require-sub", {}, {"require_sub": ""}, True),
        ("require-sub", {}, {}, True),
        ("var-subst", {"user": "alice"}, {"sender": "alice"}, True),
        ("unknown", {"user": "alice"}, {"sender": "alice"}, True),
    ],
)
def test_delivery(
    name: str, meta: Mapping[str, str], item_meta: Mapping[str, str], delivered: bool
) -> None:
    channels = {"a", "b"}
    assert delivers([name], meta=meta, item_meta=item_meta, channels=channels) is delivered


def test_any_filter_can_skip() -> None:
    own = {"sender": "alice"}
    user = {"user": "alice"}
    filters = ["unknown", "require-sub", "skip-self"]
    assert not delivers(filters, meta=user, item_meta=own, channels=())
    assert delivers([], meta=user, item_meta=own, channels=())


def substitute(content: bytes, **meta: str) -> bytes:
    return filter_content(["var-subst"], content, meta=meta, prev_ids={"room": "1"})


class TestVarSubst:
    def test_variables(self) -> None:
        assert substitute(b"100%% for %(user)s!", user="alice") == b"100% for alice!"
        assert substitute("%(ü)s".encode(), ü="é") == "é".encode()
        assert substitute(b"%(a)s%(a)s", a="") == b""
        assert substitute(rb"%(a\)b)s", **{"a)b": "x"}) == b"x"
        assert substitute(rb"%(a\\b)s", **{r"a\b": "x"}) == b"x"

    def test_values_are_not_looked_at_again(self) -> None:
        assert substitute(b"%(a)s", a="%(b)s%") == b"%(b)s%"

    @pytest.mark.parametrize(
        "content",
        [b"%(b)s", b"%", b"x%", b"%s", b"%(a)", b"%(a", b"%(a)I", b"%I", b"%(a)%", b"% a", b"%(\\"],
    )
    def test_unknown_variables_and_directives(self, content: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            substitute(content, a="x")

    def test_content_need_not_be_text(self) -> None:
        assert substitute(b"\xff%(a)s\xfe", a="x") == b"\xffx\xfe"


def build(content: bytes, id_format: str | None, **more: str) -> bytes:
    meta = more if id_format is None else {"id_format": id_format} | more
    prev_ids = {"room": "8", "hall": None}
    return filter_content(["build-id"], content, meta=meta, prev_ids=prev_ids)


class TestBuildId:
    def test_id(self) -> None:
        assert build(b"id: %I; %%", "room=%(room)s") == b"id: room=8; %"
        assert build(b"id: %(some text)I", "%(room)s") == b"id: some text"

    def test_hexadecimal(self) -> None:
        assert build(b"%I %(AB)I", "%(room)s", id_encoding="hex") == b"38 4142"

    @pytest.mark.parametrize(
        ("id_format", "meta"),
        [
            (None, {}),
            ("%(hall)s", {}),  # no id there
            ("%(elsewhere)s", {}),
            ("%I", {}),
            ("%", {}),
            ("%(room)s", {"id_encoding": "base64"}),
        ],
    )
    def test_no_id_can_be_built(self, id_format: str | None, meta: dict[str, str]) -> None:
        with pytest.raises(RemoteProtocolError):
            build(b"no directive at all", id_format, **meta)

    @pytest.mark.parametrize("content", [b"%(a)s", b"%x", b"%"])
    def test_unknown_directives(self, content: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            build(content, "%(room)s")


class TestReply:
    def test_only_build_id_changes_it(self) -> None:
        assert changes_reply(["skip-self", "build-id"])
        assert not changes_reply(["var-subst"])
        assert filter_reply(["var-subst"], b"%(user)s", meta={}) == b"%(user)s"

    def test_there_are_no_ids_yet(self) -> None:
        meta = {"id_format": "%(room)s"}
        assert filter_reply(["build-id"], b"%(text)I", meta=meta) == b"text"
        with pytest.raises(RemoteProtocolError):
            filter_reply(["build-id"], b"%I", meta=meta)


def test_filters_are_applied_in_order() -> None:
    meta = {"a": "%I", "id_format": "%(room)s"}
    prev_ids = {"room": "8"}
    both = ["unknown", "var-subst", "skip-self", "build-id"]
    assert filter_content(both, b"%(a)s", meta=meta, prev_ids=prev_ids) == b"8"
    with pytest.raises(RemoteProtocolError):
        filter_content(reversed(both), b"%(a)s", meta=meta, prev_ids=prev_ids)


def test_fault_says_where() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        substitute(b"abc %x")
    assert caught.value.offset == 4


def test_hostile_content_takes_no_time_to_speak_of() -> None:
    for content in (b"%(" * 100_000, b"%(" + b"\\" * 100_000, b"%(" + b"x" * 100_000):
        with pytest.raises(RemoteProtocolError):
            substitute(content)
    assert substitute(b"%%" * 100_000) == b"%" * 100_000
