"""Makes of a stored response what the client asked for: the whole, a part, its head, or a 304.

RFC 9111 §4.3.2 and §5.1, RFC 9110 §13 and §14.
"""

import dataclasses
import re

from grip.headers import Headers
from host_sim.sandbox.http_caching.directives import MAX_S, date, members, texts
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse

__all__ = ["Delivery", "deliver"]

_OF_A_304 = frozenset(
    {
        *("cache-control", "content-location", "date", "etag", "expires"),
        *("last-modified", "vary"),
    }
)
"""What of a stored response a 304 repeats. RFC 9110 §15.4.5."""

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})-(\d{0,18})", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """What goes to the client.

    Attributes:
        response: its head.
        part: first and last byte of the content to send; an empty part is `(0, -1)`, None all.
    """

    response: GuestResponse
    part: tuple[int, int] | None = None


NOTHING = (0, -1)


def deliver(
    request: GuestRequest, stored: GuestResponse, *, age_s: int, length: int | None
) -> Delivery:
    """Return what answers `request`, from a response of that age and length of content.

    Conditions and ranges count for a 200 only. `If-Match` and `If-Unmodified-Since` are the
    backend's to judge (RFC 9111 §4.3.2); several ranges at once are answered with the whole.
    """
    fields = stored.headers.headers().without("age").plus(("age", str(min(age_s, MAX_S))))
    is_read = request.method in ("GET", "HEAD")
    if stored.status == 200 and is_read and not _is_modified(request, stored):
        kept = fields.where(lambda name: name in _OF_A_304 or name == "age")
        return Delivery(_response(stored, 304, kept), NOTHING)
    if request.method == "HEAD":
        if length is not None:
            fields = fields.without("content-length").plus(("content-length", str(length)))
        return Delivery(_response(stored, stored.status, fields), NOTHING)
    if (
        stored.status == 200
        and request.method == "GET"
        and length is not None
        and (ranges := _RANGE.fullmatch(_only(request, "range"))) is not None
        and _is_for_this(request, stored)
    ):
        return _part(stored, fields, ranges, length)
    return Delivery(_response(stored, stored.status, fields))


def _part(stored: GuestResponse, fields: Headers, ranges: re.Match[str], length: int) -> Delivery:
    """Return a 206, or a 416 where nothing of the content is in the range. RFC 9110 §14.1.2."""
    first, last = ranges.groups()
    if first:
        begin = int(first)
        end = min(int(last), length - 1) if last else length - 1
        if last and int(last) < begin:  # no range at all, so ignored
            return Delivery(_response(stored, stored.status, fields))
    elif last:
        begin, end = max(0, length - int(last)), length - 1
    else:
        return Delivery(_response(stored, stored.status, fields))
    fields = fields.without("content-length", "content-range")
    if begin >= length:
        fields = fields.plus(("content-range", f"bytes */{length}"), ("content-length", "0"))
        return Delivery(_response(stored, 416, fields), NOTHING)
    fields = fields.plus(
        ("content-range", f"bytes {begin}-{end}/{length}"),
        ("content-length", str(end - begin + 1)),
    )
    return Delivery(_response(stored, 206, fields), (begin, end))


def _is_modified(request: GuestRequest, stored: GuestResponse) -> bool:
    """Tell whether the client does not have this response yet. RFC 9110 §13.1.2, §13.1.3."""
    tags = members(request.headers, "if-none-match")
    if request.headers.all("if-none-match"):
        mine = texts(stored.headers, "etag")
        known = {tag.removeprefix("W/") for tag in tags}
        return "*" not in known and not (mine and mine[0].removeprefix("W/") in known)
    since = date(request.headers, "if-modified-since")
    changed = date(stored.headers, "last-modified")
    return since is None or changed is None or changed > since


def _is_for_this(request: GuestRequest, stored: GuestResponse) -> bool:
    """Tell whether `If-Range`, if there is one, names this response. RFC 9110 §13.1.5."""
    if not request.headers.all("if-range"):
        return True
    wanted = _only(request, "if-range")
    if wanted and wanted in texts(stored.headers, "etag"):
        return not wanted.startswith("W/")
    sent, changed = date(stored.headers, "date"), date(stored.headers, "last-modified")
    if sent is None or changed is None or sent - changed < 1:  # §8.8.2.2: not strong
        return False
    return wanted in texts(stored.headers, "last-modified")


def _only(request: GuestRequest, name: str) -> str:
    """Return the value of a field that is there once, else nothing."""
    values = texts(request.headers, name)
    return values[0].strip() if len(values) == 1 else ""


def _response(stored: GuestResponse, status: int, fields: Headers) -> GuestResponse:
    return GuestResponse(status=status, version=stored.version, headers=HeaderTable.of(fields))
