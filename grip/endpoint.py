"""Where to publish: `GRIP_URL` parsed, and the request that publishes items built from it.

Builds requests and never sends them; the caller's HTTP client does, with its own time-outs.
The form of the URLs is that of the GRIP libraries, so one setting serves them all.
Source: GRIP §8.1 (endpoint), §14 (client libraries, Fastly).
"""

import base64
import dataclasses
import re
import urllib.parse
from collections.abc import Iterable
from typing import NamedTuple

from grip.errors import LocalProtocolError, shorten
from grip.headers import Headers, is_field
from grip.items import Item, encode_publish
from grip.signature import Key, sign

__all__ = ["Endpoint", "PublishRequest", "parse_grip_url", "publish_request"]

_SEPARATOR = re.compile(r"[\s,]+(?=https?://)|\s+", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One proxy to publish to, and how requests that come from it are verified.

    Attributes:
        url: of the publish endpoint, with the slash at its end; nothing secret in it.
        issuer, key: sign a JWT for `Authorization: Bearer` with this secret or private key.
        token: sent with `Authorization: Bearer` as it is, where there is no key.
        user, password: for `Authorization: Basic`, where there is neither.
        verify_issuer: the `iss` that `Grip-Sig` has to have, None for any.
        verify_key: the key it has to be signed with, None if none is known.
    """

    url: str
    issuer: str | None = None
    key: Key | None = None
    token: str | None = dataclasses.field(default=None, repr=False)
    user: str | None = None
    password: str = dataclasses.field(default="", repr=False)
    verify_issuer: str | None = None
    verify_key: Key | None = None


class PublishRequest(NamedTuple):
    """An HTTP request, without `Host` and `Content-Length`, which HTTP clients add."""

    method: str
    url: str
    headers: Headers
    body: bytes


def parse_grip_url(text: str) -> tuple[Endpoint, ...]:
    """Parse the value of `GRIP_URL`: one or more URLs, separated by spaces or commas.

    Parameters `key`, `iss`, `verify-key` and `verify-iss` are taken out of the query, others stay
    in it. `publish/` is added to the path unless it ends with that.

    Raises:
        LocalProtocolError: there is none, or one cannot be used; the message names its host and
            neither user nor parameters.

    >>> parse_grip_url("http://localhost:5561/")[0].url
    'http://localhost:5561/publish/'
    """
    endpoints = tuple(_parse_url(url) for url in _SEPARATOR.split(text.strip()) if url)
    if not endpoints:
        raise LocalProtocolError("expected a GRIP URL, got none")
    return endpoints


def publish_request(endpoint: Endpoint, items: Iterable[Item], now: float) -> PublishRequest:
    """Build the request that publishes `items`.

    Args:
        endpoint: where to.
        items: what; they are taken all or not at all.
        now: seconds since the epoch, for the token.

    Raises:
        LocalProtocolError: an item cannot be published, or the key of the endpoint cannot sign.
    """
    headers = Headers([("Content-Type", "application/json")])
    authorization = _authorization(endpoint, now)
    if authorization is not None:
        headers = headers.plus(("Authorization", authorization))
    return PublishRequest("POST", endpoint.url, headers, encode_publish(items))


def _authorization(endpoint: Endpoint, now: float) -> str | None:
    if endpoint.key is not None:
        return f"Bearer {sign(endpoint.key, endpoint.issuer or '', now)}"
    if endpoint.token is not None:
        if not is_field("authorization", endpoint.token):
            raise LocalProtocolError("expected a token without control characters")
        return f"Bearer {endpoint.token}"
    if endpoint.user is not None:
        credentials = f"{endpoint.user}:{endpoint.password}".encode("utf-8", "surrogateescape")
        return f"Basic {base64.b64encode(credentials).decode()}"
    return None


def _parse_url(text: str) -> Endpoint:
    try:
        url = urllib.parse.urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise LocalProtocolError("expected a GRIP URL, got one with a bad host or port") from None
    if url.scheme not in ("http", "https") or not host:
        raise LocalProtocolError(
            f"expected a GRIP URL that starts with http:// or https://, got scheme "
            f"{shorten(url.scheme)} and host {shorten(host)}"
        )
    taken: dict[str, str] = {}
    kept: list[str] = []
    for parameter in filter(None, url.query.split("&")):
        name, _, value = parameter.partition("=")
        if name in ("key", "iss", "verify-key", "verify-iss"):
            # Not `parse_qsl`, which turns the `+` of Base64 into a space.
            taken.setdefault(name, urllib.parse.unquote(value))
        else:
            kept.append(parameter)
    path = url.path.rstrip("/").removesuffix("/publish")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    # With an issuer the key signs; without, it is a token (Fastly's API tokens).
    key, issuer, verify_key = (taken.get(name) for name in ("key", "iss", "verify-key"))
    return Endpoint(
        url=urllib.parse.urlunsplit((url.scheme, netloc, f"{path}/publish/", "&".join(kept), "")),
        issuer=issuer,
        key=Key.parse(key) if key and issuer else None,
        token=key if key and not issuer else None,
        user=None if url.username is None else urllib.parse.unquote(url.username),
        password=urllib.parse.unquote(url.password or ""),
        verify_issuer=taken.get("verify-iss"),
        verify_key=Key.parse(verify_key) if verify_key else None,
    )
