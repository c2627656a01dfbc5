"""Takes clients that were handed off: asks the backend, and obeys what its reply says.

Implements `messages.HandoffTarget`. Without instructions the reply is passed on piece by piece as
it comes; with them the client is answered, or held by a driver of its own. Knows nothing of edge
and sandbox. Source: GRIP §2 (forwarding), §3.1, §4; RFC 6455 §4.2.1.
"""

import asyncio
import contextlib
import functools
import logging
import time
from typing import Final
from urllib.parse import urljoin

from grip.errors import RemoteProtocolError, SignatureError
from grip.hold import LastId
from grip.instruct import has_instructions
from grip.keys import Key
from grip.sequence import GAP_WAIT_S
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.fanout.answers import bodiless, fail, pass_on, refuse, respond
from host_sim.fanout.client import Client, Room
from host_sim.fanout.forward import (
    DEFAULT_FORWARDED,
    TIMEOUT_S,
    Forwarded,
    Forwarder,
    Sign,
)
from host_sim.fanout.holds import LongPoll
from host_sim.fanout.links import Links, grip_last, url_of
from host_sim.fanout.registry import Registry
from host_sim.fanout.replies import Instructed, Mode, media_type, understand
from host_sim.fanout.streams import Stream
from host_sim.fanout.websockets import WebSockets
from host_sim.messages import Downstream, Request, Response, Upstream

__all__ = ["GRACE_S", "MAX_HELD", "FanoutProxy"]

log = logging.getLogger("host_sim.fanout")

GRACE_S: Final = 2.0
"""How long what is still to be told to backends may take when the proxy closes."""

MAX_HELD: Final = 50_000
"""Clients that are held at the same time, WebSockets included; what Pushpin comes with."""

_WEBSOCKET_EVENTS = "application/websocket-events"
_EVENTS_REFUSED = "Client not allowed to send WebSocket events directly.\n"
_TOO_LARGE = "Request too large to accept GRIP instruct.\n"
_TOO_MANY = "Too many connections are held.\n"


class FanoutProxy:
    """The GRIP proxy; made inside a running event loop.

    Attributes:
        registry: who is subscribed to what; publish here.
    """

    def __init__(
        self,
        upstream: Upstream,
        sign: Sign,
        *,
        elsewhere: Upstream | None = None,
        timeout_s: float | None = TIMEOUT_S,
        trusted_key: Key | None = None,
        message_wait_s: float = GAP_WAIT_S,
        max_held: int = MAX_HELD,
        compression: bool = False,
        forwarded: Forwarded = DEFAULT_FORWARDED,
    ) -> None:
        """Serve clients of the backends behind `upstream`.

        Args:
            upstream: reaches backends by name.
            sign: makes the `Grip-Sig` of each request.
            elsewhere: takes origins (`http://host:port`) for names of backends; for links that
                lead to other services.
            timeout_s: how long a backend may take to answer.
            trusted_key: key of another GRIP proxy; what it has signed is passed on as it is, and so
                are the instructions of the reply.
            message_wait_s: how long a published item waits for its predecessor.
            max_held: clients that are held at the same time, WebSockets included.
            compression: let clients of WebSockets have `permessage-deflate` (RFC 7692).
            forwarded: what backends are told about clients.
        """
        clock = asyncio.get_running_loop()
        self.registry = Registry(clock, message_wait_s=message_wait_s)
        self._trusted_key = trusted_key
        self._max_held = max_held
        make = functools.partial(Forwarder, sign=sign, timeout_s=timeout_s, forwarded=forwarded)
        self._forwarder = make(upstream)
        outside = make(elsewhere) if elsewhere else None
        self._websockets = WebSockets(
            self._forwarder, self.registry, clock, compression=compression
        )
        self._links = Links(self._forwarder, outside, clock)
        self._room = Room(links=self._links, registry=self.registry, clock=clock)

    @property
    def held(self) -> int:
        """How many clients are held; a WebSocket is until its backend knows that it is not."""
        return len(self._room.held) + self._websockets.count

    async def take(self, request: Request, backend: str, downstream: Downstream) -> None:
        """Serve the client from here on; returns when it is served or held."""
        request.trace.handed_off_to = backend
        if self._is_trusted(request):
            client = Client(request, backend, downstream)
            await client.serve(self._relay(client))
        elif _is_websocket(request):
            if not self._refused(request, downstream):
                await self._websockets.serve(request, backend, downstream)
        elif media_type(request.headers) == _WEBSOCKET_EVENTS:
            refuse(downstream, request.trace, 403, _EVENTS_REFUSED)
        else:
            client = Client(request, backend, downstream)
            await client.serve(self._exchange(client, request.body))

    def _is_trusted(self, request: Request) -> bool:
        """Tell whether another GRIP proxy that we trust has signed a request."""
        token = request.headers.get("Grip-Sig")
        if self._trusted_key is None or token is None:
            return False
        with contextlib.suppress(SignatureError):
            from grip.signature import verify

            verify(token, self._trusted_key, None, time.time())
            return True
        return False

    def _refused(self, request: Request, downstream: Downstream) -> bool:
        """Turn away who would be held, if there is no room for one more."""
        if self.held < self._max_held:
            return False
        log.warning("request %d: refused: %d clients are held", request.trace.id, self._max_held)
        refuse(downstream, request.trace, 503, _TOO_MANY)
        return True

    async def _relay(self, client: Client) -> None:
        """Pass a request and its reply on as they are."""
        try:
            response = await self._forwarder.relay(client.request, client.backend)
        except (BackendError, BodyError) as error:
            _fail(client, error)
        else:
            await pass_on(response, client.downstream, client.request.trace)

    async def close(self, grace_s: float = GRACE_S) -> None:
        """End all holds as well as can be."""
        for held in list(self._room.held):
            held.close()
        await asyncio.gather(self._links.close(grace_s), self._websockets.close(grace_s))

    async def _ask_again(self, poll: LongPoll, last_ids: tuple[LastId, ...]) -> None:
        await self._exchange(poll.client, poll.client.request.body.replay(), poll, last_ids)

    async def _exchange(
        self,
        client: Client,
        body: Body,
        poll: LongPoll | None = None,
        last_ids: tuple[LastId, ...] = (),
    ) -> None:
        try:
            await self._ask(client, body, poll, last_ids)
        finally:
            if client.hold is None:
                self._room.ended(client)

    async def _ask(
        self, client: Client, body: Body, poll: LongPoll | None, last_ids: tuple[LastId, ...]
    ) -> None:
        """Send the client's request to the backend, and do what the reply says.

        A request that is repeated for a `poll` has `last_ids`; its reply counts like the first one
        (§9.4).
        """
        request = client.request
        headers = self._forwarder.clean(request.headers).plus(*grip_last(last_ids))
        reply: Instructed | None = None
        try:
            response = await self._forwarder.send(
                request, client.backend, headers=headers, body=body
            )
            if has_instructions(response.headers):
                reply = await understand(response, request, timeout_s=self._forwarder.timeout_s)
        except (BackendError, BodyError, RemoteProtocolError) as error:
            if poll is not None:
                poll.release()
            _fail(client, error)
            return

        to_hold = reply is not None and reply.mode is not Mode.ANSWER
        if to_hold and poll is None and self._refused(request, client.downstream):
            await response.body.aclose()
            return
        if reply is not None and client.gone_link is None and reply.instruct.gone_link:
            client.gone_link = urljoin(url_of(request), reply.instruct.gone_link.uri)
        if reply is not None and reply.mode is Mode.POLL:
            poll = poll or LongPoll(self._room, client, self._ask_again)
            poll.obey(reply.instruct, reply.content)
            return
        if poll is not None:
            poll.release()
        if reply is None:
            await pass_on(response, client.downstream, client.request.trace)
        elif reply.mode is Mode.ANSWER or bodiless(request.method, reply.instruct.status):
            await reply.body.aclose()
            _answer(reply, response, client)
        else:
            await Stream(self._room, client).begin(reply)


def _answer(reply: Instructed, response: Response, client: Client) -> None:
    """Answer as the instructions say, without a hold."""
    instruct, body = reply.instruct, reply.content
    headers = instruct.headers
    length = response.headers.get("Content-Length")
    if length is not None and not body and bodiless(client.request.method, instruct.status):
        headers = headers.plus(("Content-Length", length))
    respond(
        client.downstream,
        client.request.trace,
        status=instruct.status,
        reason=instruct.reason,
        headers=headers,
        body=body,
    )


def _fail(client: Client, error: BackendError | BodyError | RemoteProtocolError) -> None:
    downstream, trace = client.downstream, client.request.trace
    match error:
        case RemoteProtocolError(status_hint=400):
            refuse(downstream, trace, 400, _TOO_LARGE)
        case BackendError(fault=BackendFault.TIMEOUT):
            fail(downstream, trace, str(error), 504)
        case BackendError():
            fail(downstream, trace, str(error))
        case _:
            timed_out = isinstance(error, BodyError) and error.timed_out
            status = 504 if timed_out else 502
            fail(downstream, trace, f"backend {client.backend!r}: {error}", status)


def _is_websocket(request: Request) -> bool:
    """Tell whether a client opens a WebSocket (RFC 6455 §4.2.1); names compare without case."""
    protocols = (
        value.strip().lower() for value in ",".join(request.headers.get_all("Upgrade")).split(",")
    )
    return request.method == "GET" and "websocket" in protocols
