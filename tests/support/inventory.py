"""What there is of the platform: by a component, by a WIT file, and by which test calls it."""

import contextlib
import fnmatch
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wasmtime import component as wasm

from host_sim.sandbox.border.binding import Binding, Owner
from tests.support.artifacts import ROOT

__all__ = ["NEWEST", "Declarations", "imported", "listed", "newest_known", "recorded", "refused"]

NEWEST = ROOT / "tests" / "guests" / "newest"
PLATFORM = "fastly:compute/"


def listed() -> dict[str, str]:
    """Return each function of the newest WIT with the module of tests that calls it."""
    lines = (NEWEST / "functions.txt").read_text().splitlines()
    return {key: module for key, _, module in (line.partition(" ") for line in lines)}


def refused() -> dict[str, list[str]]:
    """Return what `docs/host.md` lists as refused: the functions of each row that names some."""
    text = (ROOT / "docs" / "host.md").read_text()
    section = text.partition("## What is refused, and why")[2].partition("\n## ")[0]
    rows: dict[str, list[str]] = {}
    for line in section.splitlines():
        if len(cells := [cell.strip() for cell in line.split("|")]) == 6:
            _, interface, functions, answer, why, _ = cells
            patterns = ["*"] if functions == "all" else re.findall(r"`([^`]+)`", functions)
            if patterns and "---" not in interface:
                assert answer, f"no answer: {line}"
                assert why, f"no reason: {line}"
                rows[line] = [
                    key
                    for key in listed()
                    for pattern in patterns
                    if fnmatch.fnmatch(_plain(key), f"{interface}/{pattern}")
                    or fnmatch.fnmatch(_plain(key), f"{interface}/*.{pattern}")
                ]
    return rows


def _plain(key: str) -> str:
    """Return a key as people write it: `http-req/request.get-uri`."""
    return re.sub(r"\[[a-z]+\]", "", key)


def imported(engine: wasmtime.Engine, component: wasm.Component) -> Iterator[str]:
    """Yield the functions of the platform that a component imports."""
    for name, external in component.type.imports(engine).items():
        if name.startswith(PLATFORM):
            interface = name.removeprefix(PLATFORM).partition("@")[0]
            instance: Any = getattr(external, "ty", external)
            for item_name, item in instance.exports(engine).items():
                if isinstance(getattr(item, "ty", item), wasm.FuncType):
                    yield f"{interface}/{item_name}"


def newest_known() -> Path | None:
    """Return the newest WIT of Viceroy's on this machine (`cargo install viceroy` leaves it)."""
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    found = cargo.glob("registry/src/*/viceroy-lib-*/wasm_abi/wit/deps/fastly/compute.wit")
    return max(found, key=_version, default=None)


def _version(path: Path) -> list[int]:
    [crate] = (part for part in path.parts if part.startswith("viceroy-lib-"))
    return [int(number) for number in re.findall(r"\d+", crate)]


@contextlib.contextmanager
def recorded() -> Iterator[set[str]]:
    """Collect the functions that guests call inside the block."""
    called: set[str] = set()
    original = Binding.call

    def call(self: Binding, sandbox: Owner, arguments: Sequence[Any]) -> Any:
        called.add(self.key)
        return original(self, sandbox, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Binding, "call", call)
        yield called


class Declarations:
    """What the interfaces of a WIT file declare, less comments, layout and aliases.

    Attributes:
        functions: signatures by key.
        types: members of records, variants, enums and flags, by interface and name.
    """

    def __init__(self, text: str) -> None:
        self._functions: dict[str, list[str]] = {}
        self._types: dict[str, list[str]] = {}
        self._aliases: dict[str, list[str]] = {}
        text = re.sub(r"//[^\n]*", "", text)
        text = re.sub(r"@(since|deprecated)\([^)]*\)", "", text)
        for interface, body in re.findall(r"\binterface ([\w-]+) \{(.*?)\n\}", text, re.DOTALL):
            self._read(interface, re.findall(r"->|[\w-]+|[^\s%]", body))
        self.functions = {key: self._joined(words) for key, words in self._functions.items()}
        self.types = {key: self._joined(words) for key, words in self._types.items()}

    def _read(self, interface: str, tokens: list[str]) -> None:
        resource = ""
        place = 0
        while place < len(tokens):
            match tokens[place : place + 3]:
                case ["resource", name, "{"]:
                    resource, place = name, place + 3
                case ["record" | "variant" | "enum" | "flags" as kind, name, "{"]:
                    end = tokens.index("}", place)
                    self._types[f"{interface}/{name}"] = [kind, *tokens[place + 3 : end]]
                    place = end + 1
                case ["}", *_]:
                    resource, place = "", place + 1
                case _:
                    end = tokens.index(";", place)
                    self._declare(interface, resource, tokens[place:end])
                    place = end + 1

    def _declare(self, interface: str, resource: str, tokens: list[str]) -> None:
        match tokens:
            case ["type", name, "=", *rest]:
                self._aliases[name] = rest
            case ["constructor", *rest]:
                self._functions[f"{interface}/[constructor]{resource}"] = rest
            case [name, ":", "static", "func", *rest]:
                self._functions[f"{interface}/[static]{resource}.{name}"] = rest
            case [name, ":", "func", *rest]:
                method = f"[method]{resource}." if resource else ""
                self._functions[f"{interface}/{method}{name}"] = rest

    def _joined(self, tokens: list[str]) -> str:
        words: list[str] = []
        for word, following in itertools.pairwise([*tokens, ""]):
            meant = self._aliases.get(word) if following != ":" else None
            words.append(word if meant is None else self._joined(meant))
        return re.sub(r" ?,( [)>]|$)", r"\1", " ".join(words))
