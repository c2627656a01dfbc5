"""A connection after `101 Switching Protocols`: bytes both ways, on either side of the proxy.

It knows nothing of what is spoken inside. `SocketTunnel` takes the transport over from the HTTP
connection, whose state can then be freed. A peer that ends its direction ends the tunnel: the
protocols that come here (WebSocket) have a closing handshake of their own.
"""

import asyncio
from collections.abc import Callable

from host_sim.messages import Sink

__all__ = ["SocketTunnel"]


class SocketTunnel(asyncio.Protocol):
    """Implements `messages.Tunnel` on a transport."""

    __slots__ = (
        "_begun",
        "_drained",
        "_early",
        "_on_data",
        "_on_gone",
        "_on_lost",
        "_paused",
        "_transport",
    )

    def __init__(
        self, transport: asyncio.Transport | None, early: bytes, on_lost: Callable[[], None]
    ) -> None:
        """Take over `transport` (None: it is gone already); `early` came with the head.

        `on_lost` is called when the transport is gone.
        """
        self._transport = transport
        self._early = early
        self._on_lost = on_lost
        self._on_data: Callable[[bytes], None] | None = None
        self._on_gone: Callable[[], None] | None = None
        self._begun = False
        self._drained: asyncio.Event | None = None  # there while the peer reads too slowly
        self._paused = False
        if transport is not None:
            transport.set_protocol(self)
            transport.pause_reading()

    @property
    def buffered(self) -> int:
        """Bytes written and not yet taken by the peer's connection."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def sink(self) -> Sink | None:
        """The transport, while there is one."""
        return self._transport

    def start(self, on_data: Callable[[bytes], None], on_gone: Callable[[], None]) -> None:
        """Deliver bytes to `on_data`, first those that came with the head; then `on_gone`, once."""
        self._on_data, self._on_gone = on_data, on_gone
        # Not at once: the caller may still be putting in place what the callbacks use.
        asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._begun = True
        early, self._early = self._early, b""
        if early and self._on_data is not None:
            self._on_data(early)
        if self._transport is None:
            self._tell_gone()
        elif not self._paused:
            self.resume_reading()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until little enough is buffered to write more, or the connection has ended."""
        if self._drained is not None:
            await self._drained.wait()

    def pause_reading(self) -> None:
        """Take no more bytes from the peer until `resume_reading`."""
        self._paused = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes from the peer again."""
        self._paused = False
        if self._begun and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what is buffered, then close."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on (`asyncio.Protocol`)."""
        if self._begun and self._on_data is not None:
            self._on_data(data)
        else:  # the event loop had them already when reading was paused
            self._early += data

    def pause_writing(self) -> None:
        """Hold back writers (`asyncio.Protocol`)."""
        self._drained = asyncio.Event()

    def resume_writing(self) -> None:
        """Let writers go on (`asyncio.Protocol`)."""
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio calls it so
        """Tell both owners (`asyncio.Protocol`)."""
        self._transport = None
        self.resume_writing()
        self._on_lost()
        if self._begun:
            self._tell_gone()

    def _tell_gone(self) -> None:
        on_gone, self._on_gone, self._on_data = self._on_gone, None, None
        if on_gone is not None:
            on_gone()
