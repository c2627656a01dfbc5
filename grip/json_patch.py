"""JSON Patch for `body-patch`: an item that changes the body of a hold's reply.

Operations never change a value in place; they build new containers along their path and share the
rest, so that one patch can serve many subscribers.
Sources: RFC 6902 (JSON Patch), RFC 6901 (JSON Pointer), GRIP §5 (what the result looks like).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grip.errors import RemoteProtocolError, shorten
from grip.json_object import JsonObject, load_json

__all__ = ["MAX_OPERATIONS", "MAX_PATCHED", "apply_patch", "patch_body"]

MAX_OPERATIONS = 1000  # each copies the containers along its path
MAX_PATCHED = 1_000_000  # bytes; `copy` can double a document with every operation

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")  # RFC 6901 §4: no leading zeros
_BAD_ESCAPE = re.compile(r"~(?![01])")
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def patch_body(body: bytes, operations: Sequence[Mapping[str, object]]) -> bytes:
    r"""Apply a patch to a JSON body; the result is compact, with sorted keys.

    A line end after the body is kept.

    Raises:
        RemoteProtocolError: the body is no JSON object or array, the patch does not apply, or the
            result would be longer than `MAX_PATCHED`.

    >>> patch_body(b'{"b": [1], "a": 2}\n', [{"op": "add", "path": "/b/0", "value": 0}])
    b'{"a":2,"b":[0,1]}\n'
    """
    document = load_json(body)
    if not isinstance(document, dict | list):
        raise RemoteProtocolError(f"expected an object or array to patch, got {shorten(body)}")
    pieces: list[str] = []
    length = 0
    try:
        for piece in _ENCODER.iterencode(apply_patch(document, operations)):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_PATCHED:
                raise RemoteProtocolError(f"expected at most {MAX_PATCHED} bytes after the patch")
        patched = "".join(pieces).encode()
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"expected a patch that gives JSON: {error}") from None
    if body.endswith(b"\r\n"):
        return patched + b"\r\n"
    return patched + b"\n" if body.endswith(b"\n") else patched


def apply_patch(document: object, operations: Sequence[Mapping[str, object]]) -> object:
    """Return what `operations` make of `document`, which stays as it is.

    Raises:
        RemoteProtocolError: one of the operations is malformed or does not apply.
    """
    if len(operations) > MAX_OPERATIONS:
        raise RemoteProtocolError(
            f"expected at most {MAX_OPERATIONS} operations, got {len(operations)}"
        )
    try:
        for operation in operations:
            document = _apply(document, JsonObject(operation, "op"))
    except RecursionError:
        raise RemoteProtocolError("expected values less deeply nested in the patch") from None
    return document


def _apply(document: object, operation: JsonObject) -> object:
    kind = operation.required_text("op")
    path = _parse_pointer(operation.required_text("path"))
    match kind:
        case "add":
            return _add(document, path, operation.value("value"))
        case "remove":
            return _remove(document, path)
        case "replace":
            return _replace(document, path, operation.value("value"))
        case "move":
            origin = _parse_pointer(operation.required_text("from"))
            if len(origin) < len(path) and path[: len(origin)] == origin:
                raise RemoteProtocolError("cannot move location into itself")
            value = _get(document, origin)
            return value if not path else _add(_remove(document, origin), path, value)
        case "copy":
            origin = _parse_pointer(operation.required_text("from"))
            return _add(document, path, _get(document, origin))
        case "test":
            if not _equal(_get(document, path), operation.value("value")):
                raise RemoteProtocolError("tested values are not equal")
            return document
        case other:
            raise RemoteProtocolError(f"unsupported op: {shorten(other)}")


def _parse_pointer(text: str) -> list[str]:
    """Split a JSON Pointer into its reference tokens."""
    if not text:
        return []
    if not text.startswith("/"):
        raise RemoteProtocolError(f"pointer must start with /, got {shorten(text)}")
    tokens = text[1:].split("/")
    if "~" not in text:
        return tokens
    if _BAD_ESCAPE.search(text):
        raise RemoteProtocolError(f"expected ~0 or ~1 in pointer, got {shorten(text)}")
    return [token.replace("~1", "/").replace("~0", "~") for token in tokens]


def _get(document: object, path: Sequence[str]) -> object:
    for token in path:
        document = _child(document, token)
    return document


def _add(document: object, path: Sequence[str], value: object) -> object:
    def insert(container: Any, token: str) -> object:
        if isinstance(container, dict):
            return {**container, token: value}
        at = len(container) if token == "-" else _index(token)  # noqa: S105 - a place, no secret
        if at > len(container):
            raise _missing(token)
        return [*container[:at], value, *container[at:]]

    return _edit(document, path, insert) if path else value


def _remove(document: object, path: Sequence[str]) -> object:
    def delete(container: Any, token: str) -> object:
        _child(container, token)
        if isinstance(container, dict):
            return {key: child for key, child in container.items() if key != token}
        at = _index(token)
        return [*container[:at], *container[at + 1 :]]

    if not path:
        raise RemoteProtocolError("cannot remove the whole document")
    return _edit(document, path, delete)


def _replace(document: object, path: Sequence[str], value: object) -> object:
    if not path:
        return value
    return _edit(document, path, lambda container, token: _exchanged(container, token, value))


def _edit(document: object, path: Sequence[str], change: Callable[[Any, str], object]) -> object:
    """Change the container that the last token of `path` is in, and copy those above it."""
    *above, last = path
    containers = [document]
    for token in above:
        containers.append(_child(containers[-1], token))
    if not isinstance(containers[-1], dict | list):
        raise _missing(last)
    changed = change(containers.pop(), last)
    while containers:
        changed = _exchanged(containers.pop(), above.pop(), changed)
    return changed


def _exchanged(container: Any, token: str, value: object) -> object:
    """Return `container` with another value at a place that exists."""
    _child(container, token)
    if isinstance(container, dict):
        return {**container, token: value}
    at = _index(token)
    return [*container[:at], value, *container[at + 1 :]]


def _child(container: object, token: str) -> object:
    match container:
        case dict() if token in container:
            return container[token]
        case list() if _index(token) < len(container):
            return container[_index(token)]
        case _:
            raise _missing(token)


def _index(token: str) -> int:
    if not _INDEX.fullmatch(token):
        raise RemoteProtocolError(f"index must be an integer, got {shorten(token)}")
    return int(token)


def _missing(token: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"location does not exist: {shorten(token)}")


def _equal(left: object, right: object) -> bool:
    """Compare as RFC 6902 §4.6: numbers by value, and `true` is not 1."""
    match left, right:
        case (dict(), dict()):
            return left.keys() == right.keys() and all(
                _equal(value, right[key]) for key, value in left.items()
            )
        case (list(), list()):
            return len(left) == len(right) and all(map(_equal, left, right))
        case (bool(), _) | (_, bool()):
            return left is right
        case _:
            return left == right
