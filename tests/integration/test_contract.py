"""`wit/` and what the deployable artifact imports: same functions, same signatures."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wasmtime import component as wasm

from tests.support.artifacts import ROOT, artifact

pytestmark = pytest.mark.wasm

EMPTY_BYTES = 18_733_641
"""A component of the same tools that answers every request with one word."""

WIT = (ROOT / "wit" / "world.wit").read_text()


class Signatures:
    """The functions and resources of a component's `fastly:` imports or exports, in words."""

    def __init__(self, engine: Any, items: dict[str, Any]) -> None:
        self.functions: dict[str, str] = {}
        self._resources: list[tuple[object, str]] = []
        for interface, instance in items.items():
            if not interface.startswith("fastly:compute/"):
                continue
            short = interface.removeprefix("fastly:compute/")
            for name, item in bare(instance).exports(engine).items():
                kind = bare(item)
                if isinstance(kind, wasm.ResourceType):
                    self._resources.append((kind, f"{short}#{name}"))
                elif isinstance(kind, wasm.FuncType):
                    parameters = [f"{n}: {self.words(t)}" for n, t in kind.params]
                    result = kind.result and self.words(kind.result)
                    self.functions[f"{short}#{name}"] = f"({', '.join(parameters)}) -> {result}"

    def words(self, kind: Any) -> str:
        """Describe a type down to its last case."""
        inner: list[str]
        match kind:
            case None:
                return "_"
            case wasm.OwnType() | wasm.BorrowType():
                # The interface that declares a resource comes before those that use it.
                inner = [next(name for known, name in self._resources if known == kind.ty)]
            case wasm.RecordType():
                inner = [f"{name}: {self.words(t)}" for name, t in kind.fields]
            case wasm.VariantType():
                inner = [f"{name}({self.words(t)})" for name, t in kind.cases]
            case wasm.EnumType() | wasm.FlagsType():
                inner = list(kind.names)
            case wasm.TupleType():
                inner = [self.words(t) for t in kind.elements]
            case wasm.ListType():
                inner = [self.words(kind.element)]
            case wasm.OptionType():
                inner = [self.words(kind.payload)]
            case wasm.ResultType():
                inner = [self.words(kind.ok), self.words(kind.err)]
            case _:
                inner = []
        name = type(kind).__name__.removesuffix("Type").lower()
        return f"{name}<{', '.join(inner)}>" if inner else name


def bare(item: Any) -> Any:
    """Return the type of an import or export; wrapped since wasmtime 49."""
    return getattr(item, "ty", item)


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    """An engine for looking at components: quick to compile, and only once for each artifact."""
    config = wasmtime.Config()
    config.cranelift_opt_level = "none"
    config.cache = True
    return wasmtime.Engine(config)


def signatures(engine: wasmtime.Engine, path: Path) -> tuple[Signatures, Signatures]:
    """Return what a component imports, and what it imports and exports."""
    kind = wasm.Component(engine, path.read_bytes()).type
    imports = kind.imports(engine)
    return Signatures(engine, imports), Signatures(engine, {**imports, **kind.exports(engine)})


def functions_of_wit() -> Iterator[str]:
    """Yield the functions `wit/` declares, named as a component names them."""
    interface = resource = ""
    for line in WIT.splitlines():
        if found := re.match(r"interface ([\w-]+)", line):
            interface = found[1]
        elif found := re.match(r"  resource ([\w-]+)", line):
            resource = found[1]
        elif found := re.match(r"  ([\w-]+): func", line):
            yield f"{interface}@0.1.0#{found[1]}"
        elif found := re.match(r"    ([\w-]+): (static )?func", line):
            yield f"{interface}@0.1.0#[{'static' if found[2] else 'method'}]{resource}.{found[1]}"


def test_wit_is_what_the_deployable_artifact_imports_and_exports(engine: wasmtime.Engine) -> None:
    (ours, ours_all), (real, real_all) = [
        signatures(engine, artifact(name)) for name in ("edge", "main")
    ]
    assert ours.functions, "the artifact built against wit/ imports nothing"
    missing = ours.functions.keys() - real.functions.keys()
    assert not missing, f"bin/main.wasm does not import {sorted(missing)}"
    assert ours.functions == {name: real.functions[name] for name in ours.functions}
    exported = ours_all.functions.keys() - ours.functions.keys()
    assert exported == {"http-incoming@0.1.0#handle"}
    assert [ours_all.functions[n] for n in exported] == [real_all.functions[n] for n in exported]


def test_edge_imports_exactly_the_functions_of_wit(engine: wasmtime.Engine) -> None:
    ours, _ = signatures(engine, artifact("edge"))
    assert {*ours.functions, "http-incoming@0.1.0#handle"} == set(functions_of_wit())


def test_every_function_of_wit_is_documented_with_its_errors_or_has_none() -> None:
    blocks = re.findall(
        r"((?:^ *///.*\n)+)^ +([\w-]+): (?:static )?func([^;]*);", WIT, re.MULTILINE
    )
    assert len(blocks) == len(list(functions_of_wit()))
    for comment, name, signature in blocks:
        fails = "result<" in signature
        assert not fails or "Errors:" in comment or name == "new", name


def test_every_function_of_wit_is_used_by_the_service() -> None:
    bindings = (ROOT / "guest" / "bindings.py").read_text()
    names = [re.split(r"[#.\]]", name)[-1] for name in functions_of_wit()]
    unused = [name for name in names if not re.search(rf"\b{name.replace('-', '_')}\b", bindings)]
    assert unused == []


@pytest.mark.parametrize("name", ["main", "edge"])
def test_the_service_adds_little_to_an_empty_component(name: str) -> None:
    assert artifact(name).stat().st_size <= 1.05 * EMPTY_BYTES
