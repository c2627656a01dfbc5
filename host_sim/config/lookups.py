"""What a guest looks up by address or user agent, and the remaining tables (compute-host §4.3)."""

import dataclasses
import functools
import ipaddress
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Literal

from host_sim.config.table import InvalidError, Table, read_json
from host_sim.errors import ConfigError

__all__ = [
    "AclEntry",
    "Geolocation",
    "Records",
    "ShieldingSite",
    "parse_acl",
    "parse_device_detection",
    "parse_geolocation",
    "parse_shielding_site",
]

type _Records = Mapping[str, Mapping[str, object]]

type Records = _Records | Callable[[], _Records]
"""Records by what they are looked up with, or what reads their file anew, which may raise
`ConfigError`."""

_PREFIX = re.compile(r"([0-9A-Fa-f:.]+)/(\d{1,3})", re.ASCII)


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
        addresses: records by address, in the form `ipaddress` gives it.
    """

    use_default_loopback: bool = True
    addresses: Records = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class ShieldingSite:
    """A shield elsewhere, by its two URLs."""

    encrypted: str
    unencrypted: str


def parse_geolocation(name: str, definition: object) -> Geolocation:
    """Return where addresses are, from a TOML table."""
    table = Table(definition)
    loopback = table.boolean("use_default_loopback", default=True)
    return Geolocation(loopback, _records(name, table, "addresses", _by_address))


def parse_device_detection(name: str, definition: object) -> Records:
    """Return records by user agent, from a TOML table."""
    return _records(name, Table(definition), "user_agents", _by_text)


def _records(
    name: str, table: Table, key: str, check: Callable[[dict[str, object], bool], _Records]
) -> Records:
    """Return records given in the table itself below `key`, or in a JSON file that is read anew."""
    form = table.string("format")
    if form is None:
        table.take(key)
        table.ignore_rest(name)
        return {}
    if form == "inline-toml":
        given = table.required(key)
        table.ignore_rest(name)
        if not isinstance(given, dict):
            raise InvalidError(f"'{key}' was not provided as a TOML table")
        return check(given, True)
    if form != "json":
        raise InvalidError(f"'{form}' is not a valid format, expected 'inline-toml' or 'json'")
    file = table.required_string("file")
    table.ignore_rest(name)

    def read() -> _Records:
        content = read_json(file)
        if not isinstance(content, dict):
            raise InvalidError(f"'{file}' is not a JSON object")
        return check(content, False)

    read()
    return functools.partial(_again, name, read)


def _again(name: str, read: Callable[[], _Records]) -> _Records:
    try:
        return read()
    except InvalidError as error:
        raise ConfigError(f"invalid configuration for '{name}': {error}") from error


def _by_address(given: dict[str, object], inline: bool) -> _Records:
    records = {}
    for text, record in given.items():
        try:
            address = str(ipaddress.ip_address(text))
        except ValueError:
            raise InvalidError(f"IP address not valid: '{text}'") from None
        records[address] = _record(text, record)
        if inline and not all(map(_is_plain, records[address].values())):
            raise InvalidError(f"expected strings, numbers and booleans for '{text}'")
    return records


def _by_text(given: dict[str, object], inline: bool) -> _Records:
    records = {text: _record(text, record) for text, record in given.items()}
    for text, record in records.items():
        if inline and not all(map(_is_nested, record.values())):
            raise InvalidError(f"expected strings, numbers, booleans and tables for '{text}'")
    return records


def _record(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidError(f"expected a table for '{name}'")
    return value


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)  # no array, table or date


def _is_nested(value: object) -> bool:
    return all(map(_is_nested, value.values())) if isinstance(value, dict) else _is_plain(value)


def parse_acl(name: str, definition: object) -> tuple[AclEntry, ...]:
    """Return an access control list from the file named by a string or a table."""
    if isinstance(definition, str):
        file = definition
    else:
        table = Table(definition, "expected a path, or a table with 'file'")
        file = table.required_string("file")
        table.ignore_rest(name)
    content = read_json(file)
    entries = content.get("entries") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InvalidError(f"expected an object with a list 'entries' in '{file}'")
    return tuple(_acl_entry(entry) for entry in entries)


def _acl_entry(entry: object) -> AclEntry:
    match entry:
        case {"prefix": str(prefix), "action": str(action)}:
            return AclEntry(_prefix(prefix), action)
        case _:
            raise InvalidError(
                f"expected strings 'prefix' and 'action' in each entry, got {entry!r}"
            )


def _prefix(text: str) -> str:
    """Return a network as it was given; its mask is needed, and is not 0."""
    found = _PREFIX.fullmatch(text)
    try:
        if found is None or int(found[2]) == 0:
            raise InvalidError(f"invalid prefix: expected ADDRESS/MASK, got '{text}'")
        ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidError(f"invalid prefix: {error}") from error
    return text


def parse_shielding_site(definition: object) -> Literal["local"] | ShieldingSite:
    """Return a shielding site: `local`, in any case, or its URLs."""
    if isinstance(definition, str) and definition.lower() == "local":
        return "local"
    table = Table(definition, "expected 'local', or a table with 'encrypted' and 'unencrypted'")
    site = ShieldingSite(encrypted=_url(table, "encrypted"), unencrypted=_url(table, "unencrypted"))
    table.finish()
    return site


def _url(table: Table, key: str) -> str:
    url = table.required_string(key)
    try:
        fit = bool(urllib.parse.urlsplit(url).scheme)
    except ValueError:
        fit = False
    if not fit:
        raise InvalidError(f"expected a URL for '{key}', got '{url}'")
    return url
