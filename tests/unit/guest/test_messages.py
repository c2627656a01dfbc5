"""Paths of URIs, and responses for human readers."""

import pytest

from guest.messages import path_of, text


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("http://127.0.0.1:7676/", "/"),
        ("http://127.0.0.1:7676", "/"),
        ("http://127.0.0.1:7676/ws", "/ws"),
        ("https://example.com/a/b?c=d/e?f", "/a/b"),
        ("https://example.com?a=/ws", "/"),
        ("https://example.com/a%2Fb%3F", "/a%2Fb%3F"),
        ("http://example.com//ws", "//ws"),
        ("http://example.com/x?u=http://y/ws", "/x"),
        ("http://example.com/http://y/ws", "/http://y/ws"),
    ],
)
def test_path_is_taken_as_it_is_written(uri: str, path: str) -> None:
    assert path_of(uri) == path


def test_text_is_a_line() -> None:
    response = text(405, "no", ("Allow", "GET"))
    assert (response.status, response.body) == (405, b"no\n")
    assert list(response.headers)[1:] == [("Allow", "GET")]
