"""Makes the request that fills the cache, and understands a 304 as news about what is stored.

RFC 9111 §3.1, §3.2, §4.3; RFC 9110 §13.1.
"""

import email.utils

from grip.headers import Headers
from host_sim.sandbox.http_caching.directives import directives, members, names, texts
from host_sim.sandbox.http_caching.storing import storage_action
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse

__all__ = ["backend_request", "prepare"]

_OF_THE_CLIENT = (
    *("range", "if-range", "if-match", "if-none-match"),
    *("if-modified-since", "if-unmodified-since"),
)
"""Fields that would make the response one for this client only."""

_OF_THE_CONNECTION = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authentication-info", "proxy-authorization"),
    }
)
"""Fields that are not stored. RFC 9111 §3.1."""

_OF_THE_CONTENT = frozenset({"content-encoding", "content-length", "content-range"})
"""Fields that a 304 leaves as they are stored: the content is stored too. RFC 9111 §3.2."""


def backend_request(request: GuestRequest, stored: GuestResponse | None) -> GuestRequest:
    """Return the request whose response can be stored, or says that `stored` is still good.

    It asks with GET for the whole response, whatever the client asked for.
    """
    fields = request.headers.headers().without(*_OF_THE_CLIENT)
    if stored is not None:
        for name, validator in (("if-none-match", "etag"), ("if-modified-since", "last-modified")):
            if values := texts(stored.headers, validator):
                fields = fields.plus((name, values[0]))
    return GuestRequest(
        method="GET" if request.method == "HEAD" else request.method,
        uri=request.uri,
        version=request.version,
        headers=HeaderTable.of(fields),
        manual_framing=request.manual_framing,
        decode_gzip=request.decode_gzip,
    )


def prepare(
    request: GuestRequest, stored: GuestResponse | None, response: GuestResponse, now: float
) -> tuple[str, GuestResponse]:
    """Return what to do with a response that came at `now`, and the response to store.

    Where nothing is to be stored the response stays as it is.
    """
    if response.status == 304 and stored is not None and _is_about(stored, response):
        return "update", _copy(stored, _dated(_merged(stored, response), now))
    action = storage_action(request, response)
    if action != "insert":
        return action, _copy(response, response.headers.headers())
    return action, _copy(response, _dated(_storable(response), now))


def _is_about(stored: GuestResponse, news: GuestResponse) -> bool:
    """Tell whether a 304 can be about `stored`: its validators are no others. RFC 9111 §4.3.4."""
    for name in ("etag", "last-modified"):
        if told := texts(news.headers, name):
            # Tags are compared weakly: the backend compared them like that to say 304.
            had = [value.removeprefix("W/") for value in texts(stored.headers, name)]
            return told[0].removeprefix("W/") in had
    return True


def _merged(stored: GuestResponse, news: GuestResponse) -> Headers:
    fresh = _storable(news).where(lambda name: name not in _OF_THE_CONTENT)
    kept = stored.headers.headers().without("age", "date", *(name for name, _ in fresh))
    return Headers((*kept, *fresh))


def _dated(fields: Headers, now: float) -> Headers:
    """Return the fields with a `Date`. RFC 9110 §6.6.1."""
    if fields.has("date"):
        return fields
    return fields.plus(("date", email.utils.formatdate(now, usegmt=True)))


def _copy(response: GuestResponse, fields: Headers) -> GuestResponse:
    return GuestResponse(
        status=response.status, version=response.version, headers=HeaderTable.of(fields)
    )


def _storable(response: GuestResponse) -> Headers:
    """Return the fields less those of the connection and those that may not be used again."""
    dropped = set(_OF_THE_CONNECTION)
    dropped |= set(names(members(response.headers, "connection")))
    if not response.headers.all("surrogate-control"):
        controls = directives(response.headers, "cache-control")
        for directive in ("no-cache", "private"):  # §5.2.2.4, §5.2.2.7: with names of fields
            listed = controls.get(directive, "").replace(",", " ").split()
            dropped |= set(names(listed))
    return response.headers.headers().where(lambda name: name not in dropped)
