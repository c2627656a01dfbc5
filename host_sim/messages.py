"""What the rooms of the simulator hand to one another, and the three doors between them.

`edge`, `sandbox`, `fanout` and `http1` import this module and never each other's; `simulator`
joins them. Values are immutable; a `Downstream` and a `Tunnel` are live and belong to the event
loop.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol

import h11

from grip.headers import Headers
from host_sim.body import NO_TRAILERS, Body
from host_sim.trace import Trace

__all__ = [
    "Address",
    "Downstream",
    "Failed",
    "HandedOff",
    "Handler",
    "HandoffTarget",
    "Outcome",
    "Piece",
    "Request",
    "Responded",
    "Response",
    "SandboxRunner",
    "Sink",
    "Tunnel",
    "Upstream",
]

type Address = tuple[str, int]
"""Host and port of a socket."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as a client, the guest or the proxy made it.

    Attributes:
        method: any token, case kept.
        scheme: `http` or `https`.
        authority: host and optional port the request is for.
        target: path and query exactly as received, starting with `/` (or `*`).
        headers: fields in order, with repetition, case kept.
        body: to be read once; `body.replay()` reads it again.
        client: address of the client, None for requests made inside the simulator.
        server: address of the listener that took it, likewise.
        trace: the story of the client's request this one is part of.
        hops: how often this request has been handed off already; bounds loops.
        visits: how often it has entered the service already, by the backend `self`.
    """

    method: str
    scheme: str
    authority: str
    target: str
    headers: Headers
    body: Body
    client: Address | None
    server: Address | None
    trace: Trace
    hops: int = 0
    visits: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response head and its body still to be read.

    Attributes:
        status: 200 to 999; 101 when `tunnel` is given.
        reason: reason phrase, possibly empty or not a usual one.
        headers: fields in order, less those of the connection (`Connection`, `Keep-Alive`). Those
            of framing (`Content-Length`, `Transfer-Encoding`) may be here as they came; framing
            follows from `body.length`, but for a response to HEAD, a 204 or 304.
        body: its `length` is None when it came chunked or ends with the connection. It is to be
            read to its end or closed (`Body.aclose`): until then a backend is kept waiting.
        tunnel: the connection after `101 Switching Protocols`.
        peer: where it came from, as far as that is known.
    """

    status: int
    reason: str
    headers: Headers
    body: Body
    tunnel: "Tunnel | None" = None
    peer: Address | None = None


class Piece:
    """Content for many clients; framed as an HTTP/1.1 chunk once, however many take it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    @functools.cached_property
    def chunk(self) -> bytes:
        """The content as one chunk (RFC 9112 §7.1), framed by h11; empty for empty content."""
        if not self.content:
            return b""  # an empty chunk would end the body
        framer = h11.Connection(h11.CLIENT)
        framer.send(
            h11.Request(
                method="POST",
                target="/",
                headers=[("Host", "-"), ("Transfer-Encoding", "chunked")],
            )
        )
        framed = framer.send(h11.Data(data=self.content))
        assert framed is not None
        return framed


class Sink(Protocol):
    """The transport below a `Downstream` or a `Tunnel`, with these names in asyncio."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes have been written and not yet taken."""

    def write(self, data: bytes, /) -> None:
        """Send bytes."""


class Downstream(Protocol):
    """The client's side of one request: where its answer goes.

    All methods return at once; what cannot be sent yet is buffered. After the client has gone they
    do nothing.
    """

    @property
    def closed(self) -> bool:
        """Whether the client has gone, or the answer is complete."""

    @property
    def buffered(self) -> int:
        """Bytes written and not yet taken by the client's connection."""

    @property
    def sink(self) -> Sink | None:
        """Where chunks that are framed already may be written past this object.

        None where the answer does not consist of chunks. Good until the client has gone or the
        answer is complete.
        """

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` as soon as the client goes before the answer is complete."""

    def send_head(self, status: int, reason: str, headers: Headers, length: int | None) -> None:
        """Send the response head; `length` None means chunked.

        Framing and connection fields in `headers` are ignored, save `Content-Length` in an answer
        that has no body (HEAD, 204, 304).
        """

    def write(self, data: "bytes | Piece") -> None:
        """Send a part of the body; empty data sends nothing. Ignored where none may be sent."""

    async def drain(self) -> None:
        """Wait until little enough is buffered to write more."""

    def finish(self, trailers: Headers = NO_TRAILERS) -> None:
        """End the answer properly. One that is shorter than announced is aborted instead.

        `trailers` go after a body whose length was not told, where the connection can carry them.
        """

    def abort(self) -> None:
        """Cut the connection so that the client notices an incomplete answer."""

    def upgrade(self, headers: Headers) -> "Tunnel":
        """Answer 101 with exactly these fields and give the connection away (RFC 9110 §7.8)."""


class Tunnel(Protocol):
    """A connection after `101`: bytes in both directions. Methods return at once."""

    @property
    def buffered(self) -> int:
        """Bytes written and not yet taken by the peer's connection."""

    @property
    def sink(self) -> Sink | None:
        """Where bytes may be written past this object until it is closed or the peer has gone.

        None where that cannot be.
        """

    def start(self, on_data: Callable[[bytes], None], on_gone: Callable[[], None]) -> None:
        """Deliver bytes to `on_data`, first those that came with the head; then `on_gone`, once."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    async def drain(self) -> None:
        """Wait until little enough is buffered to write more, or the connection has ended."""

    def pause_reading(self) -> None:
        """Take no more bytes from the peer until `resume_reading`."""

    def resume_reading(self) -> None:
        """Take bytes from the peer again."""

    def close(self) -> None:
        """Send what is buffered, then close."""

    def abort(self) -> None:
        """Close at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Responded:
    """The guest answered; its body may still be growing."""

    response: Response


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HandedOff:
    """The guest gave the client away (`redirect-to-…-proxy`).

    Attributes:
        backend: name of the backend, unchecked.
        to_fanout: true for the GRIP proxy, false for WebSocket pass-through.
        method, target, headers: the request as the guest passed it; the body is always the
            client's own, and some headers stay the client's (see `edge.handoff`).
    """

    backend: str
    to_fanout: bool
    method: str
    target: str
    headers: Headers


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The guest neither answered nor handed off.

    Attributes:
        status: what the client gets.
        reason: for the log: trap, time-out, error result, with what to do about it.
    """

    status: int
    reason: str


type Outcome = Responded | HandedOff | Failed


class SandboxRunner(Protocol):
    """Runs the guest."""

    async def run(self, request: Request) -> Outcome:
        """Return as soon as the outcome is decided; the guest may go on in the background."""


class Upstream(Protocol):
    """Reaches backends by name."""

    async def send(self, request: Request, backend: str) -> Response:
        """Return the response head of `backend`, its body still to be read.

        Raises:
            BackendError: there is no response head.
        """


class HandoffTarget(Protocol):
    """Takes clients that were handed off."""

    async def take(self, request: Request, backend: str, downstream: Downstream) -> None:
        """Serve the client from here on; returns when it is served or held."""


class Handler(Protocol):
    """Answers the requests of a listener."""

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer `request` on `downstream`, or see to it that somebody does later."""
