"""Ties the imports of a component to host functions, by the component's own list of imports.

Interfaces of the platform get what `hostcalls` has, WASI comes from wasmtime. Anything else cannot
be satisfied: that is said at the start, by name; or, if it is wanted so, it is defined all the same
and ends the guest that calls it.
"""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import wasmtime
from wasmtime import component as wit

from host_sim.errors import StartError
from host_sim.sandbox.border import direct, public
from host_sim.sandbox.border.binding import AddFunction, Binding, Resources, drop, running
from host_sim.sandbox.border.selftest import Nobody, works
from host_sim.sandbox.border.values import HostFunction, Stopped
from host_sim.sandbox.hostcalls import find
from host_sim.sandbox.state import Sandbox

__all__ = ["Border", "Linked", "choose_border", "link", "try_out"]

PLATFORM = "fastly:compute/"
HANDLER = "http-incoming"
WASI = tuple(f"wasi:{part}/" for part in ("cli", "clocks", "filesystem", "io", "random", "sockets"))
"""What wasmtime has of WASI 0.2."""

_log = logging.getLogger("host_sim.sandbox")


@dataclasses.dataclass(frozen=True, slots=True)
class Border:
    """One way for values to cross between guest and host.

    Attributes:
        name: `direct` or `public`.
        add_function: defines a host function.
        watch: bounds how long the guest of a store runs, given the ticks of its CPU time.
    """

    name: str
    add_function: AddFunction
    watch: Callable[[wasmtime.Store, int], None]


DIRECT = Border("direct", direct.add_function, direct.watch)
PUBLIC = Border("public", public.add_function, public.watch)


def choose_border(engine: wasmtime.Engine, wanted: str | None = None) -> Border:
    """Return the fast border if it works with this wasmtime-py, else the slow one.

    Args:
        engine: to try them with.
        wanted: name of the one to take, whatever is better.
    """
    if wanted != PUBLIC.name:
        if direct.known_version() and works(engine, direct.add_function):
            return DIRECT
        _log.warning("this version of wasmtime-py is not known: host calls are slow")
    public.mend()
    if not works(engine, public.add_function):
        _log.warning("this version of wasmtime-py returns some errors wrongly")
    return PUBLIC


@dataclasses.dataclass(frozen=True, slots=True)
class Linked:
    """A component with its imports satisfied.

    Attributes:
        linker: makes instances, from any thread.
        component: the component.
        handler: where the exported function `handle` is.
        request_type, body_type: numbers of the types of its arguments.
        missing: functions that the component imports and this host lacks.
    """

    linker: wit.Linker
    component: wit.Component
    handler: wit.ExportIndex
    request_type: int
    body_type: int
    missing: tuple[str, ...]


def _bare(external: Any) -> Any:
    """Return the type of an import or export; from wasmtime-py 49 it comes wrapped."""
    return getattr(external, "ty", external)


def link(
    engine: wasmtime.Engine,
    component: wit.Component,
    border: Border,
    *,
    trap_unknown: bool = False,
) -> Linked:
    """Define everything the component imports.

    Args:
        engine: it was compiled for.
        component: the component.
        border: how values cross.
        trap_unknown: whether functions this host lacks end the guest that calls them, and do not
            keep the component from starting.

    Raises:
        StartError: it imports what this host lacks, or does not handle requests.
    """
    handler = _find_handler(engine, component)
    imports = _Imports(engine, border)
    imports.linker.add_wasip2()
    with imports.linker.root() as root:
        for name, external in component.type.imports(engine).items():
            if not name.startswith(WASI):
                imports.define(root, name, _bare(external))
    _judge(imports.missing, trap_unknown)
    numbers = imports.numbers
    request_type, body_type = numbers.get("http-req.request"), numbers.get("http-body.body")
    if request_type is None or body_type is None:
        raise StartError("the component imports neither requests nor bodies: it cannot be called")
    missing = tuple(imports.missing)
    return Linked(imports.linker, component, handler, request_type, body_type, missing)


class _Imports:
    """Defines imports in a linker.

    Attributes:
        linker: the linker.
        numbers: of the resource types of the platform, by interface and name.
        missing: what is defined but only ends the guest that calls it.
    """

    def __init__(self, engine: wasmtime.Engine, border: Border) -> None:
        self.linker = wit.Linker(engine)
        self.numbers: dict[str, int] = {}
        self.missing: list[str] = []
        self._engine = engine
        self._border = border
        self._resources = Resources()

    def define(self, where: wit.LinkerInstance, name: str, type_: Any) -> None:
        """Define one import: an interface of the platform, or something nobody knows."""
        interface = name.removeprefix(PLATFORM).partition("@")[0]
        if not hasattr(type_, "exports"):
            self._define(where, name, type_, name)
            return
        with where.add_instance(name) as instance:
            items = type_.exports(self._engine)
            for item_name, item in items.items():
                self._define(instance, item_name, _bare(item), f"{interface}/{item_name}")
            if not items and not name.startswith(PLATFORM):
                self.missing.append(name)

    def _define(self, where: wit.LinkerInstance, name: str, type_: Any, key: str) -> None:
        if isinstance(type_, wit.ResourceType):
            number = self._resources.number(type_)
            self.numbers[key.replace("/", ".")] = number
            where.add_resource(name, wit.ResourceType.host(number), drop)
        elif isinstance(type_, wit.FuncType):
            function = find(key)
            if function is None:
                self.missing.append(key)
                function = _lacking(key)
            binding = Binding(key, type_, function, self._resources)
            self._border.add_function(where, name, binding)


def _judge(missing: list[str], trap_unknown: bool) -> None:
    if not missing:
        return
    names = ", ".join(sorted(missing))
    if not trap_unknown:
        raise StartError(
            f"the component imports what this host does not have: {names} "
            "(--unknown-import-behavior trap lets it start)"
        )
    _log.warning("a guest ends when it calls what this host does not have: %s", names)


def _find_handler(engine: wasmtime.Engine, component: wit.Component) -> wit.ExportIndex:
    for name in component.type.exports(engine):
        if name.partition("@")[0] == PLATFORM + HANDLER:
            interface = component.get_export_index(name)
            handler = component.get_export_index("handle", interface)
            if handler is not None:
                return handler
    raise StartError(f"the component does not export {PLATFORM}{HANDLER}: is it a Compute service?")


def _lacking(key: str) -> HostFunction:
    def lacking(_sandbox: Sandbox, *_arguments: object) -> None:
        raise Stopped(f"the guest called {key}, which this host does not have")

    return lacking


def try_out(engine: wasmtime.Engine, linked: Linked) -> None:
    """Instantiate once, which is how wasmtime says what of WASI it lacks.

    Raises:
        StartError: it lacks something.
    """
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    store.set_epoch_deadline(1 << 30)
    try:
        with running(Nobody()):
            linked.linker.instantiate(store, linked.component)
    except wasmtime.WasmtimeError as error:
        text = " ".join(str(error).split())
        raise StartError(f"the component cannot be instantiated: {text}") from None
    finally:
        store.close()
