"""Edge rate limiting, which really counts. Host contract §2.8."""

import dataclasses

from host_sim.sandbox.border.values import WitError
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
    "lookup_count",
    "lookup_rate",
    "open_penalty_box",
    "open_rate_counter",
]

hostcall = interface("erl")

MAX_NAME = 1024
"""Longest name of a counter or box, in bytes."""


@dataclasses.dataclass(frozen=True, slots=True)
class RateCounter:
    """A rate counter by name."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class PenaltyBox:
    """A penalty box by name."""

    name: str


def _checked(name: str) -> str:
    if len(name.encode()) > MAX_NAME:
        raise WitError("name-too-long")
    return name


@hostcall("[static]rate-counter.open")
def open_rate_counter(_sandbox: Sandbox, name: str) -> RateCounter:
    """Open a counter; every name that is not too long works."""
    return RateCounter(_checked(name))


@hostcall("[static]penalty-box.open")
def open_penalty_box(_sandbox: Sandbox, name: str) -> PenaltyBox:
    """Open a box; every name that is not too long works."""
    return PenaltyBox(_checked(name))


@hostcall("[method]rate-counter.get-name")
def get_counter_name(_sandbox: Sandbox, counter: RateCounter) -> str:
    """Return the counter's name."""
    return counter.name


@hostcall("[method]penalty-box.get-name")
def get_box_name(_sandbox: Sandbox, box: PenaltyBox) -> str:
    """Return the box's name."""
    return box.name


@hostcall("[method]rate-counter.check-rate")
def check_rate(  # noqa: PLR0917 - as the WIT has it
    sandbox: Sandbox,
    counter: RateCounter,
    entry: str,
    delta: int,
    window: int,
    limit: int,
    box: PenaltyBox,
    ttl: int,
) -> bool:
    """Count, and tell whether the entry is to be refused."""
    return sandbox.rates.check(
        counter.name, entry, delta=delta, window_s=window, limit=limit, box=box.name, ttl_s=ttl
    )


@hostcall("[method]rate-counter.increment")
def increment(sandbox: Sandbox, counter: RateCounter, entry: str, delta: int) -> None:
    """Count."""
    sandbox.rates.increment(counter.name, entry, delta)


@hostcall("[method]rate-counter.lookup-rate")
def lookup_rate(sandbox: Sandbox, counter: RateCounter, entry: str, window: int) -> int:
    """Return how much was counted in a second, on average over `window` seconds."""
    return sandbox.rates.rate(counter.name, entry, window)


@hostcall("[method]rate-counter.lookup-count")
def lookup_count(sandbox: Sandbox, counter: RateCounter, entry: str, duration: int) -> int:
    """Return how much was counted in the last `duration` seconds."""
    return sandbox.rates.count(counter.name, entry, duration)


@hostcall("[method]penalty-box.add")
def add(sandbox: Sandbox, box: PenaltyBox, entry: str, ttl: int) -> None:
    """Put an entry in, for `ttl` seconds."""
    sandbox.rates.penalise(box.name, entry, ttl)


@hostcall("[method]penalty-box.has")
def has(sandbox: Sandbox, box: PenaltyBox, entry: str) -> bool:
    """Tell whether an entry is in it."""
    return sandbox.rates.penalised(box.name, entry)
