"""What a guest looks up by address or user agent, and the remaining tables (compute-host §4.3)."""

import dataclasses
import ipaddress
from collections.abc import Mapping
from typing import Literal

from host_sim.config.table import InvalidError, Table, read_json

__all__ = [
    "AclEntry",
    "Geolocation",
    "ShieldingSite",
    "parse_acl",
    "parse_device_detection",
    "parse_geolocation",
    "parse_keys",
    "parse_shielding_site",
]


@dataclasses.dataclass(frozen=True, slots=True)
class AclEntry:
    """A network such as `192.0.2.0/24`, and what is to be done with addresses in it."""

    prefix: str
    action: str


@dataclasses.dataclass(frozen=True, slots=True)
class Geolocation:
    """Where addresses are.

    Attributes:
        use_default_loopback: whether loopback addresses get the usual record.
        addresses: records by address.
    """

    use_default_loopback: bool = True
    addresses: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class ShieldingSite:
    """A shield elsewhere, by its two URLs."""

    encrypted: str
    unencrypted: str


def _records(table: Table, key: str) -> dict[str, Mapping[str, object]]:
    """Return records given in the table itself below `key`, or in a JSON file."""
    form = table.required_string("format")
    match form:
        case "inline-toml":
            given = table.required(key)
            otherwise = f"'{key}' was not provided as a TOML table"
        case "json":
            file = table.required_string("file")
            given, otherwise = read_json(file), f"'{file}' is not a JSON object"
        case _:
            raise InvalidError(f"'{form}' is not a valid format, expected 'inline-toml' or 'json'")
    table.finish()
    if not isinstance(given, dict):
        raise InvalidError(otherwise)
    for name, record in given.items():
        if not isinstance(record, dict):
            raise InvalidError(f"expected a table for '{name}'")
    return given


def parse_geolocation(definition: object) -> Geolocation:
    """Return where addresses are, from a TOML table."""
    table = Table(definition)
    loopback = table.boolean("use_default_loopback", default=True)
    if not table.has("format"):
        table.take("format")
        table.finish()
        return Geolocation(loopback)
    addresses = _records(table, "addresses")
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise InvalidError(f"IP address not valid: '{address}'") from None
    return Geolocation(loopback, addresses)


def parse_device_detection(definition: object) -> dict[str, Mapping[str, object]]:
    """Return records by user agent, from a TOML table."""
    return _records(Table(definition), "user_agents")


def parse_acl(definition: object) -> tuple[AclEntry, ...]:
    """Return an access control list from the file named by a string or a table."""
    if isinstance(definition, str):
        file = definition
    else:
        table = Table(definition, "expected a path, or a table with 'file'")
        file = table.required_string("file")
        table.finish()
    content = read_json(file)
    entries = content.get("entries") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InvalidError(f"expected an object with a list 'entries' in '{file}'")
    return tuple(_acl_entry(entry) for entry in entries)


def _acl_entry(entry: object) -> AclEntry:
    match entry:
        case {"prefix": str(prefix), "action": str(action)}:
            try:
                ipaddress.ip_network(prefix, strict=False)
            except ValueError as error:
                raise InvalidError(f"invalid prefix: {error}") from error
            return AclEntry(prefix, action)
        case _:
            raise InvalidError(
                f"expected strings 'prefix' and 'action' in each entry, got {entry!r}"
            )


def parse_shielding_site(definition: object) -> Literal["local"] | ShieldingSite:
    """Return a shielding site: `local`, or its URLs."""
    if definition == "local":
        return "local"
    table = Table(definition, "expected 'local', or a table with 'encrypted' and 'unencrypted'")
    site = ShieldingSite(
        encrypted=table.required_string("encrypted"),
        unencrypted=table.required_string("unencrypted"),
    )
    table.finish()
    return site


def parse_keys(definition: object) -> frozenset[str]:
    """Return the API keys that count as valid."""
    if not isinstance(definition, list) or not all(isinstance(key, str) for key in definition):
        raise InvalidError("expected an array of strings")
    return frozenset(definition)
