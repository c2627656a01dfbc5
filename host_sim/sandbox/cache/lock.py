"""The cache's lock, with what has to wait until it is free.

Bells are rung then, because they have locks of their own, whose holders may want this one. And
finalizers, which run wherever the interpreter likes, also where the lock is held by the very same
thread, leave their chores here.
"""

import collections
import threading
from collections.abc import Callable, Iterable

__all__ = ["CacheLock"]


class CacheLock:
    """A lock for `with`; not reentrant."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bells: list[Callable[[], None]] = []
        self._chores: collections.deque[Callable[[], object]] = collections.deque()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._leave()

    def ring(self, bells: Iterable[Callable[[], None]]) -> None:
        """Call these when the lock is free; only whoever holds it."""
        self._bells += bells

    def later(self, chore: Callable[[], object]) -> None:
        """Do something that takes the lock, at once or when whoever holds it leaves."""
        self._chores.append(chore)
        if self._lock.acquire(blocking=False):
            self._leave()

    def _leave(self) -> None:
        bells, self._bells = self._bells, []
        self._lock.release()
        for bell in bells:
            bell()
        while self._chores:
            try:
                chore = self._chores.popleft()
            except IndexError:  # another thread was faster
                return
            chore()
