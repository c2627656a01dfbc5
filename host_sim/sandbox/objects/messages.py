"""Requests and responses in the guest's hands, and what they become on the event loop.

They are mutable, unlike `host_sim.messages`: a guest builds them field by field. Host contract
§1.3 (framing), §2.2, §2.3.
"""

import dataclasses
import http
import logging
import re
from collections.abc import AsyncIterator

from grip.headers import Headers
from host_sim.body import Body
from host_sim.messages import Address, Request, Response
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.headers import HeaderTable

__all__ = [
    "GuestMessage",
    "GuestRequest",
    "GuestResponse",
    "Uri",
    "framed",
    "phrase",
    "request_of",
    "response_of",
]

_log = logging.getLogger("host_sim.sandbox")

_FRAMING = ("content-length", "transfer-encoding")
_CONNECTION = ("connection", "keep-alive")
_MAX_URI = 65_534
_MAX_COLONS = 8
_NOT_IN_PATH = r"\x00-\x20#<>?`\x7f"
_NOT_IN_QUERY = r"\x00-\x20\"#<>\x7f"
_URI = re.compile(
    r"(?:(?P<scheme>[A-Za-z0-9+.\-]{1,64})://)?(?P<authority>[^/?#]*)"
    rf"(?P<target>(?:/[^{_NOT_IN_PATH}]*)?(?:\?[^{_NOT_IN_QUERY}]*)?)(?:#.*)?",
    re.DOTALL,
)
"""URIs as Viceroy takes them (crate `http`), and characters beyond ASCII in paths."""
_AUTHORITY = re.compile(r"[!$&-.0-;=@A-Z\[\]_a-z~%]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Uri:
    """A request URI: absolute, or only a path where scheme and authority are empty.

    Attributes:
        scheme: `http`, `https`, another as the guest wrote it, or empty.
        authority: host and optional port, or empty.
        target: path and query, `/` at least.
    """

    scheme: str
    authority: str
    target: str

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Parse what a guest sets: an absolute URI, a path, `*`, or an authority alone.

        Raises:
            WitError: `generic-error`, it is none of them.
        """
        match = _URI.fullmatch(text) if len(text.encode()) <= _MAX_URI else None
        if match is None or not text:
            raise WitError("generic-error")
        scheme, authority, target = match["scheme"] or "", match["authority"], match["target"]
        if text == "*":
            return cls("", "", "*")
        if scheme or authority:
            alone = not scheme and len(authority) < len(text)  # with something after it
            if alone or not _is_authority(authority):
                raise WitError("generic-error")
        elif not text.startswith("/"):
            raise WitError("generic-error")
        return cls(
            scheme.lower() if scheme.lower() in ("http", "https") else scheme,
            authority,
            target if target.startswith("/") else "/" + target,
        )

    def __str__(self) -> str:
        if self.scheme and self.authority:
            return f"{self.scheme}://{self.authority}{self.target}"
        return self.authority or self.target


def _is_authority(text: str) -> bool:
    """Tell whether this can be host and port; Viceroy looks no closer either."""
    if not _AUTHORITY.fullmatch(text) or text.endswith("@"):
        return False
    colons, brackets, percent = 0, "", False
    for character in text:
        match character:
            case "[" if percent or brackets:
                return False
            case "[":
                brackets = "["
            case "]" if brackets != "[":
                return False
            case "]":
                brackets, colons, percent = "[]", 0, False
            case "@":
                colons, percent = 0, False
            case ":":
                colons += 1
                if colons > _MAX_COLONS:
                    return False
            case "%":
                percent = True
    return brackets != "[" and colons <= 1 and not percent


@dataclasses.dataclass(slots=True, kw_only=True)
class GuestMessage:
    """What requests and responses have in common.

    Attributes:
        version: name of an HTTP version in the WIT.
        headers: fields, framing included.
        manual_framing: the guest's own framing fields are to be honoured.
    """

    version: str = "http11"
    headers: HeaderTable = dataclasses.field(default_factory=HeaderTable)
    manual_framing: bool = False


@dataclasses.dataclass(slots=True, kw_only=True)
class GuestRequest(GuestMessage):
    """A request behind a handle.

    Attributes:
        method, uri: as the guest sees and sets them.
        decode_gzip: a response in gzip is to be decoded.
        downstream: the client's request this is, None for one the guest made.
        number: of the client's request, as 32 hexadecimal digits; empty for one the guest made.
    """

    method: str = "GET"
    uri: Uri = dataclasses.field(default_factory=lambda: Uri("", "", "/"))
    decode_gzip: bool = False
    downstream: Request | None = None
    number: str = ""

    @classmethod
    def incoming(cls, request: Request, number: str) -> "GuestRequest":
        """Return a client's request as the guest gets it. Host contract §1.1."""
        return cls(
            method=request.method,
            uri=Uri(request.scheme, request.authority, request.target),
            headers=HeaderTable.of(request.headers),
            downstream=request,
            number=number,
        )


@dataclasses.dataclass(slots=True, kw_only=True)
class GuestResponse(GuestMessage):
    """A response behind a handle.

    Attributes:
        status: its code.
        peer: where it came from; None for the guest's own.
    """

    status: int = 200
    peer: Address | None = None

    @classmethod
    def incoming(cls, response: Response) -> "GuestResponse":
        """Return a backend's response as the guest gets it, with its length as a field."""
        headers = HeaderTable.of(response.headers)
        length = None if response.status in (204, 304) else response.body.length
        if length is not None and not headers.all("content-length"):
            headers.append("content-length", b"%d" % length)
        return cls(status=response.status, headers=headers, peer=response.peer)


def framed(headers: HeaderTable, manual: bool, body: Body) -> tuple[Headers, Body]:
    """Return the fields less those of framing, and the body with the length that frames it.

    The guest's own framing counts if it asked for that and the fields allow one reading only.
    """
    fields = headers.without(*_FRAMING).headers()
    if not manual:
        return fields, body
    lengths = headers.all("content-length")
    codings = headers.all("transfer-encoding")
    if len(lengths) == 1 and not codings and lengths[0].isdigit():
        length = int(lengths[0])
        return fields, body if body.length == length else Body(_cut(body, length), length)
    if len(codings) == 1 and not lengths and codings[0].lower() == b"chunked":
        return fields, body.unsized()
    _log.warning("the guest's own framing fields cannot be used: %s, %s", lengths, codings)
    return fields, body


async def _cut(body: Body, length: int) -> AsyncIterator[bytes]:
    """Yield at most `length` bytes; where there are fewer, whoever sends them has to break off."""
    async for piece in body:
        yield piece[:length]
        length -= len(piece)
        if length <= 0:
            await body.aclose()
            return


def response_of(response: GuestResponse, body: Body, *, to_head: bool) -> Response:
    """Return what goes to the client; `to_head` says that it asked with HEAD."""
    fields, body = framed(response.headers, response.manual_framing, body)
    fields = fields.without(*_CONNECTION)
    lengths = response.headers.all("content-length")
    if (to_head or response.status in (204, 304)) and lengths and lengths[0].isdigit():
        fields = fields.plus(("content-length", lengths[0].decode()))
    return Response(
        status=response.status, reason=phrase(response.status), headers=fields, body=body
    )


def phrase(status: int) -> str:
    """Return the usual reason phrase, empty where there is none."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def request_of(request: GuestRequest, body: Body, parent: Request) -> Request:
    """Return what goes to a backend, as part of the client's request `parent`."""
    fields, body = framed(request.headers, request.manual_framing, body)
    host = request.headers.first("host")
    return Request(
        method=request.method,
        scheme=request.uri.scheme if request.uri.scheme == "https" else "http",
        authority=host.decode("utf-8", "surrogateescape") if host else request.uri.authority,
        target=request.uri.target,
        headers=fields,
        body=body,
        client=None,
        server=None,
        trace=parent.trace,
        hops=parent.hops,
        visits=parent.visits,
    )
