"""What a `pushpin.conf` means for our proxy: keys that make sense are obeyed, the rest is named.

Nothing is refused because it is not known here: the proxy starts wherever Pushpin does. Source:
GRIP §2.5, §13 (defaults).
"""

import dataclasses
import ssl
from pathlib import Path

from grip.errors import LocalProtocolError
from grip.keys import Key
from host_sim.errors import ConfigError
from host_sim.fanout.forward import Forwarded
from host_sim.fanout.proxy import MAX_HELD
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.signer import Signer
from host_sim.messages import Address
from host_sim.proxy import ProxySettings
from host_sim.pushpin.conf import Conf, natural
from host_sim.pushpin.routes import parse_routes

__all__ = ["Overrides", "load_settings"]

ADDRESS: Address = ("127.0.0.1", 7999)
PUBLISH_ADDRESS: Address = ("127.0.0.1", 5561)

_EVERYWHERE = "0.0.0.0"  # Pushpin's meaning of a port alone

_AS_HERE = {
    "runner/log_level": "2",
    "proxy/accept_x_forwarded_protocol": "false",
    "proxy/auto_cross_origin": "false",
    "proxy/debug": "false",
    "proxy/orig_headers_need_mark": "",
    "proxy/x_forwarded_for_trusted": "",
    "handler/connection_subscription_max": "20",
    "handler/id_cache_ttl": "60",
    "handler/subscription_linger": "60",
}
"""Keys with one value that is obeyed, since it is what the proxy does anyway."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says; it wins over the file. None, or empty: nothing.

    Attributes:
        routes: in place of those of the file.
        sig_iss: issuer in `Grip-Sig`.
        sig_key: its key.
        address: where clients connect.
        publish_address: where publishers connect.
        publish_key: what they have to know; there is no such key in the file.
        compression: switched on, whatever the file says.
    """

    routes: tuple[Route, ...] = ()
    sig_iss: str | None = None
    sig_key: Key | None = None
    address: Address | None = None
    publish_address: Address | None = None
    publish_key: str | None = None
    compression: bool = False


def load_settings(path: Path | None, given: Overrides) -> tuple[ProxySettings, str | None]:
    """Read a `pushpin.conf` and the files it names; without one, `given` has to be enough.

    Returns:
        The settings of a proxy, and a warning about what of the files is not obeyed.

    Raises:
        ConfigError: a file cannot be read, or a value not be used.
    """
    if path is None:
        return _settings(given), None
    conf = Conf(path)
    listening = conf.parts("runner/http_port", "7999")
    address, *others = [conf.made("runner/http_port", _address, text) for text in listening]
    routes, notes = _routes(conf, given)
    issuer = conf.text("proxy/sig_iss", "pushpin")
    key = conf.text("proxy/sig_key", "changeme")
    trusted = conf.text("proxy/upstream_key")
    publish_address = _publish_address(conf)
    settings = ProxySettings(
        routes=routes,
        sign=Signer(given.sig_key or _key(conf, "proxy/sig_key", key), given.sig_iss or issuer),
        address=given.address or address,
        publish_address=given.publish_address or publish_address,
        publish_key=given.publish_key,
        max_publish_bytes=conf.number("handler/push_in_http_max_body_size", 1_000_000),
        max_publish_head_bytes=conf.number("handler/push_in_http_max_headers_size", 10_000),
        max_head_bytes=conf.number("runner/client_buffer_size", 8192),
        message_wait_s=conf.number("handler/message_wait", 5000) / 1000,
        max_held=conf.number("runner/client_maxconn", MAX_HELD),
        compression=given.compression or conf.switch("runner/allow_compression", default=False),
        forwarded=_forwarded(conf),
        tls_addresses=tuple(_tls(conf, text) for text in conf.parts("runner/https_ports")),
        trusted_key=_key(conf, "proxy/upstream_key", trusted) if trusted else None,
    )
    notes += (f"runner/http_port {host}:{port}" for host, port in others)
    unmet = [key for key, value in _AS_HERE.items() if conf.text(key, value) != value]
    ignored = sorted([*conf.ignored, *unmet])
    if ignored:
        notes.insert(0, ", ".join(ignored))
    return settings, f"{path}: not obeyed: {'; '.join(notes)}" if notes else None


def _settings(given: Overrides) -> ProxySettings:
    if given.sig_key is None or given.sig_iss is None:
        raise ConfigError("expected key and issuer of Grip-Sig, or a pushpin.conf")
    return ProxySettings(
        routes=Routes(given.routes),
        sign=Signer(given.sig_key, given.sig_iss),
        address=given.address or ADDRESS,
        publish_address=given.publish_address or PUBLISH_ADDRESS,
        publish_key=given.publish_key,
        compression=given.compression,
    )


def _routes(conf: Conf, given: Overrides) -> tuple[Routes, list[str]]:
    by_name = conf.switch("proxy/accept_pushpin_route", default=False)
    file = conf.path.parent / conf.text("proxy/routesfile", "routes")
    if given.routes:
        return Routes(given.routes, by_name=by_name), []
    try:
        routes, notes = parse_routes(file.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the routes of {conf.path}: {error}") from error
    said = [f"{file.name} {note}" for note in notes]
    if not routes:
        reasons = f": {'; '.join(said)}" if said else ""
        raise ConfigError(f"{file} has no route that can be used{reasons}")
    return Routes(routes, by_name=by_name), said


def _publish_address(conf: Conf) -> Address:
    host, port = PUBLISH_ADDRESS
    port = conf.number("handler/push_in_http_port", port)
    return (
        conf.text("handler/push_in_http_addr", host),
        port + conf.number("global/port_offset", 0),
    )


def _forwarded(conf: Conf) -> Forwarded:
    """Return what `truncate:2,append` and the like mean, in either order."""
    told = conf.text("proxy/set_x_forwarded_protocol", "false")
    rules = conf.parts("proxy/x_forwarded_for")
    kept = None
    for rule in rules:
        name, _, count = rule.partition(":")
        if name == "truncate":
            kept = conf.made("proxy/x_forwarded_for", natural, count)
    return Forwarded(
        proto=told in ("true", "proto-only"),
        protocol=told == "true",
        append="append" in rules,
        kept=kept,
    )


def _key(conf: Conf, name: str, text: str) -> Key:
    """Return a key: a secret, `base64:…`, or `file:` with the name of a PEM."""
    try:
        if text.startswith("file:"):
            return Key.parse((conf.path.parent / text.removeprefix("file:")).read_text("utf-8"))
        return Key.secret(text)
    except (OSError, UnicodeDecodeError, LocalProtocolError) as error:
        raise ConfigError(f"{conf.path}: {name}: {error}") from error


def _tls(conf: Conf, text: str) -> tuple[Address, ssl.SSLContext]:
    """Return an address and its certificate, which lies beside the file, named after the port."""
    address = conf.made("runner/https_ports", _address, text)
    certificates = conf.path.parent / "runner" / "certs"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    name = f"default_{address[1]}"
    try:
        context.load_cert_chain(certificates / f"{name}.crt", certificates / f"{name}.key")
    except OSError as error:
        raise ConfigError(f"{certificates / name}.crt and .key: {error}") from error
    return address, context


def _address(text: str) -> Address:
    """Parse `PORT` or `ADDRESS:PORT`."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"expected [ADDRESS:]PORT, got {text!r}")
    return host.strip("[]") or _EVERYWHERE, int(port)
