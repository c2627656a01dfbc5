"""A tiny component that tells whether a border works with the installed wasmtime-py.

It passes its arguments on to the host and the host's answer back, so that text, bytes, an option,
a tuple, and both the ok and the error of a result cross in both directions.
"""

from typing import Any

import wasmtime
from wasmtime import component as wit

from host_sim.sandbox.border.binding import AddFunction, Binding, Owner, Resources, running
from host_sim.sandbox.border.handles import Handles
from host_sim.sandbox.border.values import WitError

__all__ = ["Nobody", "works"]

_ECHO = """
(component
  (import "echo" (func $echo (param "text" string) (param "bytes" (list u8))
    (result (result (option (list u8)) (error (tuple string u64))))))
  (core module $memory
    (memory (export "memory") 1)
    (global $end (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      global.get $end
      local.set $at
      (i32.and (i32.add (i32.add (global.get $end) (local.get 3)) (i32.const 7)) (i32.const -8))
      global.set $end
      local.get $at))
  (core instance $memory (instantiate $memory))
  (core func $lowered
    (canon lower (func $echo) (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core module $main
    (import "host" "echo" (func $echo (param i32 i32 i32 i32 i32)))
    (func (export "run") (param i32 i32 i32 i32) (result i32)
      (call $echo (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64))
      i32.const 64))
  (core instance $main
    (instantiate $main (with "host" (instance (export "echo" (func $lowered))))))
  (func (export "run") (param "text" string) (param "bytes" (list u8))
    (result (result (option (list u8)) (error (tuple string u64))))
    (canon lift (core func $main "run") (memory $memory "memory")
      (realloc (func $memory "realloc")))))
"""
_TEXT, _BYTES = "ünï", bytes(range(256))


class Nobody:
    """A sandbox without anything in it."""

    def __init__(self) -> None:
        self.handles = Handles()
        self.last_error = ""

    def check(self) -> None:
        """Let the guest go on."""

    def note_fault(self, where: str, error: BaseException) -> str:
        """Return the text of the trap."""
        return f"{where}: {error}"


def works(engine: wasmtime.Engine, add_function: AddFunction) -> bool:
    """Return whether values cross this border unharmed."""
    try:
        return _answers(engine, add_function) == [_BYTES, None, (_TEXT, 1 << 40)]
    except Exception:  # noqa: BLE001 - whatever is wrong, this border is not to be used
        return False


def _answers(engine: wasmtime.Engine, add_function: AddFunction) -> list[Any]:
    """Return what the component got for an ok with a value, an ok without, and an error."""

    def echo(_sandbox: Owner, text: str, data: bytes) -> bytes | None:
        match text:
            case "value":
                return data
            case "none":
                return None
            case _:
                raise WitError((text, 1 << 40))

    component = wit.Component(engine, _ECHO)
    imported = component.type.imports(engine)["echo"]
    type_: Any = getattr(imported, "ty", imported)
    linker = wit.Linker(engine)
    with linker.root() as root:
        add_function(root, "echo", Binding("echo", type_, echo, Resources()))
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(1 << 30)
    run = linker.instantiate(store, component).get_func(store, "run")
    assert run is not None
    with running(Nobody()):
        return [run(store, text, _BYTES) for text in ("value", "none", _TEXT)]
