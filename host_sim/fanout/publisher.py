"""The publish endpoint: authorises, parses, answers, delivers; a `messages.Handler`.

Three forms with the same effect: Pushpin's `/publish/`, and those of Fastly with the id of a
service in the path, which is not looked at. The answer comes before the delivery and says nothing
about subscribers. Source: GRIP §8.1 (endpoint), §14 (Fanout); RFC 9110 §11 (authentication).
"""

import binascii
import hmac
import http
import re
from typing import Final

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.items import parse_publish
from host_sim.errors import BodyError
from host_sim.fanout.answers import PLAIN_TEXT, respond
from host_sim.fanout.registry import Registry
from host_sim.messages import Downstream, Request

__all__ = ["MAX_BODY_BYTES", "Publisher"]

MAX_BODY_BYTES: Final = 1_000_000
"""How long the body of a publish request may be."""

_PUSHPIN = re.compile(r"/publish|/publish/(\?.*)?")
_BASIC = re.compile(r"/[^/?]+/publish/(\?.*)?")
_TOKEN = re.compile(r"/service/[^/?]+/publish/(\?.*)?")

_TEXT: Final = "text/plain"
_JSON: Final = "application/json"
_WILDCARDS: Final = {"*/*": _TEXT, "text/*": _TEXT, "application/*": _JSON}


class _RefusedError(Exception):
    """Why a request is refused: a status, a line of text, and fields that explain it."""

    def __init__(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text.strip())
        self.status = status
        self.text = text
        self.headers = headers


class Publisher:
    """Takes publish requests for one registry."""

    def __init__(
        self, registry: Registry, *, key: str | None = None, max_body_bytes: int = MAX_BODY_BYTES
    ) -> None:
        """Publish to `registry` for everybody, or for those who know `key`."""
        self._registry = registry
        self._key = key
        self._max_body_bytes = max_body_bytes

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer one request of a publisher."""
        try:
            await self._answer(request, downstream)
        except _RefusedError as refusal:
            request.trace.note = str(refusal)
            respond(
                downstream,
                request.trace,
                status=refusal.status,
                reason=http.HTTPStatus(refusal.status).phrase,
                headers=PLAIN_TEXT.plus(*refusal.headers),
                body=refusal.text.encode(),
            )

    async def _answer(self, request: Request, downstream: Downstream) -> None:
        match request.method, request.target:
            case "GET", "/":
                _respond(request, downstream, _TEXT, "Pushpin API\n")
            case _, "/recover" | "/recover/":
                self._authorise(request)
                _require_post(request)
                _respond(request, downstream, _TEXT, "Updated\n")
                self._registry.recover()
            case _:
                await self._publish(request, downstream)

    async def _publish(self, request: Request, downstream: Downstream) -> None:
        self._authorise(request)
        _require_post(request)
        accepted = _accepted(request.headers)
        try:
            items = parse_publish(await self._body(request))
        except RemoteProtocolError as error:
            raise _RefusedError(400, f"{error}\n") from None
        request.trace.channels = tuple(dict.fromkeys(item.channel for item in items))
        text = '{"message":"Published"}\n' if accepted == _JSON else "Published\n"
        _respond(request, downstream, accepted, text)
        self._registry.publish(items)

    def _authorise(self, request: Request) -> None:
        """See to it that the path is one of ours and that who knows it knows the key as well."""
        given: list[str] = []
        schemes: list[str] = []
        target, headers = request.target, request.headers
        anywhere = _PUSHPIN.fullmatch(target) or target.startswith("/recover")
        if anywhere or _BASIC.fullmatch(target):
            schemes.append("Basic")
            given += _passwords(headers)
        if anywhere or _TOKEN.fullmatch(target):
            schemes.append("Bearer")
            given += (*headers.get_all("Fastly-Key"), *_tokens(headers))
        if not schemes:
            raise _RefusedError(404, "Not Found\n")
        if self._key is None:
            return
        if not given:
            challenges = [("WWW-Authenticate", f'{scheme} realm="publish"') for scheme in schemes]
            raise _RefusedError(401, "Publishing takes a key.\n", *challenges)
        key = self._key.encode()
        if not any(hmac.compare_digest(text.encode(errors="replace"), key) for text in given):
            raise _RefusedError(403, "The key is not the one for publishing.\n")

    async def _body(self, request: Request) -> bytes:
        if request.body.length is None or not request.headers.has("Content-Length"):
            raise _RefusedError(411, "Request requires Content-Length.\n")
        try:
            body = await request.body.whole(self._max_body_bytes)
        except BodyError as error:
            raise _RefusedError(400, f"The request broke off: {error}\n") from None
        if body is None:
            raise _RefusedError(400, "Request body too large.\n")
        return body


def _respond(request: Request, downstream: Downstream, media_type: str, text: str) -> None:
    headers = Headers([("Content-Type", media_type)])
    body = text.encode()
    respond(downstream, request.trace, status=200, reason="OK", headers=headers, body=body)


def _require_post(request: Request) -> None:
    if request.method != "POST":
        text = f"Method not allowed: {request.method}.\n"
        raise _RefusedError(405, text, ("Allow", "POST"))


def _accepted(headers: Headers) -> str:
    """Return the media type of the answer: of those on offer the one that is named last."""
    if not headers.has("Accept"):
        return _TEXT
    names = (
        element.partition(";")[0].strip().lower()
        for value in headers.get_all("Accept")
        for element in value.split(",")
    )
    chosen = None
    for name in names:
        chosen = name if name in (_TEXT, _JSON) else _WILDCARDS.get(name, chosen)
    if chosen is None:
        text = f"Not acceptable: the answer is {_TEXT} or {_JSON}.\n"
        raise _RefusedError(406, text)
    return chosen


def _credentials(headers: Headers, scheme: str) -> list[str]:
    """Return what `Authorization` fields have to say in one scheme (RFC 9110 §11.4)."""
    parts = (value.partition(" ") for value in headers.get_all("Authorization"))
    return [rest.strip() for name, _, rest in parts if name.lower() == scheme]


def _tokens(headers: Headers) -> list[str]:
    return _credentials(headers, "bearer")


def _passwords(headers: Headers) -> list[str]:
    """Return the passwords of basic authentication (RFC 7617)."""
    passwords = []
    for encoded in _credentials(headers, "basic"):
        try:
            decoded = binascii.a2b_base64(encoded, strict_mode=True).decode("utf-8", "replace")
        except ValueError:
            continue
        passwords.append(decoded.partition(":")[2])
    return passwords
