"""Header tables, lists with NULs and addresses. Host contract §0 rule 2, §2.0."""

import pytest

from grip.headers import Headers
from host_sim.sandbox.border.values import Case, WitError
from host_sim.sandbox.objects.addresses import from_text, to_address
from host_sim.sandbox.objects.headers import HeaderTable, fitting, nul_list, split_nul_list


def table(*names: str) -> HeaderTable:
    return HeaderTable.of(Headers((name, name) for name in names))


def error_of(error: pytest.ExceptionInfo[WitError]) -> object:
    return error.value.value


def test_values_of_a_name_stand_together_at_its_first_place() -> None:
    fields = HeaderTable.of(Headers([("A", "1"), ("b", "2"), ("a", "3")]))
    assert list(fields.headers()) == [("a", "1"), ("a", "3"), ("b", "2")]
    assert fields.names() == ["a", "b"]
    assert fields.all("A") == [b"1", b"3"]
    assert fields.first("none") is None


@pytest.mark.parametrize(
    ("removed", "left"),
    [("a", ["d", "b", "c"]), ("B", ["a", "d", "c"]), ("d", ["a", "b", "c"])],
)
def test_removing_a_name_moves_the_last_into_the_gap(removed: str, left: list[str]) -> None:
    fields = table("a", "b", "c", "d")
    assert fields.remove(removed)
    assert fields.names() == left
    assert not fields.remove(removed)
    for name in left:
        assert fields.first(name) == name.encode()


def test_a_copy_without_some_names_is_one_of_its_own() -> None:
    fields = table("a", "b", "c", "d")
    copy = fields.without("a", "none", "B")
    assert copy.names() == ["d", "c"]
    copy.append("c", b"more")
    assert fields.names() == ["a", "b", "c", "d"]
    assert fields.all("c") == [b"c"]


def test_removing_all_names_leaves_nothing() -> None:
    fields = table("a", "b", "c")
    assert all(fields.remove(name) for name in ("b", "a", "c"))
    assert list(fields) == []


def test_inserting_replaces_in_place_and_setting_values_does_not() -> None:
    fields = table("a", "b", "c")
    fields.insert("A", b"1")
    fields.replace("b", [b"2", b"3"])
    assert list(fields.headers()) == [("a", "1"), ("c", "c"), ("b", "2"), ("b", "3")]


def test_setting_no_values_removes_the_name() -> None:
    fields = table("a", "b")
    fields.replace("a", [])
    assert fields.names() == ["b"]


def test_bytes_that_are_no_text_survive() -> None:
    raw = [(b"x", b"\xff\xfe"), (b"x", "é".encode())]
    assert HeaderTable.of(Headers.from_wire(raw)).headers().to_wire() == raw


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("", b"", "generic-error"),
        ("a b", b"", "generic-error"),
        ("é", b"", "generic-error"),
        ("a", b"\0", "generic-error"),
        ("a", b"\r\nx: y", "generic-error"),
        ("a", b"\x7f", "generic-error"),
        ("a" * 65_536, b"", "invalid-argument"),
    ],
)
def test_fields_that_cannot_go_over_the_wire_are_refused(
    name: str, value: bytes, error: str
) -> None:
    for change in (HeaderTable().insert, HeaderTable().append):
        with pytest.raises(WitError) as caught:
            change(name, value)
        assert error_of(caught) == error


def test_a_refused_replacement_changes_nothing() -> None:
    fields = table("a")
    with pytest.raises(WitError):
        fields.replace("a", [b"good", b"\n"])
    assert fields.all("a") == [b"a"]


def test_values_may_have_tabs_and_high_bytes() -> None:
    fields = HeaderTable()
    fields.append("a", b"\t\x80\xff ")
    assert fields.first("a") == b"\t\x80\xff "


def test_what_does_not_fit_is_told_its_size_in_bytes() -> None:
    assert fitting("é", 2) == "é"
    assert fitting(b"", 0) == b""
    with pytest.raises(WitError) as caught:
        fitting("é", 1)
    assert error_of(caught) == Case("buffer-len", 2)


@pytest.mark.parametrize(
    ("max_len", "cursor", "result"),
    [
        (99, 0, (b"a\0bb\0\0", None)),
        (6, 0, (b"a\0bb\0\0", None)),
        (5, 0, (b"a\0bb\0", 2)),
        (4, 0, (b"a\0", 1)),
        (3, 1, (b"bb\0", 2)),
        (1, 2, (b"\0", None)),
        (0, 3, (b"", None)),
        (0, 99, (b"", None)),
    ],
)
def test_lists_go_on_where_the_buffer_ended(
    max_len: int, cursor: int, result: tuple[bytes, int | None]
) -> None:
    assert nul_list([b"a", b"bb", b""], max_len, cursor) == result


@pytest.mark.parametrize(("max_len", "cursor", "needed"), [(1, 0, 2), (2, 1, 3), (0, 2, 1)])
def test_a_list_whose_first_item_does_not_fit(max_len: int, cursor: int, needed: int) -> None:
    with pytest.raises(WitError) as caught:
        nul_list([b"a", b"bb", b""], max_len, cursor)
    assert error_of(caught) == Case("buffer-len", needed)


def test_what_follows_the_last_nul_is_no_item() -> None:
    assert split_nul_list(b"a\0\0b\0c") == [b"a", b"", b"b"]
    assert split_nul_list(b"") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("192.0.2.1", Case("ipv4", (192, 0, 2, 1))),
        ("::1", Case("ipv6", (0, 0, 0, 0, 0, 0, 0, 1))),
        ("fe80::1%eth0", Case("ipv6", (0xFE80, 0, 0, 0, 0, 0, 0, 1))),
    ],
)
def test_addresses(text: str, value: Case) -> None:
    assert from_text(text) == value
    assert str(to_address(value)) == text.partition("%")[0]


def test_a_socket_without_an_address_has_none() -> None:
    assert from_text("/run/socket") is None
