"""Header fields and the lists in their values (GRIP §3.2, RFC 9110 §5)."""

import contextlib

import pytest

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.headers import (
    Headers,
    Parameterized,
    format_value,
    is_field,
    parse_list,
    parse_parameters,
    parse_value,
    split_list,
)

SAMPLE = Headers([("A", "1"), ("b", "2"), ("a", "3")])


class TestHeaders:
    def test_names_compare_without_case_and_keep_theirs(self) -> None:
        assert SAMPLE.get("a") == "1"
        assert SAMPLE.get_all("A") == ["1", "3"]
        assert list(SAMPLE) == [("A", "1"), ("b", "2"), ("a", "3")]

    def test_absent_name(self) -> None:
        assert SAMPLE.get("c") is None
        assert SAMPLE.get_all("c") == []
        assert not SAMPLE.has("c")
        assert SAMPLE.has("B")

    def test_changes_give_new_headers(self) -> None:
        assert list(SAMPLE.without("A")) == [("b", "2")]
        assert list(SAMPLE.plus(("c", "4")))[-1] == ("c", "4")
        assert list(SAMPLE.replaced("A", "9")) == [("b", "2"), ("A", "9")]
        assert list(SAMPLE.where(lambda name: name == "a")) == [("A", "1"), ("a", "3")]
        assert len(SAMPLE) == 3

    def test_sequence(self) -> None:
        assert SAMPLE[0] == ("A", "1")
        assert SAMPLE[1:] == (("b", "2"), ("a", "3"))
        assert Headers(list(SAMPLE)) == SAMPLE
        assert hash(Headers(list(SAMPLE))) == hash(SAMPLE)
        assert SAMPLE != [("A", "1")]
        assert "('b', '2')" in repr(SAMPLE)

    def test_any_bytes_survive(self) -> None:
        wire = [(b"X-Caf\xe9", b"\xff\xfe caf\xc3\xa9")]
        headers = Headers.from_wire(wire)
        assert headers[0][1].endswith("café")
        assert headers.to_wire() == wire


@pytest.mark.parametrize(
    ("values", "elements"),
    [
        ([], []),
        (["a"], ["a"]),
        (["a,b", "c"], ["a", "b", "c"]),
        ([" a ,\tb"], ["a", "b"]),
        (["a,,b,", ""], ["a", "b"]),
        (['a; x="1,2", b'], ['a; x="1,2"', "b"]),
        ([r'a; x="1\",2", b'], [r'a; x="1\",2"', "b"]),
        (['"a,b"'], ['"a,b"']),
        (['a"b, c'], ['a"b, c']),  # quotes that are not closed reach to the end
        (['a"b\\'], ['a"b\\']),
    ],
)
def test_split_list(values: list[str], elements: list[str]) -> None:
    assert split_list(values) == elements


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("", ()),
        (";;", ()),
        ("a=1", (("a", "1"),)),
        (" a = 1 ; b", (("a", "1"), ("b", ""))),
        ("a=1=2", (("a", "1=2"),)),
        ('a="1"', (("a", "1"),)),
        ('a="1;2"; b=3', (("a", "1;2"), ("b", "3"))),
        (r'a="\"\\x"', (("a", r'"\x'),)),
        ('a="1" rest; b', (("a", "1"), ("b", ""))),
        ('a=1"2"', (("a", '1"2"'),)),
        ('a="1";; b=2;', (("a", "1"), ("b", "2"))),
        ('Name="";name=x', (("Name", ""), ("name", "x"))),
    ],
)
def test_parse_parameters(text: str, parameters: tuple[tuple[str, str], ...]) -> None:
    assert parse_parameters(text) == parameters


@pytest.mark.parametrize("text", ['a="', 'a="1', r'a="1\"', 'b; a="x', 'a="1\\'])
def test_quotes_must_be_closed(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="closing quote"):
        parse_parameters(text)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a", Parameterized("a")),
        ("", Parameterized("")),
        (" a, b ", Parameterized("a, b")),
        ("a;b=c", Parameterized("a", (("b", "c"),))),
        ('"x"', Parameterized('"x"')),  # quotes in the first part are literal
        ('"a;b"=c', Parameterized('"a', (('b"', "c"),))),
        (";a=b", Parameterized("", (("a", "b"),))),
    ],
)
def test_first_part_runs_to_the_first_semicolon(text: str, parsed: Parameterized) -> None:
    assert parse_value(text) == parsed


def test_several_fields_are_one_list() -> None:
    assert parse_list(['a; x=1, b; x="2,3"', "c"]) == [
        Parameterized("a", (("x", "1"),)),
        Parameterized("b", (("x", "2,3"),)),
        Parameterized("c"),
    ]


def test_parameter_names_compare_without_case() -> None:
    value = parse_value("a; Prev-ID=1; prev-id=2")
    assert value.get("prev-id") == "1"
    assert value.get("none") is None
    assert parse_value("a").get("none") is None


def test_format_quotes_what_is_no_token() -> None:
    assert format_value("a b", [("c", "1"), ("d", 'x "y" \\')]) == r'a b; c=1; d="x \"y\" \\"'
    assert format_value("a", [("b", "")]) == 'a; b=""'


@pytest.mark.parametrize(
    "value", ["", " a", "a\t", "a,b", "a;b", 'a"b', "a\r\nb", "\x00", "\ud800"]
)
def test_format_refuses_a_value_that_would_come_back_different(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        format_value(value)


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("a b", "x"), ("a", "\n"), ("a", "\udcff")])
def test_format_refuses_a_parameter_that_would_come_back_different(name: str, value: str) -> None:
    with pytest.raises(LocalProtocolError):
        format_value("a", [(name, value)])


@pytest.mark.parametrize(
    ("name", "value", "fine"),
    [
        ("X-A", "any\ttext é", True),
        ("X-A", "", True),
        ("", "x", False),
        ("X A", "x", False),
        ("X:", "x", False),
        ("X", "a\r\nY: b", False),
        ("X", "a\x00", False),
        ("X\n", "a", False),
    ],
)
def test_fields_cannot_be_smuggled(name: str, value: str, fine: bool) -> None:
    """RFC 9110 §5.5."""
    assert is_field(name, value) is fine


def test_hostile_lists_take_no_time_to_speak_of() -> None:
    """A pattern that backtracks would not come back from these."""
    for text in ('"' * 50_000, ',"' * 50_000, '\\"' * 50_000, "=;" * 50_000, '="' * 50_000):
        split_list([text])
        with contextlib.suppress(RemoteProtocolError):
            parse_parameters(text)
