"""Writes the C values of wasmtime that a guest gets: one writer per WIT type, made once.

See `lifting`. A cell gets its kind last, so that one that was begun and not finished is still the
`false` that wasmtime put there. What was allocated for it is then lost: it takes a mistake in a
host function, and ends the sandbox.
"""

from collections.abc import Callable
from ctypes import addressof, c_double, c_float
from typing import Any

from wasmtime import _ffi as ffi
from wasmtime import component as wit

from host_sim.sandbox.border import memory as m
from host_sim.sandbox.border.binding import Resources
from host_sim.sandbox.border.memory import CELL, DATA, PAYLOAD, WORD, Call, Cell
from host_sim.sandbox.border.values import Case

__all__ = ["Lower", "lower_for", "write_result"]

type Lower = Callable[[Any, int, Call], None]
"""Writes a value into the cell at an address."""

_KINDS: dict[type, int] = {
    wit.Bool: ffi.WASMTIME_COMPONENT_BOOL.value,
    wit.S8: ffi.WASMTIME_COMPONENT_S8.value,
    wit.U8: ffi.WASMTIME_COMPONENT_U8.value,
    wit.S16: ffi.WASMTIME_COMPONENT_S16.value,
    wit.U16: ffi.WASMTIME_COMPONENT_U16.value,
    wit.S32: ffi.WASMTIME_COMPONENT_S32.value,
    wit.U32: ffi.WASMTIME_COMPONENT_U32.value,
    wit.S64: ffi.WASMTIME_COMPONENT_S64.value,
    wit.U64: ffi.WASMTIME_COMPONENT_U64.value,
}
_F32 = ffi.WASMTIME_COMPONENT_F32.value
_F64 = ffi.WASMTIME_COMPONENT_F64.value
_STRING = ffi.WASMTIME_COMPONENT_STRING.value
_LIST = ffi.WASMTIME_COMPONENT_LIST.value
_RECORD = ffi.WASMTIME_COMPONENT_RECORD.value
_TUPLE = ffi.WASMTIME_COMPONENT_TUPLE.value
_VARIANT = ffi.WASMTIME_COMPONENT_VARIANT.value
_ENUM = ffi.WASMTIME_COMPONENT_ENUM.value
_OPTION = ffi.WASMTIME_COMPONENT_OPTION.value
_RESULT = ffi.WASMTIME_COMPONENT_RESULT.value
_FLAGS = ffi.WASMTIME_COMPONENT_FLAGS.value
_RESOURCE = ffi.WASMTIME_COMPONENT_RESOURCE.value
_U8_KIND = bytes([ffi.WASMTIME_COMPONENT_U8.value])

_cell_at = Cell.from_address

_AT = PAYLOAD * WORD  # where the payload is, in bytes


def _finish(address: int, kind: int, payload: int) -> None:
    """Write a payload of one word, and the kind."""
    cell = _cell_at(address)
    cell[PAYLOAD] = payload
    cell[0] = kind


def _put_name(text: str, address: int) -> None:
    """Write an owned C name."""
    data = text.encode()
    m.new_name(address, len(data), data)


def _boxed(lower: Lower, value: Any, call: Call) -> int:
    """Return a pointer to a new cell with `value`."""
    cell = Cell()
    lower(value, addressof(cell), call)
    pointer: int = m.box(cell)
    return pointer


def _lower_scalar(kind: int, class_: type[int]) -> Lower:
    def lower(value: Any, address: int, _call: Call) -> None:
        if not isinstance(value, class_):
            raise TypeError(f"expected {class_.__name__}, got {type(value).__name__}")
        _finish(address, kind, value)

    return lower


def _lower_float(kind: int, c_type: type[c_float | c_double]) -> Lower:
    def lower(value: float, address: int, _call: Call) -> None:
        c_type.from_address(address + _AT).value = value
        _cell_at(address)[0] = kind

    return lower


def _lower_string(value: str, address: int, _call: Call) -> None:
    data = value.encode()
    m.new_name(address + _AT, len(data), data)
    _cell_at(address)[0] = _STRING


def _lower_enum(names: list[str]) -> Lower:
    known = frozenset(names)

    def lower(value: str, address: int, _call: Call) -> None:
        if value not in known:
            raise ValueError(f"expected one of {names}, got {value!r}")
        _put_name(value, address + _AT)
        _cell_at(address)[0] = _ENUM

    return lower


def _lower_flags(value: set[str], address: int, _call: Call) -> None:
    m.new_flags(address + _AT, len(value))
    cell = _cell_at(address)
    start = cell[PAYLOAD + DATA]
    for i, name in enumerate(sorted(value)):
        _put_name(name, start + i * m.NAME)
    cell[0] = _FLAGS


def _lower_bytes(value: bytes, address: int, _call: Call) -> None:
    size = len(value)
    m.new_list(address + _AT, size)
    cell = _cell_at(address)
    if size:
        cells = m.memory_view(cell[PAYLOAD + DATA], size * CELL, m.WRITE)
        cells[::CELL] = _U8_KIND * size
        cells[m.BYTE_AT :: CELL] = value
    cell[0] = _LIST


def _lower_list(element: Lower) -> Lower:
    def lower(value: list[Any], address: int, call: Call) -> None:
        m.new_list(address + _AT, len(value))
        cell = _cell_at(address)
        start = cell[PAYLOAD + DATA]
        for i, item in enumerate(value):
            element(item, start + i * CELL, call)
        cell[0] = _LIST

    return lower


def _lower_tuple(elements: list[Lower]) -> Lower:
    def lower(value: tuple[Any, ...], address: int, call: Call) -> None:
        m.new_tuple(address + _AT, len(elements))
        cell = _cell_at(address)
        start = cell[PAYLOAD + DATA]
        for i, (element, item) in enumerate(zip(elements, value, strict=True)):
            element(item, start + i * CELL, call)
        cell[0] = _TUPLE

    return lower


def _lower_record(fields: list[tuple[str, Lower]]) -> Lower:
    def lower(value: dict[str, Any], address: int, call: Call) -> None:
        m.new_record(address + _AT, len(fields))
        cell = _cell_at(address)
        start = cell[PAYLOAD + DATA]
        for i, (name, field) in enumerate(fields):
            _put_name(name, start + i * m.ENTRY)
            field(value[name], start + i * m.ENTRY + m.ENTRY_VALUE * WORD, call)
        cell[0] = _RECORD

    return lower


def _lower_option(payload: Lower) -> Lower:
    def lower(value: Any, address: int, call: Call) -> None:
        _finish(address, _OPTION, 0 if value is None else _boxed(payload, value, call))

    return lower


def _lower_variant(cases: dict[str, Lower | None]) -> Lower:
    def lower(value: Case | str, address: int, call: Call) -> None:
        name, item = value if isinstance(value, Case) else (value, None)
        payload = cases[name]
        cell = _cell_at(address)
        cell[PAYLOAD + m.VARIANT_VALUE] = _boxed(payload, item, call) if payload else 0
        _put_name(name, address + _AT)
        cell[0] = _VARIANT

    return lower


def _lower_own(number: int) -> Lower:
    def lower(value: object, address: int, call: Call) -> None:
        host = m.host_new(True, call.handles.add(value), number)
        error = m.host_to_any(call.context, host, address + _AT)
        m.host_delete(host)
        if error:
            raise m.failure(error)
        _cell_at(address)[0] = _RESOURCE

    return lower


def write_result(ok: bool, lower: Lower | None, value: Any, address: int, call: Call) -> None:
    """Write a result; `lower` writes its payload, None where it has none."""
    pointer = 0 if lower is None else _boxed(lower, value, call)
    cell = _cell_at(address)
    cell[PAYLOAD + m.IS_OK] = ok
    cell[PAYLOAD + m.RESULT_VALUE] = pointer
    cell[0] = _RESULT


def lower_for(type_: wit.ValType | None, resources: Resources) -> Lower:
    """Make the writer of a type.

    Raises:
        TypeError: a kind of type that no function of the platform has.
    """
    match type_:
        case wit.F32():
            return _lower_float(_F32, c_float)
        case wit.F64():
            return _lower_float(_F64, c_double)
        case _ if type(type_) in _KINDS:
            return _lower_scalar(_KINDS[type(type_)], bool if isinstance(type_, wit.Bool) else int)
        case wit.String():
            return _lower_string
        case wit.EnumType():
            return _lower_enum(type_.names)
        case wit.FlagsType():
            return _lower_flags
        case wit.ListType():
            element = type_.element
            if isinstance(element, wit.U8):
                return _lower_bytes
            return _lower_list(lower_for(element, resources))
        case wit.TupleType():
            return _lower_tuple([lower_for(element, resources) for element in type_.elements])
        case wit.RecordType():
            return _lower_record(
                [(name, lower_for(field, resources)) for name, field in type_.fields]
            )
        case wit.OptionType():
            return _lower_option(lower_for(type_.payload, resources))
        case wit.VariantType():
            return _lower_variant(
                {name: lower_for(case, resources) if case else None for name, case in type_.cases}
            )
        case wit.OwnType():
            return _lower_own(resources.number(type_.ty))
        case _:
            raise TypeError(f"no conversion for a {type(type_).__name__}")
