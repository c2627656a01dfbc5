"""Translates between `config`, `edge` and `sandbox`, which do not know each other.

A manifest becomes what a guest can look up; a backend that a guest describes, one of the edge's.
"""

from host_sim.config.backends import Backend, ClientCertificate, Health
from host_sim.config.manifest import Manifest
from host_sim.edge.upstream import Backends
from host_sim.http1.client import KEEP_IDLE_S
from host_sim.messages import Request, Response
from host_sim.outbound import CONNECT_TIMEOUT_S
from host_sim.sandbox.data import (
    AclEntry,
    BackendFacts,
    DynamicBackend,
    HostData,
    KvItem,
    SendDynamic,
    Shield,
)

__all__ = ["host_data", "send_dynamic"]

_HEALTHY = {Health.UNKNOWN: None, Health.HEALTHY: True, Health.UNHEALTHY: False}


def host_data(manifest: Manifest) -> HostData:
    """Return the manifest's backends, stores and records as host functions read them."""
    return HostData(
        backends={
            name: BackendFacts(
                url=backend.url,
                override_host=backend.override_host,
                healthy=_HEALTHY[backend.health],
                connect_timeout_ms=int(CONNECT_TIMEOUT_S * 1000),
                first_byte_timeout_ms=backend.first_byte_timeout_ms or 0,
                between_bytes_timeout_ms=backend.between_bytes_timeout_ms or 0,
                http_keepalive_ms=int(KEEP_IDLE_S * 1000),
            )
            for name, backend in manifest.backends.items()
        },
        config_stores=manifest.config_stores,
        secret_stores=manifest.secret_stores,
        kv_stores={
            name: {key: KvItem(item.data, item.metadata) for key, item in items.items()}
            for name, items in manifest.kv_stores.items()
        },
        acls={
            name: [AclEntry(entry.prefix, entry.action) for entry in entries]
            for name, entries in manifest.acls.items()
        },
        geo=manifest.geolocation.addresses,
        loopback_geo=manifest.geolocation.use_default_loopback,
        devices=manifest.device_detection,
        shields={
            name: None if site == "local" else Shield(site.unencrypted, site.encrypted)
            for name, site in manifest.shielding_sites.items()
        },
        fastly_keys=manifest.fastly_keys,
    )


def send_dynamic(backends: Backends) -> SendDynamic:
    """Return what sends a request to a backend that a guest described itself."""

    async def send(request: Request, dynamic: DynamicBackend) -> Response:
        facts, shown = dynamic.facts, dynamic.client_certificate
        described = Backend(
            url=facts.url,
            override_host=facts.override_host,
            cert_host=dynamic.cert_host,
            use_sni=dynamic.use_sni,
            grpc=dynamic.grpc,
            first_byte_timeout_ms=facts.first_byte_timeout_ms or None,
            between_bytes_timeout_ms=facts.between_bytes_timeout_ms or None,
            ca_certificates=dynamic.ca_certificates,
            client_certificate=ClientCertificate(*shown) if shown else None,
            tls_min_version=facts.tls_min_version,
            tls_max_version=facts.tls_max_version,
        )
        return await backends.send_to(described, request, dynamic.name)

    return send
