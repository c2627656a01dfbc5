"""Routes of a proxy on its own (GRIP §2.1, §2.5)."""

import dataclasses

import pytest

from host_sim.errors import ConfigError
from host_sim.fanout.routes import Route, Routes
from tests.support.requests import request


def route(name: str, **fields: str) -> Route:
    return dataclasses.replace(Route.parse(f"{name}=http://127.0.0.1:8000"), **fields)  # type: ignore[arg-type]


def chosen(routes: Routes, target: str = "/", host: str = "h", name: str | None = None) -> str:
    headers = () if name is None else (("pushpin-route", name),)
    asked = dataclasses.replace(request("GET", target, headers), authority=host)
    found = routes.choose(asked)
    return found.name if found else "none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=http://127.0.0.1:8000", ("a", "http", "127.0.0.1", 8000, "")),
        ("a=http://example", ("a", "http", "example", 80, "")),
        ("a=https://example/", ("a", "https", "example", 443, "")),
        ("a=http://[::1]:1/x/y/", ("a", "http", "::1", 1, "/x/y")),
    ],
)
def test_route_of_a_command_line(text: str, expected: tuple[object, ...]) -> None:
    parsed = Route.parse(text)
    assert (parsed.name, parsed.scheme, parsed.host, parsed.port, parsed.prefix) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a", "=http://h", "a=h:80", "a=ftp://h", "a=http://", "a=http://h:x", "a=http://h?q"],
)
def test_text_that_is_no_route_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError):
        Route.parse(text)


def test_first_route_is_the_default() -> None:
    assert chosen(Routes([route("a"), route("b")])) == "a"


def test_route_is_chosen_by_its_name() -> None:
    routes = Routes([route("a"), route("b", for_host="other")])
    assert chosen(routes, name="b") == "b"
    assert chosen(routes, name="c") == "none"


def test_host_goes_before_path_and_long_before_short() -> None:
    routes = Routes(
        [
            route("any"),
            route("path", for_path="/a/b"),
            route("short", for_path="/a"),
            route("host", for_host="example.com"),
            route("both", for_host="example.com", for_path="/a"),
        ]
    )
    assert chosen(routes, "/a/b?/x") == "path"
    assert chosen(routes, "/a?/b") == "short"
    assert chosen(routes, "/a/b", "EXAMPLE.com:8080") == "both"
    assert chosen(routes, "/x", "example.com") == "host"
    assert chosen(routes, "/x", "") == "any"


def test_request_that_no_route_takes_has_none() -> None:
    assert chosen(Routes([route("a", for_host="example.com")])) == "none"


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_routes_need_names_of_their_own(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        Routes(route(name) for name in names)


def test_routes_are_found_by_name() -> None:
    a = route("a")
    assert Routes([a]).named("a") is a
    assert Routes([a]).named("b") is None


def test_name_chooses_only_among_the_paths_of_a_route() -> None:
    routes = Routes([route("a"), route("b", for_path="/b")])
    assert chosen(routes, "/b/c", name="b") == "b"
    assert chosen(routes, "/c", name="b") == "none"


def test_names_of_clients_count_only_if_they_may_choose() -> None:
    """§2.1: `accept_pushpin_route`."""
    routes = Routes([route("a"), route("b")], by_name=False)
    assert chosen(routes, name="b") == "a"


def test_route_without_a_host_is_for_those_who_name_it() -> None:
    """§2.5: as the Fastly CLI writes them."""
    only = dataclasses.replace(route("b"), named_only=True)
    routes = Routes([only])
    assert chosen(routes) == "none"
    assert chosen(routes, name="b") == "b"


@pytest.mark.parametrize(
    ("cut", "prefix", "target", "sent"),
    [
        (0, "", "/a?b", "/a?b"),
        (0, "/v1", "/a?b", "/v1/a?b"),
        (2, "/v1", "/a/b", "/v1/b"),
        (3, "/v1/", "/a/b", "/v1/b"),
        (2, "", "/a", "/"),
        (2, "", "/a?b", "/?b"),
        (0, "", "*", "*"),
    ],
)
def test_beginning_of_a_path_is_replaced(cut: int, prefix: str, target: str, sent: str) -> None:
    """§2.5: `replace_beg`."""
    changed = dataclasses.replace(route("a"), cut=cut, prefix=prefix)
    assert changed.target(target) == sent


def test_route_is_shown_as_a_url() -> None:
    assert Route.parse("a=https://[::1]/x").url == "https://[::1]:443/x"
    assert dataclasses.replace(route("a"), scheme="test").url == "test"
