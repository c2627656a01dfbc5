"""Turns what a guest says about a backend of its own into a backend. Host contract §2.5."""

import base64
import binascii
import dataclasses
import re
import urllib.parse

from grip.headers import is_field
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.data import BackendFacts, DynamicBackend

__all__ = ["Options", "describe", "is_url"]

MAX_NAME = 1024
"""Longest host name in an option, in bytes."""

MAX_CA = 64 << 10
"""Largest certificates of authorities, in bytes."""

TLS_VERSIONS = (0x0301, 0x0302, 0x0303, 0x0304)
"""1.0 to 1.3, as TLS numbers them."""

_TARGET = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?", re.ASCII)
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\s(.+?)\s-----END \1-----", re.DOTALL)


@dataclasses.dataclass(slots=True)
class Options:
    """Options behind a handle; fields are named as in the WIT.

    What only concerns connections that are kept (pooling, keep-alive), the connect timeout and the
    ciphers are stored, can be asked for where there is a getter, and have no effect.
    """

    override_host: str | None = None
    connect_timeout: int = 1000
    first_byte_timeout: int = 15_000
    between_bytes_timeout: int = 10_000
    use_tls: bool = False
    tls_min_version: int | None = None
    tls_max_version: int | None = None
    cert_hostname: str | None = None
    ca_certificate: str | None = None
    tls_ciphers: str | None = None
    sni_hostname: str | None = None
    client_cert: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    http_keepalive_time_ms: int = 0
    tcp_keepalive_enable: int = 0
    tcp_keepalive_interval_secs: int = 0
    tcp_keepalive_probes: int = 0
    tcp_keepalive_time_secs: int = 0
    max_connections: int = 0
    max_use: int = 0
    max_lifetime_ms: int = 0
    pooling: bool = True
    grpc: bool = False
    prefer_ipv6: bool = True


def describe(name: str, target: str, options: Options) -> DynamicBackend:
    """Return the backend that is meant.

    Raises:
        WitError: `invalid-argument` or `generic-error`, the target or an option cannot be.
    """
    for host in (options.override_host, options.cert_hostname):
        if host is not None and not 0 < len(host.encode()) <= MAX_NAME:
            raise WitError("invalid-argument")
    if options.override_host is not None and not is_field("Host", options.override_host):
        raise WitError("generic-error")
    for version in (options.tls_min_version, options.tls_max_version):
        if version not in (None, *TLS_VERSIONS):
            raise WitError("invalid-argument")
    authorities = _authorities(options)
    cert_host, use_sni = _names(options)
    shown = _shown(options)
    port = _TARGET.fullmatch(target)
    if port is None or int(port["port"] or 1) not in range(1, 1 << 16):
        raise WitError("invalid-argument")
    url = f"{'https' if options.use_tls else 'http'}://{target}"
    if not is_url(url):
        raise WitError("invalid-argument")
    return DynamicBackend(
        name=name,
        facts=BackendFacts(
            url=url,
            override_host=options.override_host,
            connect_timeout_ms=options.connect_timeout,
            first_byte_timeout_ms=options.first_byte_timeout,
            between_bytes_timeout_ms=options.between_bytes_timeout,
            tls_min_version=options.tls_min_version,
            tls_max_version=options.tls_max_version,
            http_keepalive_ms=options.http_keepalive_time_ms,
            tcp_keepalive=options.tcp_keepalive_enable != 0,
            tcp_keepalive_interval_s=options.tcp_keepalive_interval_secs,
            tcp_keepalive_probes=options.tcp_keepalive_probes,
            tcp_keepalive_time_s=options.tcp_keepalive_time_secs,
        ),
        cert_host=cert_host,
        use_sni=use_sni,
        ca_certificates=authorities,
        client_certificate=shown,
        grpc=options.grpc,
    )


def is_url(text: str) -> bool:
    """Tell whether a backend can be there."""
    try:
        parts = urllib.parse.urlsplit(text)
        _ = parts.port  # parsed only now
    except ValueError:
        return False
    fit = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return bool(fit) and re.fullmatch(r"[\x21-\x7e]+", text) is not None


def _names(options: Options) -> tuple[str | None, bool]:
    """Return the name to check, None for the target's, and whether to send it."""
    cert_host, sni = options.cert_hostname, options.sni_hostname
    if not sni:
        return cert_host, sni is None
    if len(sni.encode()) > MAX_NAME or cert_host not in (None, sni):
        raise WitError("invalid-argument")
    return sni, True


def _authorities(options: Options) -> str | None:
    pem = options.ca_certificate
    if pem is None or not options.use_tls:
        return None
    if not 0 < len(pem.encode()) <= MAX_CA:
        raise WitError("invalid-argument")
    if not _is_pem(pem):
        raise WitError("generic-error")
    return pem


def _shown(options: Options) -> tuple[str, str] | None:
    if options.client_cert is None:
        return None
    if not all(map(_is_pem, options.client_cert)):
        raise WitError("generic-error")
    return options.client_cert


def _is_pem(text: str) -> bool:
    """Tell whether there is something in PEM, and nothing but base64 in it."""
    found = _PEM.findall(text)
    try:
        for _, content in found:
            base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(found)
