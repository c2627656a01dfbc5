"""Ordered header fields with repetition, and the lists with parameters inside their values.

Knows nothing of GRIP's own names. Field values are text: bytes that are not UTF-8 are kept as
lone surrogates (`surrogateescape`), so that what came over the wire goes out unchanged.
Sources: RFC 9110 §5 (fields), §5.6.4 (quoted strings); GRIP: lists in header values.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

__all__ = ["Headers"]

type Pair = tuple[str, str]


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
            (name.decode("ascii", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
            for name, value in pairs
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
        return next((value for key, value in self._pairs if key.lower() == wanted), None)

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
        return self.where(lambda name: name not in unwanted)

    def where(self, keep: Callable[[str], bool]) -> "Headers":
        """Return the fields for whose lower-case name `keep` is true."""
        return Headers(pair for pair in self._pairs if keep(pair[0].lower()))

    def plus(self, *pairs: Pair) -> "Headers":
        """Return these headers with `pairs` appended."""
        return Headers((*self._pairs, *pairs))

    def replaced(self, name: str, value: str) -> "Headers":
        """Return these headers with exactly one field `name`, at the end."""
        return self.without(name).plus((name, value))
