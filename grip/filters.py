"""Filters of a subscription: which items it does not get, and how content is changed for it.

Two kinds: delivery filters (`skip-self`, `skip-users`, `require-sub`) and content filters
(`var-subst`, `build-id`); unknown ones do nothing. All functions are pure; what follows from an
error (502, the end of a stream, a message skipped) is the subscriber's business.
Source: GRIP §8.3 (when), §10 (what).
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from grip.errors import RemoteProtocolError, shorten

__all__ = [
    "changes_reply",
    "content_filters",
    "delivers",
    "filter_content",
    "filter_reply",
]

_CONTENT_FILTERS = frozenset({"build-id", "var-subst"})
# `%%`, `%X` or `%(argument)X`, where `\` makes the next character of the argument literal. What is
# left over when no directive follows the `%` matches as well, and is refused.
_DIRECTIVE = re.compile(rb"%(?:\(((?:[^\\)]++|\\.)*+)\))?+(.?)", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)

type _Handler = Callable[[bytes, bytes | None], bytes | None]


def content_filters(filters: Iterable[str]) -> tuple[str, ...]:
    """Return those of `filters` that change content, in order: what an item may count on.

    >>> content_filters(["skip-self", "var-subst"])
    ('var-subst',)
    """
    return tuple(name for name in filters if name in _CONTENT_FILTERS)


def delivers(
    filters: Iterable[str],
    *,
    meta: Mapping[str, str],
    item_meta: Mapping[str, str],
    channels: Collection[str],
) -> bool:
    """Tell whether the delivery filters let an item pass.

    Args:
        filters: the filters of the item's channel for this subscriber.
        meta: metadata of the subscriber.
        item_meta: metadata of the item.
        channels: all channels of the subscriber.
    """
    for name in filters:
        match name:
            case "skip-self":
                user = meta.get("user")
                if user and item_meta.get("sender") == user:
                    return False
            case "skip-users":
                user = meta.get("user")
                skipped = item_meta.get("skip_users", "").split(",")
                if user and user in (name.strip() for name in skipped):
                    return False
            case "require-sub":
                required = item_meta.get("require_sub")
                if required and required not in channels:
                    return False
    return True


def filter_content(
    filters: Iterable[str],
    content: bytes,
    *,
    meta: Mapping[str, str],
    prev_ids: Mapping[str, str | None],
) -> bytes:
    """Apply the content filters to the content of an item, in order.

    Args:
        filters: the filters of the item's channel for this subscriber.
        content: body or content of the item's format.
        meta: metadata of the subscriber.
        prev_ids: all channels of the subscriber with the id each is at, None without.

    Raises:
        RemoteProtocolError: an unknown variable or directive, or no usable `id_format`.
    """
    for name in filters:
        match name:
            case "var-subst":
                content = _render(content, _variables(meta))
            case "build-id":
                content = _render(content, _ids(meta, prev_ids))
    return content


def changes_reply(filters: Iterable[str]) -> bool:
    """Tell whether one of `filters` changes the reply, which then has to be read whole first."""
    return "build-id" in filters


def filter_reply(filters: Iterable[str], body: bytes, *, meta: Mapping[str, str]) -> bytes:
    """Apply the filters of all channels of a subscriber to the body of the reply.

    Only `build-id` does anything, once, and only for `%(text)I`: there are no ids yet.

    Raises:
        RemoteProtocolError: as `filter_content`.
    """
    return _render(body, _ids(meta, {})) if changes_reply(filters) else body


def _variables(meta: Mapping[str, str]) -> _Handler:
    """Handle `%(name)s`: a piece of metadata."""
    return lambda kind, argument: _variable(meta, argument) if kind == b"s" else None


def _variable(values: Mapping[str, str | None], argument: bytes | None) -> bytes | None:
    if argument is None:
        return None
    value = values.get(argument.decode("utf-8", "surrogateescape"))
    return None if value is None else value.encode("utf-8", "replace")


def _ids(meta: Mapping[str, str], prev_ids: Mapping[str, str | None]) -> _Handler:
    """Handle `%I`, the id that metadata `id_format` describes, and `%(text)I`."""
    id_format = meta.get("id_format")
    if id_format is None:
        raise RemoteProtocolError("expected metadata id_format for filter build-id, got none")
    encoding = meta.get("id_encoding")
    if encoding not in (None, "hex"):
        raise RemoteProtocolError(f"expected id_encoding hex, got {shorten(encoding)}")
    default: bytes | None = None
    if prev_ids:
        default = _render(
            id_format.encode("utf-8", "replace"),
            lambda kind, argument: _variable(prev_ids, argument) if kind == b"s" else None,
        )

    def handle(kind: bytes, argument: bytes | None) -> bytes | None:
        value = default if argument is None else argument
        if kind != b"I" or value is None:
            return None
        return value.hex().encode() if encoding == "hex" else value

    return handle


def _render(template: bytes, handle: _Handler) -> bytes:
    """Replace the directives in `template` by what `handle` makes of them.

    Raises:
        RemoteProtocolError: `handle` returned None for a directive.
    """
    if b"%" not in template:
        return template

    def replace(match: re.Match[bytes]) -> bytes:
        argument, kind = match.groups()
        if argument is None and kind == b"%":
            return b"%"
        if argument is not None:
            argument = _ESCAPED.sub(rb"\1", argument)
        value = handle(kind, argument)
        if value is None:
            raise RemoteProtocolError(
                f"expected a known directive or variable, got {shorten(match.group())}",
                offset=match.start(),
            )
        return value

    return _DIRECTIVE.sub(replace, template)
