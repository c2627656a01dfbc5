"""Requests for links: signed, without anything of the client's, and not too many at a time.

A link to the service the client asked goes to the same backend, any other over the network.
Source: GRIP §7.2 (the link request), §7.3 (gone links), §9.4 (recovery: rate, `Grip-Last`).
"""

import asyncio
import contextlib
import dataclasses
import logging
import string
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlsplit

from grip.errors import LocalProtocolError
from grip.headers import Headers, format_value
from grip.hold import LastId
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault
from host_sim.fanout.alarm import Clock
from host_sim.fanout.forward import Forwarder
from host_sim.messages import Request, Response

__all__ = ["BATCH", "BATCH_S", "Links", "Throttle", "grip_last", "url_of"]

BATCH_S: Final = 0.1
"""How often a batch of requests for one link may start."""
BATCH: Final = 100
"""Requests in a batch at most."""

log = logging.getLogger("host_sim.fanout")

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def url_of(request: Request) -> str:
    """Return the absolute URL of a request; links in its reply are relative to it.

    A client may say it is for an authority that is none; `invalid` (RFC 2606) stands for such.
    """
    url = f"{request.scheme}://{request.authority}{request.target}"
    try:
        _origin(url)
    except ValueError:
        return f"{request.scheme}://invalid{request.target}"
    return url


def grip_last(last_ids: Iterable[LastId]) -> Iterable[tuple[str, str]]:
    """Yield a `Grip-Last` field for each channel whose name can stand in a header."""
    for channel, last_id in last_ids:
        with contextlib.suppress(LocalProtocolError):
            yield "Grip-Last", format_value(channel, [("last-id", last_id)])


class Throttle:
    """Spreads requests for the same link: a batch now, the next one a little later, and so on."""

    def __init__(self) -> None:
        self._batches: dict[str, tuple[float, int]] = {}  # link → start of its last batch, size

    def delay_s(self, link: str, now: float) -> float:
        """Return how long one more request for `link` has to wait; call once for each."""
        start, size = self._batches.get(link, (now, 0))
        if start + BATCH_S <= now:
            start, size = now, 0
        elif size >= BATCH:
            start, size = start + BATCH_S, 0
        self._batches[link] = (start, size + 1)
        if len(self._batches) > BATCH:
            self._batches = {
                key: batch for key, batch in self._batches.items() if batch[0] + BATCH_S > now
            }
        return max(0.0, start - now)


class Links:
    """Sends the requests of streams for their links.

    Attributes:
        timeout_s: how long a backend may take to answer.
    """

    def __init__(self, forwarder: Forwarder, elsewhere: Forwarder | None, clock: Clock) -> None:
        """Send to backends by `forwarder`.

        `elsewhere` takes origins such as `http://host:port` for names of backends; without it
        there are only links to the service that the client asked.
        """
        self._forwarder = forwarder
        self._elsewhere = elsewhere
        self._clock = clock
        self._throttle = Throttle()
        self.timeout_s: Final = forwarder.timeout_s
        self._telling: set[asyncio.Task[None]] = set()

    async def fetch(
        self, asked: Request, backend: str, url: str, last_ids: Iterable[LastId], *, urgent: bool
    ) -> Response:
        """GET `url` on behalf of a stream that began with the request `asked` to `backend`.

        Raises:
            BackendError: there is no response head.
        """
        if not urgent:
            await asyncio.sleep(self._throttle.delay_s(url, self._clock.time()))
        return await self._send("GET", asked, backend, url, grip_last(last_ids))

    def tell_gone(self, asked: Request, backend: str, url: str) -> None:
        """POST nothing to `url` in the background: the response to `asked` has ended (§7.3)."""
        task = asyncio.get_running_loop().create_task(self._tell_gone(asked, backend, url))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell_gone(self, asked: Request, backend: str, url: str) -> None:
        try:
            response = await self._send("POST", asked, backend, url, ())
            await response.body.aclose()
        except BackendError as error:
            log.warning("request %d: gone link %s: %s", asked.trace.id, url, error)

    async def close(self, grace_s: float) -> None:
        """Give requests in the background `grace_s` seconds, then drop them."""
        if self._telling:
            _, left = await asyncio.wait(self._telling, timeout=grace_s)
            for task in left:
                task.cancel()

    async def _send(
        self,
        method: str,
        asked: Request,
        backend: str,
        url: str,
        fields: Iterable[tuple[str, str]],
    ) -> Response:
        parts = urlsplit(url)
        forwarder: Forwarder | None = self._forwarder
        if _origin(url) != _origin(url_of(asked)):
            forwarder, backend = self._elsewhere, f"{parts.scheme}://{parts.netloc}"
        if forwarder is None or parts.scheme not in _DEFAULT_PORTS:
            raise BackendError(backend, BackendFault.UNKNOWN, "links may not lead there")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = dataclasses.replace(
            asked,
            method=method,
            scheme=parts.scheme,
            authority=parts.netloc,
            target=quote(target, safe=string.punctuation),
            headers=Headers((("Host", parts.netloc), *fields)),
            body=Body.of(b""),
        )
        return await forwarder.send(request, backend, headers=request.headers)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
