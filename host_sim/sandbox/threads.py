"""Threads for guests: one at work per guest, idle ones used again, never one too few.

Not an executor of the standard library: those have a limit, at which guests that wait for one
another (a service that calls itself) would wait for ever, and they make the interpreter wait at
its end for a guest that sleeps.
"""

import queue
import threading
from collections.abc import Callable

__all__ = ["Threads"]

IDLE_S = 30.0
"""How long a thread waits for work before it ends."""


class Threads:
    """Runs functions in threads; used from one thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[queue.SimpleQueue[Callable[[], None]]] = []
        self._lock = threading.Lock()

    @property
    def idle(self) -> int:
        """How many threads wait for work."""
        return len(self._idle)

    def run(self, function: Callable[[], None]) -> None:
        """Run `function`, which raises nothing, in a thread that does nothing else meanwhile."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put(function)

    def _work(self, inbox: queue.SimpleQueue[Callable[[], None]]) -> None:
        while True:
            try:
                inbox.get(timeout=IDLE_S)()
            except queue.Empty:
                with self._lock:
                    if inbox not in self._idle:
                        continue  # work is on its way
                    self._idle.remove(inbox)
                return
            with self._lock:
                self._idle.append(inbox)
