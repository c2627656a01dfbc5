"""WebSocket frames (RFC 6455, no extensions), read and written one at a time."""

import asyncio
import os
from dataclasses import dataclass
from enum import IntEnum


class Opcode(IntEnum):
    """The frame types of RFC 6455."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class FrameError(Exception):
    """The peer sent something that is not a valid frame."""


@dataclass(frozen=True)
class Frame:
    """One WebSocket frame, unmasked."""

    opcode: Opcode
    payload: bytes
    final: bool = True

    def encode_masked(self) -> bytes:
        """Return the frame as a client sends it."""
        head = bytearray([(0x80 if self.final else 0) | self.opcode])
        size = len(self.payload)
        if size < 126:
            head.append(0x80 | size)
        elif size < 1 << 16:
            head.append(0x80 | 126)
            head += size.to_bytes(2, "big")
        else:
            head.append(0x80 | 127)
            head += size.to_bytes(8, "big")
        mask = os.urandom(4)
        return bytes(head) + mask + _apply_mask(self.payload, mask)


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """Read a frame; raise `asyncio.IncompleteReadError` if the connection ends first."""
    first, second = await reader.readexactly(2)
    if first & 0x70 or first & 0x0F not in set(Opcode):
        raise FrameError(f"a frame starts with {first:#04x}")
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await reader.readexactly(8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(size)
    if mask:
        payload = _apply_mask(payload, mask)
    return Frame(Opcode(first & 0x0F), payload, final=bool(first & 0x80))


def _apply_mask(payload: bytes, mask: bytes) -> bytes:
    if not payload:
        return b""
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    size = len(payload)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return masked.to_bytes(size, "big")
