"""What a `pushpin.conf` means for our proxy (GRIP §2.5, §13)."""

from pathlib import Path

import pytest

from grip.signature import Key, verify
from host_sim.errors import ConfigError
from host_sim.fanout.forward import Forwarded
from host_sim.fanout.routes import Route
from host_sim.proxy import ProxySettings
from host_sim.pushpin.settings import Overrides, load_settings
from tests.support.requests import request

FASTLY = """\
[global]
include=internal.conf
rundir=pushpin-run
ipc_prefix=pushpin-
port_offset=0
stats_connection_ttl=120

[runner]
services=connmgr,proxy,handler
http_port=7677
logdir=pushpin-logs
log_level=2
client_buffer_size=8192
client_maxconn=50000
allow_compression=false

[proxy]
routesfile=the-routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
accept_pushpin_route=true
sig_iss=viceroy
sig_key=viceroy_dev_signing_key_dont_use_in_production

[handler]
push_in_spec=tcp://127.0.0.1:5562
push_in_http_addr=127.0.0.1
push_in_http_port=5561
push_in_http_max_headers_size=8192
push_in_http_max_body_size=65536
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
"""
ROUTES = "id=self 127.0.0.1:7676,over_http\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with routes in it."""
    (tmp_path / "routes").write_text("*,id=a 127.0.0.1:8000,over_http\n")
    (tmp_path / "the-routes").write_text(ROUTES)
    return tmp_path


def load(folder: Path, text: str, **given: object) -> tuple[ProxySettings, str]:
    path = folder / "pushpin.conf"
    path.write_text(text)
    settings, warning = load_settings(path, Overrides(**given))  # type: ignore[arg-type]
    return settings, warning or ""


def test_the_file_of_the_fastly_cli(folder: Path) -> None:
    """compute-host §5.3."""
    settings, warning = load(folder, FASTLY)
    assert settings.address == ("0.0.0.0", 7677)
    assert settings.publish_address == ("127.0.0.1", 5561)
    assert (settings.max_publish_bytes, settings.max_publish_head_bytes) == (65536, 8192)
    assert (settings.max_head_bytes, settings.max_held) == (8192, 50_000)
    assert settings.message_wait_s == 5.0
    key = Key.secret("viceroy_dev_signing_key_dont_use_in_production")
    assert verify(settings.sign(), key, "viceroy", 0).issuer == "viceroy"
    chosen = settings.routes.choose(request(headers=(("Pushpin-Route", "self"),)))
    assert chosen is not None
    assert chosen.port == 7676
    for unknown in ("handler/push_in_spec", "runner/services"):
        assert unknown in warning
    for obeyed in ("sig_key", "http_port", "proxy/debug", "message_wait", "include"):
        assert obeyed not in warning


def test_an_empty_file_has_the_defaults_of_pushpin(folder: Path) -> None:
    settings, warning = load(folder, "")
    assert (settings.address, settings.publish_address) == (
        ("0.0.0.0", 7999),
        ("127.0.0.1", 5561),
    )
    assert verify(settings.sign(), Key.secret("changeme"), "pushpin", 0).issuer == "pushpin"
    asked = request(headers=(("Pushpin-Route", "none"),))
    assert settings.routes.choose(asked) is not None  # clients may not choose
    assert settings.trusted_key is None
    assert warning == ""


def test_the_command_line_wins(folder: Path) -> None:
    settings, _ = load(
        folder,
        FASTLY,
        routes=(Route.parse("b=http://127.0.0.1:1"),),
        sig_iss="mine",
        sig_key=Key.secret("my secret"),
        address=("127.0.0.1", 1),
        publish_address=("127.0.0.1", 2),
        publish_key="known",
    )
    assert [route.name for route in settings.routes] == ["b"]
    assert verify(settings.sign(), Key.secret("my secret"), "mine", 0).issuer == "mine"
    assert settings.address == ("127.0.0.1", 1)
    assert settings.publish_address == ("127.0.0.1", 2)
    assert settings.publish_key == "known"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("7999", ("0.0.0.0", 7999)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:1", ("::1", 1))],
)
def test_where_clients_connect(folder: Path, text: str, expected: tuple[str, int]) -> None:
    settings, _ = load(folder, f"[runner]\nhttp_port={text}\n")
    assert settings.address == expected


def test_port_offset_is_for_publishers(folder: Path) -> None:
    settings, _ = load(folder, "[global]\nport_offset=10\n")
    assert settings.publish_address == ("127.0.0.1", 5571)


@pytest.mark.parametrize("value", ["base64:c2VjcmV0IGtleQ==", "file:key.txt", "secret key"])
def test_forms_of_a_key(folder: Path, value: str) -> None:
    (folder / "key.txt").write_text("secret key")
    settings, _ = load(folder, f"[proxy]\nsig_key={value}\nupstream_key={value}\n")
    assert verify(settings.sign(), Key.secret("secret key"), "pushpin", 0)
    assert settings.trusted_key == Key.secret("secret key")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Forwarded(proto=False)),
        ("set_x_forwarded_protocol=proto-only", Forwarded()),
        ("set_x_forwarded_protocol=true", Forwarded(protocol=True)),
        ("x_forwarded_for=append", Forwarded(proto=False, append=True)),
        ("x_forwarded_for=truncate:0, append", Forwarded(proto=False, append=True, kept=0)),
    ],
)
def test_what_backends_are_told(folder: Path, text: str, expected: Forwarded) -> None:
    settings, _ = load(folder, f"[proxy]\n{text}\n")
    assert settings.forwarded == expected


def test_all_that_is_not_obeyed_is_one_warning(folder: Path) -> None:
    (folder / "routes").write_text("* a:1,over_http b:1,over_http\n* c:1\n")
    _, warning = load(folder, "[proxy]\ndebug=true\nfuture=1\n[runner]\nhttp_port=1,2\n")
    expected = (
        "pushpin.conf: not obeyed: proxy/debug, proxy/future; "
        "routes line 1: only the first of 2 targets is used; "
        "routes line 2: skipped, the same condition has been there before; "
        "runner/http_port 0.0.0.0:2"
    )
    assert warning == f"{folder}/{expected}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[proxy]\nroutesfile=none\n", "cannot read the routes"),
        ("[proxy]\nsig_key=base64:!\n", "proxy/sig_key"),
        ("[proxy]\nsig_key=file:none.pem\n", "proxy/sig_key"),
        ("[runner]\nhttp_port=x\n", "runner/http_port: expected"),
        ("[runner]\nhttp_port=65536\n", "runner/http_port: expected"),
        ("[runner]\nhttps_ports=443\n", "default_443"),
        ("[proxy]\nx_forwarded_for=truncate:x\n", "proxy/x_forwarded_for"),
        ("[handler]\nmessage_wait=soon\n", "handler/message_wait"),
    ],
)
def test_what_cannot_be_used_is_a_clear_error(folder: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(folder, text)


def test_a_file_without_a_usable_route_says_why(folder: Path) -> None:
    (folder / "routes").write_text("nonsense\n")
    with pytest.raises(ConfigError, match="no route that can be used: routes line 1: skipped"):
        load(folder, "")


def test_without_a_file_the_command_line_is_enough() -> None:
    given = Overrides(
        routes=(Route.parse("b=http://127.0.0.1:1"),), sig_iss="i", sig_key=Key.secret("secret")
    )
    settings, warning = load_settings(None, given)
    assert (settings.address, settings.publish_address) == (
        ("127.0.0.1", 7999),
        ("127.0.0.1", 5561),
    )
    assert warning is None
    with pytest.raises(ConfigError):
        load_settings(None, Overrides())
