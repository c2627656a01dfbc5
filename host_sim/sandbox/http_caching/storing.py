"""What of a response may be kept, for how long and under which keys.

The vendor's documentation of its readthrough cache gives the order in which fields count, the
lifetime without any, the statuses kept without any, and the key; the rest is RFC 9111. One field
speaks for all but lifetimes: `Surrogate-Control` where there is one, else `Cache-Control`.
What a request's own `Cache-Control` says is ignored, as the vendor does: a browser's reload is no
reason to ask the backend.
"""

import dataclasses
import hashlib

from host_sim.sandbox.cache.objects import MAX_SURROGATE_KEYS, is_surrogate_key
from host_sim.sandbox.http_caching.directives import (
    MAX_S,
    Directives,
    date,
    directives,
    members,
    names,
    seconds,
    texts,
)
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse

__all__ = [
    "DEFAULT_LIFETIME_S",
    "Suggestion",
    "cache_key",
    "is_cacheable",
    "storage_action",
    "suggest",
]

DEFAULT_LIFETIME_S = 120
"""How long a response is fresh that does not say."""

KEPT_BY_DEFAULT = frozenset({200, 203, 300, 301, 302, 404, 410})
"""Statuses of responses that are kept without saying how long they are fresh."""

SECOND_NS = 1_000_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """How a response is best stored.

    Attributes:
        max_age_ns: age up to which it is fresh.
        initial_age_ns: its age when it came.
        stale_while_revalidate_ns, stale_if_error_ns: how long after that it may still be used.
        vary_rule: names of request fields, separated by spaces.
        surrogate_keys: separated by spaces.
        length: of its content, None where that is not known.
        sensitive_data: nothing in a response says so.
    """

    max_age_ns: int
    initial_age_ns: int
    stale_while_revalidate_ns: int
    stale_if_error_ns: int
    vary_rule: str
    surrogate_keys: str
    length: int | None
    sensitive_data: bool = False


def is_cacheable(request: GuestRequest) -> bool:
    """Tell whether answers to a request may be kept at all."""
    return request.method in ("GET", "HEAD")


def cache_key(request: GuestRequest) -> bytes:
    """Return the default key: host in lower case, path and query, as 32 bytes."""
    hosts = texts(request.headers, "host")
    host = hosts[0] if hosts else request.uri.authority
    text = f"{host.lower()}\n{request.uri.target}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _controls(response: GuestResponse) -> Directives:
    name = "surrogate-control" if response.headers.all("surrogate-control") else "cache-control"
    return directives(response.headers, name)


def storage_action(request: GuestRequest, response: GuestResponse) -> str:
    """Return what to do with a response that is no answer to a validation.

    `record-uncacheable` is for those that forbid to keep them: the next ones will be alike, and
    nobody should wait for them. RFC 9111 §3.
    """
    controls = _controls(response)
    if not is_cacheable(request) or response.status < 200 or response.status in (206, 304):
        return "do-not-store"
    if "must-understand" in controls and response.status not in KEPT_BY_DEFAULT:  # §5.2.2.3
        return "do-not-store"
    if _is_forbidden(controls) or "*" in members(response.headers, "vary"):
        return "record-uncacheable"
    if request.headers.all("authorization") and not _is_for_everybody(response, controls):
        return "do-not-store"
    if (
        response.status in KEPT_BY_DEFAULT
        or "public" in controls
        or _explicit_lifetime_s(response, 0.0) is not None
    ):
        return "insert"
    return "do-not-store"


def _is_forbidden(controls: Directives) -> bool:
    """Tell whether a response says that it must not be kept. §5.2.2.3, §5.2.2.5, §5.2.2.7."""
    no_store = "no-store" in controls and "must-understand" not in controls
    return no_store or controls.get("private") == ""


def _is_for_everybody(response: GuestResponse, controls: Directives) -> bool:
    """Tell whether a response may be kept although its request showed who asked. §3.5."""
    return bool(
        response.headers.all("surrogate-control")
        or {"public", "s-maxage", "must-revalidate"} & controls.keys()
    )


def suggest(response: GuestResponse, now: float, requested: float | None = None) -> Suggestion:
    """Say how a response is best stored that came at `now` to a request made at `requested`."""
    controls = _controls(response)
    lifetime_s = _explicit_lifetime_s(response, now)
    if lifetime_s is None:
        lifetime_s = DEFAULT_LIFETIME_S
    if _is_forbidden(controls):  # then it is how long that is remembered, `max-age=0` or not
        lifetime_s = max(lifetime_s, DEFAULT_LIFETIME_S)
    elif controls.get("no-cache") == "":  # §5.2.2.4: validate before each use
        lifetime_s = 0
    return Suggestion(
        max_age_ns=lifetime_s * SECOND_NS,
        initial_age_ns=_initial_age_s(response, now, requested) * SECOND_NS,
        stale_while_revalidate_ns=_stale_s(response, "stale-while-revalidate") * SECOND_NS,
        stale_if_error_ns=_stale_s(response, "stale-if-error") * SECOND_NS,
        vary_rule=" ".join(
            name for name in names(members(response.headers, "vary")) if name != "*"
        ),
        surrogate_keys=_surrogate_keys(response),
        length=_length(response),
    )


def _said_s(response: GuestResponse, name: str, directive: str) -> int | None:
    return seconds(directives(response.headers, name).get(directive))


def _explicit_lifetime_s(response: GuestResponse, now: float) -> int | None:
    """Return how long the response says it is fresh, None if it does not. §4.2.1."""
    for name, directive in (
        ("surrogate-control", "max-age"),
        ("cache-control", "s-maxage"),
        ("cache-control", "max-age"),
    ):
        said = _said_s(response, name, directive)
        if said is not None:
            return said
    if not response.headers.all("expires"):
        return None
    expires = date(response.headers, "expires")
    if expires is None:  # §5.3: in the past
        return 0
    sent = date(response.headers, "date")
    return min(MAX_S, max(0, int(expires - (now if sent is None else sent))))


def _stale_s(response: GuestResponse, directive: str) -> int:
    """Return how long the response may be used after it is stale. §4.2.4, RFC 5861."""
    controls = _controls(response)
    if {"must-revalidate", "proxy-revalidate"} & controls.keys() or controls.get("no-cache") == "":
        return 0
    said = _said_s(response, "surrogate-control", directive)
    return (_said_s(response, "cache-control", directive) if said is None else said) or 0


def _initial_age_s(response: GuestResponse, now: float, requested: float | None) -> int:
    """Return the age of a response when it came, in whole seconds. RFC 9111 §4.2.3."""
    values = texts(response.headers, "age")
    age = (seconds(values[0]) if values else 0) or 0
    delay = 0.0 if requested is None else max(0.0, now - requested)
    sent = date(response.headers, "date")
    apparent = 0.0 if sent is None else now - sent
    return min(MAX_S, max(0, int(apparent), int(age + delay)))


def _length(response: GuestResponse) -> int | None:
    values = texts(response.headers, "content-length")
    if len(values) == 1 and values[0].isascii() and values[0].isdigit() and len(values[0]) < 19:
        return int(values[0])
    return None


def _surrogate_keys(response: GuestResponse) -> str:
    """Return the keys of `Surrogate-Key` that are some, as many as may be stored."""
    words = " ".join(texts(response.headers, "surrogate-key")).split(" ")
    keys = ""
    for key in dict.fromkeys(words):
        if is_surrogate_key(key):
            longer = f"{keys} {key}" if keys else key
            if len(longer) > MAX_SURROGATE_KEYS:
                break
            keys = longer
    return keys
