"""Config stores. Host contract §2.8."""

from host_sim.errors import ConfigError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.objects.lookups import ConfigStore
from host_sim.sandbox.state import Sandbox

__all__ = ["get", "open_store"]

hostcall = interface("config-store")


@hostcall("[static]store.open")
def open_store(sandbox: Sandbox, name: str) -> ConfigStore:
    """Open a store; one that is kept in a file is read again each time."""
    contents = sandbox.data.config_stores.get(name)
    if contents is None:
        raise WitError("not-found")
    try:
        return ConfigStore(contents() if callable(contents) else contents)
    except (OSError, ConfigError) as error:
        raise WitError("generic-error") from error


@hostcall("[method]store.get")
def get(sandbox: Sandbox, store: ConfigStore, key: str, max_len: int) -> str | None:
    """Return an entry, none if there is none of that key."""
    sandbox.usage.count("lookups in config stores")
    value = store.entries.get(key)
    return None if value is None else fitting(value, max_len)
