"""Backends: opening them by name, asking about them, describing new ones. Host contract §2.5."""

import dataclasses
import urllib.parse
from typing import Any

from host_sim.sandbox.border.values import HostFunction, WitError
from host_sim.sandbox.data import DynamicBackend
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.dynamic_backends import Options, describe
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.objects.healthchecks import HealthCheck
from host_sim.sandbox.objects.lookups import Backend, Secret
from host_sim.sandbox.state import Sandbox

__all__ = [
    "clone",
    "get_host",
    "get_name",
    "get_override_host",
    "get_port",
    "is_dynamic",
    "is_healthy",
    "is_tls",
    "new_health_check",
    "new_options",
    "open_backend",
    "register",
    "register_dynamic_backend",
    "set_client_cert",
    "set_health_check",
]

hostcall = interface("backend")

_HEALTH = {None: "unknown", True: "healthy", False: "unhealthy"}


@hostcall("[static]backend.open")
def open_backend(sandbox: Sandbox, name: str) -> Backend:
    """Open a backend of the configuration, or one of the guest's own."""
    dynamic = sandbox.dynamic_backends.get(name)
    if dynamic is not None:
        return Backend(name, dynamic.facts, dynamic)
    facts = sandbox.data.backends.get(name)
    if facts is None:
        raise WitError("not-found")
    return Backend(name, facts)


@hostcall("[method]backend.clone")
def clone(_sandbox: Sandbox, backend: Backend) -> Backend:
    """Return it once more."""
    return backend


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


@hostcall("[method]backend.get-host")
def get_host(_sandbox: Sandbox, backend: Backend, max_len: int) -> str:
    """Return the host of its URL, an IPv6 address in brackets."""
    host = urllib.parse.urlsplit(backend.facts.url).hostname or ""
    return fitting(f"[{host}]" if ":" in host else host, max_len)


@hostcall("[method]backend.get-override-host")
def get_override_host(_sandbox: Sandbox, backend: Backend, max_len: int) -> bytes | None:
    """Return the `Host` its requests get, none for the guest's own."""
    host = backend.facts.override_host
    return None if host is None else fitting(host.encode(), max_len, told=False)


@hostcall("[method]backend.get-port")
def get_port(_sandbox: Sandbox, backend: Backend) -> int:
    """Return its port."""
    url = urllib.parse.urlsplit(backend.facts.url)
    return url.port or (443 if _is_tls(url.scheme) else 80)


@hostcall("[method]backend.is-tls")
def is_tls(_sandbox: Sandbox, backend: Backend) -> bool:
    """Tell whether requests go over TLS."""
    return _is_tls(urllib.parse.urlsplit(backend.facts.url).scheme)


def _is_tls(scheme: str) -> bool:
    return scheme in ("https", "wss")


def _getter(field: str) -> HostFunction:
    def get(_sandbox: Sandbox, backend: Backend) -> Any:
        return getattr(backend.facts, field)

    return get


for _name, _fact in {
    "connect-timeout-ms": "connect_timeout_ms",
    "first-byte-timeout-ms": "first_byte_timeout_ms",
    "between-bytes-timeout-ms": "between_bytes_timeout_ms",
    "tls-min-version": "tls_min_version",
    "tls-max-version": "tls_max_version",
    "http-keepalive-time": "http_keepalive_ms",
    "tcp-keepalive-enable": "tcp_keepalive",
    "tcp-keepalive-interval": "tcp_keepalive_interval_s",
    "tcp-keepalive-probes": "tcp_keepalive_probes",
    "tcp-keepalive-time": "tcp_keepalive_time_s",
}.items():
    hostcall(f"[method]backend.get-{_name}")(_getter(_fact))


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


@hostcall("[method]dynamic-backend-options.healthcheck")
def set_health_check(_sandbox: Sandbox, _options: Options, _check: HealthCheck) -> None:
    """Accept a check that was found valid; it is never made, and health stays unknown."""


@hostcall("[static]healthcheck-options.new")
def new_health_check(_sandbox: Sandbox, host: str) -> HealthCheck:
    """Make options with their defaults."""
    return HealthCheck(host)


def _changer(field: str) -> HostFunction:
    def change(_sandbox: Sandbox, check: HealthCheck, value: object) -> None:
        check.change(field, value)

    return change


for _field in dataclasses.fields(HealthCheck):
    _name = _field.name.replace("_", "-")
    hostcall(f"[method]healthcheck-options.{_name}")(_changer(_field.name))


@hostcall("register-dynamic-backend")
def register_dynamic_backend(sandbox: Sandbox, name: str, target: str, options: Options) -> Backend:
    """Describe a backend, for this sandbox only."""
    return register(sandbox, describe(name, target, options))


def register(sandbox: Sandbox, dynamic: DynamicBackend) -> Backend:
    """Let a sandbox have a backend, under a name that is not taken.

    Raises:
        WitError: `generic-error`, it is; `unsupported`, there are no such backends here.
    """
    if sandbox.send_dynamic is None:
        raise WitError("unsupported")
    if dynamic.name in sandbox.data.backends or dynamic.name in sandbox.dynamic_backends:
        raise WitError("generic-error")
    sandbox.dynamic_backends[dynamic.name] = dynamic
    return open_backend(sandbox, dynamic.name)
