"""What is written for a Pushpin, and that there may be none (GRIP §2.5, compute-host §5.3)."""

import os
from pathlib import Path

import pytest

from grip.signature import Key
from host_sim.config.backends import Backend
from host_sim.errors import StartError
from host_sim.messages import Address
from host_sim.pushpin.engine import route_of
from host_sim.pushpin.process import Pushpin, PushpinSettings, free_addresses, quoted

EDGE = ("127.0.0.1", 7676)


@pytest.mark.parametrize(
    ("name", "backend", "line"),
    [
        ("b", Backend(url="http://h:81"), "id=b h:81,over_http"),
        ("b", Backend(url="http://h"), "id=b h:80,over_http"),
        ("b", Backend(url="https://h"), "id=b h:443,over_http,ssl"),
        ("b", Backend(url="http://[::1]:81/"), "id=b [::1]:81,over_http"),
        ("b", Backend(url="http://h:81/a/b/"), "id=b,replace_beg=/a/b h:81,over_http"),
        (
            "b",
            Backend(url="http://h:81", override_host="o:82"),
            "id=b h:81,over_http,host=o:82",
        ),
        ('b "x",', Backend(url="http://h:81"), r'id="b \"x\"," h:81,over_http'),
        ("self", Backend(url="https://h"), "*,id=self 127.0.0.1:7676,over_http"),
    ],
)
def test_a_backend_is_one_route(name: str, backend: Backend, line: str) -> None:
    """As the Fastly CLI writes it; `self` is here, and for those who name no backend."""
    assert route_of(name, backend, EDGE) == line


@pytest.mark.parametrize(
    ("edge", "target"), [(("0.0.0.0", 1), "127.0.0.1:1"), (("::", 1), "[::1]:1")]
)
def test_an_edge_that_listens_everywhere_is_reached_here(edge: Address, target: str) -> None:
    assert route_of("self", Backend(url="http://h"), edge) == f"*,id=self {target},over_http"


def test_what_a_backend_needs_and_pushpin_lacks_is_said(caplog: pytest.LogCaptureFixture) -> None:
    route_of("secure", Backend(url="https://h", cert_host="other"), EDGE)
    assert "'secure'" in caplog.text


@pytest.mark.parametrize(
    ("text", "written"),
    [("viceroy", "viceroy"), ("fastly:1", "fastly:1"), ('a,"\\', '"a,\\"\\\\"'), ("ü", '"ü"')],
)
def test_a_value_is_quoted_where_it_must_be(text: str, written: str) -> None:
    assert quoted(text) == written


def test_ports_that_are_not_given_are_free_and_different() -> None:
    addresses = free_addresses("127.0.0.1", [0, 0, 81])
    assert addresses[2] == ("127.0.0.1", 81)
    assert len({port for _, port in addresses}) == 3


def test_a_host_of_another_machine_is_said_so() -> None:
    with pytest.raises(StartError, match=r"192\.0\.2\.1"):
        free_addresses("192.0.2.1", [0])


async def test_without_pushpin_there_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    settings = PushpinSettings(
        address=EDGE, publish_address=EDGE, routes=(), sig_iss="i", sig_key=Key.secret("secret")
    )
    pushpin = Pushpin(settings)
    with pytest.raises(StartError, match=r"cannot find the program 'pushpin': install it"):
        await pushpin.start()
    await pushpin.stop()


def test_a_key_is_never_shown() -> None:
    settings = PushpinSettings(
        address=EDGE, publish_address=EDGE, routes=(), sig_iss="i", sig_key=Key.secret("hidden")
    )
    assert "hidden" not in repr(settings)
