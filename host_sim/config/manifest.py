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
    Records,
    ShieldingSite,
    parse_acl,
    parse_device_detection,
    parse_geolocation,
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
    device_detection: Records = dataclasses.field(default_factory=dict)
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
    content = _read(path)
    version = _typed(content, "manifest_version", int, "an integer")
    if version is not None and version < 0:
        raise _unparsable(f"expected an integer of 0 or more for 'manifest_version', got {version}")
    if version is not None and version > MAX_MANIFEST_VERSION:
        raise ConfigError(
            f"unsupported manifest version {version}; "
            f"max supported version is {MAX_MANIFEST_VERSION}"
        )
    for key in ("description", "language"):
        _typed(content, key, str, "a string")
    _strings(content, "authors")
    service_id = content.get("service_id")
    local = _typed(content, "local_server", dict, "a table") or {}

    def named[T](*keys: str, parse: Callable[[str, object], T]) -> dict[str, T]:
        """Return the entries of a table that has had several names."""
        given = [key for key in keys if key in local]
        if len(given) > 1:
            raise _unparsable(f"'{given[0]}' and '{given[1]}' are two names of one table")
        return {
            name: _checked(name, functools.partial(parse, name, value))
            for key in given
            for name, value in (_typed(local, key, dict, "a table") or {}).items()
        }

    def one[T](key: str, parse: Callable[[str, object], T], default: T) -> T:
        """Return what is made of a table, which has another name in what Viceroy says of it."""
        table = _typed(local, key, dict, "a table")
        name = f"{key}_mapping"
        return default if table is None else _checked(name, lambda: parse(name, table))

    no_records: Records = {}
    return Manifest(
        name=_typed(content, "name", str, "a string"),
        service_id=service_id if isinstance(service_id, str) else None,
        backends=named("backends", parse=lambda _, value: parse_backend(value)),
        config_stores=named("dictionaries", "config_stores", parse=parse_config_store),
        kv_stores=named("object_store", "object_stores", "kv_stores", parse=parse_kv_store),
        secret_stores=named("secret_stores", parse=parse_secret_store),
        geolocation=one("geolocation", parse_geolocation, Geolocation()),
        device_detection=one("device_detection", parse_device_detection, no_records),
        acls=named("acls", parse=parse_acl),
        shielding_sites=named(
            "shielding_sites", parse=lambda _, value: parse_shielding_site(value)
        ),
        fastly_keys=frozenset(_strings(local, "fake_valid_fastly_keys")),
    )


def _read(path: Path | str) -> dict[str, Any]:
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        reason = f"{error.strerror} (os error {error.errno})"
        raise ConfigError(f"error reading '{path}': {reason}") from error
    except ValueError as error:
        raise ConfigError(f"error reading '{path}': {error}") from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unparsable(str(error)) from error


def _unparsable(reason: str) -> ConfigError:
    return ConfigError(f"error parsing `fastly.toml`: {reason}")


def _typed[T](table: Mapping[str, Any], key: str, kind: type[T], expected: str) -> T | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise _unparsable(f"expected {expected} for '{key}'")
    return value


def _strings(table: Mapping[str, Any], key: str) -> list[str]:
    values = _typed(table, key, list, "an array of strings") or []
    if not all(isinstance(value, str) for value in values):
        raise _unparsable(f"expected an array of strings for '{key}'")
    return values


def _checked[T](name: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except InvalidError as error:
        raise ConfigError(f"invalid configuration for '{name}': {error}") from error
