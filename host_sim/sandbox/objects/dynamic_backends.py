"""Turns what a guest says about a backend of its own into a backend. Host contract §2.5."""

import dataclasses
import re

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.data import DynamicBackend

__all__ = ["Options", "describe"]

MAX_NAME = 1024
"""Longest host name in an option, in bytes."""

MAX_CA = 64 << 10
"""Largest certificates of authorities, in bytes."""

_TARGET = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?")
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\s.+?\s-----END \1-----", re.DOTALL)
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")


@dataclasses.dataclass(slots=True)
class Options:
    """Options behind a handle; fields are named as in the WIT.

    What only concerns connections that are kept (pooling, keep-alive, TLS versions) is stored and
    has no effect.
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
    port = _TARGET.fullmatch(target)
    if port is None or int(port["port"] or 1) not in range(1, 1 << 16):
        raise WitError("invalid-argument")
    for host in (options.override_host, options.cert_hostname):
        if host is not None and not 0 < len(host.encode()) <= MAX_NAME:
            raise WitError("invalid-argument")
    if options.override_host is not None and not _FIELD_VALUE.fullmatch(options.override_host):
        raise WitError("generic-error")
    cert_host, use_sni = _names(options)
    return DynamicBackend(
        name=name,
        target=target,
        tls=options.use_tls,
        override_host=options.override_host,
        cert_host=cert_host,
        use_sni=use_sni,
        ca_certificates=_authorities(options),
        client_certificate=_shown(options),
        first_byte_timeout_ms=options.first_byte_timeout,
        between_bytes_timeout_ms=options.between_bytes_timeout,
        grpc=options.grpc,
    )


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
    if not _PEM.search(pem):
        raise WitError("generic-error")
    return pem


def _shown(options: Options) -> tuple[str, str] | None:
    if options.client_cert is None:
        return None
    if not all(_PEM.search(pem) for pem in options.client_cert):
        raise WitError("generic-error")
    return options.client_cert
