"""A listener: accepts connections, hands requests to a handler, stops gracefully.

h11 on bare asyncio protocols, because a proxy has to be exact to the byte: field values that are
not UTF-8, reason phrases, the order of fields, and nothing added that nobody asked for.
"""

import asyncio
import contextlib
import errno
import ssl
from collections.abc import Coroutine
from typing import Any

from host_sim.errors import StartError
from host_sim.http1.connection import Connection
from host_sim.messages import Address, Handler

__all__ = ["IDLE_TIMEOUT_S", "MAX_HEAD_BYTES", "Listener", "serve"]

MAX_HEAD_BYTES = 69 << 10
"""How long a request head may be: what production takes (compute-host §8)."""

IDLE_TIMEOUT_S = 75.0
"""Seconds a connection may wait for its next request to be complete up to its body."""

_BACKLOG = 1024  # connections that wait to be accepted; the system may allow fewer


class Listener:
    """A listening socket and its connections (`connection.Owner`); made by `serve`.

    Attributes:
        address: host and port it is bound to.
    """

    def __init__(
        self, handler: Handler, *, scheme: str, max_head_bytes: int, idle_timeout_s: float
    ) -> None:
        self.address: Address = ("", 0)
        self.closing = False
        self.handler = handler
        self.idle_timeout_s = idle_timeout_s
        self.max_head_bytes = max_head_bytes
        self.scheme = scheme
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()

    async def bind(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Start listening.

        Raises:
            StartError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Connection(self), host, port, ssl=tls, backlog=_BACKLOG
            )
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "the port is taken" if taken else error.strerror or str(error)
            raise StartError(f"cannot listen on {host}:{port}: {reason}") from error
        self.address = self._server.sockets[0].getsockname()[:2]

    async def close(self, grace_s: float) -> None:
        """Stop listening, give requests under way `grace_s` seconds, then cut them off."""
        if self._server is None:
            return
        self.closing = True
        # What asyncio has accepted when its server closes would be lost without being closed
        # (CPython issue 109564): accept no more, and let what is accepted become connections, which
        # `opened` ends. That takes a turn of the loop for the transport and one for its protocol.
        loop = asyncio.get_running_loop()
        for listening in self._server.sockets:
            loop.remove_reader(listening.fileno())
        for _ in range(2):
            await asyncio.sleep(0)
        self._server.close()
        for transport in list(self._transports):
            protocol = transport.get_protocol()
            if isinstance(protocol, Connection):
                protocol.stop()
        if not await self._all_gone(grace_s):
            for transport in list(self._transports):
                transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._all_gone(grace_s)
        self._server = None

    async def _all_gone(self, timeout_s: float) -> bool:
        if self._transports:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)
        return not self._transports

    # What connections call.

    def opened(self, transport: asyncio.Transport) -> None:
        """Hear of a new connection."""
        self._transports.add(transport)
        if self.closing:  # it was accepted just before
            transport.abort()

    def lost(self, transport: asyncio.Transport) -> None:
        """Hear that a connection has ended."""
        self._transports.discard(transport)
        if not self._transports:
            self._empty.set()

    def run(self, handling: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run what handles one request."""
        task = asyncio.get_running_loop().create_task(handling)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    max_head_bytes: int = MAX_HEAD_BYTES,
    idle_timeout_s: float = IDLE_TIMEOUT_S,
    tls: ssl.SSLContext | None = None,
) -> Listener:
    """Listen on `host`:`port` (0: any free port) and answer every request with `handler`.

    Handlers run in tasks of their own and are never cancelled when their client goes: they
    register with `Downstream.on_gone`.

    Args:
        handler: answers requests.
        host: name or address to bind.
        port: port to bind.
        max_head_bytes: longer request heads are answered 431.
        idle_timeout_s: seconds a connection may go without a complete request head.
        tls: makes it an HTTPS listener.

    Raises:
        StartError: the address cannot be had.
    """
    listener = Listener(
        handler,
        scheme="http" if tls is None else "https",
        max_head_bytes=max_head_bytes,
        idle_timeout_s=idle_timeout_s,
    )
    await listener.bind(host, port, tls)
    return listener
