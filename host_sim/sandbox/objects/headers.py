"""The header table of a message in the guest's hands, and lists of names and values in buffers.

Order is as in the platform's own implementation, whose traces show in recorded answers: names keep
the place of their first occurrence, all values of a name stand together, and removing a name moves
the *last* one into the gap. Host contract §0 rule 2, §2.0.
"""

import re
from collections.abc import Iterator, Sequence

from grip.headers import Headers
from host_sim.sandbox.border.values import WitError

__all__ = [
    "MAX_NAME",
    "MAX_NAME_OF_VALUES",
    "HeaderTable",
    "check_name",
    "fitting",
    "nul_list",
    "nul_names",
    "split_nul_list",
]

MAX_NAME = 65_535
"""Longest header name, in bytes."""

MAX_NAME_OF_VALUES = 32_768
"""Longest name to ask all values of, in bytes."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.1: token
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5, and obs-text is let through


class HeaderTable:
    """Header fields: lower-case names, each with its values as bytes."""

    __slots__ = ("_index", "_rows")

    def __init__(self) -> None:
        self._rows: list[tuple[str, list[bytes]]] = []
        self._index: dict[str, int] = {}

    @classmethod
    def of(cls, headers: Headers) -> "HeaderTable":
        """Return a table of these fields."""
        table = cls()
        table.extend(headers)
        return table

    def headers(self) -> Headers:
        """Return the fields in order."""
        return Headers(
            (name, value.decode("utf-8", "surrogateescape"))
            for name, values in self._rows
            for value in values
        )

    def without(self, *names: str) -> "HeaderTable":
        """Return a copy from which `names` were removed one after the other."""
        copy = HeaderTable()
        copy._rows = [(name, values.copy()) for name, values in self._rows]
        copy._index = self._index.copy()
        for name in names:
            copy.remove(name)
        return copy

    def __iter__(self) -> Iterator[tuple[str, list[bytes]]]:
        return iter(self._rows)

    def names(self) -> list[str]:
        """Return each name once, in order."""
        return [name for name, _ in self._rows]

    def first(self, name: str) -> bytes | None:
        """Return the first value of `name`, None where there is none or `name` is no name."""
        values = self.all(name)
        return values[0] if values else None

    def all(self, name: str) -> list[bytes]:
        """Return the values of `name`."""
        place = self._index.get(name.lower())
        return [] if place is None else self._rows[place][1]

    def insert(self, name: str, value: bytes) -> None:
        """Set `name` to one value, in its place if it is there.

        Raises:
            WitError: name or value is not allowed.
        """
        name, value = _checked(name, value)
        place = self._index.get(name)
        if place is None:
            self._add(name, value)
        else:
            self._rows[place] = (name, [value])

    def extend(self, headers: Headers) -> None:
        """Add fields that are known to be allowed."""
        for name, value in headers:
            self._add(name.lower(), value.encode("utf-8", "surrogateescape"))

    def append(self, name: str, value: bytes) -> None:
        """Add a value to `name`.

        Raises:
            WitError: name or value is not allowed.
        """
        self._add(*_checked(name, value))

    def remove(self, name: str) -> bool:
        """Remove `name`; the last name takes its place. Return whether it was there."""
        place = self._index.pop(name.lower(), None)
        if place is None:
            return False
        last = self._rows.pop()
        if place < len(self._rows):
            self._rows[place] = last
            self._index[last[0]] = place
        return True

    def replace(self, name: str, values: Sequence[bytes]) -> None:
        """Remove `name`, then append each of `values`.

        Raises:
            WitError: name or a value is not allowed; then nothing has changed.
        """
        checked = [_checked(name, value) for value in values]
        self.remove(name)
        for pair in checked:
            self._add(*pair)

    def _add(self, name: str, value: bytes) -> None:
        place = self._index.get(name)
        if place is None:
            self._index[name] = len(self._rows)
            self._rows.append((name, [value]))
        else:
            self._rows[place][1].append(value)


def check_name(name: str, limit: int) -> None:
    """Say whether `name` is one, of at most `limit` bytes.

    Raises:
        WitError: `invalid-argument`, it is too long; `generic-error`, it is none.
    """
    if len(name.encode()) > limit:
        raise WitError("invalid-argument")
    if not _NAME.fullmatch(name):
        raise WitError("generic-error")


def _checked(name: str, value: bytes) -> tuple[str, bytes]:
    check_name(name, MAX_NAME)
    if _BAD_VALUE.search(value):
        raise WitError("generic-error")
    return name.lower(), value


def fitting[Value: (str, bytes)](value: Value, max_len: int, *, told: bool = True) -> Value:
    """Return `value` if it takes at most `max_len` bytes.

    Raises:
        WitError: `buffer-len` with the size it takes; with 0 unless that is `told`, because the
            platform tells it for some functions only (Host contract §0 rule 6).
    """
    size = len(value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value)
    if size > max_len:
        raise WitError.buffer_len(size if told else 0)
    return value


def nul_list(items: Sequence[bytes], max_len: int, cursor: int) -> tuple[bytes, int | None]:
    """Return the items from `cursor` on that fit in `max_len` bytes, a NUL after each.

    With them comes the cursor of the first item that did not fit, None if all did.

    Raises:
        WitError: `buffer-len`, when not even the first one fits.
    """
    buffer = bytearray()
    for place in range(cursor, len(items)):
        item = items[place]
        if len(buffer) + len(item) + 1 > max_len:
            if not buffer:
                raise WitError.buffer_len(len(item) + 1)
            return bytes(buffer), place
        buffer += item
        buffer.append(0)
    return bytes(buffer), None


def nul_names(table: HeaderTable, max_len: int, cursor: int) -> tuple[str, int | None]:
    """Return the names of a table, each once, likewise."""
    buffer, rest = nul_list([name.encode() for name in table.names()], max_len, cursor)
    return buffer.decode(), rest


def split_nul_list(buffer: bytes) -> list[bytes]:
    """Return the items of a list with a NUL after each; what follows the last NUL is dropped."""
    return buffer.split(b"\0")[:-1]
