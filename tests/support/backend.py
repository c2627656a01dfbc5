"""A backend of one test: plain bytes in, plain bytes out, connection by connection."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

from tests.support.raw import Raw

__all__ = ["Backend", "Script"]

type Script = Callable[[Raw], Awaitable[None]]
"""Serves one connection; the connection is closed after it."""


class Backend:
    """Listens on a free port; the n-th connection is served by the n-th script, or the last."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._scripts = scripts
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.address = ("", 0)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, limit=1 << 20, ssl=self._tls
        )
        self.address = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            await script(Raw(reader, writer))
        finally:
            writer.close()
            self._tasks.discard(task)
