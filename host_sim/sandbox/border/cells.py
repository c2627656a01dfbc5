"""Reads and writes the C values of wasmtime: one reader or writer per WIT type, made once.

wasmtime-py's own conversion asks the library for the types again on every call and converts byte
lists byte by byte: 100 to 5000 µs a call. Here the converters of a function are made once, from
the public type objects, and byte lists move with one strided copy.

This uses private names of wasmtime-py, its generated ctypes declarations of the C API; layouts
come from those declarations, never from numbers of ours. Only `direct` uses this module.
"""

import ctypes
from collections.abc import Callable
from ctypes import byref, pythonapi
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import component as wit

from host_sim.sandbox.border.binding import Resources
from host_sim.sandbox.border.handles import Handles
from host_sim.sandbox.border.values import Case

__all__ = ["Call", "Cell", "Lift", "Lower", "lift_for", "lower_for"]

type Cell = Any
"""A view of one `wasmtime_component_val_t`."""

type Lift = Callable[[Cell, "Call"], Any]
"""Reads a cell."""

type Lower = Callable[[Any, Cell, "Call"], None]
"""Writes a value into a cell."""

_Value = ffi.wasmtime_component_val_t
_SIZE = ctypes.sizeof(_Value)
_BYTE_AT = _Value.of.offset  # where the byte of a u8 cell is

_memory_view = pythonapi.PyMemoryView_FromMemory
_memory_view.restype = ctypes.py_object
_memory_view.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]
_READ, _WRITE = 0x100, 0x200  # PyBUF_READ, PyBUF_WRITE

# A prototype of our own: the generated one would make ctypes wrap the arguments.
_new_bytes = ffi.dll["wasm_byte_vec_new"]
_new_bytes.restype = None
_new_bytes.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]

_SCALARS: dict[type, tuple[int, str, type]] = {
    wit.Bool: (ffi.WASMTIME_COMPONENT_BOOL.value, "boolean", bool),
    wit.S8: (ffi.WASMTIME_COMPONENT_S8.value, "s8", int),
    wit.U8: (ffi.WASMTIME_COMPONENT_U8.value, "u8", int),
    wit.S16: (ffi.WASMTIME_COMPONENT_S16.value, "s16", int),
    wit.U16: (ffi.WASMTIME_COMPONENT_U16.value, "u16", int),
    wit.S32: (ffi.WASMTIME_COMPONENT_S32.value, "s32", int),
    wit.U32: (ffi.WASMTIME_COMPONENT_U32.value, "u32", int),
    wit.S64: (ffi.WASMTIME_COMPONENT_S64.value, "s64", int),
    wit.U64: (ffi.WASMTIME_COMPONENT_U64.value, "u64", int),
    wit.F32: (ffi.WASMTIME_COMPONENT_F32.value, "f32", float),
    wit.F64: (ffi.WASMTIME_COMPONENT_F64.value, "f64", float),
}
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


class Call:
    """What converting the values of one call needs to know."""

    __slots__ = ("context", "handles")

    def __init__(self, context: Any, handles: Handles) -> None:
        self.context = context
        self.handles = handles


# Reading. wasmtime frees the cells of the arguments after the call.


def _lift_scalar(field: str) -> Lift:
    return lambda cell, _call: getattr(cell.of, field)


def _text(name: Any) -> str:
    return ctypes.string_at(name.data, name.size).decode()


def _lift_bytes(cell: Cell, _call: Call) -> bytes:
    items = cell.of.list
    if not items.size:
        return b""
    start = ctypes.addressof(items.data.contents)
    return bytes(_memory_view(start, items.size * _SIZE, _READ)[_BYTE_AT::_SIZE])


def _lift_list(element: Lift) -> Lift:
    def lift(cell: Cell, call: Call) -> list[Any]:
        items = cell.of.list
        return [element(items.data[i], call) for i in range(items.size)]

    return lift


def _lift_tuple(elements: list[Lift]) -> Lift:
    def lift(cell: Cell, call: Call) -> tuple[Any, ...]:
        data = cell.of.tuple.data
        return tuple(element(data[i], call) for i, element in enumerate(elements))

    return lift


def _lift_record(fields: list[tuple[str, Lift]]) -> Lift:
    def lift(cell: Cell, call: Call) -> dict[str, Any]:
        data = cell.of.record.data
        return {name: field(data[i].val, call) for i, (name, field) in enumerate(fields)}

    return lift


def _lift_option(payload: Lift) -> Lift:
    def lift(cell: Cell, call: Call) -> Any:
        some = cell.of.option
        return payload(some.contents, call) if some else None

    return lift


def _lift_variant(cases: dict[str, Lift | None]) -> Lift:
    def lift(cell: Cell, call: Call) -> Case:
        variant = cell.of.variant
        name = _text(variant.discriminant)
        payload = cases[name]
        return Case(name, payload(variant.val.contents, call) if payload else None)

    return lift


def _lift_flags(cell: Cell, _call: Call) -> set[str]:
    flags = cell.of.flags
    return {_text(flags.data[i]) for i in range(flags.size)}


def _handle_number(cell: Cell, call: Call) -> int:
    """Take the handle's number; a borrow that is not taken back like this makes the call trap."""
    host = ctypes.POINTER(ffi.wasmtime_component_resource_host_t)()
    error = ffi.wasmtime_component_resource_any_to_host(call.context, cell.of.resource, byref(host))
    if error:
        raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001 - the only constructor
    number = ffi.wasmtime_component_resource_host_rep(host)
    ffi.wasmtime_component_resource_host_delete(host)
    return number


def _lift_own(cell: Cell, call: Call) -> Any:
    return call.handles.take(_handle_number(cell, call))


def _lift_borrow(cell: Cell, call: Call) -> Any:
    return call.handles.get(_handle_number(cell, call))


def lift_for(type_: wit.ValType | None) -> Lift:
    """Make the reader of a type.

    Raises:
        TypeError: a kind of type that no function of the platform has.
    """
    match type_:
        case _ if type(type_) in _SCALARS:
            return _lift_scalar(_SCALARS[type(type_)][1])
        case wit.String():
            return lambda cell, _call: _text(cell.of.string)
        case wit.EnumType():
            return lambda cell, _call: _text(cell.of.enumeration)
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


# Writing. A cell gets its kind last, so that one that was begun and not finished is still the
# `false` that wasmtime put there. What was allocated for it is then lost: it takes a mistake in a
# host function, and ends the sandbox.


def _name(text: str) -> Any:
    """Return an owned C name."""
    name = ffi.wasm_name_t()
    data = text.encode()
    _new_bytes(byref(name), len(data), data)
    return name


def _boxed(lower: Lower, value: Any, call: Call) -> Any:
    """Return a pointer to a new cell with `value`."""
    cell = _Value()
    lower(value, cell, call)
    return ffi.wasmtime_component_val_new(byref(cell))


def _lower_scalar(kind: int, field: str, class_: type) -> Lower:
    def lower(value: Any, cell: Cell, _call: Call) -> None:
        if not isinstance(value, class_):
            raise TypeError(f"expected {class_.__name__}, got {type(value).__name__}")
        setattr(cell.of, field, value)
        cell.kind = kind

    return lower


def _lower_string(value: str, cell: Cell, _call: Call) -> None:
    cell.of.string = _name(value)
    cell.kind = _STRING


def _lower_enum(names: list[str]) -> Lower:
    known = frozenset(names)

    def lower(value: str, cell: Cell, _call: Call) -> None:
        if value not in known:
            raise ValueError(f"expected one of {names}, got {value!r}")
        cell.of.enumeration = _name(value)
        cell.kind = _ENUM

    return lower


def _lower_flags(value: set[str], cell: Cell, _call: Call) -> None:
    flags = ffi.wasmtime_component_valflags_t()
    ffi.wasmtime_component_valflags_new_uninit(flags, len(value))
    for i, name in enumerate(sorted(value)):
        flags.data[i] = _name(name)
    cell.of.flags = flags
    cell.kind = _FLAGS


def _lower_bytes(value: bytes, cell: Cell, _call: Call) -> None:
    size = len(value)
    items = ffi.wasmtime_component_vallist_t()
    ffi.wasmtime_component_vallist_new_uninit(byref(items), size)
    if size:
        cells = _memory_view(ctypes.addressof(items.data.contents), size * _SIZE, _WRITE)
        cells[::_SIZE] = _U8_KIND * size
        cells[_BYTE_AT::_SIZE] = value
    cell.of.list = items
    cell.kind = _LIST


def _lower_list(element: Lower) -> Lower:
    def lower(value: list[Any], cell: Cell, call: Call) -> None:
        items = ffi.wasmtime_component_vallist_t()
        ffi.wasmtime_component_vallist_new_uninit(byref(items), len(value))
        for i, item in enumerate(value):
            element(item, items.data[i], call)
        cell.of.list = items
        cell.kind = _LIST

    return lower


def _lower_tuple(elements: list[Lower]) -> Lower:
    def lower(value: tuple[Any, ...], cell: Cell, call: Call) -> None:
        items = ffi.wasmtime_component_valtuple_t()
        ffi.wasmtime_component_valtuple_new_uninit(byref(items), len(elements))
        for i, (element, item) in enumerate(zip(elements, value, strict=True)):
            element(item, items.data[i], call)
        cell.of.tuple = items
        cell.kind = _TUPLE

    return lower


def _lower_record(fields: list[tuple[str, Lower]]) -> Lower:
    def lower(value: dict[str, Any], cell: Cell, call: Call) -> None:
        record = ffi.wasmtime_component_valrecord_t()
        ffi.wasmtime_component_valrecord_new_uninit(byref(record), len(fields))
        for i, (name, field) in enumerate(fields):
            record.data[i].name = _name(name)
            field(value[name], record.data[i].val, call)
        cell.of.record = record
        cell.kind = _RECORD

    return lower


def _lower_option(payload: Lower) -> Lower:
    def lower(value: Any, cell: Cell, call: Call) -> None:
        cell.of.option = None if value is None else _boxed(payload, value, call)
        cell.kind = _OPTION

    return lower


def _lower_variant(cases: dict[str, Lower | None]) -> Lower:
    def lower(value: Case | str, cell: Cell, call: Call) -> None:
        name, item = value if isinstance(value, Case) else (value, None)
        payload = cases[name]
        cell.of.variant.val = _boxed(payload, item, call) if payload else None
        cell.of.variant.discriminant = _name(name)
        cell.kind = _VARIANT

    return lower


def _lower_own(number: int) -> Lower:
    def lower(value: object, cell: Cell, call: Call) -> None:
        host = ffi.wasmtime_component_resource_host_new(True, call.handles.add(value), number)
        any_ = ctypes.POINTER(ffi.wasmtime_component_resource_any_t)()
        error = ffi.wasmtime_component_resource_host_to_any(call.context, host, byref(any_))
        ffi.wasmtime_component_resource_host_delete(host)
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001 - the only constructor
        cell.of.resource = any_
        cell.kind = _RESOURCE

    return lower


def lower_for(type_: wit.ValType | None, resources: Resources) -> Lower:
    """Make the writer of a type.

    Raises:
        TypeError: a kind of type that no function of the platform has.
    """
    match type_:
        case _ if type(type_) in _SCALARS:
            return _lower_scalar(*_SCALARS[type(type_)])
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
