"""In-memory doubles around the proxy: a clock, a client, a backend, a subscriber."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable

from grip.headers import Headers
from host_sim.body import NO_TRAILERS, Body
from host_sim.fanout.delivery import Delivery
from host_sim.messages import Piece, Request, Response, Tunnel

__all__ = ["Clock", "Downstream", "Origin", "Sink", "reply"]


class Clock:
    """Time that passes when it is told to (`alarm.Clock`)."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> "Timer":
        timer = Timer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    @property
    def pending(self) -> int:
        """Timers that have been neither called nor cancelled."""
        return sum(not timer.cancelled for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Let time pass, calling what is due."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if not timer.cancelled:
                timer.callback()
        self.now = end


class Timer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Downstream:
    """A client that keeps what it gets (`messages.Downstream`)."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.reason = ""
        self.headers = Headers()
        self.length: int | None = None
        self.body = b""
        self.finished = False
        self.aborted = False
        self.buffered = 0
        self.sink = None
        self._gone = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def closed(self) -> bool:
        return self.finished or self.aborted or self._gone

    def on_gone(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def leave(self) -> None:
        """Let the client go."""
        self._gone = True
        for callback in self._callbacks:
            callback()

    def send_head(self, status: int, reason: str, headers: Headers, length: int | None) -> None:
        assert self.status is None, "a second head"
        self.status, self.reason, self.headers, self.length = status, reason, headers, length

    def write(self, data: bytes | Piece) -> None:
        assert self.status is not None, "a body without a head"
        assert not self.finished, "a body after its end"
        self.body += data.content if isinstance(data, Piece) else data

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def finish(self, trailers: Headers = NO_TRAILERS) -> None:
        self.finished = True

    def abort(self) -> None:
        self.aborted = True

    def upgrade(self, headers: Headers) -> Tunnel:
        raise AssertionError("nobody asked for an upgrade")


def reply(
    body: bytes | Body = b"", *headers: tuple[str, str], status: int = 200, reason: str = "OK"
) -> Response:
    """Return a backend's response."""
    return Response(
        status=status,
        reason=reason,
        headers=Headers(headers),
        body=Body.of(body) if isinstance(body, bytes) else body,
    )


type Answer = Response | Exception | Callable[[Request], Awaitable[Response]]


class Origin:
    """Backends that answer from a script, the last answer again and again (`messages.Upstream`)."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = answers
        self.requests: list[Request] = []
        self.backends: list[str] = []
        self.bodies: list[bytes] = []

    async def send(self, request: Request, backend: str) -> Response:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        self.backends.append(backend)
        self.bodies.append(await request.body.whole(1 << 20) or b"")
        match answer:
            case Response():
                return answer
            case Exception():
                raise answer
            case _:
                return await answer(request)


class Sink:
    """Keeps what is delivered (`registry.Subscriber`)."""

    def __init__(self, on_item: Callable[[], None] = lambda: None) -> None:
        self.items: list[str | None] = []
        self.refreshed = 0
        self._on_item = on_item

    def deliver(self, channel: str, delivery: Delivery) -> None:
        assert channel == delivery.item.channel
        self.items.append(delivery.item.id)
        self._on_item()

    def refresh(self) -> None:
        self.refreshed += 1
