"""What stands between a guest's call and a host function, whichever way values are converted.

A `Binding` is one imported WIT function with the Python function that answers it. The two
converters, `direct` and `public`, turn arguments into Python values, call `Binding.call`, and turn
the answer back. No Python exception crosses wasmtime: a `WitError` becomes the function's error,
anything else is noted in the sandbox and ends the guest with a trap.

wasmtime gives a host function nothing that leads to its sandbox, but runs it on the thread that
called the guest; so the sandbox of a thread is kept in `current`.
"""

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from wasmtime import component as wit

from host_sim.sandbox.border.handles import Handles
from host_sim.sandbox.border.values import HostFunction, Stopped, WitError

if TYPE_CHECKING:
    from wasmtime import StoreContext

__all__ = ["AddFunction", "Binding", "Owner", "Resources", "current", "drop", "running"]


class Owner(Protocol):
    """What the border needs of a sandbox.

    Attributes:
        last_error: the last host call that failed, and how; empty if none has.
    """

    last_error: str

    @property
    def handles(self) -> Handles:
        """What is behind the guest's handles."""

    def check(self) -> None:
        """Say whether the guest may go on.

        Raises:
            Stopped: it may not.
        """

    def note_fault(self, where: str, error: BaseException) -> str:
        """Remember why the guest ends and return the text of its trap."""


class _Current(threading.local):
    """The sandbox whose guest runs on this thread."""

    sandbox: Owner


current = _Current()


@contextlib.contextmanager
def running(sandbox: Owner) -> Iterator[None]:
    """Make `sandbox` the one of this thread for as long as its guest runs."""
    current.sandbox = sandbox
    try:
        yield
    finally:
        del current.sandbox


class Resources:
    """Numbers the resource types of a component; equal types have one number.

    A type that several interfaces export again is the same type, for example `http-body.body` and
    `async-io.pollable`.
    """

    def __init__(self) -> None:
        self._types: list[wit.ResourceType] = []

    def number(self, type_: wit.ResourceType) -> int:
        """Return the number of `type_`, from 1."""
        for number, known in enumerate(self._types, 1):
            if known == type_:
                return number
        self._types.append(type_)
        return len(self._types)


class Binding:
    """One imported function and what answers it.

    Attributes:
        key: interface and function as in the WIT, `http-req/[method]request.get-uri`.
        type: its type as the component declares it.
        resources: numbers of the component's resource types.
    """

    __slots__ = ("_classes", "_function", "key", "resources", "type")

    def __init__(
        self, key: str, type_: wit.FuncType, function: HostFunction, resources: Resources
    ) -> None:
        self.key = key
        self.type = type_
        self.resources = resources
        self._function = function
        self._classes: list[tuple[int, Any]] | None = None

    def call(self, sandbox: Owner, arguments: Sequence[Any]) -> Any:
        """Return the host function's answer.

        Raises:
            WitError: the function's error.
            Stopped: the guest passed a handle of another kind, or the host function ends it.
        """
        if self._classes is None:
            self._classes = self._resource_classes()
        for index, expected in self._classes:
            if not isinstance(arguments[index], expected):
                got = type(arguments[index]).__name__
                raise Stopped(f"{self.key}: argument {index + 1}: a {got} cannot be used here")
        try:
            return self._function(sandbox, *arguments)
        except WitError as error:
            sandbox.last_error = f"{self.key} failed with {error}"
            raise

    def _resource_classes(self) -> list[tuple[int, Any]]:
        """Return position and annotated class of each parameter that is a handle.

        Bodies, pending answers and pollables are one resource type in the WIT, so wasmtime lets a
        guest pass one for another.
        """
        _, *parameters = inspect.signature(self._function).parameters.values()
        if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
            return []  # it takes anything
        return [
            (index, parameter.annotation)
            for index, ((_, type_), parameter) in enumerate(
                zip(self.type.params, parameters, strict=True)
            )
            if isinstance(type_, wit.OwnType | wit.BorrowType)
        ]


type AddFunction = Callable[[wit.LinkerInstance, str, Binding], None]
"""Defines one imported function in a linker; `direct` and `public` each have one."""


def drop(_store: "StoreContext", number: int) -> None:
    """Free what is behind a handle that the guest dropped."""
    sandbox = current.sandbox
    try:
        sandbox.handles.drop(number)
    except BaseException as error:  # noqa: BLE001 - nothing may cross wasmtime
        sandbox.note_fault("drop", error)
