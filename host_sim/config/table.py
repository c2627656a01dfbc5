"""Taking keys out of a TOML table, with the complaints of compute-host §4.1.

Every key is asked for by name and type; `finish` refuses the rest. Where Viceroy takes no notice of
other keys, `ignore_rest` warns of them, so that a misspelt key is never silently ignored.
"""

import difflib
import json
import logging
from pathlib import Path

from host_sim.errors import HostSimError

__all__ = ["InvalidError", "Table", "read_bytes", "read_json"]

_log = logging.getLogger("host_sim.config")


class InvalidError(HostSimError):
    """A table cannot be used; whoever knows its name makes a `ConfigError` of it."""


class Table:
    """The keys of one table that were not taken yet."""

    def __init__(
        self, value: object, otherwise: str = "definition was not provided as a TOML table"
    ) -> None:
        """Take over a table; anything else is `InvalidError`, for the reason `otherwise`."""
        if not isinstance(value, dict):
            raise InvalidError(otherwise)
        self._left: dict[str, object] = dict(value)
        self._known: list[str] = []

    def has(self, key: str) -> bool:
        """Tell whether a key is there and was not taken yet."""
        return key in self._left

    def take(self, key: str) -> object | None:
        """Return a value of any type, None where there is none (TOML has no null)."""
        self._known.append(key)
        return self._left.pop(key, None)

    def required(self, key: str) -> object:
        """Return a value that has to be there."""
        value = self.take(key)
        if value is None:
            raise InvalidError(f"missing '{key}' field")
        return value

    def string(self, key: str) -> str | None:
        """Return a string that is not blank, or None."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidError(f"'{key}' field was not a string")
        if not value.strip():
            raise InvalidError(f"'{key}' field is empty")
        return value

    def required_string(self, key: str) -> str:
        """Return a string that has to be there and is not blank."""
        value = self.string(key)
        if value is None:
            raise InvalidError(f"missing '{key}' field")
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return a boolean."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InvalidError(f"'{key}' field was not a boolean")
        return value

    def milliseconds(self, key: str) -> int | None:
        """Return a number of milliseconds; None and 0 both mean no limit."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidError("Illegal timeout value (must be an integer >= 0)")
        return value or None

    def finish(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self._left:
            raise InvalidError(f"unrecognized key '{key}'{self._meant(key)}")

    def ignore_rest(self, name: str) -> None:
        """Warn of keys that nobody asked for, in the definition called `name`."""
        for key in self._left:
            _log.warning("'%s': key '%s' is ignored%s", name, key, self._meant(key))

    def _meant(self, key: str) -> str:
        close = difflib.get_close_matches(key, self._known, n=1)
        return f" (did you mean '{close[0]}'?)" if close else ""


def read_bytes(file: str) -> bytes:
    """Return the content of a file that the manifest names."""
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidError(f"error reading '{file}': {reason}") from error


def read_json(file: str) -> object:
    """Return the content of a JSON file that the manifest names."""
    try:
        value: object = json.loads(read_bytes(file))
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"'{file}' is not JSON: {error}") from error
    return value
