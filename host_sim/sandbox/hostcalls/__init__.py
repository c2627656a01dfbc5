"""The host functions, one module per WIT interface, named as in the WIT.

Each is a plain function on plain objects (see `border.values`), registered under its name in the
WIT. `find` imports all of them at its first call.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Protocol

from host_sim.sandbox.border.values import HostFunction

__all__ = ["find", "interface"]

_functions: dict[str, HostFunction] = {}


class _Register(Protocol):
    def __call__[Function: Callable[..., Any]](self, function: Function, /) -> Function: ...


def interface(name: str) -> Callable[[str], _Register]:
    """Return a decorator that registers a function of the WIT interface `name`.

    >>> hostcall = interface("log")
    >>> @hostcall("[method]endpoint.write")
    ... def write(sandbox, endpoint, message): ...
    """

    def hostcall(function_name: str) -> _Register:
        def register[Function: Callable[..., Any]](function: Function, /) -> Function:
            _functions[f"{name}/{function_name}"] = function
            return function

        return register

    return hostcall


@functools.cache
def _load_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def find(key: str) -> HostFunction | None:
    """Return the function for `interface/function`, None if this host does not have it."""
    _load_all()
    return _functions.get(key)
