"""One timer that is set again and again, cheap when its time moves later.

A hold's deadline moves with every item it gets; a timer that were cancelled and made anew each
time would cost more than the delivery.
"""

from collections.abc import Callable
from typing import Protocol

__all__ = ["Alarm", "Clock", "Timer"]


class Timer(Protocol):
    """What `Clock.call_at` gives, for example `asyncio.TimerHandle`."""

    def cancel(self) -> None:
        """Do not call."""


class Clock(Protocol):
    """The part of an event loop that knows the time."""

    def time(self) -> float:
        """Return seconds on a monotonic clock."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` at that time."""


class Alarm:
    """Calls back at a deadline, or somewhat before it if it was moved later meanwhile.

    The callback looks at the time itself and sets the alarm again.
    """

    __slots__ = ("_callback", "_clock", "_timer", "_when")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._timer: Timer | None = None
        self._when = 0.0

    def set(self, deadline: float | None) -> None:
        """Call back by `deadline`; None cancels."""
        if deadline is None:
            self.cancel()
        elif self._timer is None or deadline < self._when:
            self.cancel()
            self._when = deadline
            self._timer = self._clock.call_at(deadline, self._ring)

    def cancel(self) -> None:
        """Do not call back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._callback()
