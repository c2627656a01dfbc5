"""A published item on its way to its subscribers: each encoding is made once, however many take it.

Source: GRIP §8.3 (delivery), §8.4 (WebSockets).
"""

import functools
from typing import Final

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode

from grip.hold import Published
from grip.items import Item, MessageType
from host_sim.messages import Piece

__all__ = ["OPCODES", "Delivery"]

OPCODES: Final = {
    MessageType.TEXT: Opcode.TEXT,
    MessageType.BINARY: Opcode.BINARY,
    MessageType.PING: Opcode.PING,
    MessageType.PONG: Opcode.PONG,
}


class Delivery:
    """One item and its wire forms.

    Attributes:
        item: the item as published.
        published: the event it is to holds.
    """

    def __init__(self, item: Item) -> None:
        self.item = item
        self.published = Published(item)

    @functools.cached_property
    def stream(self) -> Piece:
        """The `http-stream` content; empty if the item has none."""
        return Piece(self.item.http_stream.content if self.item.http_stream else b"")

    @functools.cached_property
    def frame(self) -> bytes:
        """The `ws-message` content as one unmasked frame without extensions (RFC 6455 §5.2).

        Empty if the item has none, or one that fits no frame (a ping of more than 125 bytes).
        """
        message = self.item.ws_message
        if message is None:
            return b""
        frame = Frame(OPCODES[message.type], message.content)
        try:
            frame.check()
        except ProtocolError:
            return b""
        return frame.serialize(mask=False, extensions=None)
