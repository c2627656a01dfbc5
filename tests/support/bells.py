"""Somebody who looks things up in the cache, without a sandbox."""

import threading
from collections.abc import Callable

from tests.support.waiting import PATIENCE_S

__all__ = ["Bell"]


class Bell:
    """An `Owner` with a thread of its own.

    Attributes:
        rung: how often.
    """

    def __init__(self) -> None:
        self.rung = 0
        self._bell = threading.Condition()

    def notify(self) -> None:
        """Take note that something has happened."""
        with self._bell:
            self.rung += 1
            self._bell.notify_all()

    def wait_for(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until `ready`."""
        with self._bell:
            came = self._bell.wait_for(ready, PATIENCE_S if timeout_s is None else timeout_s)
        assert came or timeout_s is not None
        return came
