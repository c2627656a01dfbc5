"""The format of Pushpin's `routes` file (GRIP §2.5, compute-host §5.3)."""

from typing import Any

import pytest

from host_sim.fanout.routes import Route
from host_sim.pushpin.engine import route_of
from host_sim.pushpin.routes import parse_routes

BASE: dict[str, Any] = {"scheme": "http", "host": "h", "port": 81}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("* h:81,over_http", {"name": "*"}),
        ("*,id=a h:81,over_http", {"name": "a"}),
        ("id=a h:81,over_http", {"name": "a", "named_only": True}),
        ("Example.com h:81,over_http", {"name": "example.com", "for_host": "example.com"}),
        ("*,path_beg=/x h:81,over_http", {"name": "*/x", "for_path": "/x"}),
        (
            "*,path_beg=/x,replace_beg=/y h:81,over_http",
            {"name": "*/x", "for_path": "/x", "cut": 2, "prefix": "/y"},
        ),
        (
            "id=a,replace_beg=/y h:81,over_http",
            {"name": "a", "named_only": True, "prefix": "/y"},
        ),
        ("*,path_rem=3 h:81,over_http", {"name": "*", "cut": 3}),
        (
            "* h:81,over_http,ssl,insecure,host=o.example",
            {"name": "*", "scheme": "https", "insecure": True, "host_header": "o.example"},
        ),
        ("* [::1]:81,over_http", {"name": "*", "host": "::1"}),
        ("* test", {"name": "*", "scheme": "test", "host": "", "port": 0}),
        ("  *\th:81,over_http  # comment", {"name": "*"}),
        ('*,id="a, \\"b\\"#" h:81,over_http', {"name": 'a, "b"#'}),
    ],
)
def test_line(line: str, expected: dict[str, Any]) -> None:
    assert parse_routes([line]) == ([Route(**{**BASE, **expected})], [])


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("* a:1,over_http b:2,over_http", "only the first of 2 targets is used"),
        ("* a:1", "WebSockets go over HTTP, also without 'over_http'"),
        ("*,sockjs=/s a:1,over_http", "'sockjs' is not obeyed"),
        ("* a:1,over_http,sub=x", "'sub' is not obeyed"),
    ],
)
def test_what_is_not_obeyed_is_told(line: str, note: str) -> None:
    routes, notes = parse_routes(["# first", line])
    assert [route.host for route in routes] == ["a"]
    assert notes == [f"line 2: {note}"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("*", "expected a condition and a target"),
        ("path_beg=/x h:1", "expected a host or an id"),
        ("* zhttp/tcp://127.0.0.1:1", "expected HOST:PORT or test"),
        ("* h", "expected HOST:PORT or test"),
        ("* h:0", "expected HOST:PORT or test"),
        ("* h:65536", "expected HOST:PORT or test"),
        ('*,id="a h:1', "a quotation mark is missing"),
    ],
)
def test_a_line_that_cannot_be_used_is_left_out(line: str, why: str) -> None:
    routes, notes = parse_routes([line, "", "* h:81,over_http"])
    assert [route.name for route in routes] == ["*"]
    assert len(notes) == 1
    assert notes[0].startswith("line 1: skipped, ")
    assert why in notes[0]


def test_the_first_of_two_lines_with_the_same_condition_counts() -> None:
    lines = ["*,id=a a:1,over_http", "*,id=b b:1,over_http", "id=a c:1,over_http"]
    routes, notes = parse_routes(lines)
    assert [route.host for route in routes] == ["a"]
    assert [note.partition(":")[0] for note in notes] == ["line 2", "line 3"]


def test_what_is_written_for_a_pushpin_is_understood() -> None:
    from host_sim.config.backends import Backend

    backend = Backend(url="https://h:81/v1", override_host="o.example")
    routes, notes = parse_routes([route_of('odd, "name"', backend, ("127.0.0.1", 1))])
    assert notes == []
    assert routes == [
        Route(
            name='odd, "name"',
            scheme="https",
            host="h",
            port=81,
            prefix="/v1",
            host_header="o.example",
            named_only=True,
        )
    ]
