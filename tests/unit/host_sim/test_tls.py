"""Names in certificates (RFC 9525 §6), and versions of TLS."""

import ssl

import pytest

from host_sim.config.backends import Backend
from host_sim.edge.tls import context_for, name_fits


@pytest.mark.parametrize(
    ("name", "names", "fits"),
    [
        ("a.test", [("DNS", "b.test"), ("DNS", "A.test")], True),
        ("A.TEST.", [("DNS", "a.test")], True),
        ("a.test", [("DNS", "*.test")], False),  # too wide
        ("a.b.test", [("DNS", "*.b.test")], True),
        ("a.b.test", [("DNS", "*.test")], False),
        ("b.test", [("DNS", "*.b.test")], False),
        ("ab.b.test", [("DNS", "a*.b.test")], False),  # a `*` is a whole label
        ("*.b.test", [("DNS", "*.b.test")], True),
        ("localhost", [("DNS", "localhost")], True),
        ("a.test", [("URI", "a.test"), ("email", "a.test")], False),
        ("a.test", [], False),
        ("127.0.0.1", [("IP Address", "127.0.0.1")], True),
        ("127.0.0.1", [("DNS", "127.0.0.1")], False),
        ("127.0.0.1", [("IP Address", "::1"), ("IP Address", "<invalid>")], False),
        ("::1", [("IP Address", "0:0:0:0:0:0:0:1\n")], True),
    ],
)
def test_names(name: str, names: list[tuple[str, str]], fits: bool) -> None:
    assert name_fits(name, names) is fits


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        (None, None, None),
        (0x0301, None, None),
        (0x0303, 0x0303, (0x0303, 0x0303)),
        (0x0304, None, (0x0304, None)),
        (None, 0x0303, (0x0303, 0x0303)),
    ],
)
def test_versions(
    least: int | None, most: int | None, expected: tuple[int, int | None] | None
) -> None:
    """The system's own bounds stay where nothing narrower is wanted; never below 1.2."""
    usual = ssl.create_default_context()
    context = context_for(Backend(url="https://h", tls_min_version=least, tls_max_version=most))
    bounds = (context.minimum_version, context.maximum_version)
    least_bound, most_bound = expected or (usual.minimum_version, usual.maximum_version)
    assert bounds == (least_bound, usual.maximum_version if most_bound is None else most_bound)


@pytest.mark.parametrize(("least", "most"), [(None, 0x0302), (0x0304, 0x0303), (0x0301, 0x0301)])
def test_versions_that_cannot_be(least: int | None, most: int | None) -> None:
    with pytest.raises(ssl.SSLError, match=r"no version of TLS from 1\.2 on"):
        context_for(Backend(url="https://h", tls_min_version=least, tls_max_version=most))
