"""A transport that keeps what is written, for protocols under test without a socket."""

import asyncio
from typing import Any

__all__ = ["MemoryTransport"]


class MemoryTransport(asyncio.Transport):
    """Both directions by hand: call the protocol for what arrives, read `written` for the rest."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("192.0.2.1", 1234)})
        self._protocol = protocol
        self._closing = False
        self.paused = False
        self.ended = False  # the sending direction
        self.written = b""
        protocol.connection_made(self)

    def arrive(self, data: bytes) -> None:
        """Give bytes to the protocol, as far as it still listens."""
        if not self._closing:
            self._protocol.data_received(data)

    def arrive_end(self) -> None:
        """End the peer's direction."""
        if not self._closing and not self._protocol.eof_received():
            self.close()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        assert not self.ended
        if not self._closing:
            self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol
