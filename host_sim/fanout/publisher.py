"""The publish endpoint: parses, answers, delivers; a `messages.Handler`.

The answer comes before the delivery and says nothing about subscribers. Who may publish is decided
by `access`. Source: GRIP §8.1.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.items import Item, parse_publish
from host_sim.errors import BodyError
from host_sim.fanout.access import RefusedError, authorise
from host_sim.fanout.answers import respond
from host_sim.fanout.registry import Registry
from host_sim.messages import Downstream, Request

__all__ = ["BODY_TIMEOUT_S", "MAX_BODY_BYTES", "Publisher"]

log = logging.getLogger("host_sim.fanout")

MAX_BODY_BYTES: Final = 1_000_000
"""How long the body of a publish request may be."""

BODY_TIMEOUT_S: Final = 60.0
"""How long a publisher may take to send it."""

_TEXT: Final = "text/plain"
_JSON: Final = "application/json"
_WILDCARDS: Final = {"*/*": _TEXT, "text/*": _TEXT, "application/*": _JSON}


class Publisher:
    """Takes publish requests for one registry."""

    def __init__(
        self,
        registry: Registry,
        *,
        key: str | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        body_timeout_s: float = BODY_TIMEOUT_S,
        tell_above: int | None = None,
    ) -> None:
        """Publish to `registry` for everybody, or for those who know `key`.

        A message of more than `tell_above` bytes is published, but the log says that production
        would not take it.
        """
        self._tell_above = tell_above
        self._registry = registry
        self._key = key
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer one request of a publisher."""
        try:
            await self._answer(request, downstream)
        except RefusedError as refusal:
            refusal.tell(request, downstream)

    async def _answer(self, request: Request, downstream: Downstream) -> None:
        match request.method, request.target:
            case "GET", "/":
                _respond(request, downstream, _TEXT, "Pushpin API\n")
            case _, "/recover" | "/recover/":
                authorise(request, self._key)
                _require_post(request)
                await self._registry.caught_up()
                _respond(request, downstream, _TEXT, "Updated\n")
                self._registry.recover()
            case _:
                await self._publish(request, downstream)

    async def _publish(self, request: Request, downstream: Downstream) -> None:
        authorise(request, self._key)
        _require_post(request)
        accepted = _accepted(request.headers)
        try:
            items = parse_publish(await self._body(request))
        except RemoteProtocolError as error:
            raise RefusedError(400, f"{error}\n") from None
        self._check_sizes(items, request)
        await self._registry.caught_up()  # so no more than this waits, however fast they come
        request.trace.channels = tuple(dict.fromkeys(item.channel for item in items))
        text = '{"message":"Published"}\n' if accepted == _JSON else "Published\n"
        _respond(request, downstream, accepted, text)
        self._registry.publish(items)

    def _check_sizes(self, items: Sequence[Item], request: Request) -> None:
        if self._tell_above is None:
            return
        size = max((len(content) for item in items for content in _contents(item)), default=0)
        if size <= self._tell_above:
            return
        log.warning(
            "request %d: a message has %d bytes; production takes %d (told once)",
            *(request.trace.id, size, self._tell_above),
        )
        self._tell_above = None

    async def _body(self, request: Request) -> bytes:
        if request.body.length is None or not request.headers.has("Content-Length"):
            raise RefusedError(411, "Request requires Content-Length.\n")
        try:
            body = await request.body.whole(self._max_body_bytes, self._body_timeout_s)
        except BodyError as error:
            if error.timed_out:
                raise RefusedError(408, "The request took too long.\n") from None
            raise RefusedError(400, f"The request broke off: {error}\n") from None
        if body is None:
            raise RefusedError(400, "Request body too large.\n")
        return body


def _contents(item: Item) -> Iterator[bytes]:
    """Return what the formats of an item say."""
    if item.http_response is not None:
        yield item.http_response.body or b""
    for piece in item.http_stream, item.ws_message:
        if piece is not None:
            yield piece.content


def _respond(request: Request, downstream: Downstream, media_type: str, text: str) -> None:
    headers = Headers([("Content-Type", media_type)])
    body = text.encode()
    respond(downstream, request.trace, status=200, reason="OK", headers=headers, body=body)


def _require_post(request: Request) -> None:
    if request.method != "POST":
        text = f"Method not allowed: {request.method}.\n"
        raise RefusedError(405, text, ("Allow", "POST"))


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
        raise RefusedError(406, text)
    return chosen
