"""The manifest as a whole: what of `fastly.toml` concerns running the service here.

Everything is optional; what is meant for others, `[setup]` and unknown tables included, is left
alone. Source: compute-host §4.
"""

import dataclasses
import functools
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from host_sim.config.backends import Backend, parse_backend
from host_sim.config.lookups import (
    AclEntry,
    Geolocation,
    ShieldingSite,
    parse_acl,
    parse_device_detection,
    parse_geolocation,
    parse_keys,
    parse_shielding_site,
)
from host_sim.config.stores import (
    Contents,
    KvItem,
    parse_config_store,
    parse_kv_store,
    parse_secret_store,
)
from host_sim.config.table import InvalidError
from host_sim.errors import ConfigError

__all__ = ["MAX_MANIFEST_VERSION", "Manifest", "load_manifest"]

MAX_MANIFEST_VERSION = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest; without arguments, that of a service which has none.

    Attributes:
        name: name of the service.
        service_id: its id at Fastly, once it was deployed.
        backends: by name.
        config_stores: by name.
        kv_stores: contents at the start, by name, then by key.
        secret_stores: by name, then by name of the secret.
        geolocation: where addresses are.
        device_detection: records by user agent.
        acls: by name.
        shielding_sites: by name.
        fastly_keys: API keys that count as valid.
    """

    name: str | None = None
    service_id: str | None = None
    backends: Mapping[str, Backend] = dataclasses.field(default_factory=dict)
    config_stores: Mapping[str, Contents] = dataclasses.field(default_factory=dict)
    kv_stores: Mapping[str, Mapping[str, KvItem]] = dataclasses.field(default_factory=dict)
    secret_stores: Mapping[str, Mapping[str, bytes]] = dataclasses.field(
        default_factory=dict, repr=False
    )
    geolocation: Geolocation = dataclasses.field(default_factory=Geolocation)
    device_detection: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    acls: Mapping[str, tuple[AclEntry, ...]] = dataclasses.field(default_factory=dict)
    shielding_sites: Mapping[str, Literal["local"] | ShieldingSite] = dataclasses.field(
        default_factory=dict
    )
    fastly_keys: frozenset[str] = dataclasses.field(default=frozenset(), repr=False)


def load_manifest(path: Path | str) -> Manifest:
    """Read a `fastly.toml`, and the files it names.

    Raises:
        ConfigError: it cannot be read, is not TOML, or has an entry that cannot be used:
            `invalid configuration for 'NAME': REASON`.
    """
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"error reading '{path}': {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"error parsing `fastly.toml`: {error}") from error
    version = _typed(content, "manifest_version", int, "an integer")
    if version is not None and version > MAX_MANIFEST_VERSION:
        raise ConfigError(
            f"unsupported manifest version {version}; "
            f"max supported version is {MAX_MANIFEST_VERSION}"
        )
    local = _typed(content, "local_server", dict, "a table") or {}

    def named[T](*keys: str, parse: Callable[[str, object], T]) -> dict[str, T]:
        """Return the entries of a table that has had several names."""
        return {
            name: _checked(name, functools.partial(parse, name, value))
            for key in keys
            for name, value in (_typed(local, key, dict, "a table") or {}).items()
        }

    def one[T](key: str, parse: Callable[[object], T], default: T) -> T:
        return _checked(key, lambda: parse(local[key])) if key in local else default

    return Manifest(
        name=_typed(content, "name", str, "a string"),
        service_id=_typed(content, "service_id", str, "a string"),
        backends=named("backends", parse=lambda _, value: parse_backend(value)),
        config_stores=named("dictionaries", "config_stores", parse=parse_config_store),
        kv_stores=named(
            "object_store", "object_stores", "kv_stores", parse=lambda _, v: parse_kv_store(v)
        ),
        secret_stores=named("secret_stores", parse=parse_secret_store),
        geolocation=one("geolocation", parse_geolocation, Geolocation()),
        device_detection=one("device_detection", parse_device_detection, {}),
        acls=named("acls", parse=lambda _, value: parse_acl(value)),
        shielding_sites=named(
            "shielding_sites", parse=lambda _, value: parse_shielding_site(value)
        ),
        fastly_keys=one("fake_valid_fastly_keys", parse_keys, frozenset()),
    )


def _typed[T](table: Mapping[str, Any], key: str, kind: type[T], expected: str) -> T | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ConfigError(f"error parsing `fastly.toml`: expected {expected} for '{key}'")
    return value


def _checked[T](name: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except InvalidError as error:
        raise ConfigError(f"invalid configuration for '{name}': {error}") from error
