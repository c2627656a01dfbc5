"""Ordered header fields with repetition, and the lists with parameters inside their values.

Knows nothing of GRIP's own names. Field values are text: bytes that are not UTF-8 are kept as
lone surrogates (`surrogateescape`), so that what came over the wire goes out unchanged.
Sources: RFC 9110 §5 (fields), §5.6 (lists, quoted strings); GRIP §3.2, which differs from the RFC:
the first part of an element runs to the first `;`, and quotes in it are literal.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

from grip.errors import LocalProtocolError, RemoteProtocolError, shorten

__all__ = [
    "Headers",
    "Pair",
    "Parameterized",
    "format_value",
    "is_field",
    "parse_list",
    "parse_parameters",
    "parse_value",
    "split_list",
]

type Pair = tuple[str, str]

_SPACE = " \t"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# An element of a list: a comma inside double quotes does not separate, and quotes that are never
# closed reach to the end. Possessive, so that no input makes it backtrack.
_ELEMENT = re.compile(r'(?:[^",]++|"(?:[^"\\]++|\\.)*+"?+)++', re.DOTALL)
# `name`, `name=value` or `name="quoted"`; what follows the quotes up to the `;` is ignored.
_PARAMETER = re.compile(
    r'([^=;]*+)(?:=(?:"((?:[^"\\]++|\\.)*+)"[^;]*+|(?!")([^;]*+)))?+(?:;|\Z)', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Headers(Sequence[Pair]):
    """An immutable sequence of `(name, value)` pairs; names keep their case and compare without.

    Repeated fields stay repeated and in order.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._pairs = tuple(pairs)

    @classmethod
    def from_wire(cls, pairs: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """Build from raw bytes; any value survives the way back through `to_wire`."""
        return cls(
            [
                (name.decode("ascii", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
                for name, value in pairs
            ]
        )

    def to_wire(self) -> list[tuple[bytes, bytes]]:
        """Return the pairs as bytes, in order."""
        return [
            (name.encode("ascii", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
            for name, value in self._pairs
        ]

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Pair, ...]: ...
    def __getitem__(self, index: int | slice) -> Pair | tuple[Pair, ...]:
        return self._pairs[index]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return self._pairs == other._pairs if isinstance(other, Headers) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)!r})"

    def get(self, name: str) -> str | None:
        """Return the first value of `name`, or None."""
        wanted = name.lower()
        for key, value in self._pairs:
            if key.lower() == wanted:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """Return all values of `name`, in order."""
        wanted = name.lower()
        return [value for key, value in self._pairs if key.lower() == wanted]

    def has(self, name: str) -> bool:
        """Tell whether there is a field called `name`."""
        return self.get(name) is not None

    def without(self, *names: str) -> "Headers":
        """Return these headers less the fields called one of `names`."""
        unwanted = {name.lower() for name in names}
        return Headers([pair for pair in self._pairs if pair[0].lower() not in unwanted])

    def where(self, keep: Callable[[str], bool]) -> "Headers":
        """Return the fields for whose lower-case name `keep` is true."""
        return Headers([pair for pair in self._pairs if keep(pair[0].lower())])

    def plus(self, *pairs: Pair) -> "Headers":
        """Return these headers with `pairs` appended."""
        return Headers((*self._pairs, *pairs))

    def replaced(self, name: str, value: str) -> "Headers":
        """Return these headers with exactly one field `name`, at the end."""
        return self.without(name).plus((name, value))


@dataclasses.dataclass(frozen=True, slots=True)
class Parameterized:
    """One element of a list: a value and the parameters behind it, in order.

    Attributes:
        value: everything before the first `;`, trimmed.
        parameters: names as they came; values without quotes and escapes, empty without `=`.
    """

    value: str
    parameters: tuple[Pair, ...] = ()

    def get(self, name: str) -> str | None:
        """Return the first parameter called `name`, compared without case, or None."""
        if not self.parameters:
            return None
        wanted = name.lower()
        for key, value in self.parameters:
            if key.lower() == wanted:
                return value
        return None


def split_list(values: Iterable[str]) -> list[str]:
    """Split field values at commas into trimmed elements; several fields are one list.

    A comma inside double quotes does not separate. Empty elements are left out (RFC 9110 §5.6.1).

    >>> split_list(['a, b;x="1,2"', "c"])
    ['a', 'b;x="1,2"', 'c']
    """
    elements: list[str] = []
    for value in values:
        if "," not in value:
            elements.append(value)
        elif '"' in value:
            elements.extend(_ELEMENT.findall(value))
        else:
            elements.extend(value.split(","))
    return [trimmed for element in elements if (trimmed := element.strip(_SPACE))]


def parse_parameters(text: str) -> tuple[Pair, ...]:
    r"""Parse `name=value; name="quoted \" string"; ...` into pairs, names as they came.

    Raises:
        RemoteProtocolError: quotes are not closed.

    >>> parse_parameters('a=1; b="2;3"; c')
    (('a', '1'), ('b', '2;3'), ('c', ''))
    """
    pairs: list[Pair] = []
    if '"' not in text:
        for part in text.split(";"):
            name, _, value = part.partition("=")
            if name := name.strip(_SPACE):
                pairs.append((name, value.strip(_SPACE)))
        return tuple(pairs)
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise RemoteProtocolError(f"expected a closing quote, got {shorten(text[at:])}")
        name, quoted, plain = match.groups()
        if quoted is not None:
            value = _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted
        else:
            value = (plain or "").strip(_SPACE)
        if name := name.strip(_SPACE):
            pairs.append((name, value))
        at = match.end()
    return tuple(pairs)


def parse_value(text: str) -> Parameterized:
    """Parse one field value `first; name=value; ...` that is no list.

    Raises:
        RemoteProtocolError: quotes of a parameter are not closed.

    >>> parse_value("a, b ; timeout=5")
    Parameterized(value='a, b', parameters=(('timeout', '5'),))
    """
    value, separator, rest = text.partition(";")
    return Parameterized(value.strip(_SPACE), parse_parameters(rest) if separator else ())


def parse_list(values: Iterable[str]) -> list[Parameterized]:
    """Parse field values as one list of elements with parameters (GRIP §3.2).

    Raises:
        RemoteProtocolError: quotes of a parameter are not closed.

    >>> parse_list(["room; prev-id=1, hall"])[0]
    Parameterized(value='room', parameters=(('prev-id', '1'),))
    """
    return [parse_value(element) for element in split_list(values)]


def format_value(value: str, parameters: Iterable[Pair] = ()) -> str:
    """Write `value` and parameters so that `parse_value` and `parse_list` give them back.

    Raises:
        LocalProtocolError: the value cannot stand in a list, or a part has control characters.

    >>> format_value("room", [("prev-id", "1"), ("filter", "a b")])
    'room; prev-id=1; filter="a b"'
    """
    if not value or value != value.strip(_SPACE) or any(mark in value for mark in ',;"'):
        raise LocalProtocolError(
            f"expected a value without , ; quotes and outer spaces, got {shorten(value)}"
        )
    parts = [_writable(value)]
    for name, text in parameters:
        if not _TOKEN.fullmatch(name):
            raise LocalProtocolError(f"expected a parameter name, got {shorten(name)}")
        parts.append(f"{name}={_writable(text) if _TOKEN.fullmatch(text) else _quoted(text)}")
    return "; ".join(parts)


def is_field(name: str, value: str) -> bool:
    """Tell whether `name: value` may go on the wire: a token, and no control character.

    Guards against fields smuggled in through line ends (RFC 9110 §5.5).
    """
    return _TOKEN.fullmatch(name) is not None and _CONTROL.search(value) is None


def _quoted(text: str) -> str:
    """Return `text` as a quoted string (RFC 9110 §5.6.4)."""
    return '"' + _writable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _writable(text: str) -> str:
    """Return `text`, or refuse what no header may carry."""
    if _CONTROL.search(text):
        raise LocalProtocolError(f"expected text without control characters, got {shorten(text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError(f"expected text without surrogates, got {shorten(text)}") from None
    return text
