"""What happened to one client request, collected on its way and told once.

A `Trace` is filled in by the rooms a request passes and emitted when the request is settled:
answered, held or failed. How a line looks is decided by the command line alone.
"""

import dataclasses
import itertools
import logging
import time

__all__ = ["Trace"]

_access = logging.getLogger("host_sim.access")
_numbers = itertools.count(1)


@dataclasses.dataclass(slots=True, kw_only=True)
class Trace:
    """One request's story; `emit` hands it to the logger `host_sim.access`, once.

    Attributes:
        id: number of the request in this process, from 1.
        method: request method.
        target: path and query as received.
        status: status sent to the client, None while there is none.
        handed_off_to: backend named at the hand-off.
        hold: `response`, `stream` or `websocket` when the client is held.
        channels: what it is subscribed to.
        note: anything else worth telling, for example why it failed.
        internal: true for requests the simulator makes itself (second calls of a hand-off).
    """

    method: str
    target: str
    id: int = dataclasses.field(default_factory=lambda: next(_numbers))
    status: int | None = None
    handed_off_to: str | None = None
    hold: str | None = None
    channels: tuple[str, ...] = ()
    note: str | None = None
    internal: bool = False
    elapsed_ms: float = 0.0
    _started: float = dataclasses.field(default_factory=time.perf_counter)
    _told: bool = False

    def emit(self) -> None:
        """Tell the story, the first time this is called; later calls do nothing."""
        if self._told:
            return
        self._told = True
        self.elapsed_ms = (time.perf_counter() - self._started) * 1000
        level = logging.DEBUG if self.internal else logging.INFO
        if _access.isEnabledFor(level):
            # Not `log`, which would look through the stack for the line that called it.
            about = (_access.name, level, "", 0, "%s %s", (self.method, self.target), None)
            _access.handle(_access.makeRecord(*about, extra={"trace": self}))
