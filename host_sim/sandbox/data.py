"""What a guest can look up: the part of the service's configuration that host functions read.

A value, independent of where it comes from. What Viceroy reads anew at every `open` is given as a
function, everything else as it is. Host contract §2.5, §2.8.
"""

import dataclasses
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from host_sim.messages import Request, Response

__all__ = [
    "LOOPBACK_GEO",
    "AclEntry",
    "BackendFacts",
    "Contents",
    "DynamicBackend",
    "HostData",
    "KvItem",
    "Records",
    "SendDynamic",
    "Shield",
]

type Contents = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""A config store: its entries, or what reads them; that may raise `OSError` or `ConfigError`."""

type _Records = Mapping[str, Mapping[str, object]]

type Records = _Records | Callable[[], _Records]
"""Records by what they are looked up with, or what reads them at each look-up; likewise."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackendFacts:
    """What a guest can ask about a backend.

    Attributes:
        url: where it is, `http` or `https`.
        override_host: `Host` field its requests get, None for the guest's own.
        healthy: None for unknown.
        connect_timeout_ms, first_byte_timeout_ms, between_bytes_timeout_ms: 0 for none.
        tls_min_version, tls_max_version: as TLS numbers them (0x0303 is 1.2), None for any.
        http_keepalive_ms: how long an idle connection is kept.
        tcp_keepalive: whether TCP looks after idle connections.
        tcp_keepalive_interval_s, tcp_keepalive_probes, tcp_keepalive_time_s: how it does.
    """

    url: str
    override_host: str | None = None
    healthy: bool | None = None
    connect_timeout_ms: int = 0
    first_byte_timeout_ms: int = 0
    between_bytes_timeout_ms: int = 0
    tls_min_version: int | None = None
    tls_max_version: int | None = None
    http_keepalive_ms: int = 0
    tcp_keepalive: bool = False
    tcp_keepalive_interval_s: int = 0
    tcp_keepalive_probes: int = 0
    tcp_keepalive_time_s: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DynamicBackend:
    """A backend that a guest described itself; nobody but its sandbox knows it.

    Attributes:
        name: as the guest calls it.
        facts: where it is and what can be asked about it.
        cert_host: name its certificate must have, None for the URL's host.
        use_sni: whether that name is sent in the TLS handshake.
        ca_certificates: PEM of whom to trust, None for whom the system trusts.
        client_certificate: what to show, certificate and key as PEM.
        grpc: whether it speaks HTTP/2 only.
    """

    name: str
    facts: BackendFacts
    cert_host: str | None = None
    use_sni: bool = True
    ca_certificates: str | None = None
    client_certificate: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    grpc: bool = False


type SendDynamic = Callable[[Request, DynamicBackend], Coroutine[Any, Any, Response]]
"""Sends a request to a dynamic backend; raises `BackendError` where there is no response head."""


@dataclasses.dataclass(frozen=True, slots=True)
class AclEntry:
    """One line of an access control list.

    Attributes:
        prefix: network, for example `192.0.2.0/24`.
        action: what the guest gets to see for addresses in it, for example `BLOCK`.
    """

    prefix: str
    action: str


@dataclasses.dataclass(frozen=True, slots=True)
class KvItem:
    """A value that a KV store starts with, and what is kept beside it."""

    data: bytes
    metadata: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Shield:
    """A shielding site elsewhere, by its two URLs."""

    unencrypted: str
    encrypted: str


LOOPBACK_GEO: Mapping[str, object] = {
    "area_code": 415,
    "as_name": "Fastly, Inc",
    "as_number": 54113,
    "city": "San Francisco",
    "conn_speed": "broadband",
    "conn_type": "wired",
    "continent": "NA",
    "country_code": "US",
    "country_code3": "USA",
    "country_name": "United States of America",
    "latitude": 37.77869,
    "longitude": -122.39557,
    "metro_code": 0,
    "postal_code": "94107",
    "proxy_description": "?",
    "proxy_type": "?",
    "region": "CA",
    "utc_offset": -700,
}
"""What the platform's local tools say about addresses of the machine itself."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostData:
    """Everything a guest can look up by name.

    Attributes:
        backends: by name.
        config_stores: by name; `dictionary` gives the same under the old name.
        secret_stores: by name, then by name of the secret.
        kv_stores: contents at the start, by name, then by key.
        acls: by name.
        geo: records by address.
        loopback_geo: whether loopback addresses without a record of their own get the usual one.
        devices: records by exact `User-Agent`.
        shields: shielding sites by name, None for the one this is.
        fastly_keys: API keys that `fastly-key-is-valid` accepts.
        websockets: whether a client may be handed off to a backend.
    """

    backends: Mapping[str, BackendFacts] = dataclasses.field(default_factory=dict)
    config_stores: Mapping[str, Contents] = dataclasses.field(default_factory=dict)
    secret_stores: Mapping[str, Mapping[str, bytes]] = dataclasses.field(default_factory=dict)
    kv_stores: Mapping[str, Mapping[str, KvItem]] = dataclasses.field(default_factory=dict)
    acls: Mapping[str, Sequence[AclEntry]] = dataclasses.field(default_factory=dict)
    geo: Records = dataclasses.field(default_factory=dict)
    loopback_geo: bool = True
    devices: Records = dataclasses.field(default_factory=dict)
    shields: Mapping[str, Shield | None] = dataclasses.field(default_factory=dict)
    fastly_keys: frozenset[str] = frozenset()
    websockets: bool = True
