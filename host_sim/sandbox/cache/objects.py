"""One object of the cache: what was said about it when it was written, and how fresh it is.

An object belongs to a key and, within it, to a variant: the values that the request had in the
header fields which the object's vary rule names. Times are nanoseconds, as in the WIT.
"""

import dataclasses
import enum
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.cache.content import Content

__all__ = [
    "MAX_SURROGATE_KEYS",
    "CachedObject",
    "Fields",
    "Freshness",
    "Key",
    "Variant",
    "WriteOptions",
    "fields_of",
    "is_surrogate_key",
    "surrogate_key",
    "surrogate_keys",
    "variant_of",
    "vary_rule",
]

type Key = Hashable
"""What an object is stored under: bytes for the core cache; others take care not to be bytes."""

type Fields = Mapping[str, tuple[bytes, ...]]
"""Header fields of a request by lower-case name."""

type Variant = tuple[tuple[str, tuple[bytes, ...]], ...]
"""Names of header fields in order, each with the values a request must have in it."""

MAX_SURROGATE_KEY = 1024
MAX_SURROGATE_KEYS = 16_384
"""Longest surrogate key, longest list of them. Host contract §2.11."""

OVERHEAD = 512
"""What an object counts beside its bytes, roughly what Python needs for it."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9110 §5.1: token
_SURROGATE_KEY = re.compile(r"[!-~]+")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """What a writer says about an object.

    Attributes:
        max_age_ns: age up to which it is fresh.
        initial_age_ns: age it has when it is stored.
        stale_while_revalidate_ns: how much longer it can be used while somebody gets a new one.
        stale_if_error_ns: how much longer it can be used when nobody gets a new one.
        vary: names of header fields, lower-case and sorted, see `vary_rule`.
        surrogate_keys: what a purge can name it by.
        length: how many bytes will be written, None if that is not known.
        user_metadata: bytes kept beside its content.
        sensitive: whether it holds sensitive data, which makes no difference here.
        pass_on: not an object but a note that there is none to be had: as long as it is fresh,
            transactions end with nothing found and nobody obliged ("hit for pass").
        attached: anything else to keep beside its content.
        attached_bytes: what that counts.
    """

    max_age_ns: int
    initial_age_ns: int = 0
    stale_while_revalidate_ns: int = 0
    stale_if_error_ns: int = 0
    vary: tuple[str, ...] = ()
    surrogate_keys: frozenset[str] = frozenset()
    length: int | None = None
    user_metadata: bytes = b""
    sensitive: bool = False
    pass_on: bool = False
    attached: object = None
    attached_bytes: int = 0


class Freshness(enum.IntEnum):
    """How an object may be used; the smaller, the better."""

    FRESH = 0
    STALE = 1
    """While somebody gets a new one."""
    STALE_IF_ERROR = 2
    """When somebody tried to get a new one and could not."""
    EXPIRED = 3
    """Only to ask its origin whether it has changed."""


class CachedObject:
    """An object.

    Attributes:
        key, variant: where it is stored.
        options: what was said about it.
        content: its bytes; another object may have the same ones, after an update.
        hits: how many lookups could use it.
        stale: a soft purge has ended its freshness.
        purged: a hard purge has removed it.
    """

    __slots__ = (
        *("content", "hits", "key", "options", "purged", "stale", "variant"),
        *("_counted", "_inserted"),
    )

    def __init__(
        self, key: Key, fields: Fields, options: WriteOptions, content: Content, now: int
    ) -> None:
        """Describe an object that is stored `now`, for requests like the one with `fields`."""
        self.key = key
        self.variant = variant_of(options.vary, fields)
        self.options = options
        self.content = content
        self.hits = 0
        self.stale = False
        self.purged = False
        self._inserted = now
        self._counted = OVERHEAD + len(options.user_metadata) + options.attached_bytes
        if isinstance(key, bytes):
            self._counted += len(key)

    @property
    def length(self) -> int | None:
        """How many bytes it has, None where that is not known yet."""
        known = self.content.length
        return self.options.length if known is None else known

    @property
    def weight(self) -> int:
        """Bytes it takes."""
        return self._counted + self.content.size

    def age_ns(self, now: int) -> int:
        """Return its age, including what it had when it was stored."""
        return min(now - self._inserted + self.options.initial_age_ns, (1 << 64) - 1)

    def freshness(self, now: int) -> Freshness:
        """Return how it may be used."""
        options, over = self.options, self.age_ns(now) - self.options.max_age_ns
        if over < 0 and not self.stale:
            return Freshness.FRESH
        if over < options.stale_while_revalidate_ns:
            return Freshness.STALE
        if over < options.stale_if_error_ns:
            return Freshness.STALE_IF_ERROR
        return Freshness.EXPIRED


def fields_of(headers: Iterable[tuple[str, Sequence[bytes]]] | None) -> Fields:
    """Return a copy of the fields of a request, for example of its `HeaderTable`."""
    return {name: tuple(values) for name, values in headers or ()}


def variant_of(rule: Iterable[str], fields: Fields) -> Variant:
    """Return what a request has in the fields that a vary rule names."""
    return tuple((name, fields.get(name, ())) for name in rule)


def vary_rule(text: str) -> tuple[str, ...]:
    """Return the names of a list with blanks, in a form that is the same for equal rules.

    Raises:
        WitError: `generic-error`, one is no name.
    """
    names = sorted({name.lower() for name in text.split(" ") if name})
    if not all(_NAME.fullmatch(name) for name in names):
        raise WitError("generic-error")
    return tuple(names)


def surrogate_keys(text: str) -> frozenset[str]:
    """Return the surrogate keys of a list with blanks.

    Raises:
        WitError: `invalid-argument`, the list or one of them is too long, or one is none.
    """
    if len(text.encode()) > MAX_SURROGATE_KEYS:
        raise WitError("invalid-argument")
    return frozenset(surrogate_key(key) for key in text.split(" ") if key)


def surrogate_key(text: str) -> str:
    """Return `text`, which has to be a surrogate key.

    Raises:
        WitError: `invalid-argument`, it is too long or not all printable ASCII.
    """
    if not is_surrogate_key(text):
        raise WitError("invalid-argument")
    return text


def is_surrogate_key(text: str) -> bool:
    """Tell whether `text` can name objects for a purge."""
    return len(text) <= MAX_SURROGATE_KEY and _SURROGATE_KEY.fullmatch(text) is not None
