"""What becomes of a request after its guest (compute-host §1.2, §3)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.edge.dispatch import Dispatcher
from host_sim.edge.loopback import Loopback
from host_sim.edge.tunnels import tunnel_pair
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.messages import (
    Downstream,
    Failed,
    HandedOff,
    Outcome,
    Request,
    Responded,
    Response,
)
from host_sim.trace import Trace
from tests.support.requests import request
from tests.support.waiting import PATIENCE_S, soon


class Guest:
    """A sandbox that comes to a given outcome."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    async def run(self, request: Request) -> Outcome:
        return self.outcome


class Fanout:
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.taken: list[tuple[Request, str, Downstream]] = []

    async def take(self, request: Request, backend: str, downstream: Downstream) -> None:
        self.taken.append((request, backend, downstream))
        downstream.send_head(202, "Held", Headers(), 0)
        downstream.finish()


class Origin:
    """Answers, or fails, as told."""

    def __init__(self, answer: Response | BackendError | None = None) -> None:
        self.answer = answer
        self.asked: list[tuple[Request, str]] = []

    async def send(self, request: Request, backend: str) -> Response:
        self.asked.append((request, backend))
        if isinstance(self.answer, BackendError):
            raise self.answer
        if self.answer is None:
            await asyncio.Event().wait()
        assert isinstance(self.answer, Response)
        return self.answer


def response(body: Body, status: int = 200, *headers: tuple[str, str]) -> Response:
    return Response(status=status, reason="Fine", headers=Headers(headers), body=body)


def handed_off(*, to_fanout: bool) -> HandedOff:
    headers = Headers([("X", "guest"), ("Host", "guest")])
    return HandedOff(backend="b", to_fanout=to_fanout, method="GET", target="/g", headers=headers)


async def ask(
    outcome: Outcome,
    asked: Request | None = None,
    *,
    fanout: Fanout | None = None,
    origin: Origin | None = None,
) -> Response:
    """Return what a client of the edge gets."""
    dispatcher = Dispatcher(Guest(outcome), fanout or Fanout(), origin or Origin())
    async with asyncio.timeout(PATIENCE_S):
        return await Loopback(dispatcher).call(asked or request(), "edge")


async def text(answer: Response) -> str:
    return (await answer.body.whole(9999) or b"").decode()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Trace]:
    """The traces that were emitted."""
    traces: list[Trace] = []
    monkeypatch.setattr(Trace, "emit", lambda trace: traces.append(trace))  # noqa: PLW0108 a method
    return traces


# Answered.


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_is_relayed(told: list[Trace], streamed: bool) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"hel"
        yield b"lo"

    body = Body(source(), None) if streamed else Body.of(b"hello")
    asked = request()
    answer = await ask(Responded(response(body, 201, ("X", "y"))), asked)
    assert (answer.status, answer.reason) == (201, "Fine")
    assert answer.headers == Headers([("X", "y")])
    assert answer.body.length == (None if streamed else 5)
    assert await text(answer) == "hello"
    await soon(lambda: told == [asked.trace])
    assert asked.trace.status == 201


async def test_an_answer_that_breaks_off_breaks_off() -> None:
    """§1.2: a streaming body still open when the guest ends is aborted."""

    async def source() -> AsyncIterator[bytes]:
        yield b"part"
        raise OSError("the guest trapped")

    asked = request()
    answer = await ask(Responded(response(Body(source(), None))), asked)
    assert await answer.body.read() == b"part"
    with pytest.raises(BodyError):
        await answer.body.read()
    assert asked.trace.note is not None
    assert "the guest trapped" in asked.trace.note


class Endless(AsyncIterator[bytes]):
    """A body that waits after its first piece."""

    def __init__(self) -> None:
        self.read = 0
        self.closed = asyncio.Event()

    async def __anext__(self) -> bytes:
        self.read += 1
        if self.read > 1:
            await asyncio.Event().wait()
        return b"x"

    async def aclose(self) -> None:
        self.closed.set()


async def test_a_client_that_goes_stops_the_guests_stream(told: list[Trace]) -> None:
    """§1.3: the guest's next write fails."""
    source = Endless()
    answer = await ask(Responded(response(Body(source, None))))
    assert await answer.body.read() == b"x"
    await answer.body.aclose()
    async with asyncio.timeout(PATIENCE_S):
        await source.closed.wait()
    await soon(lambda: told)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_a_body_nobody_may_get_is_not_read(method: str, status: int) -> None:
    source = Endless()
    answer = await ask(Responded(response(Body(source, None), status)), request(method))
    assert await text(answer) == ""
    async with asyncio.timeout(PATIENCE_S):
        await source.closed.wait()
    assert source.read == 0


# Failed.


async def test_a_failure_is_a_status_and_a_number(caplog: pytest.LogCaptureFixture) -> None:
    """§1.2; the reason is for the log."""
    asked = request()
    answer = await ask(Failed(status=500, reason="the guest trapped: secret"), asked)
    assert (answer.status, answer.reason) == (500, "Internal Server Error")
    expected = f"the service failed; see the log for request {asked.trace.id}\n"
    assert await text(answer) == expected
    assert "the guest trapped: secret" in caplog.text
    assert asked.trace.note == "the guest trapped: secret"


# Handed off.


async def test_a_client_goes_to_fanout(told: list[Trace]) -> None:
    """§3.2: with its own body and protected headers."""
    fanout = Fanout()
    asked = request("POST", body=b"hello")
    await asked.body.read()
    assert (await ask(handed_off(to_fanout=True), asked, fanout=fanout)).status == 202
    onward, backend, _ = fanout.taken[0]
    assert backend == "b"
    assert onward.headers == Headers([("Host", "h"), ("X", "guest")])
    assert (onward.target, onward.trace) == ("/g", asked.trace)
    assert await onward.body.whole(9) == b"hello"
    assert asked.trace.handed_off_to == "b"
    await soon(lambda: told == [asked.trace])


@pytest.mark.parametrize("to_fanout", [True, False])
async def test_a_body_that_was_not_kept_is_a_clear_error(to_fanout: bool) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"hello"

    asked = request("POST", body=Body(source(), None))
    await asked.body.read()
    answer = await ask(handed_off(to_fanout=to_fanout), asked)
    assert answer.status == 500
    assert "its body was too large to be kept" in await text(answer)


async def test_a_client_is_passed_through_to_a_backend() -> None:
    """§3.2, §3.3: `Host` is the backend's, its answer is passed on."""
    origin = Origin(response(Body.of(b"hi"), 404, ("X", "y")))
    answer = await ask(handed_off(to_fanout=False), origin=origin)
    assert (answer.status, await text(answer)) == (404, "hi")
    onward, backend = origin.asked[0]
    assert backend == "b"
    assert onward.headers == Headers([("X", "guest")])


async def test_a_switch_of_protocols_is_passed_through() -> None:
    """§3.3: bytes are copied in both directions until either side closes."""
    far, near = tunnel_pair()
    switched = Response(
        status=101, reason="Go", headers=Headers([("Upgrade", "x")]), body=Body.of(b""), tunnel=near
    )
    answer = await ask(handed_off(to_fanout=False), origin=Origin(switched))
    assert (answer.status, answer.headers) == (101, Headers([("Upgrade", "x")]))
    assert answer.tunnel is not None
    heard: list[bytes] = []
    gone = asyncio.Event()
    far.start(heard.append, gone.set)
    answer.tunnel.start(heard.append, lambda: None)
    answer.tunnel.write(b"ping")
    await soon(lambda: heard == [b"ping"])
    far.write(b"pong")
    await soon(lambda: heard == [b"ping", b"pong"])
    answer.tunnel.close()
    async with asyncio.timeout(PATIENCE_S):
        await gone.wait()


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (BackendFault.UNKNOWN, 500, "Backend handoff signaled to unknown backend 'b'."),
        (BackendFault.UNREACHABLE, 500, "Error: Could not connect to handoff target: why."),
        (BackendFault.TIMEOUT, 500, "Error: Could not connect to handoff target: why."),
        (BackendFault.CLOSED, 502, "Error: Handoff request failed: why"),
        (BackendFault.INVALID, 502, "Error: Handoff request failed: why"),
        (BackendFault.LOOP, 508, "Error: Handoff request failed: it came back too often"),
    ],
)
async def test_a_backend_that_cannot_be_reached(
    fault: BackendFault, status: int, said: str
) -> None:
    """§3.3, in Viceroy's words; the log has all of it."""
    asked = request()
    origin = Origin(BackendError("b", fault, "why"))
    answer = await ask(handed_off(to_fanout=False), asked, origin=origin)
    assert (answer.status, await text(answer)) == (status, said)
    assert asked.trace.note is not None
    assert "why" in asked.trace.note


async def test_a_client_that_goes_ends_the_request_to_the_backend(told: list[Trace]) -> None:
    origin = Origin()
    asking = asyncio.create_task(ask(handed_off(to_fanout=False), origin=origin))
    await soon(lambda: origin.asked)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await soon(lambda: told)
