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
    "SendDynamic",
]

type Contents = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""A config store: its entries, or what reads them; that may raise `OSError` or `ConfigError`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackendFacts:
    """What a guest can ask about a backend.

    Attributes:
        url: where it is, `http` or `https`.
        override_host: `Host` field its requests get, None for the guest's own.
        healthy: None for unknown.
    """

    url: str
    override_host: str | None = None
    healthy: bool | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DynamicBackend:
    """A backend that a guest described itself; nobody but its sandbox knows it.

    Attributes:
        name: as the guest calls it.
        target: host and optional port.
        tls: whether to connect with TLS.
        override_host: `Host` of every request, None for the guest's own.
        cert_host: name its certificate must have, None for the target's.
        use_sni: whether that name is sent in the TLS handshake.
        ca_certificates: PEM of whom to trust, None for whom the system trusts.
        client_certificate: what to show, certificate and key as PEM.
        first_byte_timeout_ms, between_bytes_timeout_ms: 0 for none.
        grpc: whether it speaks HTTP/2 only.
    """

    name: str
    target: str
    tls: bool
    override_host: str | None
    cert_host: str | None
    use_sni: bool
    ca_certificates: str | None
    client_certificate: tuple[str, str] | None = dataclasses.field(repr=False)
    first_byte_timeout_ms: int
    between_bytes_timeout_ms: int
    grpc: bool

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self.tls else 'http'}://{self.target}"


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


LOOPBACK_GEO: Mapping[str, object] = {
    "as_name": "Fastly, Inc",
    "as_number": 54113,
    "area_code": 415,
    "city": "San Francisco",
    "conn_speed": "broadband",
    "conn_type": "wired",
    "continent": "NA",
    "country_code": "US",
    "country_code3": "USA",
    "country_name": "United States of America",
    "gmt_offset": -700,
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
        geo: records by address as text; loopback addresses have one anyway.
        devices: records by exact `User-Agent`.
        fastly_keys: API keys that `fastly-key-is-valid` accepts.
    """

    backends: Mapping[str, BackendFacts] = dataclasses.field(default_factory=dict)
    config_stores: Mapping[str, Contents] = dataclasses.field(default_factory=dict)
    secret_stores: Mapping[str, Mapping[str, bytes]] = dataclasses.field(default_factory=dict)
    kv_stores: Mapping[str, Mapping[str, bytes]] = dataclasses.field(default_factory=dict)
    acls: Mapping[str, Sequence[AclEntry]] = dataclasses.field(default_factory=dict)
    geo: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    devices: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    fastly_keys: frozenset[str] = frozenset()
