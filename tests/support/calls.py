"""Calls of host functions with arbitrary arguments, for the script `guests/scripts/calls.py`.

Strategies follow the component's own types. Operations are `[key, arguments, kind]`, where kind
says of which sort a pollable in the answer is. Values are as in JSON, but
`{"text": [text, times]}`, `{"bytes": [hex, times]}`, `{"list": ...}`, `{"tuple": ...}`,
`{"record": ...}` (values in order), `{"variant": [place, payload]}`, `{"enum": place}`,
`{"flags": bits}` and `{"handle": [kind, number, own]}`.
"""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from wasmtime import component as wit

from host_sim.sandbox.hostcalls import find
from host_sim.sandbox.loading.engine import Loaded
from host_sim.sandbox.loading.linker import PLATFORM

__all__ = ["Operation", "beginnings", "functions", "operations", "script"]

SCRIPT = Path(__file__).resolve().parents[1] / "guests" / "scripts" / "calls.py"

type Operation = list[Any]
type Values = st.SearchStrategy[Any]

MADE = {
    "async-io/[static]pollable.new-ready": "ready",
    "cache/[static]entry.transaction-lookup-async": "cache entry",
    "http-downstream/next-request": "request",
    "http-req/send-async": "response",
    "http-req/send-async-streaming": "response",
    "http-req/send-async-uncached": "response",
    "http-req/send-async-uncached-streaming": "response",
    "kv-store/[method]store.delete-async": "delete",
    "kv-store/[method]store.insert-async": "insert",
    "kv-store/[method]store.list-async": "list",
    "kv-store/[method]store.lookup-async": "lookup",
}
"""Functions that make a pollable which is no body, and of which sort it is."""

TAKEN = {
    "async-io/[method]pollable.is-ready": "*",
    "async-io/select": "*",
    "async-io/select-with-timeout": "*",
    "cache/await-entry": "cache entry",
    "cache/close-pending-entry": "cache entry",
    "http-downstream/await-request": "request",
    "http-req/await-response": "response",
    "kv-store/await-delete": "delete",
    "kv-store/await-insert": "insert",
    "kv-store/await-list": "list",
    "kv-store/await-lookup": "lookup",
}
"""Functions that take one."""

OPENED = {
    "acl": "block",
    "backend": "plain",
    "config-store": "settings",
    "dictionary": "settings",
    "kv-store": "things",
    "secret-store": "keys",
}
"""What there is to open."""

NAMES = (
    *("things", "settings", "keys", "block", "origin", "plain", "old", "greeting", "hmac", "hit"),
    *("GET", "POST", "http://plain.test/path?q", "/only-a-path", "plain.test:80", "x-script"),
    *("content-length", "host", "a b", "*", "Accept, X-Two", "stdout", "pci", "{}", "[1"),
)
"""Texts that mean something somewhere."""

BITS = {wit.U8: 8, wit.U16: 16, wit.U32: 32, wit.U64: 64}

TEXT = st.one_of(
    st.sampled_from(NAMES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["\0", "a\0b\0", "é\U0010ffff", "\r\n", "\x7f", "%00", "::1", "http://[::", "//"]
    ),
    st.builds(
        lambda text, times: {"text": [text, times]},
        st.sampled_from(["a", "é", "k\0", "/"]),
        st.sampled_from([255, 256, 1025, 8193, 70_000]),
    ),
)
BYTES = st.one_of(
    TEXT.filter(lambda text: isinstance(text, str)).map(lambda text: [text.encode().hex(), 1]),
    st.binary(max_size=12).map(lambda data: [data.hex(), 1]),
    st.tuples(st.sampled_from(["00", "610062", "ff"]), st.sampled_from([300, 70_000])).map(list),
).map(lambda content: {"bytes": content})

LENGTH = 50
"""Calls of one guest, at most."""

SHORT_MS = st.integers(0, 3)
"""For parameters that say how long to wait."""


class Strategies:
    """Strategies of one component's types."""

    def __init__(self, pollable: wit.ResourceType) -> None:
        self._pollable = pollable

    def arguments(self, key: str, type_: wit.FuncType) -> Values:
        """Return lists of arguments for a function."""
        kind = TAKEN.get(key, "body")
        return st.tuples(*(self.value(t, name, kind) for name, t in type_.params)).map(list)

    def value(self, type_: Any, name: str, kind: str) -> Values:
        """Return values of a type, for a parameter or field of that name."""
        match type_:
            case wit.OptionType():
                inner = self.value(type_.payload, name, kind)
                # Without a time, some functions wait for seconds.
                return inner if name == "timeout-ms" else st.none() | inner
            case wit.U32() | wit.U64() if name == "timeout-ms":
                return SHORT_MS
            case wit.U64() if name == "max-len":
                return st.sampled_from([0, 1, 9, 99, 1 << 16, 1 << 20, 1 << 31, (1 << 64) - 1])
            case wit.U8() | wit.U16() | wit.U32() | wit.U64():
                bits = BITS[type(type_)]
                borders = {n for b in (8, 16, 31, 32, 63, 64) for n in ((1 << b) - 1, 1 << b)}
                known = [0, 1, 2, 99, 200, 101, 103, 599, 999, 1000, 0x301, 0x304, *borders]
                few = st.sampled_from(sorted(n for n in known if n < 1 << bits))
                return few | st.integers(0, (1 << bits) - 1)
            case wit.Bool():
                return st.booleans()
            case wit.String():
                return TEXT
            case wit.ListType() if isinstance(type_.element, wit.U8):
                return BYTES
            case wit.ListType():
                items = st.lists(self.value(type_.element, name, kind), min_size=1, max_size=4)
                several = st.sampled_from([True] * 30 + [False])
                return several.flatmap(lambda some: items if some else st.just([])).map(
                    lambda content: {"list": content}
                )
            case wit.TupleType():
                elements = [self.value(element, name, kind) for element in type_.elements]
                return st.tuples(*elements).map(lambda content: {"tuple": list(content)})
            case wit.RecordType():
                fields = [self.value(field, field_name, kind) for field_name, field in type_.fields]
                return st.tuples(*fields).map(lambda content: {"record": list(content)})
            case wit.VariantType():
                cases: list[Values] = [
                    st.tuples(st.just(place), self.value(case, name, kind) if case else st.none())
                    for place, (_, case) in enumerate(type_.cases)
                ]
                return st.one_of(cases).map(lambda content: {"variant": list(content)})
            case wit.EnumType():
                return st.integers(0, len(type_.names) - 1).map(lambda place: {"enum": place})
            case wit.FlagsType():
                return st.integers(0, (1 << len(type_.names)) - 1).map(lambda b: {"flags": b})
            case wit.OwnType() | wit.BorrowType():
                return self._handle(type_, kind)
        raise AssertionError(type_)

    def _handle(self, type_: wit.OwnType | wit.BorrowType, kind: str) -> Values:
        """Return handles: mostly of the right kind, seldom of another, seldom used up."""
        own = isinstance(type_, wit.OwnType)
        right = kind if type_.ty == self._pollable else "*"
        kinds = st.sampled_from([right] * 40 + ["*", "dead"])
        return st.tuples(kinds, st.integers(0, 9)).map(lambda got: {"handle": [*got, own]})


def functions(loaded: Loaded) -> dict[str, wit.FuncType]:
    """Return the platform's functions that the component imports and this host has."""
    found: dict[str, wit.FuncType] = {}
    for import_name, external in loaded.linked.component.type.imports(loaded.engine).items():
        if not import_name.startswith(PLATFORM):
            continue
        interface = import_name.removeprefix(PLATFORM).partition("@")[0]
        for name, item in _bare(external).exports(loaded.engine).items():
            type_ = _bare(item)
            if isinstance(type_, wit.FuncType) and find(f"{interface}/{name}") is not None:
                found[f"{interface}/{name}"] = type_
    return found


def _bare(external: Any) -> Any:
    return getattr(external, "ty", external)


def operations(types: dict[str, wit.FuncType]) -> st.SearchStrategy[list[Operation]]:
    """Return sequences of calls of any of these functions, and of drops."""
    ready: Any = types["async-io/[static]pollable.new-ready"].result
    strategies = Strategies(ready.ty)
    calls = {
        key: st.tuples(
            st.just(key), strategies.arguments(key, type_), st.just(MADE.get(key, "body"))
        ).map(list)
        for key, type_ in types.items()
    }
    drop = st.tuples(st.integers(0, 30), st.integers(0, 9)).map(lambda a: ["drop", list(a), ""])
    one = st.sampled_from([*sorted(calls), *["drop"] * 5]).flatmap(
        lambda key: drop if key == "drop" else calls[key]
    )
    return st.lists(one, min_size=LENGTH // 2, max_size=LENGTH)


def beginnings(types: dict[str, wit.FuncType]) -> list[Operation]:
    """Return calls that make a handle of every class there is, as far as arguments are known."""
    made: list[Operation] = []
    for key, type_ in types.items():
        takes = [type(parameter) for _, parameter in type_.params]
        kind = MADE.get(key, "body")
        if key.endswith((".new", "/new", "new-ready")) or "[constructor]" in key:
            made += [[key, [], kind]] * (2 if kind == "ready" else 5)
        elif key.endswith(".open") and takes == [wit.String]:
            made.append([key, [OPENED.get(key.partition("/")[0], "any")], kind])
        elif key.endswith("secret.from-bytes"):
            made.append([key, [{"bytes": ["6b", 3]}], kind])
    for key, type_ in types.items():  # with the first of the handles that there are by now
        parameters = [parameter for _, parameter in type_.params]
        gives_away = any(isinstance(parameter, wit.OwnType) for parameter in parameters)
        opens = not parameters or key.endswith((".open", "from-bytes"))
        if _makes_handles(type_.result) and not gives_away and not opens:
            made.append([key, [_plain(p) for p in parameters], MADE.get(key, "body")])
    return made


def _makes_handles(type_: Any) -> bool:
    match type_:
        case wit.ResultType():
            return _makes_handles(type_.ok)
        case wit.OptionType():
            return _makes_handles(type_.payload)
        case wit.TupleType():
            return any(map(_makes_handles, type_.elements))
    return isinstance(type_, wit.OwnType)


def _plain(type_: Any) -> Any:
    """Return the least that a type can say."""
    match type_:
        case wit.OptionType():
            return None
        case wit.String():
            return "old"
        case wit.ListType() if isinstance(type_.element, wit.U8):
            return {"bytes": ["6b", 1]}
        case wit.TupleType():
            return {"tuple": [_plain(element) for element in type_.elements]}
        case wit.RecordType():
            return {"record": [_plain(field) for _, field in type_.fields]}
        case wit.VariantType():
            case = type_.cases[0][1]
            return {"variant": [0, case and _plain(case)]}
        case wit.EnumType():
            return {"enum": 0}
        case wit.BorrowType():
            return {"handle": ["*", 0, False]}
    return 0


def script(calls: list[Operation]) -> str:
    """Return what the scripted guest has to run."""
    return f"OPERATIONS = {json.dumps(calls)!r}\n{SCRIPT.read_text()}"
