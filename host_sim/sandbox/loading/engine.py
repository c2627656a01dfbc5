"""Loads a component: compiled form from the cache or a child process, then linked.

One engine, component and linker serve all sandboxes. Nothing here imports wasmtime before it is
needed, because that takes as long as all the rest of a warm start.
"""

import asyncio
import dataclasses
import functools
import importlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from host_sim.errors import StartError
from host_sim.sandbox.loading.cache import Cache, default_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    import wasmtime

    from host_sim.sandbox.loading.linker import Border, Linked

__all__ = ["SETTINGS", "TICK_S", "Loaded", "Ticker", "check", "load", "make_engine"]

_log = logging.getLogger("host_sim.sandbox")

SETTINGS = ("epoch_interruption", "memory_init_cow")
"""What the engine is told to do, besides its defaults."""

QUICK = "opt_level=none"
"""A component is compiled like this in less time, and runs slower.

`single_pass` would halve the time, but its code needs thirty times the stack."""

TICK_S = 0.05
"""How often a running guest is asked whether it may go on, in seconds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A component that can be run.

    Attributes:
        path: file it came from.
        engine, border, linked, ticker: for `guest`.
        cached: whether its compiled form was there already.
        took_s: how long loading took, compilation included.
        elsewhere: gives the same component in an engine without a pool; None if this one has none.
    """

    path: Path
    engine: "wasmtime.Engine"
    border: "Border"
    linked: "Linked"
    ticker: "Ticker"
    cached: bool
    took_s: float
    elsewhere: "Callable[[], Loaded] | None" = None

    def beside(self, running: int) -> "Loaded":
        """Return where there is room for one more guest beside `running` others."""
        from host_sim.sandbox.loading.pooling import SEATS

        return self if self.elsewhere is None or running < SEATS else self.elsewhere()


def make_engine(*, quick: bool = False) -> "wasmtime.Engine":
    """Return an engine with `SETTINGS`; a `quick` one is for compiling only."""
    import wasmtime

    config = _config()
    if quick:
        config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


def _config() -> "wasmtime.Config":
    import wasmtime

    config = wasmtime.Config()
    for setting in SETTINGS:
        setattr(config, setting, True)
    return config


async def load(
    component: Path,
    *,
    folder: Path | None = None,
    border: str | None = None,
    quick: bool = False,
    pool: bool = False,
    trap_unknown: bool = False,
    on_compile: "Callable[[], None] | None" = None,
) -> Loaded:
    """Load a component, compiling it if this has not been done before.

    Args:
        component: file with the component.
        folder: for compiled components; None for the user's cache folder.
        border: `direct` or `public`; None for the better one that works.
        quick: compile it in less time, to slower code.
        pool: take guests' memory from a pool, if there can be one; see `pooling`.
        trap_unknown: whether a function that nobody has ends only the guest that calls it.
        on_compile: called when it turns out that it has to be compiled, which takes seconds.

    Raises:
        StartError: there is no such file, it is no component, or it does not fit this host.
    """
    began = time.perf_counter()
    check(component)
    with Cache(folder or default_folder()) as cache:
        told = " ".join(SETTINGS)
        (full, hasty), _ = await asyncio.gather(  # side by side: hashing and importing wasmtime
            asyncio.to_thread(cache.paths, component, told, f"{told} {QUICK}"),
            asyncio.to_thread(importlib.import_module, "host_sim.sandbox.loading.linker"),
        )
        path = hasty if quick and not full.exists() else full
        link = functools.partial(_open, path, border, pool, trap_unknown)
        ready = await asyncio.to_thread(link) if path.exists() else None
        cached = ready is not None
        if ready is None:
            _log.info("compiling %s, which takes some seconds and is done once", component)
            if on_compile is not None:
                on_compile()
            await _compile(component, path, quick)
            ready = await asyncio.to_thread(_open_new, path, border, pool, trap_unknown)
        if ready is None:
            raise StartError(f"{component}: wasmtime does not take what it compiled itself")
        cache.used(path)
    engine, chosen, linked, pooled = ready
    loaded = Loaded(
        path=component,
        engine=engine,
        border=chosen,
        linked=linked,
        ticker=Ticker(engine),
        cached=cached,
        took_s=time.perf_counter() - began,
    )
    if not pooled:
        return loaded
    elsewhere = functools.partial(_without_pool, loaded, trap_unknown)
    return dataclasses.replace(loaded, elsewhere=functools.cache(elsewhere))


def check(component: Path) -> None:
    """Say early what is wrong with a file, in words wasmtime does not have.

    What is wrong with a component in the text format (WAT) is for the compiler to say.

    Raises:
        StartError: it is missing or no component.
    """
    try:
        with component.open("rb") as file:
            head = file.read(4096)
    except FileNotFoundError:
        raise StartError(f"{component} is missing: run `make build`") from None
    except OSError as error:
        raise StartError(f"cannot read {component}: {error.strerror}") from error
    if head.lstrip().startswith((b"(", b";;")):
        return
    if not head.startswith(b"\0asm"):
        raise StartError(f"{component} is not WebAssembly")
    if head[6:8] == b"\0\0":  # layer 0: a core module
        raise StartError(
            f"{component} is a core WebAssembly module, expected a component: "
            "build it with `make build` or `fastly compute build`"
        )


def _open(
    path: Path, wanted: str | None, pool: bool, trap_unknown: bool
) -> "tuple[wasmtime.Engine, Border, Linked, bool] | None":
    """Map a compiled component and link it; None, and the file deleted, if it cannot be used.

    The last value is whether guests have a pool, which a component may be too large for.
    """
    import wasmtime
    from wasmtime.component import Component

    from host_sim.sandbox.loading.linker import choose_border, link
    from host_sim.sandbox.loading.pooling import set_pool

    config = _config()
    for pooled in (True, False) if pool and set_pool(config) else (False,):
        engine = wasmtime.Engine(config) if pooled else make_engine()
        try:
            component = Component.deserialize_file(engine, str(path))
        except wasmtime.WasmtimeError:
            continue
        border = choose_border(engine, wanted)
        linked = link(engine, component, border, trap_unknown=trap_unknown)
        return engine, border, linked, pooled
    path.unlink(missing_ok=True)
    return None


def _open_new(
    path: Path, wanted: str | None, pool: bool, trap_unknown: bool
) -> "tuple[wasmtime.Engine, Border, Linked, bool] | None":
    """Open what was just compiled, having seen once that wasmtime has what it wants of WASI.

    Seen without a pool, which would keep the guest's memory. All that this depends on is in the
    file's name, so a file that is kept has passed.

    Raises:
        StartError: it does not fit this host.
    """
    from host_sim.sandbox.loading.linker import try_out

    opened = _open(path, wanted, pool=False, trap_unknown=True)
    if opened is None:
        return None
    engine, _, linked, _ = opened
    try:
        try_out(engine, linked)
    except StartError:
        path.unlink(missing_ok=True)
        raise
    return _open(path, wanted, pool, trap_unknown)


def _without_pool(loaded: Loaded, trap_unknown: bool) -> Loaded:
    """Return a component in an engine without a pool; its file may be gone by now."""
    from wasmtime.component import Component

    from host_sim.sandbox.loading.linker import link

    engine = make_engine()
    component = Component.deserialize(engine, loaded.linked.component.serialize())
    linked = link(engine, component, loaded.border, trap_unknown=trap_unknown)
    loaded.ticker.add(engine)
    return dataclasses.replace(loaded, engine=engine, linked=linked, elsewhere=None)


async def _compile(component: Path, output: Path, quick: bool) -> None:
    """Compile in a child process, which is ended if this is cancelled.

    Raises:
        StartError: the component is not valid.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "host_sim.sandbox.loading.compile", str(component), str(output)),
        *(("quick",) if quick else ()),
        stdin=asyncio.subprocess.PIPE,  # it ends with this process, whatever ends that
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        assert process.stderr is not None
        said = await process.stderr.read()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else f"the compiler ended with code {process.returncode}"
        raise StartError(f"{component} cannot be compiled: {reason}")


class Ticker:
    """Counts the epochs of engines, but only while guests run."""

    def __init__(self, engine: "wasmtime.Engine") -> None:
        self._engines = [engine]
        self._change = threading.Condition()
        self._running = 0
        self._closed = False
        threading.Thread(target=self._tick, name="host-sim-ticker", daemon=True).start()

    def __enter__(self) -> None:
        with self._change:
            self._running += 1
            self._change.notify()

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._running -= 1

    def add(self, engine: "wasmtime.Engine") -> None:
        """Count for one more engine."""
        self._engines.append(engine)

    def rush(self, seconds: float) -> None:
        """Let guests believe that so much time has passed."""
        for _ in range(int(seconds / TICK_S) + 2):
            self._count()

    def close(self) -> None:
        """Stop for good; guests that still run are no longer bounded."""
        with self._change:
            self._closed = True
            self._change.notify()

    def _tick(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._running or self._closed)
                if self._closed:
                    return
            time.sleep(TICK_S)
            self._count()

    def _count(self) -> None:
        for engine in self._engines:
            engine.increment_epoch()
