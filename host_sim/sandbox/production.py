"""What production limits and this host does not: said in the log, never enforced.

A local run must not fail where the vendor's own local runtime does not, but nobody should learn of
a limit after deploying only. Each is told once as a warning, then for those who want to know
everything. What is enforced here too (memory, heads that clients and backends send, sizes of keys
and values in stores) is not looked at. Host contract §8.
"""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from grip.headers import Headers
from host_sim.messages import Request, Response, Upstream
from host_sim.sandbox.data import DynamicBackend, SendDynamic

__all__ = ["MAX_COUNTS", "MAX_CPU_S", "MAX_HEAD_BYTES", "MAX_URL_BYTES", "Told", "Usage"]

MAX_PACKAGE_BYTES = 100_000_000
"""Size of what is deployed, compressed; the component is the most of it."""

MAX_COUNTS = {"requests to backends": 32, "lookups in config stores": 32}
"""What a guest may do how often for one request."""

MAX_CPU_S = 0.05
"""CPU time for one request."""

MAX_URL_BYTES = 8192
"""Length of a URL, and of a method."""

MAX_HEAD_BYTES = 69_000
"""Size of all header fields of a message."""

_log = logging.getLogger("host_sim.sandbox")


class Told:
    """What has been told since the start."""

    def __init__(self) -> None:
        self._limits: set[str] = set()

    def tell(
        self, limit: str, text: str, request_id: int | None = None, *, level: int = logging.WARNING
    ) -> None:
        """Log that a limit would have been hit, at `level` the first time."""
        first = limit not in self._limits
        self._limits.add(limit)
        extra = {} if request_id is None else {"request_id": request_id}
        more = " (told once)" if first else ""
        _log.log(level if first else logging.DEBUG, "%s%s", text, more, extra=extra)

    def check_package(self, component: Path) -> None:
        """Look at the size of what is run."""
        size = component.stat().st_size
        if size > MAX_PACKAGE_BYTES:
            text = f"{component} has {size / 1e6:.0f} MB; production takes packages up to 100 MB"
            self.tell("package", text)


class Usage:
    """What one sandbox uses for the request at hand."""

    def __init__(self, told: Told, request_id: Callable[[], int]) -> None:
        """Say what is too much through `told`."""
        self._told = told
        self._request_id = request_id
        self._counts: dict[str, int] = {}
        self._cpu_from = 0.0

    def begin(self, request: Request) -> None:
        """Count from here on, for this request."""
        self._counts.clear()
        url = f"{request.scheme}://{request.authority}{request.target}"
        self._check_line("the client's request", request.method, url)

    def end(self, cpu_s: float) -> None:
        """Look at the CPU time of a request, given that of the sandbox."""
        took_s, self._cpu_from = cpu_s - self._cpu_from, cpu_s
        if took_s > MAX_CPU_S:
            text = (
                f"the guest computed for {took_s * 1000:.0f} ms on this machine; "
                f"production allows {MAX_CPU_S * 1000:.0f} ms"
            )
            self._tell("CPU time", text, level=logging.INFO)

    def count(self, what: str) -> None:
        """Count one of `MAX_COUNTS`; from any thread."""
        count = self._counts.get(what, 0) + 1
        self._counts[what] = count
        if count == MAX_COUNTS[what] + 1:
            text = f"more than {MAX_COUNTS[what]} {what} for one request; production allows no more"
            self._tell(what, text)

    def check_answer(self, headers: Headers) -> None:
        """Look at the fields of the answer to the client."""
        self._check_fields("the answer to the client", headers)

    def check_request(self, request: Request) -> None:
        """Look at a request to a backend, and count it."""
        self.count("requests to backends")
        what = "a request to a backend"
        self._check_line(what, request.method, f"{request.authority}{request.target}")
        self._check_fields(what, request.headers)

    def _check_line(self, what: str, method: str, url: str) -> None:
        for name, text in ("URL", url), ("method", method):
            size = len(text.encode("utf-8", "surrogateescape"))
            if size > MAX_URL_BYTES:
                said = f"{what} has a {name} of {size} bytes; production takes {MAX_URL_BYTES}"
                self._tell(f"{name} of {what}", said)

    def _check_fields(self, what: str, headers: Iterable[tuple[str, str]]) -> None:
        size = sum(
            len(name) + len(value.encode("utf-8", "surrogateescape")) + 4 for name, value in headers
        )
        if size > MAX_HEAD_BYTES:
            said = f"{what} has {size} bytes of header fields; production takes {MAX_HEAD_BYTES}"
            self._tell(f"fields of {what}", said)

    def _tell(self, limit: str, text: str, *, level: int = logging.WARNING) -> None:
        self._told.tell(limit, text, self._request_id(), level=level)

    def watch(self, upstream: Upstream) -> Upstream:
        """Return the way to backends that is counted."""
        return _Watched(self, upstream)

    def watch_dynamic(self, send: SendDynamic) -> SendDynamic:
        """Return the same for backends that the guest described itself."""

        async def watched(request: Request, backend: DynamicBackend) -> Response:
            self.check_request(request)
            return await send(request, backend)

        return watched


class _Watched:
    """Implements `messages.Upstream`."""

    def __init__(self, usage: Usage, upstream: Upstream) -> None:
        self._usage = usage
        self._upstream = upstream

    async def send(self, request: Request, backend: str) -> Response:
        """Count a request and send it."""
        self._usage.check_request(request)
        return await self._upstream.send(request, backend)
