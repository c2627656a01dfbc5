"""The error tree of the simulator; every message says what was expected, what came, and where."""

import enum

__all__ = [
    "BackendError",
    "BackendFault",
    "BodyError",
    "ConfigError",
    "HostSimError",
    "StartError",
    "UnfitRequestError",
]


class HostSimError(Exception):
    """Root of all errors of `host_sim`."""


class ConfigError(HostSimError):
    """`fastly.toml` or an option cannot be used; shown as one line, exit code 1."""


class StartError(HostSimError):
    """The simulator cannot start: a port is taken, the artifact is missing or does not fit."""


class BodyError(HostSimError):
    """A message body broke off, or cannot be replayed because it was too large to keep."""

    @property
    def timed_out(self) -> bool:
        """Whether it took too long."""
        return isinstance(self.__cause__, TimeoutError)


class BackendFault(enum.Enum):
    """What went wrong on the way to a backend."""

    UNKNOWN = "no backend of that name"
    UNREACHABLE = "connection failed"
    CLOSED = "connection closed before a response"
    INVALID = "response is not HTTP"
    TIMEOUT = "no response in time"
    LOOP = "request came back too often"


class BackendError(HostSimError):
    """A backend gave no usable response head.

    Attributes:
        backend: name of the backend.
        fault: what kind of failure it was.
        detail: what happened.
        reason: the message less the name.
    """

    def __init__(self, backend: str, fault: BackendFault, detail: str) -> None:
        self.reason = f"{fault.value}: {detail}"
        super().__init__(f"backend {backend!r}: {self.reason}")
        self.backend = backend
        self.fault = fault
        self.detail = detail


class UnfitRequestError(BackendError):
    """A request that HTTP cannot carry; it was not sent."""

    def __init__(self, backend: str, detail: str) -> None:
        super().__init__(backend, BackendFault.INVALID, f"unfit request: {detail}")
