"""The slow border: the same calls through the public interface of wasmtime-py.

For versions of wasmtime-py whose private parts are not known. One fault of its own has to be mended
even so: it cannot return the error of a `result<option<T>, E>`, because it takes every value for an
option, and it decides that in a set that all threads share. `mend` replaces that one method.
"""

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import wasmtime
from wasmtime import component as wit

from host_sim.sandbox.border.binding import Binding, Resources, current
from host_sim.sandbox.border.handles import Handles
from host_sim.sandbox.border.values import Case, WitError

__all__ = ["add_function", "mend", "watch"]

type Unpack = Callable[[Any, "_Call"], Any]
"""Turns a value of wasmtime-py into one of ours."""

type Pack = Callable[[Any, "_Call"], Any]
"""Turns a value of ours into one of wasmtime-py."""


class _Call:
    """What converting the values of one call needs to know."""

    __slots__ = ("handles", "store")

    def __init__(self, store: wasmtime.StoreContext, handles: Handles) -> None:
        self.store = store
        self.handles = handles


def _same(value: Any, _call: _Call) -> Any:
    return value


def _nothing(_value: Any, _call: _Call) -> None:
    return None


def _classes(type_: wit.ValType | None) -> set[type]:
    """Return the classes that wasmtime-py's values of a type have."""
    found: set[type] = set()
    if type_ is not None:
        type_.add_classes(found)
    if type_ is None or object in found:  # wasmtime-py says `object` where it means None
        found -= {object}
        found |= {type(None)}
    return found


def _told_apart(payloads: list[wit.ValType | None]) -> bool:
    """Tell whether the cases differ in class, so that wasmtime-py leaves out `Variant`."""
    seen: set[type] = set()
    for payload in payloads:
        classes = _classes(payload)
        if classes & seen:
            return False
        seen |= classes
    return True


def _unpack_for(type_: wit.ValType) -> Unpack:
    match type_:
        case wit.ListType() if not isinstance(type_.element, wit.U8):
            element = _unpack_for(type_.element)
            return lambda value, call: [element(item, call) for item in value]
        case wit.TupleType():
            elements = [_unpack_for(element) for element in type_.elements]
            return lambda value, call: tuple(
                unpack(item, call) for unpack, item in zip(elements, value, strict=True)
            )
        case wit.RecordType():
            fields = [(name, _unpack_for(field)) for name, field in type_.fields]
            return lambda value, call: {
                name: unpack(getattr(value, name), call) for name, unpack in fields
            }
        case wit.OptionType():
            payload = _unpack_for(type_.payload)
            return lambda value, call: None if value is None else payload(value, call)
        case wit.VariantType():
            return _unpack_variant(type_.cases)
        case wit.OwnType():
            return lambda value, call: call.handles.take(value.to_host(call.store).rep)
        case wit.BorrowType():
            return lambda value, call: call.handles.get(value.to_host(call.store).rep)
        case _:
            return _same


def _unpack_variant(cases: list[tuple[str, wit.ValType | None]]) -> Unpack:
    unpacks = {name: payload and _unpack_for(payload) for name, payload in cases}
    apart = _told_apart([payload for _, payload in cases])

    def unpack(value: Any, call: _Call) -> Case:
        if apart:
            name = next(name for name, p in cases if isinstance(value, tuple(_classes(p))))
        else:
            name, value = value.tag, value.payload
        inner = unpacks[name]
        return Case(name, inner(value, call) if inner else None)

    return unpack


def _pack_for(type_: wit.ValType, resources: Resources) -> Pack:
    match type_:
        case wit.ListType() if not isinstance(type_.element, wit.U8):
            element = _pack_for(type_.element, resources)
            return lambda value, call: [element(item, call) for item in value]
        case wit.TupleType():
            elements = [_pack_for(element, resources) for element in type_.elements]
            return lambda value, call: tuple(
                pack(item, call) for pack, item in zip(elements, value, strict=True)
            )
        case wit.RecordType():
            return _pack_record([(n, _pack_for(f, resources)) for n, f in type_.fields])
        case wit.OptionType():
            payload = _pack_for(type_.payload, resources)
            return lambda value, call: None if value is None else payload(value, call)
        case wit.VariantType():
            return _pack_variant(type_.cases, resources)
        case wit.OwnType():
            number = resources.number(type_.ty)
            return lambda value, call: wit.ResourceHost.own(call.handles.add(value), number)
        case _:
            return _same


def _pack_record(fields: list[tuple[str, Pack]]) -> Pack:
    def pack(value: dict[str, Any], call: _Call) -> wit.Record:
        record = wit.Record()
        for name, field in fields:
            setattr(record, name, field(value[name], call))
        return record

    return pack


def _pack_variant(cases: list[tuple[str, wit.ValType | None]], resources: Resources) -> Pack:
    packs = {name: payload and _pack_for(payload, resources) for name, payload in cases}
    apart = _told_apart([payload for _, payload in cases])

    def pack(value: Case | str, call: _Call) -> Any:
        name, item = value if isinstance(value, Case) else (value, None)
        inner = packs[name]
        payload = inner(item, call) if inner else None
        return payload if apart else wit.Variant(name, payload)

    return pack


class _Converters:
    """How the arguments and the answer of one function are converted."""

    def __init__(self, type_: wit.FuncType, resources: Resources) -> None:
        self.arguments = [_unpack_for(parameter) for _, parameter in type_.params]
        result = type_.result
        self._ok: Pack = _same
        self._error: Pack | None = None
        self._apart = True
        if isinstance(result, wit.ResultType):
            if result.ok is not None:
                self._ok = _pack_for(result.ok, resources)
            self._error = _same if result.err is None else _pack_for(result.err, resources)
            self._apart = _told_apart([result.ok, result.err])
        else:
            self._ok = _nothing if result is None else _pack_for(result, resources)

    def answer(self, value: Any, call: _Call) -> Any:
        packed = self._ok(value, call)
        return packed if self._apart else wit.Variant("ok", packed)

    def fail(self, error: WitError, call: _Call) -> Any:
        if self._error is None:
            raise error
        packed = self._error(error.value, call)
        return packed if self._apart else wit.Variant("err", packed)


class _Deadlines(threading.local):
    """Sets the deadline of the guest that runs on this thread anew."""

    rearm: Callable[[], None] = staticmethod(lambda: None)


_deadlines = _Deadlines()


def add_function(instance: wit.LinkerInstance, name: str, binding: Binding) -> None:
    """Define one imported function in a linker."""
    made: list[_Converters] = []  # at the first call: most functions are never called

    def enter(store: wasmtime.StoreContext, *arguments: Any) -> Any:
        sandbox = current.sandbox
        try:
            if not made:
                made.append(_Converters(binding.type, binding.resources))
            converters, call = made[0], _Call(store, sandbox.handles)
            unpacks = converters.arguments
            # Every handle is taken back before anything else happens: one left over is a trap.
            values = [unpack(a, call) for unpack, a in zip(unpacks, arguments, strict=True)]
            sandbox.check()
            try:
                value = binding.call(sandbox, values)
            except WitError as error:
                sandbox.handles.end_call(failed=True)
                answer = converters.fail(error, call)
            else:
                sandbox.handles.end_call(failed=False)
                answer = converters.answer(value, call)
            _deadlines.rearm()
        except BaseException as error:  # noqa: BLE001 - nothing may cross wasmtime
            raise wasmtime.WasmtimeError(sandbox.note_fault(binding.key, error)) from None
        return answer

    instance.add_func(name, enter)


def watch(store: wasmtime.Store, ticks: int) -> None:
    """Stop the guest when it runs for `ticks` without calling the host.

    The public interface knows no question at a deadline, only an end; so the deadline is set anew
    after every call, and the limits are checked then.

    Raises:
        Stopped: it may not even begin.
    """

    def rearm() -> None:
        store.set_epoch_deadline(ticks)
        # Only now: who ends guests makes deadlines pass, but not one that is set afterwards.
        current.sandbox.check()

    _deadlines.rearm = rearm
    rearm()


def mend() -> None:
    """Make wasmtime-py return errors of `result<option<T>, E>`, in this process."""
    from wasmtime import _ffi as ffi
    from wasmtime.component import _types

    def lower(self: Any, store: Any, value: Any) -> tuple[str, Any]:
        tagged = self._tagged()
        for name, type_ in self._cases():
            if value.tag != name if tagged else not isinstance(value, tuple(_classes(type_))):
                continue
            if type_ is None:
                return name, None
            raw = ffi.wasmtime_component_val_t()
            type_.convert_to_c(store, value.payload if tagged else value, ctypes.pointer(raw))
            return name, ffi.wasmtime_component_val_new(ctypes.byref(raw))
        raise ValueError(f"no case for {value!r}")

    setattr(_types.VariantLikeType, "_lower", lower)  # noqa: B010 - private, so unknown to mypy
