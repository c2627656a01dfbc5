"""Ties the imports of a component to host functions, by the component's own list of imports.

Interfaces of the platform get what `hostcalls` has; a function it lacks is defined too and ends
the guest that calls it, by name. WASI comes from wasmtime. Anything else cannot be satisfied, and
is said at the start.
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

__all__ = ["Border", "Linked", "choose_border", "link"]

PLATFORM = "fastly:compute/"
HANDLER = "http-incoming"

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
        missing: functions of the platform that the component imports and this host lacks.
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


def link(engine: wasmtime.Engine, component: wit.Component, border: Border) -> Linked:
    """Define everything the component imports.

    Raises:
        StartError: it imports something else, or does not handle requests.
    """
    handler = _find_handler(engine, component)
    linker = wit.Linker(engine)
    linker.add_wasip2()
    resources = Resources()
    numbers: dict[str, int] = {}
    missing: list[str] = []
    unknown: list[str] = []
    with linker.root() as root:
        for import_name, external in component.type.imports(engine).items():
            if not import_name.startswith(PLATFORM):
                if not import_name.startswith("wasi:"):
                    unknown.append(import_name)
                continue
            interface = import_name.removeprefix(PLATFORM).partition("@")[0]
            with root.add_instance(import_name) as instance:
                for name, item in _bare(external).exports(engine).items():
                    type_ = _bare(item)
                    if isinstance(type_, wit.ResourceType):
                        number = resources.number(type_)
                        numbers[f"{interface}.{name}"] = number
                        instance.add_resource(name, wit.ResourceType.host(number), drop)
                    elif isinstance(type_, wit.FuncType):
                        key = f"{interface}/{name}"
                        function = find(key)
                        if function is None:
                            missing.append(key)
                            function = _lacking(key)
                        border.add_function(
                            instance, name, Binding(key, type_, function, resources)
                        )
    if unknown:
        raise StartError(
            f"the component imports what this host does not have: {', '.join(sorted(unknown))}"
        )
    request_type, body_type = numbers.get("http-req.request"), numbers.get("http-body.body")
    if request_type is None or body_type is None:
        raise StartError("the component imports neither requests nor bodies: it cannot be called")
    linked = Linked(linker, component, handler, request_type, body_type, tuple(missing))
    _try(engine, linked)
    return linked


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


def _try(engine: wasmtime.Engine, linked: Linked) -> None:
    """Instantiate once, which is how wasmtime says what of WASI it lacks."""
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
