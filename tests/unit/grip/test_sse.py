"""Server-sent events as browsers read them (HTML standard §9.2.6)."""

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grip import sse
from grip.errors import LocalProtocolError
from grip.sse import format_event


def read(stream: bytes) -> list[tuple[str, str, str]]:
    """Interpret a stream as the standard says: type, data and last id of each event."""
    events: list[tuple[str, str, str]] = []
    kind, last_id = "", ""
    data: list[str] = []
    for line in re.split("\r\n|\r|\n", stream.decode()):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append((kind or "message", "\n".join(data), last_id))
            kind, data = "", []
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            last_id = value
    return events


@pytest.mark.parametrize(
    ("data", "arrives"),
    [
        ("hello", "hello"),
        ("", ""),
        ("two\nlines", "two\nlines"),
        ("all\r\nkinds\rof\nends\n", "all\nkinds\nof\nends\n"),
        (" kept: spaces", " kept: spaces"),
        ("data: x\n\nid: 1", "data: x\n\nid: 1"),
    ],
)
def test_data_arrives(data: str, arrives: str) -> None:
    assert read(format_event(data)) == [("message", arrives, "")]


def test_type_and_id_arrive() -> None:
    event = format_event("x", event="note", event_id="7")
    assert read(event + format_event("y")) == [("note", "x", "7"), ("message", "y", "7")]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\ud800"])
def test_what_would_not_arrive_is_refused(value: str) -> None:
    for event in ({"event": value}, {"event_id": value}):
        with pytest.raises(LocalProtocolError, match="expected"):
            format_event("x", **event)


TEXT = st.text(st.characters(codec="utf-8"))


@given(TEXT, TEXT)
def test_no_data_makes_another_event(first: str, second: str) -> None:
    events = read(format_event(first) + format_event(second))
    assert [kind for kind, _, _ in events] == ["message", "message"]


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(sse).failed == 0
