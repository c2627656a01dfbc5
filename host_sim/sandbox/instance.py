"""Runs the guest: one instance and one thread per request, until its outcome is known and beyond.

The outcome is the guest's to decide, at any moment; the client has its answer then, and the guest
goes on in the background until it returns or the limits end it. Guests never run on the main
thread, where signals are handled. Host contract §1.
"""

import asyncio
import functools
import itertools
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import StartError
from host_sim.messages import Failed, Outcome, Request, Responded, Response, Upstream
from host_sim.sandbox.border.values import Stopped
from host_sim.sandbox.cache.store import Cache
from host_sim.sandbox.data import HostData, KvItem, SendDynamic
from host_sim.sandbox.loading.engine import Loaded, load
from host_sim.sandbox.production import Told
from host_sim.sandbox.reuse import Parking
from host_sim.sandbox.state import Exchange, Sandbox
from host_sim.sandbox.stores.kv import KvStores, MemoryStores
from host_sim.sandbox.stores.rates import Rates
from host_sim.sandbox.threads import Threads
from host_sim.sandbox.waiting import STOPPING, Limits, Waiting

__all__ = ["Sandboxes"]

_log = logging.getLogger("host_sim.sandbox")
_steps = logging.getLogger("host_sim.steps")

GRACE_S = 0.5
"""How much later than its guest a request is given up."""


class Sandboxes:
    """Runs one component for every request; a `messages.SandboxRunner`. Event loop only."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        send_dynamic: SendDynamic | None = None,
        data: HostData | None = None,
        limits: Limits | None = None,
        state: Path | None = None,
        cache: Cache | None = None,
        http_cache: bool = True,
        wait: bool = True,
    ) -> None:
        """Make ready to run guests.

        Args:
            upstream: how guests reach backends.
            send_dynamic: how they reach backends they describe themselves; None: they cannot.
            data: what they can look up.
            limits: what each may use.
            state: folder for what guests keep in KV stores; None: it is lost at the end.
            cache: what they share; None for an empty one.
            http_cache: whether there is the HTTP cache, which Viceroy does not have.
            wait: let requests wait while the component is compiled; if not, they are told so.

        Raises:
            StartError: there can be no state in that folder.
        """
        self._upstream = upstream
        self._send_dynamic = send_dynamic
        self._data = data or HostData()
        contents = self._data.kv_stores
        self._rates = Rates()
        self._kv = _kv_stores(contents, state)
        self._cache = Cache() if cache is None else cache
        self._http_cache = http_cache
        self._limits = limits or Limits()
        self._numbers = itertools.count()
        self._threads = Threads("host-sim-guest")
        self._parking = Parking(self._start, self._give_back, self._limits)
        self._told = Told()
        self._running: set[Sandbox] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._wait = wait
        self._compiling = False
        self._decided = asyncio.Event()  # when requests need not wait any longer
        self._loaded: Loaded | StartError | None = None

    async def load(
        self,
        component: Path,
        *,
        folder: Path | None = None,
        border: str | None = None,
        quick: bool = False,
        pool: bool = False,
        trap_unknown: bool = False,
    ) -> Loaded:
        """Load the component to run, see `engine.load`; once.

        Raises:
            StartError: it cannot be run; then neither can requests be served.
        """
        try:
            self._loaded = await load(
                component,
                folder=folder,
                border=border,
                quick=quick,
                pool=pool,
                trap_unknown=trap_unknown,
                on_compile=None if self._wait else self._say_compiling,
            )
        except StartError as error:
            self._loaded = error
            raise
        finally:
            self._compiling = False
            self._decided.set()
        self._told.check_package(component)
        return self._loaded

    @property
    def parked(self) -> int:
        """How many sandboxes wait for another request."""
        return len(self._parking)

    async def run(self, request: Request) -> Outcome:
        """Return as soon as the outcome is decided; the guest may go on in the background."""
        await self._decided.wait()
        if self._compiling:
            return _come_again()
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        exchange = Exchange(request, next(self._numbers), outcome)
        self._parking.serve(exchange)
        timeout_s = self._limits.request_timeout_s
        try:
            # Later than the guest's own limit: this is for one that sleeps, which nothing can end.
            async with asyncio.timeout(timeout_s + GRACE_S):
                return await outcome
        except TimeoutError:
            return Failed(status=500, reason=f"the guest gave no answer for {timeout_s:g} s")

    async def close(self, grace_s: float = 2.0) -> None:
        """End all guests; one that sleeps in WASI for longer than `grace_s` is left behind."""
        self._closing = True
        for exchange in self._parking.leave_line():
            exchange.end(STOPPING)
        for sandbox in tuple(self._running):
            sandbox.waiting.stop(STOPPING)
        if isinstance(self._loaded, Loaded):
            self._loaded.ticker.rush(self._limits.cpu_s)
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("%d guests did not end in time", len(self._running))
        self._kv.close()
        if isinstance(self._loaded, Loaded):
            self._loaded.ticker.close()

    def _say_compiling(self) -> None:
        self._compiling = True
        self._decided.set()

    def _start(self, exchange: Exchange) -> None:
        """Serve a request with a sandbox of its own."""
        loaded = self._loaded
        if exchange.outcome.done():  # the client has gone
            self._parking.rest()
            return
        if self._closing or not isinstance(loaded, Loaded):
            exchange.end(STOPPING if self._closing else str(loaded or "no component was loaded"))
            self._parking.rest()
            return
        sandbox = Sandbox(
            exchange,
            Waiting(exchange.outcome.get_loop(), self._limits, self._parking),
            data=self._data,
            kv=self._kv,
            cache=self._cache,
            http_cache=self._http_cache,
            rates=self._rates,
            upstream=self._upstream,
            send_dynamic=self._send_dynamic,
            parking=self._parking,
            told=self._told,
        )
        try:
            place = loaded.beside(len(self._running))
            self._threads.run(functools.partial(self._work, place, sandbox))
        except Exception as error:  # noqa: BLE001 - no thread, no memory: this request's end alone
            exchange.end(f"no sandbox can be started: {error}")
            self._parking.rest()
            return
        self._running.add(sandbox)
        self._idle.clear()

    def _give_back(self, exchange: Exchange) -> None:
        """Serve a request that was given to a sandbox which did not take it; from any thread."""
        try:
            exchange.outcome.get_loop().call_soon_threadsafe(self._parking.serve, exchange)
        except RuntimeError:  # the event loop has ended, and its clients with it
            return

    def _work(self, loaded: Loaded, sandbox: Sandbox) -> None:
        """Run a guest to its end, on its thread."""
        from host_sim.sandbox.guest import run_guest

        try:
            began = time.perf_counter()
            failure = run_guest(loaded, sandbox)
            sandbox.usage.end(sandbox.waiting.cpu_s)
            took_s = time.perf_counter() - began
            number = {"request_id": sandbox.request_id}
            if failure is not None and failure != STOPPING:
                _steps.debug("the guest failed", extra={**number, "failure": failure})
            took = f"{took_s:.0f}s" if took_s >= 1 else f"{took_s * 1000:.0f}ms"
            _steps.debug("guest completed in %s", took, extra=number)
            if failure is not None and not sandbox.exchange.unsent and failure != STOPPING:
                _log.error("%s", failure, extra={"request_id": sandbox.request_id})
            sandbox.exchange.end(failure)
            sandbox.handles.drop_all()
            if sandbox.asking is not None:  # it was stopped with that handle on its way to us
                sandbox.asking.dropped()
        except Stopped:
            pass  # there is no event loop any more
        finally:
            self._parking.rest()
            sandbox.waiting.post(self._ended, sandbox)

    def _ended(self, sandbox: Sandbox) -> None:
        self._running.discard(sandbox)
        if not self._running:
            self._idle.set()


def _come_again() -> Responded:
    """Return what a client gets that will not be kept waiting for the compiler."""
    text = b"compiling the component, which takes some seconds and is done once; try again\n"
    headers = Headers([("Content-Type", "text/plain"), ("Retry-After", "1")])
    reason = "Service Unavailable"
    return Responded(Response(status=503, reason=reason, headers=headers, body=Body.of(text)))


def _kv_stores(contents: Mapping[str, Mapping[str, KvItem]], state: Path | None) -> KvStores:
    """Return KV stores in memory, or on disk, which is rare enough to be loaded only then."""
    if state is None:
        return MemoryStores(contents)
    from host_sim.sandbox.stores.kv_sqlite import SqliteStores

    return SqliteStores(state, contents)
