"""Backends: opening them by name, asking about them, describing new ones. Host contract §2.5."""

import dataclasses
import urllib.parse

from host_sim.sandbox.border.values import HostFunction, WitError
from host_sim.sandbox.data import BackendFacts
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.dynamic_backends import Options, describe
from host_sim.sandbox.objects.lookups import Backend, Secret
from host_sim.sandbox.state import Sandbox

__all__ = [
    "get_host",
    "get_name",
    "get_override_host",
    "get_port",
    "is_dynamic",
    "is_healthy",
    "is_tls",
    "new_options",
    "open_backend",
    "register_dynamic_backend",
    "set_client_cert",
]

hostcall = interface("backend")

_HEALTH = {None: "unknown", True: "healthy", False: "unhealthy"}


@hostcall("[static]backend.open")
def open_backend(sandbox: Sandbox, name: str) -> Backend:
    """Open a backend of the configuration, or one of the guest's own."""
    dynamic = sandbox.dynamic_backends.get(name)
    if dynamic is not None:
        return Backend(name, BackendFacts(url=dynamic.url), dynamic)
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
def is_dynamic(_sandbox: Sandbox, backend: Backend) -> bool:
    """Tell whether the guest described it itself."""
    return backend.dynamic is not None


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


@hostcall("[constructor]dynamic-backend-options")
def new_options(_sandbox: Sandbox) -> Options:
    """Make options with their defaults."""
    return Options()


def _setter(field: str) -> HostFunction:
    def set_option(_sandbox: Sandbox, options: Options, value: object) -> None:
        setattr(options, field, value)

    return set_option


for _field in dataclasses.fields(Options):
    if _field.name != "client_cert":
        _name = _field.name.replace("_", "-")
        hostcall(f"[method]dynamic-backend-options.{_name}")(_setter(_field.name))


@hostcall("[method]dynamic-backend-options.client-cert")
def set_client_cert(_sandbox: Sandbox, options: Options, certificate: str, key: Secret) -> None:
    """Set what to show to the backend."""
    options.client_cert = certificate, key.plaintext.decode("ascii", "replace")


@hostcall("register-dynamic-backend")
def register_dynamic_backend(sandbox: Sandbox, name: str, target: str, options: Options) -> Backend:
    """Describe a backend, for this sandbox only."""
    if sandbox.send_dynamic is None:
        raise WitError("unsupported")
    if name in sandbox.data.backends or name in sandbox.dynamic_backends:
        raise WitError("generic-error")
    sandbox.dynamic_backends[name] = describe(name, target, options)
    return open_backend(sandbox, name)
