"""Edge rate limiting, which does not count anything here. Host contract §2.8."""

import dataclasses

from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.state import Sandbox

__all__ = [
    "PenaltyBox",
    "RateCounter",
    "add",
    "check_rate",
    "get_box_name",
    "get_counter_name",
    "has",
    "increment",
    "lookup",
    "open_penalty_box",
    "open_rate_counter",
]

hostcall = interface("erl")


@dataclasses.dataclass(frozen=True, slots=True)
class RateCounter:
    """A rate counter by name."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class PenaltyBox:
    """A penalty box by name."""

    name: str


@hostcall("[static]rate-counter.open")
def open_rate_counter(_sandbox: Sandbox, name: str) -> RateCounter:
    """Open a counter; every name works."""
    return RateCounter(name)


@hostcall("[static]penalty-box.open")
def open_penalty_box(_sandbox: Sandbox, name: str) -> PenaltyBox:
    """Open a box; every name works."""
    return PenaltyBox(name)


@hostcall("[method]rate-counter.get-name")
def get_counter_name(_sandbox: Sandbox, counter: RateCounter) -> str:
    """Return the counter's name."""
    return counter.name


@hostcall("[method]penalty-box.get-name")
def get_box_name(_sandbox: Sandbox, box: PenaltyBox) -> str:
    """Return the box's name."""
    return box.name


@hostcall("[method]rate-counter.check-rate")
def check_rate(
    _sandbox: Sandbox,
    _counter: RateCounter,
    _entry: str,
    _delta: int,
    _window: int,
    _limit: int,
    _box: PenaltyBox,
    _ttl: int,
) -> bool:
    """Tell that the limit is not exceeded."""
    return False


@hostcall("[method]rate-counter.increment")
def increment(_sandbox: Sandbox, _counter: RateCounter, _entry: str, _delta: int) -> None:
    """Count nothing."""


@hostcall("[method]rate-counter.lookup-rate")
@hostcall("[method]rate-counter.lookup-count")
def lookup(_sandbox: Sandbox, _counter: RateCounter, _entry: str, _seconds: int) -> int:
    """Return 0."""
    return 0


@hostcall("[method]penalty-box.add")
def add(_sandbox: Sandbox, _box: PenaltyBox, _entry: str, _ttl: int) -> None:
    """Put nothing in."""


@hostcall("[method]penalty-box.has")
def has(_sandbox: Sandbox, _box: PenaltyBox, _entry: str) -> bool:
    """Tell that it is empty."""
    return False
