"""Unique names, so that scenarios can run side by side against one proxy.

Scenario data uses placeholders such as `{{room}}`. Each run replaces them with names of its own;
`{{path}}` is the URL path below which all requests of the run are made.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any, cast

_PLACEHOLDER = re.compile(r"\{\{([\w-]+)\}\}")
_PLACEHOLDER_BYTES = re.compile(_PLACEHOLDER.pattern.encode())


class Names:
    """The names of one scenario run."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(5)
        self.path = f"/t-{self.token}"

    def __getitem__(self, name: str) -> str:
        return self.path if name == "path" else f"{name}-{self.token}"

    def fill[T](self, value: T) -> T:
        """Return a copy of `value` with the placeholders in all its strings replaced."""
        return cast("T", self._fill(value))

    def _fill(self, value: Any) -> Any:
        match value:
            case str():
                return _PLACEHOLDER.sub(lambda match: self[match[1]], value)
            case bytes():
                return _PLACEHOLDER_BYTES.sub(lambda match: self[match[1].decode()].encode(), value)
            case Mapping():
                return {self._fill(key): self._fill(item) for key, item in value.items()}
            case tuple() | list() | set():
                return type(value)(self._fill(item) for item in value)
            case _:
                return value
