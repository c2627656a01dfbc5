"""Reads the fields that speak to caches: directives, numbers of seconds, dates, lists of names.

Other people's servers write these, so nothing is refused: what cannot be read counts as said so
that the response is used for a shorter time. RFC 9111 §1.2.2, §4.2.1, §5.
"""

import email.utils
import re
from collections.abc import Iterable

from grip.headers import split_list
from host_sim.sandbox.objects.headers import HeaderTable

__all__ = ["MAX_S", "Directives", "date", "directives", "members", "names", "seconds", "texts"]

MAX_S = 1 << 31
"""What larger numbers of seconds count as. RFC 9111 §1.2.2."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

type Directives = dict[str, str]
"""Values by lower-case name, empty where there is none; of a name said twice the first counts."""


def texts(fields: HeaderTable, name: str) -> list[str]:
    """Return the values of a field as text."""
    return [value.decode("utf-8", "surrogateescape") for value in fields.all(name)]


def members(fields: HeaderTable, name: str) -> list[str]:
    """Return the members of a field that is a list."""
    return split_list(texts(fields, name))


def directives(fields: HeaderTable, name: str) -> Directives:
    """Return the directives of `Cache-Control` or `Surrogate-Control`."""
    found: Directives = {}
    for member in members(fields, name):
        key, _, value = member.partition("=")
        found.setdefault(key.strip().lower(), _unquoted(value.strip()))
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return _ESCAPED.sub(r"\1", value[1:-1])
    return value


def seconds(value: str | None) -> int | None:
    """Return a number of seconds, 0 for what is none, None if there was nothing to read."""
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()):
        return 0
    return MAX_S if len(value) > 10 else min(int(value), MAX_S)


def date(fields: HeaderTable, name: str) -> float | None:
    """Return a date in seconds since 1970, None where there is none that can be read."""
    values = texts(fields, name)
    if not values:
        return None
    try:
        parsed = email.utils.parsedate_tz(values[0])
        return None if parsed is None else float(email.utils.mktime_tz(parsed))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def names(values: Iterable[str]) -> list[str]:
    """Return the field names among `values`: lower-case, each once, in order."""
    return list(dict.fromkeys(value.lower() for value in values if _TOKEN.fullmatch(value)))
