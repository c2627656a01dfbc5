"""Shielding: which site this is, where the others are, backends for them. Host contract §2.11."""

import dataclasses

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.data import BackendFacts, DynamicBackend
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.hostcalls.backend import register
from host_sim.sandbox.objects.dynamic_backends import is_url
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.objects.lookups import Backend
from host_sim.sandbox.state import Sandbox

__all__ = [
    "ShieldOptions",
    "backend_for_shield",
    "new_options",
    "set_between_bytes_timeout",
    "set_cache_key",
    "set_first_byte_timeout",
    "shield_info",
]

hostcall = interface("shielding")


@dataclasses.dataclass(slots=True)
class ShieldOptions:
    """Options behind a handle; 0 is no limit."""

    first_byte_timeout_ms: int = 0
    between_bytes_timeout_ms: int = 0


@hostcall("shield-info")
def shield_info(sandbox: Sandbox, name: str, max_len: int) -> str:
    """Return a byte that tells whether this is the site, then its two URLs, a NUL after each."""
    if name not in sandbox.data.shields:
        raise WitError("invalid-argument")
    shield = sandbox.data.shields[name]
    if shield is None:
        info = "\x01\0\0"
    else:
        info = f"\0{shield.unencrypted}\0{shield.encrypted}\0"
    return fitting(info, max_len, told=False)


@hostcall("[constructor]shield-backend-options")
def new_options(_sandbox: Sandbox) -> ShieldOptions:
    """Make options with their defaults."""
    return ShieldOptions()


@hostcall("[method]shield-backend-options.set-cache-key")
def set_cache_key(_sandbox: Sandbox, _options: ShieldOptions, _key: str) -> None:
    """Accept the key; there is no cache in front of backends."""


@hostcall("[method]shield-backend-options.set-first-byte-timeout")
def set_first_byte_timeout(_sandbox: Sandbox, options: ShieldOptions, timeout_ms: int) -> None:
    """Bound the time up to the response head."""
    options.first_byte_timeout_ms = timeout_ms


@hostcall("[method]shield-backend-options.set-between-bytes-timeout")
def set_between_bytes_timeout(_sandbox: Sandbox, options: ShieldOptions, timeout_ms: int) -> None:
    """Bound the time for each piece of the response body."""
    options.between_bytes_timeout_ms = timeout_ms


@hostcall("backend-for-shield")
def backend_for_shield(sandbox: Sandbox, url: str, options: ShieldOptions | None) -> Backend:
    """Describe a backend for one of the URLs of `shield-info`, for this sandbox only."""
    if not is_url(url):
        raise WitError("invalid-argument")
    options = options or ShieldOptions()
    return register(
        sandbox,
        DynamicBackend(
            name=f"******{url}*****",
            facts=BackendFacts(
                url=url,
                first_byte_timeout_ms=options.first_byte_timeout_ms,
                between_bytes_timeout_ms=options.between_bytes_timeout_ms,
            ),
            use_sni=False,
        ),
    )
