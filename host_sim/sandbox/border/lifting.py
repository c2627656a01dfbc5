"""Reads the C values of wasmtime that a guest gave: one reader per WIT type, made once.

wasmtime-py's own conversion asks the library for the types again on every call and converts byte
lists byte by byte: 100 to 5000 µs a call. Here the converters of a function are made once, from
the public type objects, and byte lists move with one strided copy. Only `direct` uses this.

wasmtime frees the cells of the arguments after the call. What a payload does not fill of its words
is not initialised.
"""

import struct
from collections.abc import Callable
from ctypes import addressof, c_size_t, string_at
from typing import Any

from wasmtime import component as wit

from host_sim.sandbox.border import memory as m
from host_sim.sandbox.border.memory import CELL, DATA, PAYLOAD, SIZE, WORD, Call, Cell
from host_sim.sandbox.border.values import Case

__all__ = ["Lift", "lift_for"]

type Lift = Callable[[list[int], int, Call], Any]
"""Reads the payload that begins at that word of a row."""

_BITS: dict[type, int] = {wit.U8: 8, wit.U16: 16, wit.U32: 32, wit.U64: 64}
_SIGNED: dict[type, int] = {wit.S8: 8, wit.S16: 16, wit.S32: 32, wit.S64: 64}

_cell_at = Cell.from_address


def _lift_unsigned(bits: int) -> Lift:
    mask = (1 << bits) - 1
    return lambda words, at, _call: words[at] & mask


def _lift_signed(bits: int) -> Lift:
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)
    return lambda words, at, _call: ((words[at] & mask) ^ sign) - sign


def _lift_float(format_: str) -> Lift:
    size = struct.calcsize(format_)
    return lambda words, at, _call: struct.unpack(
        format_, words[at].to_bytes(WORD, "little")[:size]
    )[0]


def _lift_text(words: list[int], at: int, _call: Call) -> str:
    return string_at(words[at + DATA], words[at + SIZE]).decode()


def _lift_bytes(words: list[int], at: int, _call: Call) -> bytes:
    size = words[at + SIZE]
    if not size:
        return b""
    return bytes(m.memory_view(words[at + DATA], size * CELL, m.READ)[m.BYTE_AT :: CELL])


def _lift_list(element: Lift) -> Lift:
    def lift(words: list[int], at: int, call: Call) -> list[Any]:
        start = words[at + DATA]
        return [
            element(_cell_at(start + i * CELL)[:], PAYLOAD, call) for i in range(words[at + SIZE])
        ]

    return lift


def _lift_tuple(elements: list[Lift]) -> Lift:
    row_at = m.words_for(len(elements)).from_address
    places = [(i * CELL // WORD + PAYLOAD, element) for i, element in enumerate(elements)]

    def lift(words: list[int], at: int, call: Call) -> tuple[Any, ...]:
        row = row_at(words[at + DATA])[:]
        return tuple(element(row, place, call) for place, element in places)

    return lift


def _lift_record(fields: list[tuple[str, Lift]]) -> Lift:
    row_at = m.words_for(len(fields), m.ENTRY).from_address
    places = [
        (name, i * m.ENTRY // WORD + m.ENTRY_VALUE + PAYLOAD, field)
        for i, (name, field) in enumerate(fields)
    ]

    def lift(words: list[int], at: int, call: Call) -> dict[str, Any]:
        row = row_at(words[at + DATA])[:]
        return {name: field(row, place, call) for name, place, field in places}

    return lift


def _lift_option(payload: Lift) -> Lift:
    def lift(words: list[int], at: int, call: Call) -> Any:
        some = words[at]
        return payload(_cell_at(some)[:], PAYLOAD, call) if some else None

    return lift


def _lift_variant(cases: dict[str, Lift | None]) -> Lift:
    def lift(words: list[int], at: int, call: Call) -> Case:
        name = _lift_text(words, at, call)
        payload = cases[name]
        if payload is None:
            return Case(name)
        return Case(name, payload(_cell_at(words[at + m.VARIANT_VALUE])[:], PAYLOAD, call))

    return lift


def _lift_flags(words: list[int], at: int, call: Call) -> set[str]:
    count = words[at + SIZE]
    row = m.words_for(count, m.NAME).from_address(words[at + DATA])[:] if count else []
    return {_lift_text(row, i * m.NAME // WORD, call) for i in range(count)}


def _handle_number(any_: int, call: Call) -> int:
    """Take the handle's number; a borrow that is not taken back like this makes the call trap."""
    host = c_size_t()
    if error := m.any_to_host(call.context, any_, addressof(host)):
        raise m.failure(error)
    number: int = m.host_rep(host.value)
    m.host_delete(host.value)
    return number


def _lift_own(words: list[int], at: int, call: Call) -> object:
    return call.handles.take(_handle_number(words[at], call))


def _lift_borrow(words: list[int], at: int, call: Call) -> object:
    return call.handles.get(_handle_number(words[at], call))


def lift_for(type_: wit.ValType | None) -> Lift:
    """Make the reader of a type.

    Raises:
        TypeError: a kind of type that no function of the platform has.
    """
    match type_:
        case wit.Bool():
            return lambda words, at, _call: bool(words[at] & 0xFF)
        case wit.F32():
            return _lift_float("<f")
        case wit.F64():
            return _lift_float("<d")
        case _ if bits := _BITS.get(type(type_)):
            return _lift_unsigned(bits)
        case _ if bits := _SIGNED.get(type(type_)):
            return _lift_signed(bits)
        case wit.String() | wit.EnumType():
            return _lift_text
        case wit.FlagsType():
            return _lift_flags
        case wit.ListType():
            element = type_.element
            return _lift_bytes if isinstance(element, wit.U8) else _lift_list(lift_for(element))
        case wit.TupleType():
            return _lift_tuple([lift_for(element) for element in type_.elements])
        case wit.RecordType():
            return _lift_record([(name, lift_for(field)) for name, field in type_.fields])
        case wit.OptionType():
            return _lift_option(lift_for(type_.payload))
        case wit.VariantType():
            return _lift_variant(
                {name: lift_for(case) if case else None for name, case in type_.cases}
            )
        case wit.OwnType():
            return _lift_own
        case wit.BorrowType():
            return _lift_borrow
        case _:
            raise TypeError(f"no conversion for a {type(type_).__name__}")
