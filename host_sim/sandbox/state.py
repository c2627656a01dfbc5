"""One sandbox: what belongs to the guest of one thread, and what it decided for its client.

A sandbox serves one request, or several one after the other when the guest asks for the next one.
The exchange is the request at hand; its outcome is decided once, by the guest or by its end.
Host contract §1.
"""

import asyncio
import enum
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from grip.headers import Headers
from host_sim.body import Body, close_soon
from host_sim.messages import Failed, HandedOff, Outcome, Request, Responded, Response, Upstream
from host_sim.sandbox.border.handles import Handles
from host_sim.sandbox.border.values import Stopped, WitError
from host_sim.sandbox.cache.store import Cache
from host_sim.sandbox.data import DynamicBackend, HostData, SendDynamic
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.messages import GuestRequest, phrase
from host_sim.sandbox.production import Told, Usage
from host_sim.sandbox.stores.kv import KvStores
from host_sim.sandbox.stores.rates import Rates
from host_sim.sandbox.waiting import STOPPING, Waiting

if TYPE_CHECKING:
    from host_sim.sandbox.reuse import Parking, PendingRequest

__all__ = ["Exchange", "Sandbox"]

_log = logging.getLogger("host_sim.sandbox")


class _Answer(enum.Enum):
    """How far the answer to a request is."""

    UNSENT = "unsent"
    SENT = "sent"
    HANDED_OFF = "handed off"


class Exchange:
    """A client's request and what becomes of it.

    Attributes:
        request: as the client sent it.
        number: of the request, as 32 hexadecimal digits.
        outcome: resolved on the event loop as soon as it is decided.
    """

    def __init__(self, request: Request, number: int, outcome: asyncio.Future[Outcome]) -> None:
        self.request = request
        self.number = f"{number:032x}"
        self.outcome = outcome
        self._answer = _Answer.UNSENT

    @property
    def unsent(self) -> bool:
        """Whether the client has neither an answer nor a new owner."""
        return self._answer is _Answer.UNSENT

    def respond(self, response: Response) -> None:
        """Answer the client.

        Raises:
            WitError: `generic-error`, it was answered or handed off before.
        """
        try:
            self._decide(_Answer.SENT, Responded(response))
        except WitError:
            self.outcome.get_loop().call_soon_threadsafe(close_soon, response.body)
            raise

    def respond_later(self, response: Coroutine[Any, Any, Response]) -> None:
        """Answer the client with what `response` will return, on the event loop.

        Raises:
            WitError: `generic-error`, it was answered or handed off before.
        """
        if not self.unsent:
            response.close()
            raise WitError("generic-error")
        self._answer = _Answer.SENT
        try:
            self.outcome.get_loop().call_soon_threadsafe(_follow, self.outcome, response)
        except RuntimeError as error:
            response.close()
            raise Stopped(STOPPING) from error

    def hand_off(self, handoff: HandedOff) -> None:
        """Give the client away.

        Raises:
            WitError: `generic-error`, it was answered or handed off before.
        """
        self._decide(_Answer.HANDED_OFF, handoff)

    def end(self, failure: str | None) -> None:
        """Answer for a guest that ended without doing so; `failure` says why, None if it meant to.

        Host contract §1.2.
        """
        if not self.unsent:
            return
        if failure is not None:
            self._decide(_Answer.SENT, Failed(status=500, reason=failure))
            return
        empty = Response(status=200, reason=phrase(200), headers=Headers(), body=Body.of(b""))
        self._decide(_Answer.SENT, Responded(empty))

    def _decide(self, answer: _Answer, outcome: Outcome) -> None:
        if not self.unsent:
            raise WitError("generic-error")
        self._answer = answer
        try:
            self.outcome.get_loop().call_soon_threadsafe(_settle, self.outcome, outcome)
        except RuntimeError as error:
            raise Stopped(STOPPING) from error


def _settle(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
    elif isinstance(outcome, Responded):  # nobody waits any more
        close_soon(outcome.response.body)


def _follow(future: asyncio.Future[Outcome], response: Coroutine[Any, Any, Response]) -> None:
    """Settle with what comes of `response`; a client that goes away is waited for no longer."""

    def came(task: asyncio.Task[Response]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            _settle(future, Responded(task.result()))
        else:
            _log.error("passing on a response failed", exc_info=error)
            _settle(future, Failed(status=500, reason=f"{type(error).__name__}: {error}"))

    task = asyncio.ensure_future(response)
    task.add_done_callback(came)
    future.add_done_callback(lambda future: task.cancel() if future.cancelled() else None)


class Sandbox:
    """What host functions work on.

    Attributes:
        id: number of its first request, as 32 hexadecimal digits.
        exchange: the request at hand.
        waiting: how the guest's thread waits, and its limits.
        handles: what is behind the guest's handles.
        data: what it can look up.
        kv: the stores it can also change.
        cache: what it shares with all others.
        http_cache: whether there is an interface to it for HTTP.
        rates: the rate counters and penalty boxes.
        usage: what is counted only to say what production would not allow.
        upstream: how it reaches backends.
        send_dynamic: how it reaches those it describes itself, None if it cannot.
        dynamic_backends: those it has described.
        parking: where it waits for a next request.
        requests_left: how many more it may serve.
        asking: the request to come that it has asked for and not yet taken.
        fault: why the host ended the guest, None if it did not.
        last_error: the last host call that failed, and how; empty if none has.
    """

    def __init__(
        self,
        exchange: Exchange,
        waiting: Waiting,
        *,
        data: HostData,
        kv: KvStores,
        cache: Cache,
        http_cache: bool,
        rates: Rates,
        upstream: Upstream,
        send_dynamic: SendDynamic | None,
        parking: "Parking",
        told: Told,
    ) -> None:
        self.id = exchange.number
        self.exchange = exchange
        self.waiting = waiting
        self.handles = Handles()
        self.data = data
        self.kv = kv
        self.cache = cache
        self.http_cache = http_cache
        self.rates = rates
        self.usage = Usage(told, lambda: self.request_id)
        self.usage.begin(exchange.request)
        self.upstream = self.usage.watch(upstream)
        self.send_dynamic = send_dynamic and self.usage.watch_dynamic(send_dynamic)
        self.dynamic_backends: dict[str, DynamicBackend] = {}
        self.parking = parking
        self.requests_left = waiting.limits.reuse
        self.asking: PendingRequest | None = None
        self.fault: str | None = None
        self.last_error = ""

    @property
    def request_id(self) -> int:
        """Number of the client's request in the log."""
        return self.exchange.request.trace.id

    def incoming(self) -> tuple[GuestRequest, GuestBody]:
        """Return the request at hand as the guest gets it."""
        request = self.exchange.request
        body = GuestBody(self.waiting, request.body, ours=False)  # a hand-off sends it again
        return GuestRequest.incoming(request, self.exchange.number), body

    def serve(self, exchange: Exchange) -> None:
        """Go on with another request."""
        self.usage.end(self.waiting.cpu_s)
        self.exchange = exchange
        self.usage.begin(exchange.request)
        self.waiting.restart_request()

    def check(self) -> None:
        """Say whether the guest may go on.

        Raises:
            Stopped: it may not.
        """
        self.waiting.check()

    def note_fault(self, where: str, error: BaseException) -> str:
        """Remember why the guest ends and return the text of its trap."""
        if isinstance(error, Stopped):
            text = str(error)
        else:
            text = f"host function {where} failed: {type(error).__name__}: {error}"
            _log.error("%s", text, exc_info=error, extra={"request_id": self.request_id})
        self.fault = self.fault or text
        return text
