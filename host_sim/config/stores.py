"""Config stores, KV stores and secret stores of `[local_server]` (compute-host §4.2, §2.8, §8)."""

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Mapping

from host_sim.config.table import InvalidError, Table, read_bytes, read_json
from host_sim.errors import ConfigError

__all__ = ["Contents", "KvItem", "parse_config_store", "parse_kv_store", "parse_secret_store"]

MAX_CONFIG_KEY = 256
MAX_CONFIG_VALUE = 8000
MAX_KV_KEY_BYTES = 1024

_SECRET_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_KV_FORBIDDEN = re.compile(r"[\r\n#;?^|]")
_KV_ODD = re.compile("[\0-\x20\ufffe\uffff]")

type Contents = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""A config store: its entries, or what reads its file anew and may raise `ConfigError`."""


@dataclasses.dataclass(frozen=True, slots=True)
class KvItem:
    """A value of a KV store, and what is kept beside it."""

    data: bytes
    metadata: str | None = None


def parse_config_store(name: str, definition: object) -> Contents:
    """Return a config store from its TOML table; a JSON file is read again at each `open`."""
    table = Table(definition)
    form = table.required_string("format")
    if form == "inline-toml":
        contents = table.required("contents")
        table.finish()
        return _checked_contents(contents, "'contents' was not provided as a TOML table")
    if form != "json":
        raise InvalidError(f"'{form}' is not a valid format, expected 'inline-toml' or 'json'")
    file = table.required_string("file")
    table.finish()
    _read_contents(file)
    return functools.partial(_read_again, name, file)


def _read_contents(file: str) -> dict[str, str]:
    return _checked_contents(read_json(file), f"'{file}' is not a JSON object")


def _read_again(name: str, file: str) -> dict[str, str]:
    try:
        return _read_contents(file)
    except InvalidError as error:
        raise ConfigError(f"invalid configuration for '{name}': {error}") from error


def _checked_contents(given: object, otherwise: str) -> dict[str, str]:
    if not isinstance(given, dict):
        raise InvalidError(otherwise)
    for key, value in given.items():
        if not isinstance(value, str):
            raise InvalidError(f"expected a string for '{key}', got {value!r}")
        if len(key) > MAX_CONFIG_KEY:
            raise InvalidError(f"key '{key[:20]}…' is too long, max size is {MAX_CONFIG_KEY}")
        if len(value) > MAX_CONFIG_VALUE:
            raise InvalidError(f"value of '{key}' is too long, max size is {MAX_CONFIG_VALUE}")
    return given


def parse_kv_store(name: str, definition: object) -> dict[str, KvItem]:
    """Return the first contents of a KV store from its array, or from the JSON file it names."""
    if isinstance(definition, dict):
        return _kv_file(name, _named_json(name, definition))
    items: dict[str, KvItem] = {}
    for table in _array(definition):
        key = _kv_key(table.take("key"))
        items[key] = _kv_item(table)
        table.ignore_rest(name)
    return items


def _named_json(name: str, definition: dict[str, object]) -> dict[str, object]:
    """Return the object in the JSON file that a table names by `file` and `format`."""
    table = Table(definition)
    file, form = table.string("file"), table.string("format")
    table.ignore_rest(name)
    if file is None or form is None:
        raise InvalidError("a store in a file needs both 'file' and 'format'")
    if form != "json":
        raise InvalidError(f"'{form}' is not a valid format, expected 'json'")
    content = read_json(file)
    if not isinstance(content, dict):
        raise InvalidError(f"'{file}' is not a JSON object")
    return content


def _array(definition: object) -> list[Table]:
    if not isinstance(definition, list):
        raise InvalidError("expected an array of tables, or a table with 'file' and 'format'")
    return [Table(entry, "expected a table for each entry") for entry in definition]


def _kv_file(name: str, content: dict[str, object]) -> dict[str, KvItem]:
    items: dict[str, KvItem] = {}
    for key, value in content.items():
        if isinstance(value, str):
            items[_kv_key(key)] = KvItem(value.encode())
        else:
            table = Table(value, f"expected a string or an object for '{key}'")
            items[_kv_key(key)] = _kv_item(table)
            table.ignore_rest(name)
    return items


def _kv_item(table: Table) -> KvItem:
    sources = {key: table.take(key) for key in ("data", "file")}
    old_file = table.take("path")
    sources["file"] = old_file if sources["file"] is None else sources["file"]
    metadata = table.take("metadata")
    if metadata is not None and not isinstance(metadata, str):
        raise InvalidError("'metadata' field was not a string")
    return KvItem(_one_of(sources), metadata)


def _kv_key(key: object) -> str:
    if not isinstance(key, str):
        raise InvalidError("missing 'key' field" if key is None else "'key' field was not a string")
    if not 1 <= len(key.encode("utf-8", "replace")) <= MAX_KV_KEY_BYTES:
        raise InvalidError(f"expected a key of 1 to {MAX_KV_KEY_BYTES} bytes, got {key[:20]!r}")
    if _KV_FORBIDDEN.search(key):
        raise InvalidError(f"expected a key without line ends and any of '#;?^|', got {key!r}")
    relative = key in (".", "..") or "./" in key or key.endswith(("/.", "/.."))
    if relative or key.startswith(".well-known/acme-challenge"):
        raise InvalidError(f"expected a key that is no relative or reserved path, got {key!r}")
    if _KV_ODD.fullmatch(key):
        raise InvalidError(f"expected a key that is more than {key!r}")
    return key


def _one_of(sources: Mapping[str, object]) -> bytes:
    """Return what the one given source holds; `file` and `path` are read, `env` looked up."""
    given = [(key, value) for key, value in sources.items() if value is not None]
    if len(given) != 1:
        names = ", ".join(f"'{key}'" for key in sources)
        raise InvalidError(f"expected exactly one of {names}, got {len(given)}")
    key, value = given[0]
    if not isinstance(value, str):
        raise InvalidError(f"'{key}' field was not a string")
    match key:
        case "data":
            return value.encode()
        case "env":
            return os.environ.get(value, "").encode("utf-8", "surrogateescape")
        case _:
            return read_bytes(value)


def parse_secret_store(name: str, definition: object) -> dict[str, bytes]:
    """Return a secret store from its array, or from the JSON file it names."""
    if not _SECRET_NAME.fullmatch(name):
        raise InvalidError("expected a store name of 1 to 255 letters, digits, '_', '.' and '-'")
    secrets: dict[str, bytes] = {}
    if isinstance(definition, dict):
        for key, value in _named_json(name, definition).items():
            if not isinstance(value, str):
                raise InvalidError(f"expected a string for '{key}'")
            secrets[_secret_key(key)] = value.encode()
        return secrets
    for table in _array(definition):
        key = _secret_key(table.required_string("key"))
        secrets[key] = _one_of({source: table.take(source) for source in ("data", "file", "env")})
        table.ignore_rest(name)
    return secrets


def _secret_key(key: str) -> str:
    if not _SECRET_NAME.fullmatch(key):
        raise InvalidError("expected secret names of 1 to 255 letters, digits, '_', '.' and '-'")
    return key
