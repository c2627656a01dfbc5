"""What a guest wants a health check of its backend to be; none is ever made. Host contract §2.5."""

import dataclasses
import re

from host_sim.sandbox.border.values import WitError

__all__ = ["HealthCheck"]

MAX_URL = 8192
"""Longest host and path together, in bytes."""

MAX_METHOD = 8192
MAX_WINDOW = 15
TIMES_MS = range(1000, 3_600_000)

_PATH = re.compile(r'(?P<path>[!$-;=@-_a-z|~"{}]*)(?:\?[!$-;=?-~]*)?(?:#.*)?', re.DOTALL)
"""Path and query as Viceroy takes them (crate `http`), which may be empty or without a slash."""


@dataclasses.dataclass(slots=True)
class HealthCheck:
    """Options behind a handle; fields are named as in the WIT. Set them by `change` only."""

    host: str
    method: str = "GET"
    path: str = "/"
    expected_status: int = 200
    window: int = 5
    threshold: int = 3
    initial: int = 4
    interval_ms: int = 15_000
    timeout_ms: int = 5_000

    def __post_init__(self) -> None:
        """Say whether there can be such a check.

        Raises:
            WitError: `invalid-argument`, or `generic-error` for a path that is none.
        """
        match = _PATH.fullmatch(self.path)
        if match is None:
            raise WitError("generic-error")
        path = match["path"] or "/"
        if (
            not self.host
            or len(self.host.encode()) + len(path) > MAX_URL
            or len(self.method.encode()) > MAX_METHOD
            or not max(self.threshold, self.initial) <= self.window <= MAX_WINDOW
            or self.interval_ms not in TIMES_MS
            or self.timeout_ms not in TIMES_MS
        ):
            raise WitError("invalid-argument")

    def change(self, field: str, value: object) -> None:
        """Set one field; nothing changes where it cannot be.

        Raises:
            WitError: as above.
        """
        dataclasses.replace(self, **{field: value})  # type: ignore[arg-type]  # by its name
        setattr(self, field, value)
