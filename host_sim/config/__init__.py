"""Reads `fastly.toml` into frozen values, once; nothing of it is looked up elsewhere later.

`manifest` reads the file and `[local_server]`, `backends`, `stores` and `lookups` the tables below
it; `table` takes keys out of a table and complains about what is left. Relative paths are resolved
against the working directory of the process, as Viceroy does. Source: compute-host §4.
"""

from host_sim.config.backends import Backend, ClientCertificate, Health
from host_sim.config.lookups import AclEntry, Geolocation, Records, ShieldingSite
from host_sim.config.manifest import Manifest, load_manifest
from host_sim.config.stores import Contents, KvItem

__all__ = [
    "AclEntry",
    "Backend",
    "ClientCertificate",
    "Contents",
    "Geolocation",
    "Health",
    "KvItem",
    "Manifest",
    "Records",
    "ShieldingSite",
    "load_manifest",
]
