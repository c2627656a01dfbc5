"""Where things are in the C values of wasmtime, and the few C functions that make and free them.

This uses private names of wasmtime-py, its generated ctypes declarations of the C API; layouts
come from those declarations, never from numbers of ours. Only `direct`, `lifting` and `lowering`
use this module.

Memory is read and written as rows of 64-bit words, because every access to a field of a ctypes
structure costs as much as a whole row. The functions keep the interpreter's lock: they are over in
a moment, and giving it up for each would let another thread take it, to be waited for.
"""

import ctypes
import sys
from ctypes import c_bool, c_size_t, c_uint32, c_uint64, c_void_p, pythonapi
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi

from host_sim.sandbox.border.handles import Handles

__all__ = [
    "BYTE_AT",
    "CELL",
    "DATA",
    "ENTRY",
    "ENTRY_VALUE",
    "IS_OK",
    "KNOWN",
    "NAME",
    "PAYLOAD",
    "READ",
    "RESULT_VALUE",
    "SIZE",
    "VARIANT_VALUE",
    "WORD",
    "WRITE",
    "Call",
    "Cell",
    "any_to_host",
    "box",
    "failure",
    "host_delete",
    "host_new",
    "host_rep",
    "host_to_any",
    "memory_view",
    "new_error",
    "new_flags",
    "new_list",
    "new_name",
    "new_record",
    "new_tuple",
    "words_for",
]

WORD = ctypes.sizeof(c_uint64)

# Their fields have offsets, which the declarations for type checkers do not say.
_Value: Any = ffi.wasmtime_component_val_t
_Entry: Any = ffi.wasmtime_component_valrecord_entry
_Vector: Any = ffi.wasm_byte_vec_t  # all vectors of the C API look like this one
_Variant: Any = ffi.wasmtime_component_valvariant_t
_Result: Any = ffi.wasmtime_component_valresult_t

# In bytes.
CELL = ctypes.sizeof(_Value)
"""Size of a cell, a `wasmtime_component_val_t`: its kind and a payload."""
BYTE_AT = _Value.of.offset
ENTRY = ctypes.sizeof(_Entry)
NAME = ctypes.sizeof(_Vector)

# In words; within a payload, from its start.
PAYLOAD = _Value.of.offset // WORD
ENTRY_VALUE = _Entry.val.offset // WORD
SIZE, DATA = _Vector.size.offset // WORD, _Vector.data.offset // WORD
VARIANT_VALUE = _Variant.val.offset // WORD
IS_OK, RESULT_VALUE = _Result.is_ok.offset // WORD, _Result.val.offset // WORD

KNOWN = (
    sys.byteorder == "little"
    and not any(
        place % WORD
        for place in (
            *(CELL, ENTRY, NAME, _Value.of.offset, _Entry.val.offset, _Vector.size.offset),
            *(_Vector.data.offset, _Variant.val.offset, _Result.is_ok.offset, _Result.val.offset),
        )
    )
    and not (_Entry.name.offset or _Variant.discriminant.offset)
)
"""Whether words are the right way to look at them here."""

Cell = c_uint64 * (CELL // WORD)


class Call:
    """What converting the values of one call needs to know."""

    __slots__ = ("context", "handles")

    def __init__(self, context: int, handles: Handles) -> None:
        self.context = context
        self.handles = handles


def words_for(cells: int, size: int = CELL) -> Any:
    """Return the type of a row of so many cells, or other things of a size."""
    return c_uint64 * (cells * size // WORD)


memory_view = pythonapi.PyMemoryView_FromMemory
memory_view.restype = ctypes.py_object
memory_view.argtypes = [c_void_p, ctypes.c_ssize_t, ctypes.c_int]
READ, WRITE = 0x100, 0x200  # PyBUF_READ, PyBUF_WRITE

_dll = ctypes.PyDLL(ffi.dll._name, handle=ffi.dll._handle)  # noqa: SLF001 - the same library


def _function(name: str, returns: Any, *takes: Any) -> Any:
    function = _dll[name]
    function.restype, function.argtypes = returns, takes
    return function


# Pointers are numbers: the generated prototypes would make an object of each.
new_name = _function("wasm_byte_vec_new", None, c_size_t, c_size_t, ctypes.c_char_p)
new_list = _function("wasmtime_component_vallist_new_uninit", None, c_size_t, c_size_t)
new_tuple = _function("wasmtime_component_valtuple_new_uninit", None, c_size_t, c_size_t)
new_record = _function("wasmtime_component_valrecord_new_uninit", None, c_size_t, c_size_t)
new_flags = _function("wasmtime_component_valflags_new_uninit", None, c_size_t, c_size_t)
box = _function("wasmtime_component_val_new", c_size_t, c_void_p)
host_new = _function("wasmtime_component_resource_host_new", c_size_t, c_bool, c_uint32, c_uint32)
host_rep = _function("wasmtime_component_resource_host_rep", c_uint32, c_size_t)
host_delete = _function("wasmtime_component_resource_host_delete", None, c_size_t)
host_to_any = _function(
    "wasmtime_component_resource_host_to_any", c_size_t, c_size_t, c_size_t, c_void_p
)
any_to_host = _function(
    "wasmtime_component_resource_any_to_host", c_size_t, c_size_t, c_size_t, c_void_p
)
new_error = _function("wasmtime_error_new", c_size_t, ctypes.c_char_p)


def failure(error: int) -> wasmtime.WasmtimeError:
    """Return an error of the library as an exception."""
    pointer = ctypes.cast(error, ctypes.POINTER(ffi.wasmtime_error_t))
    return wasmtime.WasmtimeError._from_ptr(pointer)  # noqa: SLF001 - the only constructor
