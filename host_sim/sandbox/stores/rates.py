"""Rate counters and penalty boxes, in memory, shared by all sandboxes. Host contract §2.8.

A counter remembers the seconds of the last minute, which is the longest window the platform has.
Methods may be called from any thread.
"""

import collections
import threading
import time
from collections.abc import Callable

__all__ = ["Rates"]

WINDOW_S = 60
"""Longest window of a rate or count."""

MIN_PENALTY_S, MAX_PENALTY_S = 60, 3600
"""How short and how long an entry can be in a penalty box."""

MAX_COUNT = (1 << 32) - 1
"""Largest number that the WIT can return."""


class Rates:
    """All counters and boxes, by name."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Count by the clock `now`, in seconds."""
        self._now = now
        self._lock = threading.Lock()
        # By name and entry: second and count, oldest first.
        self._counts: dict[tuple[str, str], collections.deque[list[int]]] = {}
        self._penalties: dict[tuple[str, str], float] = {}
        self._swept = now()

    def increment(self, counter: str, entry: str, delta: int) -> None:
        """Count."""
        with self._lock:
            self._increment(counter, entry, delta)

    def count(self, counter: str, entry: str, duration_s: int) -> int:
        """Return what was counted in the last `duration_s` seconds, the present one included."""
        with self._lock:
            return self._count(counter, entry, duration_s)

    def rate(self, counter: str, entry: str, window_s: int) -> int:
        """Return the average of a second, over the last `window_s` seconds."""
        window_s = _window(window_s)
        return self.count(counter, entry, window_s) // window_s

    def check(
        self,
        counter: str,
        entry: str,
        *,
        delta: int,
        window_s: int,
        limit: int,
        box: str,
        ttl_s: int,
    ) -> bool:
        """Count, penalise who is above `limit` a second, and return whether who is penalised."""
        window_s = _window(window_s)
        with self._lock:
            self._increment(counter, entry, delta)
            if self._count(counter, entry, window_s) > limit * window_s:
                self._penalise(box, entry, ttl_s)
                return True
            return self._has(box, entry)

    def penalise(self, box: str, entry: str, ttl_s: int) -> None:
        """Put an entry into a box, for whole minutes."""
        with self._lock:
            self._penalise(box, entry, ttl_s)

    def penalised(self, box: str, entry: str) -> bool:
        """Tell whether an entry is in a box."""
        with self._lock:
            return self._has(box, entry)

    def __len__(self) -> int:
        return len(self._counts) + len(self._penalties)

    def _increment(self, counter: str, entry: str, delta: int) -> None:
        self._sweep()
        second = int(self._now())
        counts = self._counts.setdefault((counter, entry), collections.deque())
        if counts and counts[-1][0] == second:
            counts[-1][1] += delta
        else:
            counts.append([second, delta])
        while counts[0][0] <= second - WINDOW_S:
            counts.popleft()

    def _count(self, counter: str, entry: str, duration_s: int) -> int:
        after = int(self._now()) - _window(duration_s)
        counts = self._counts.get((counter, entry), ())
        return min(sum(count for second, count in counts if second > after), MAX_COUNT)

    def _penalise(self, box: str, entry: str, ttl_s: int) -> None:
        self._sweep()
        ttl_s = min(max(ttl_s // 60 * 60, MIN_PENALTY_S), MAX_PENALTY_S)
        self._penalties[box, entry] = self._now() + ttl_s

    def _has(self, box: str, entry: str) -> bool:
        return self._penalties.get((box, entry), 0.0) > self._now()

    def _sweep(self) -> None:
        """Forget what is over, once in a while, so that entries do not pile up."""
        now = self._now()
        if now < self._swept + WINDOW_S:
            return
        self._swept = now
        old = int(now) - WINDOW_S
        self._counts = {key: counts for key, counts in self._counts.items() if counts[-1][0] > old}
        self._penalties = {key: end for key, end in self._penalties.items() if end > now}


def _window(seconds: int) -> int:
    return min(max(seconds, 1), WINDOW_S)
