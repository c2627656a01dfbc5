"""The fast border: calls go straight from wasmtime's C API to a binding.

Besides speed (see `lifting`) it gives what the public way cannot: exceptions stay in their sandbox
(wasmtime-py keeps the last one in one variable for the whole process), no exception of any kind can
crash the interpreter, and a guest that runs too long is asked on its own thread, by the CPU time it
has used, instead of being stopped by the clock.

It uses private parts of wasmtime-py. `known_version` and `selftest` say whether they are as they
were in the versions this was written for; if not, `public` does the work.
"""

import ctypes
import importlib.metadata
import itertools
from ctypes import c_size_t, c_void_p
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import component as wit

from host_sim.sandbox.border import memory
from host_sim.sandbox.border.binding import Binding, Resources, current
from host_sim.sandbox.border.lifting import Lift, lift_for
from host_sim.sandbox.border.lowering import Lower, lower_for, write_result
from host_sim.sandbox.border.memory import Call
from host_sim.sandbox.border.values import WitError

__all__ = ["add_function", "known_version", "watch"]

_VERSIONS = range(45, 50)
_CONTINUE = 0  # WASMTIME_UPDATE_DEADLINE_CONTINUE


def known_version() -> bool:
    """Tell whether this wasmtime-py is one whose private parts are known."""
    version = int(importlib.metadata.version("wasmtime").split(".")[0])
    return version in _VERSIONS and memory.KNOWN


class _Converters:
    """How the arguments and the answer of one function are converted."""

    __slots__ = ("arguments", "error", "is_result", "ok", "row_at")

    def __init__(self, type_: wit.FuncType, resources: Resources) -> None:
        self.row_at = memory.words_for(len(type_.params)).from_address
        self.arguments: list[tuple[int, Lift]] = [
            (place * memory.CELL // memory.WORD + memory.PAYLOAD, lift_for(parameter))
            for place, (_, parameter) in enumerate(type_.params)
        ]
        result = type_.result
        self.is_result = isinstance(result, wit.ResultType)
        self.ok: Lower | None = None
        self.error: Lower | None = None
        if isinstance(result, wit.ResultType):
            self.ok = lower_for(result.ok, resources) if result.ok else None
            self.error = lower_for(result.err, resources) if result.err else None
        elif result is not None:
            self.ok = lower_for(result, resources)

    def answer(self, value: Any, results: int, call: Call) -> None:
        """Write what a host function returned."""
        if self.is_result:
            write_result(True, self.ok, value, results, call)
        elif self.ok is not None:
            self.ok(value, results, call)

    def fail(self, error: WitError, results: int, call: Call) -> None:
        """Write the error of a host function; a function without errors lets it pass."""
        if self.error is None:
            raise error
        write_result(False, self.error, error.value, results, call)


class _Entry:
    """A binding and its converters, which are made at its first call: most are never called."""

    __slots__ = ("binding", "converters")

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.converters: _Converters | None = None


_entries: dict[int, _Entry] = {}
_numbers = itertools.count(1)


def _enter(
    number: int, context: int, _type: int, arguments: int, count: int, results: int, _results: int
) -> int:
    entry = _entries[number]
    sandbox = current.sandbox
    try:
        converters = entry.converters
        if converters is None:
            converters = _Converters(entry.binding.type, entry.binding.resources)
            entry.converters = converters
        call = Call(context, sandbox.handles)
        # Every handle is taken back before anything else happens: one left over is a trap.
        words = converters.row_at(arguments)[:] if count else []
        values = [lift(words, place, call) for place, lift in converters.arguments]
        try:
            value = entry.binding.call(sandbox, values)
        except WitError as error:
            sandbox.handles.end_call(failed=True)
            converters.fail(error, results, call)
        else:
            sandbox.handles.end_call(failed=False)
            converters.answer(value, results, call)
    except BaseException as error:  # noqa: BLE001 - nothing may cross wasmtime
        return _error(sandbox.note_fault(entry.binding.key, error))
    return 0


def _forget(number: int) -> None:
    if _entries:  # the interpreter may be ending
        _entries.pop(number, None)


# C pointers to these functions; they have to live as long as any linker or store.
_ENTER = ctypes.CFUNCTYPE(
    *(c_size_t, c_size_t, c_size_t, c_size_t, c_size_t, c_size_t, c_size_t, c_size_t)
)(_enter)
_FORGET = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_forget)


_add_function = ffi.dll["wasmtime_component_linker_instance_add_func"]
_add_function.restype = c_size_t
_add_function.argtypes = [c_void_p, ctypes.c_char_p, c_size_t, c_void_p, c_size_t, c_void_p]


def _error(text: str) -> int:
    error: int = memory.new_error(text.encode(errors="replace").replace(b"\0", b""))
    return error


def add_function(instance: wit.LinkerInstance, name: str, binding: Binding) -> None:
    """Define one imported function in a linker."""
    number = next(_numbers)
    _entries[number] = _Entry(binding)
    encoded = name.encode()
    if error := _add_function(
        instance.ptr(),
        encoded,
        len(encoded),
        ctypes.cast(_ENTER, c_void_p),
        number,
        ctypes.cast(_FORGET, c_void_p),
    ):
        raise memory.failure(error)


def _tick(_context: Any, _data: Any, delta: Any, kind: Any) -> int:
    sandbox = current.sandbox
    try:
        sandbox.check()
    except BaseException as error:  # noqa: BLE001 - nothing may cross wasmtime
        return _error(sandbox.note_fault("time", error))
    delta[0] = 1
    kind[0] = _CONTINUE
    return 0


_TICK = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.POINTER(ffi.wasmtime_context_t),
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_uint64),
    ctypes.POINTER(ctypes.c_uint8),
)(_tick)
_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()


def watch(store: wasmtime.Store, _ticks: int) -> None:
    """Ask `Owner.check` at every tick of the engine whether the guest may go on."""
    ffi.wasmtime_store_epoch_deadline_callback(store.ptr(), _TICK, None, _NO_FINALIZER)
    store.set_epoch_deadline(1)
