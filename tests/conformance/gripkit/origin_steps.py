"""Steps that check and control the origin, and steps that deal with time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.conformance.gripkit.events import Event, EventFormatError
from tests.conformance.gripkit.matchers import HeaderExpectations
from tests.conformance.gripkit.model import CheckError, Run, Step
from tests.conformance.gripkit.origin import OriginRequest


@dataclass(frozen=True)
class ExpectRequest(Step):
    """Wait until the origin has received its n-th request for a path suffix, and check it."""

    number: int = 1
    path: str = ""
    method: str | None = None
    target: str | None = None
    headers: HeaderExpectations = field(default_factory=dict)
    body: bytes | None = None
    events: Sequence[Event] | None = None

    async def run(self, run: Run) -> None:
        """Check the request."""
        waiting = run.script.wait_for(self.path, self.number)
        what = f"request {self.number} at the origin"
        request = (await run.wait(waiting, what))[self.number - 1]
        if self.method is not None and request.method != self.method:
            raise CheckError(f"the method at the origin is {request.method}")
        if self.target is not None and request.target != run.names.fill(self.target):
            raise CheckError(f"the target at the origin is {request.target!r}")
        run.check_headers(request.headers, self.headers)
        if self.body is not None and request.body != run.names.fill(self.body):
            raise CheckError(f"the body at the origin is {request.body!r}")
        if self.events is not None:
            found = _decode(request)
            if found != list(self.events):
                raise CheckError(f"the events at the origin are {found}, not {self.events}")


@dataclass(frozen=True)
class ExpectEvents(Step):
    """Wait until requests from the n-th on have carried exactly these events, however batched."""

    events: Sequence[Event]
    since: int = 2
    path: str = ""

    async def run(self, run: Run) -> None:
        """Collect events from requests."""
        found: list[Event] = []
        number = self.since
        while len(found) < len(self.events):
            waiting = run.script.wait_for(self.path, number)
            what = f"events after {found} at the origin"
            found += _decode((await run.wait(waiting, what))[number - 1])
            number += 1
        if found != list(self.events):
            raise CheckError(f"the events at the origin are {found}, not {self.events}")


@dataclass(frozen=True)
class ExpectRequestCount(Step):
    """Check that, after a moment, the origin has received just this many requests."""

    count: int
    path: str = ""
    within: float = 0.5

    async def run(self, run: Run) -> None:
        """Wait for late requests and count."""
        await run.wait(run.script.wait_for(self.path, self.count), f"request {self.count}")
        await asyncio.sleep(self.within)
        found = run.script.requests[self.path]
        if len(found) != self.count:
            raise CheckError(f"the origin got {len(found)} requests, expected {self.count}")


@dataclass(frozen=True)
class ExpectSameHeader(Step):
    """Check whether a header has the same value in several requests at the origin."""

    name: str
    numbers: Sequence[int]
    path: str = ""
    same: bool = True

    async def run(self, run: Run) -> None:
        """Compare the values."""
        waiting = run.script.wait_for(self.path, max(self.numbers))
        requests = await run.wait(waiting, f"request {max(self.numbers)} at the origin")
        values = {requests[number - 1].headers.get(self.name) for number in self.numbers}
        if None in values:
            raise CheckError(f"a request lacks header {self.name}")
        if (len(values) == 1) is not self.same:
            raise CheckError(f"the values of header {self.name} are {values}")


@dataclass(frozen=True)
class OpenGate(Step):
    """Let the origin go on with replies that wait at a gate."""

    name: str

    async def run(self, run: Run) -> None:
        """Open the gate."""
        run.script.open_gate(self.name)


@dataclass(frozen=True)
class StopOrigin(Step):
    """Take the origin down, so that connections to it are refused."""

    async def run(self, run: Run) -> None:
        """Stop the server."""
        await run.origin.stop()


@dataclass(frozen=True)
class StartOrigin(Step):
    """Bring the origin up again."""

    async def run(self, run: Run) -> None:
        """Start the server."""
        await run.origin.start()


@dataclass(frozen=True)
class Pause(Step):
    """Wait."""

    seconds: float

    async def run(self, run: Run) -> None:
        """Sleep."""
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class MarkTime(Step):
    """Remember the present moment."""

    name: str = "start"

    async def run(self, run: Run) -> None:
        """Take the time."""
        run.mark_time(self.name)


@dataclass(frozen=True)
class ExpectElapsed(Step):
    """Check how much time has passed since a moment."""

    at_least: float
    less_than: float
    since: str = "start"

    async def run(self, run: Run) -> None:
        """Compare the times."""
        seconds = run.seconds_since(self.since)
        if not self.at_least <= seconds < self.less_than:
            expected = f"{self.at_least:g} to {self.less_than:g}"
            raise CheckError(f"{seconds:.1f} seconds have passed, expected {expected}")


def _decode(request: OriginRequest) -> list[Event]:
    try:
        return request.events
    except (EventFormatError, ValueError) as error:
        raise CheckError(f"malformed events at the origin: {error}") from None
