"""Scenarios, and the state of a scenario while it runs."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from tests.conformance.gripkit.http1 import Headers
from tests.conformance.gripkit.matchers import HeaderExpectations, SigningKey, find_header_problem
from tests.conformance.gripkit.naming import Names
from tests.conformance.gripkit.origin import Origin, Reply, Script

if TYPE_CHECKING:
    from tests.conformance.gripkit.http_client import HttpConnection
    from tests.conformance.gripkit.ws_client import WsConnection


class CheckError(Exception):
    """The proxy did not do what the scenario expects."""


@dataclass(frozen=True)
class Settings:
    """Where the proxy under test is, and how it is configured."""

    proxy: SplitResult
    publish: SplitResult
    signing_key: SigningKey
    patience: float


class Run:
    """The live state of one run of a scenario."""

    def __init__(self, scenario: "Scenario", settings: Settings, origin: Origin) -> None:
        self.settings = settings
        self.patience = max(settings.patience, scenario.patience)
        self.origin = origin
        self.names = Names()
        self.script = Script(self.names, scenario.replies_by_path)
        self.marks: dict[str, float] = {}
        self.http: dict[str, HttpConnection] = {}
        self.ws: dict[str, WsConnection] = {}

    async def wait[T](self, awaitable: Awaitable[T], what: str) -> T:
        """Await something, but fail the scenario if it takes longer than the kit's patience."""
        try:
            return await asyncio.wait_for(awaitable, self.patience)
        except TimeoutError:
            raise CheckError(f"waited {self.patience:g} s for {what}") from None

    def check_headers(self, headers: Headers, expected: HeaderExpectations) -> None:
        """Fail the scenario if headers are not as expected."""
        filled = self.names.fill(expected)
        problem = find_header_problem(headers, filled, self.settings.signing_key)
        if problem:
            raise CheckError(problem)

    def mark_time(self, name: str) -> None:
        """Remember the present moment under a name."""
        self.marks[name] = time.monotonic()

    def seconds_since(self, name: str) -> float:
        """Return how long ago a moment was marked."""
        return time.monotonic() - self.marks[name]

    def transcript(self) -> list[str]:
        """Return lines about everything the origin has received and the clients have not read."""
        lines = []
        for suffix, requests in self.script.requests.items():
            for number, request in enumerate(requests, start=1):
                target = request.target.replace(self.names.path, "{{path}}")
                lines.append(f"origin{suffix} request {number}: {request.method} {target}")
                lines += [f"    {name}: {value}" for name, value in request.headers]
                lines.append(f"    {request.body!r}")
        for name, http in self.http.items():
            if http.response is not None:
                lines.append(f"HTTP {name}: {http.response.status} {http.response.headers}")
                lines.append(f"    unread {http.response.unread!r}, ended {http.response.ended}")
        for name, ws in self.ws.items():
            lines.append(f"WebSocket {name}: unread {list(ws.arrivals)}")
        return lines

    async def close(self) -> None:
        """Close all connections."""
        for http in self.http.values():
            await http.close()
        for ws in self.ws.values():
            await ws.close()


class Step(ABC):
    """One thing that is done or checked in a scenario."""

    @abstractmethod
    async def run(self, run: Run) -> None:
        """Do it; raise `CheckError` if the proxy misbehaves."""


@dataclass(frozen=True)
class Scenario:
    """A conversation between a client, the proxy, the origin and a publisher.

    `replies` is the script of the origin: replies to the first, second, ... request, or such
    lists by path suffix. An `exclusive` scenario runs alone, because it affects others.
    `patience` is how many seconds to wait for anything, if that is more than usual. Tags group
    scenarios: `slow` ones take longer than ten seconds, `quirk` ones pin down behaviour of
    Pushpin that a proxy can reasonably lack.
    """

    id: str
    about: str
    replies: Sequence[Reply] | Mapping[str, Sequence[Reply]]
    steps: Sequence[Step]
    exclusive: bool = False
    patience: float = 0
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def replies_by_path(self) -> Mapping[str, Sequence[Reply]]:
        """The script of the origin by path suffix."""
        return self.replies if isinstance(self.replies, Mapping) else {"": self.replies}
