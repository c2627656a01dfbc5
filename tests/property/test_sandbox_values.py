"""Values of all kinds cross both borders unharmed, through a component that passes them on."""

import string
from collections.abc import Callable
from typing import Any

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import component as wit

from host_sim.sandbox.border import direct, public
from host_sim.sandbox.border.binding import AddFunction, Binding, Resources, running
from host_sim.sandbox.border.handles import Handles
from host_sim.sandbox.border.values import Case
from host_sim.sandbox.loading.engine import make_engine

pytestmark = pytest.mark.wasm

ECHO = """
(component
  (type $mood' (enum "good" "bad"))
  (import "mood" (type $mood (eq $mood')))
  (type $sides' (flags "left" "right" "top-most"))
  (import "sides" (type $sides (eq $sides')))
  (type $shape' (variant
    (case "none") (case "size" u32) (case "name" string) (case "also-name" string)))
  (import "shape" (type $shape (eq $shape')))
  (type $apart' (variant (case "number" u32) (case "text" string) (case "nothing")))
  (import "apart" (type $apart (eq $apart')))
  (type $all' (record
    (field "u8" u8) (field "s64" s64) (field "u64" u64) (field "f64" float64) (field "yes" bool)
    (field "s8" s8) (field "u16" u16) (field "s16" s16) (field "u32" u32) (field "s32" s32)
    (field "f32" float32)
    (field "text" string) (field "raw" (list u8)) (field "maybe" (option string))
    (field "maybe-raw" (option (list u8))) (field "mood" $mood) (field "sides" $sides)
    (field "shapes" (list $shape)) (field "apart" $apart)
    (field "pair" (tuple bool (list string)))))
  (import "all" (type $all (eq $all')))
  (import "echo" (func $echo (param "values" (list $all)) (result (list $all))))
  (core module $memory
    (memory (export "memory") 16)
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
    (import "host" "echo" (func $echo (param i32 i32 i32)))
    (func (export "run") (param i32 i32) (result i32)
      (call $echo (local.get 0) (local.get 1) (i32.const 64))
      i32.const 64))
  (core instance $main
    (instantiate $main (with "host" (instance (export "echo" (func $lowered))))))
  (func (export "run") (param "values" (list $all)) (result (list $all))
    (canon lift (core func $main "run") (memory $memory "memory")
      (realloc (func $memory "realloc")))))
"""

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHAPE = st.one_of(
    st.just(Case("none")),
    st.builds(Case, st.just("size"), st.integers(0, 2**32 - 1)),
    st.builds(Case, st.sampled_from(["name", "also-name"]), TEXT),
)
APART = st.one_of(
    st.just(Case("nothing")),
    st.builds(Case, st.just("number"), st.integers(0, 2**32 - 1)),
    st.builds(Case, st.just("text"), TEXT),
)
VALUE = st.fixed_dictionaries(
    {
        "u8": st.integers(0, 255),
        "s64": st.integers(-(2**63), 2**63 - 1),
        "u64": st.integers(0, 2**64 - 1),
        "f64": st.floats(allow_nan=False),
        "s8": st.integers(-(2**7), 2**7 - 1),
        "u16": st.integers(0, 2**16 - 1),
        "s16": st.integers(-(2**15), 2**15 - 1),
        "u32": st.integers(0, 2**32 - 1),
        "s32": st.integers(-(2**31), 2**31 - 1),
        "f32": st.floats(allow_nan=False, width=32),
        "yes": st.booleans(),
        "text": TEXT,
        "raw": st.binary(max_size=300),
        "maybe": st.none() | TEXT,
        "maybe-raw": st.none() | st.binary(max_size=9),
        "mood": st.sampled_from(["good", "bad"]),
        "sides": st.sets(st.sampled_from(["left", "right", "top-most"])),
        "shapes": st.lists(SHAPE, max_size=3),
        "apart": APART,
        "pair": st.tuples(st.booleans(), st.lists(TEXT, max_size=3)),
    }
)


class Owner:
    """A sandbox without anything in it."""

    def __init__(self) -> None:
        self.handles = Handles()
        self.last_error = ""

    def check(self) -> None:
        """Let the guest go on."""

    def note_fault(self, where: str, error: BaseException) -> str:
        """Let the test see it."""
        return f"{where}: {error!r}"


type Echo = Callable[[list[Any]], tuple[list[Any], list[Any]]]


def make_echo(add_function: AddFunction) -> Echo:
    """Return what passes values through wasm: what the host saw, and what came back."""
    engine, seen = make_engine(), []

    def echo(_owner: Owner, values: list[Any]) -> list[Any]:
        seen.append(values)
        return values

    component = wit.Component(engine, ECHO)
    imported: Any = component.type.imports(engine)["echo"]
    type_ = getattr(imported, "ty", imported)
    linker = wit.Linker(engine)
    with linker.root() as root:
        add_function(root, "echo", Binding("echo", type_, echo, Resources()))
    pack = public._pack_for(type_.result, Resources())
    unpack = public._unpack_for(type_.result)

    def run(values: list[Any]) -> tuple[list[Any], list[Any]]:
        store = wasmtime.Store(engine)
        store.set_epoch_deadline(1 << 30)
        call: Any = None  # no handles among these values
        with running(Owner()):
            function = linker.instantiate(store, component).get_func(store, "run")
            assert function is not None
            back = unpack(function(store, pack(values, call)), call)
        return seen.pop(), back

    return run


@pytest.fixture(scope="module", params=["direct", "public"])
def echo(request: pytest.FixtureRequest) -> Echo:
    public.mend()  # also for the way in, which is always wasmtime-py's
    return make_echo((direct if request.param == "direct" else public).add_function)


@given(st.lists(VALUE, max_size=3))
def test_values_cross_unharmed(echo: Echo, values: list[Any]) -> None:
    seen, back = echo(values)
    assert seen == values
    assert back == values


def test_every_letter_of_text_and_every_byte(echo: Echo) -> None:
    value = {
        **dict.fromkeys(("u8", "s8", "u16", "s16", "u32", "s32", "s64", "u64"), 0),
        **dict.fromkeys(("f32", "f64"), 0.5),
        "yes": True,
        "text": string.printable + "\0\U0010ffff",
        "raw": bytes(range(256)) * 40,
        "maybe": "",
        "maybe-raw": b"",
        "mood": "bad",
        "sides": set(),
        "shapes": [],
        "apart": Case("nothing"),
        "pair": (False, [""]),
    }
    assert echo([value] * 2) == ([value] * 2, [value] * 2)
