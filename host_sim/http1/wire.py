"""Between the values of `messages` and the events of h11; no input or output.

Field bytes go through unchanged in both directions. Fields that concern one connection only are
taken off here, in one place (RFC 9110 §7.6.1, RFC 9112 §6).
"""

import re
from collections.abc import Iterable, Sequence

import h11

from grip.errors import shorten
from grip.headers import Headers
from host_sim.body import NO_TRAILERS
from host_sim.messages import Address, Request

__all__ = [
    "CONNECTION_FIELDS",
    "END",
    "FRAMING_FIELDS",
    "Pairs",
    "Refusal",
    "bodiless",
    "check_request",
    "decode",
    "encode",
    "framing",
    "head_size",
    "request_event",
    "response_event",
    "split_target",
    "trailers_event",
    "trailers_of",
]

type Pairs = Sequence[tuple[bytes, bytes]]
"""Fields of a head that h11 has checked, as they came."""

FRAMING_FIELDS = frozenset({"content-length", "transfer-encoding"})
"""Lower-case names of the fields that say where a body ends."""

CONNECTION_FIELDS = FRAMING_FIELDS | {"connection", "keep-alive", "proxy-connection"}
"""Lower-case names of the fields that a relay makes itself."""

END = h11.EndOfMessage()
"""The end of a message without trailers."""

_NOT_AFTER_A_BODY = CONNECTION_FIELDS | {"expect", "host", "te", "trailer", "upgrade"}
"""Lower-case names of fields that mean nothing or something else in trailers (RFC 9110 §6.5.1)."""

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]*)?")
"""Host and port (RFC 3986 §3.2), without user."""

_NOT_IN_A_REASON = re.compile(r"[\0-\x08\n-\x1f\x7f]")
"""All but HTAB, SP, VCHAR and obs-text (RFC 9112 §4)."""


def decode(raw: bytes) -> str:
    """Return text for bytes of a head; any bytes survive the way back through `encode`."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes that `decode` was given."""
    return text.encode("utf-8", "surrogateescape")


class Refusal(Exception):  # noqa: N818  it is an answer, not a fault of ours
    """A request is answered with an error before any handler sees it.

    Attributes:
        status: status of the answer.
        detail: what is wrong with the request.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def check_request(request: h11.Request, fields: Pairs, max_bytes: int) -> None:
    """Refuse what h11 lets pass and we do not serve.

    Args:
        request: a request head.
        fields: its fields.
        max_bytes: how long it may be on the wire; h11 looks at that only while it is incomplete.

    Raises:
        Refusal: it is too long, of another version, ambiguous, or asks for a tunnel to elsewhere.
    """
    size = head_size(request.method, request.target, b"HTTP/1.1", fields=fields)
    if size > max_bytes:
        raise Refusal(431, f"expected a head of at most {max_bytes} bytes, got {size}")
    if request.http_version not in (b"1.0", b"1.1"):
        raise Refusal(505, "expected HTTP/1.0 or HTTP/1.1")
    if request.method == b"CONNECT":
        raise Refusal(501, "this is not a forward proxy")
    chunked, length = framing(fields)
    if chunked:  # RFC 9112 §6.1: what two parsers may read in two ways
        if length is not None:
            raise Refusal(400, "expected Content-Length or Transfer-Encoding, got both")
        if request.http_version == b"1.0":
            raise Refusal(400, "expected no Transfer-Encoding in HTTP/1.0")


def framing(fields: Pairs) -> tuple[bool, int | None]:
    """Return whether a body is chunked, and its `Content-Length`, which h11 has checked."""
    chunked, length = False, None
    for name, value in fields:
        match name.lower():
            case b"content-length":
                length = int(value)
            case b"transfer-encoding":
                chunked = True
    return chunked, length


def head_size(*line: bytes, fields: Pairs) -> int:
    """Return how long a head is on the wire in bytes, less optional white space."""
    size = 0
    for name, value in fields:
        size += len(name) + len(value) + 4
    return sum(map(len, line)) + len(line) + size


def bodiless(method: str, status: int) -> bool:
    """Tell whether an answer never has a body, whatever its fields say (RFC 9112 §6.3)."""
    return method == "HEAD" or status in (204, 304)


def response_event(
    status: int, reason: str, headers: Headers, extra: Iterable[tuple[bytes, bytes]]
) -> h11.Response:
    """Return the head of a final response, `extra` fields last.

    Raises:
        h11.LocalProtocolError: the status or a field cannot be put on the wire.
    """
    if _NOT_IN_A_REASON.search(reason):  # h11 does not look
        raise h11.LocalProtocolError(f"illegal reason phrase {shorten(reason)}")
    return h11.Response(
        status_code=status, reason=encode(reason), headers=[*headers.to_wire(), *extra]
    )


def request_event(request: Request) -> h11.Request:
    """Return the head of a request, framed for its body; fields else as they are.

    Raises:
        h11.LocalProtocolError: method, target or a field cannot be put on the wire.
    """
    headers: list[tuple[bytes, bytes]] = []
    length = request.body.length
    given = request.headers.has("content-length")
    framing = None
    if length is None:
        framing = (b"Transfer-Encoding", b"chunked")
    elif length or given:
        framing = (b"Content-Length", b"%d" % length)
    for name, value in request.headers.to_wire():
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                if framing is not None and framing[0].lower() == name.lower():
                    headers.append((name, framing[1]))  # in its place
                    framing = None
            case _:
                headers.append((name, value))
    if framing is not None:
        headers.append(framing)
    return h11.Request(method=request.method, target=encode(request.target), headers=headers)


def trailers_of(event: h11.EndOfMessage) -> Headers:
    """Return the fields that came after a body, less those that do not belong there."""
    if not event.headers:
        return NO_TRAILERS
    headers = Headers.from_wire(event.headers.raw_items())
    return headers.where(lambda name: name not in _NOT_AFTER_A_BODY)


def trailers_event(trailers: Headers) -> h11.EndOfMessage:
    """Return the end of a chunked message, with the fields that belong after a body.

    Raises:
        h11.LocalProtocolError: a field cannot be put on the wire.
    """
    kept = trailers.where(lambda name: name not in _NOT_AFTER_A_BODY)
    return h11.EndOfMessage(headers=kept.to_wire())


def split_target(target: str, host: str | None, own: Address) -> tuple[str, str]:
    """Return authority, and path with query, of a request target (RFC 9112 §3.2).

    Args:
        target: as received.
        host: value of `Host`, which an absolute target overrides.
        own: where the listener is, for a request that names no host (HTTP/1.0).

    Raises:
        Refusal: this is no target for an origin server, or the host is not one.
    """
    authority, path = "{}:{}".format(*own) if host is None else host, target
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        end = min(at for at in (rest.find("/"), rest.find("?"), len(rest)) if at >= 0)
        authority, path = rest[:end], rest[end:]
        if not path.startswith("/"):
            path = "/" + path
    if not path.startswith("/") and path != "*":
        raise Refusal(400, f"expected a target that starts with '/', got {shorten(target)}")
    if not _AUTHORITY.fullmatch(authority):
        raise Refusal(400, f"expected a host with an optional port, got {shorten(authority)}")
    return authority, path
