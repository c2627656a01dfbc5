"""Header fields and lists under any input (GRIP §3.2)."""

from hypothesis import given
from hypothesis import strategies as st

from grip.errors import LocalProtocolError, RemoteProtocolError
from grip.headers import (
    Headers,
    Parameterized,
    format_value,
    parse_list,
    parse_parameters,
    parse_value,
    split_list,
)

NAMES = st.text("abcXYZ-_019!~", min_size=1, max_size=8)
TEXTS = st.text(max_size=12)
# Much that means something to the parser, and little else.
NEARLY_LISTS = st.text(st.sampled_from(list(' \t,;="\\ab')), max_size=30)


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=20))))
def test_any_bytes_survive(pairs: list[tuple[bytes, bytes]]) -> None:
    assert Headers.from_wire(pairs).to_wire() == pairs


@given(st.lists(st.tuples(NAMES, TEXTS)), NAMES)
def test_views_agree(pairs: list[tuple[str, str]], name: str) -> None:
    headers = Headers(pairs)
    values = headers.get_all(name)
    assert headers.has(name) == bool(values)
    assert headers.get(name) == (values[0] if values else None)
    assert len(headers.without(name)) == len(headers) - len(values)
    assert headers.replaced(name, "x").get_all(name.swapcase()) == ["x"]


@given(
    st.lists(st.tuples(TEXTS, st.lists(st.tuples(NAMES | TEXTS, TEXTS), max_size=3)), max_size=4)
)
def test_what_is_written_is_read(elements: list[tuple[str, list[tuple[str, str]]]]) -> None:
    written: list[str] = []
    expected: list[Parameterized] = []
    for value, parameters in elements:
        try:
            written.append(format_value(value, parameters))
        except LocalProtocolError:
            continue
        expected.append(Parameterized(value, tuple(parameters)))
        assert parse_value(written[-1]) == expected[-1]
    assert parse_list(written) == expected
    assert parse_list([",".join(written)]) == expected, "one field is as good as several"


@given(st.lists(NEARLY_LISTS | TEXTS, max_size=3))
def test_anything_is_a_list_or_a_fault(values: list[str]) -> None:
    elements = split_list(values)
    assert all(element == element.strip(" \t") != "" for element in elements)
    try:
        parsed = parse_list(values)
    except RemoteProtocolError:
        return
    assert len(parsed) == len(elements)
    assert all(name for element in parsed for name, _ in element.parameters)


@given(NEARLY_LISTS)
def test_quotes_change_nothing_where_there_are_none(text: str) -> None:
    """The short way without quotes and the general one are the same."""
    plain = text.replace('"', "").replace("\\", "")
    assert parse_parameters(plain) == parse_parameters(plain + '; x="y"')[:-1]
    with_quotes = [element for element in split_list([plain + ',"x"']) if element != '"x"']
    assert with_quotes == split_list([plain])
