"""A client that sends and receives plain bytes, to see exactly what goes over the wire."""

import asyncio
import socket
import struct
from typing import Self

from host_sim.messages import Address
from tests.support.waiting import PATIENCE_S

__all__ = ["Raw"]


class Raw:
    """A TCP connection; every wait is bounded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, address: Address, *, limit: int = 1 << 20) -> Self:
        return cls(*await asyncio.open_connection(*address, limit=limit))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def until(self, marker: bytes) -> bytes:
        """Return everything up to and including `marker`."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(marker)

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Return everything up to the end of the connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def answer(self) -> tuple[bytes, bytes]:
        """Return the head of a response and its body, as framed by its fields."""
        head = await self.until(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return head, await self.exactly(int(line[15:]))
            if line == b"transfer-encoding: chunked":
                return head, await self.until(b"0\r\n\r\n")
        return head, b""

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    def abort(self) -> None:
        self.writer.transport.abort()

    def reset(self) -> None:
        """Go in a way that the peer notices whether it writes or not."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()
