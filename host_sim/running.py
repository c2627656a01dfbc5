"""Runs what serves until a signal comes, in an event loop of its own, for the commands."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterable

__all__ = ["run", "unless_stopped"]


def run(
    serve: Callable[[asyncio.Event], Awaitable[None]],
    signals: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
) -> None:
    """Run `serve` until it returns; each of `signals` sets the event it is given, once."""
    _allow_many_connections()

    async def until_stopped() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            stopping.set()
            loop.remove_signal_handler(number)  # a second one ends the process at once

        for number in signals:
            loop.add_signal_handler(number, stop, number)
        await serve(stopping)

    make_loop: Callable[[], asyncio.AbstractEventLoop]
    try:
        from uvloop import new_event_loop as make_loop
    except ImportError:
        make_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(until_stopped())


async def unless_stopped(work: Awaitable[None], stopping: asyncio.Event) -> bool:
    """Wait for `work`; cancel it and return False if `stopping` is set before."""
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    return False


def _allow_many_connections() -> None:
    """Raise the limit of open files to what the system lets us: each held client is one."""
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
