"""How values of the WIT look to host functions, and how host functions fail.

| WIT | Python |
|---|---|
| bool, integers, float, string | `bool`, `int`, `float`, `str` |
| `list<u8>`, other lists | `bytes`, `list` |
| tuple, option | `tuple`, None or the value |
| enum, flags | name as in the WIT, `set` of names |
| record | `dict` from field names as in the WIT |
| variant | `Case`, or just the name of a case without payload where the host returns one |
| own and borrow | the host's object behind the handle, already looked up |
| result | the ok value is returned, the error is raised as `WitError` |

So a host function is an ordinary Python function on ordinary objects: it knows no handle, no C
value and no converter.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Case", "HostFunction", "Stopped", "WitError"]

type HostFunction = Callable[..., Any]
"""Takes the sandbox, then the arguments of the WIT function in order."""


class Case(NamedTuple):
    """One case of a WIT variant with its payload."""

    name: str
    payload: Any = None


class WitError(Exception):
    """A host function returns the error of its WIT result.

    Attributes:
        value: the error: a case name, a `Case`, or whatever the type of the error is.
    """

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return self.value.name if isinstance(self.value, Case) else str(self.value)

    @classmethod
    def buffer_len(cls, needed: int) -> "WitError":
        """Return the error for a buffer that needs so many bytes; 0 does not tell how many."""
        return cls(Case("buffer-len", needed))


class Stopped(Exception):  # noqa: N818 - it is no error of the host's
    """The sandbox ends here: time is up, the host shuts down, or the guest broke a rule.

    The text is for the log: what happened and what to do about it.
    """
