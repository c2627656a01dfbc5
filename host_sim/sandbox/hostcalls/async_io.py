"""Waiting for any of several things. Host contract §2.7."""

from typing import Protocol, runtime_checkable

from host_sim.sandbox.border.values import Stopped
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.state import Sandbox

__all__ = [
    "Pollable",
    "Ready",
    "SelfWaiting",
    "is_ready",
    "new_ready",
    "select",
    "select_with_timeout",
]

hostcall = interface("async-io")


class Pollable(Protocol):
    """What can be waited for: a body, a pending answer, a pending request."""

    @property
    def ready(self) -> bool:
        """Whether using it would not wait."""


@runtime_checkable
class SelfWaiting(Pollable, Protocol):
    """What knows how to be waited for alone, because its guest may be waiting for itself."""

    def wait(self) -> None:
        """Wait for it."""


class Ready:
    """Something that need not be waited for."""

    ready = True


@hostcall("[method]pollable.is-ready")
def is_ready(_sandbox: Sandbox, pollable: object) -> bool:
    """Tell whether using it would not wait."""
    return _pollable(pollable).ready


@hostcall("[static]pollable.new-ready")
def new_ready(_sandbox: Sandbox) -> Ready:
    """Make something that need not be waited for."""
    return Ready()


@hostcall("select")
def select(sandbox: Sandbox, pollables: list[object]) -> int:
    """Wait for any; return the place of the first that is ready."""
    place = _select(sandbox, pollables, None)
    assert place is not None
    return place


@hostcall("select-with-timeout")
def select_with_timeout(sandbox: Sandbox, pollables: list[object], timeout_ms: int) -> int | None:
    """Wait for any, but no longer than `timeout_ms`."""
    return _select(sandbox, pollables, timeout_ms / 1000)


def _select(sandbox: Sandbox, things: list[object], timeout_s: float | None) -> int | None:
    if not things and timeout_s is None:
        raise Stopped("async-io/select: nothing to wait for")
    pollables = [_pollable(thing) for thing in things]
    if timeout_s is None and len(things) == 1 and isinstance(things[0], SelfWaiting):
        things[0].wait()

    def first() -> int | None:
        return next((place for place, p in enumerate(pollables) if p.ready), None)

    sandbox.waiting.wait_for(lambda: first() is not None, timeout_s)
    return first()


def _pollable(thing: object) -> Pollable:
    if not hasattr(thing, "ready"):
        raise Stopped(f"async-io: a {type(thing).__name__} cannot be waited for")
    return thing
