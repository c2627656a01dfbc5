"""The table behind the handles of one sandbox: numbers in the guest, objects in the host.

One table for all resource types, because the WIT makes one type of several things (bodies, pending
answers, pollables). Numbers are not used again, so a stale one can never mean something else.
"""

from host_sim.sandbox.border.values import Stopped

__all__ = ["Handles"]


class Handles:
    """Objects by handle number. Used by one thread."""

    def __init__(self) -> None:
        self._objects: dict[int, object] = {}
        self._last = 0
        self._given: list[object] = []

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, thing: object) -> int:
        """Keep `thing` and return its number."""
        self._last += 1
        self._objects[self._last] = thing
        return self._last

    def get(self, number: int) -> object:
        """Return what is behind a number the guest lent.

        Raises:
            Stopped: nothing is, which is a mistake of the host.
        """
        try:
            return self._objects[number]
        except KeyError:
            raise Stopped(f"expected a handle in use, got {number}") from None

    def take(self, number: int) -> object:
        """Return what is behind a number the guest gave away, and forget it.

        Raises:
            Stopped: nothing is, which is a mistake of the host.
        """
        thing = self.get(number)
        del self._objects[number]
        self._given.append(thing)
        return thing

    def end_call(self, *, failed: bool) -> None:
        """Say that a call is over: what the guest gave it is used now, or nobody's if it failed."""
        if self._given:
            given, self._given = self._given, []
            if failed:
                for thing in given:
                    _tell_dropped(thing)

    def drop(self, number: int) -> None:
        """Forget what the guest dropped; a thing with a method `dropped` is told."""
        _tell_dropped(self._objects.pop(number, None))

    def drop_all(self) -> None:
        """Forget everything, when the sandbox ends."""
        self.end_call(failed=True)  # the one that trapped
        for number in list(self._objects):
            self.drop(number)


def _tell_dropped(thing: object) -> None:
    if (dropped := getattr(thing, "dropped", None)) is not None:
        dropped()
