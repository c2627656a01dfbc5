"""Backends: opening them by name and asking about them. Host contract §2.5."""

import urllib.parse

from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.lookups import Backend
from host_sim.sandbox.state import Sandbox
from host_sim.sandbox.values import WitError

__all__ = [
    "get_host",
    "get_name",
    "get_override_host",
    "get_port",
    "is_dynamic",
    "is_healthy",
    "is_tls",
    "open_backend",
]

hostcall = interface("backend")

_HEALTH = {None: "unknown", True: "healthy", False: "unhealthy"}


@hostcall("[static]backend.open")
def open_backend(sandbox: Sandbox, name: str) -> Backend:
    """Open a backend of the configuration."""
    facts = sandbox.data.backends.get(name)
    if facts is None:
        raise WitError("not-found")
    return Backend(name, facts)


@hostcall("[method]backend.get-name")
def get_name(_sandbox: Sandbox, backend: Backend) -> str:
    """Return its name."""
    return backend.name


@hostcall("[method]backend.is-healthy")
def is_healthy(_sandbox: Sandbox, backend: Backend) -> str:
    """Return what the configuration says; nothing is ever checked."""
    return _HEALTH[backend.facts.healthy]


@hostcall("[method]backend.is-dynamic")
def is_dynamic(_sandbox: Sandbox, _backend: Backend) -> bool:
    """Tell that it comes from the configuration."""
    return False


@hostcall("[method]backend.get-override-host")
def get_override_host(_sandbox: Sandbox, backend: Backend, max_len: int) -> bytes | None:
    """Return the `Host` its requests get, none for the guest's own."""
    if backend.facts.override_host is None:
        return None
    host = backend.facts.override_host.encode()
    if len(host) > max_len:
        raise WitError.buffer_len(0)  # the platform does not say more
    return host


@hostcall("[method]backend.get-port")
def get_port(_sandbox: Sandbox, backend: Backend) -> int:
    """Return its port."""
    url = urllib.parse.urlsplit(backend.facts.url)
    return url.port or (443 if url.scheme == "https" else 80)


@hostcall("[method]backend.is-tls")
def is_tls(_sandbox: Sandbox, backend: Backend) -> bool:
    """Tell whether requests go over TLS."""
    return urllib.parse.urlsplit(backend.facts.url).scheme == "https"


@hostcall("[method]backend.get-host")
def get_host(_sandbox: Sandbox, _backend: Backend, _max_len: int) -> str:
    """Refuse, as Viceroy does."""
    raise WitError("unsupported")


def _unsupported(_sandbox: Sandbox, _backend: Backend) -> int:
    """Refuse, as Viceroy does: nothing is known about connections to come."""
    raise WitError("unsupported")


for _getter in (
    *("connect-timeout-ms", "first-byte-timeout-ms", "between-bytes-timeout-ms"),
    *("tls-min-version", "tls-max-version", "http-keepalive-time", "tcp-keepalive-enable"),
    *("tcp-keepalive-interval", "tcp-keepalive-probes", "tcp-keepalive-time"),
):
    hostcall(f"[method]backend.get-{_getter}")(_unsupported)
