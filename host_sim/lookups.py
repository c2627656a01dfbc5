"""Turns a manifest into what a guest can look up; `config` and `sandbox` do not know each other."""

from host_sim.config.backends import Health
from host_sim.config.manifest import Manifest
from host_sim.sandbox.data import AclEntry, BackendFacts, HostData

__all__ = ["host_data"]

_HEALTHY = {Health.UNKNOWN: None, Health.HEALTHY: True, Health.UNHEALTHY: False}


def host_data(manifest: Manifest) -> HostData:
    """Return the manifest's backends, stores and records as host functions read them."""
    return HostData(
        backends={
            name: BackendFacts(
                url=backend.url,
                override_host=backend.override_host,
                healthy=_HEALTHY[backend.health],
            )
            for name, backend in manifest.backends.items()
        },
        config_stores=manifest.config_stores,
        secret_stores=manifest.secret_stores,
        kv_stores={
            name: {key: item.data for key, item in items.items()}
            for name, items in manifest.kv_stores.items()
        },
        acls={
            name: [AclEntry(entry.prefix, entry.action) for entry in entries]
            for name, entries in manifest.acls.items()
        },
        geo=manifest.geolocation.addresses,
        devices=manifest.device_detection,
        fastly_keys=manifest.fastly_keys,
    )
