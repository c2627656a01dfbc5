"""A TCP relay in front of a server, whose connections can be cut as a bad network does."""

import asyncio
import contextlib
from typing import Self

from host_sim.messages import Address

__all__ = ["Relay"]


class Relay:
    """Relays while an `async with` block runs.

    Attributes:
        address: where clients connect.
        refused: connections that came since the last `cut`, and were reset.
    """

    address: Address

    def __init__(self, target: Address) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._up = True
        self.refused = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset all connections, and each new one until `mend`."""
        self._up = False
        self.refused = 0
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._up = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._up:
                with contextlib.suppress(OSError):
                    await self._relay(reader, writer)
            else:
                self.refused += 1
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond, onward = await asyncio.open_connection(*self._target)
        self._writers.add(onward)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, onward))
                both.create_task(_pump(beyond, writer))
        finally:
            onward.transport.abort()
            self._writers.discard(onward)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
