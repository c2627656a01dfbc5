"""A published item on its way to its subscribers: each encoding is made once, however many take it.

Source: GRIP §8.3 (delivery), §8.4 (WebSockets), §10 (filters).
"""

import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import Final

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode

from grip import filters
from grip.hold import Published
from grip.items import Action, Item, MessageType
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
        at: when it is delivered, in seconds on the proxy's clock.
        published: the event it is to holds.
    """

    def __init__(self, item: Item, at: float = 0.0) -> None:
        self.item = item
        self.at = at
        self.published = Published(item)

    @functools.cached_property
    def common_chunk(self) -> bytes:
        """The chunk for every stream without filters and ids of its own; empty if there is none.

        There is none if the item does something else to some, or says which filters it counts on.
        """
        stream = self.item.http_stream
        if stream is None or stream.action is not Action.SEND or stream.content_filters is not None:
            return b""
        return self.stream.chunk

    @functools.cached_property
    def common_frame(self) -> bytes:
        """The frame for every WebSocket without filters, likewise."""
        message = self.item.ws_message
        if (
            message is None
            or message.action is not Action.SEND
            or message.content_filters is not None
        ):
            return b""
        return self.frame

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

    def frame_for(
        self, names: tuple[str, ...], *, meta: Mapping[str, str], channels: Collection[str]
    ) -> bytes:
        """Return the frame for one subscriber, empty if the item is not for it (§8.3, §10).

        Args:
            names: the filters of its subscription, in order.
            meta: its metadata.
            channels: all it is subscribed to.

        Raises:
            RemoteProtocolError: the content cannot be filtered.
        """
        message = self.item.ws_message
        if message is None:
            return b""
        expected = message.content_filters
        if expected is not None and filters.content_filters(names) != expected:
            return b""
        if not filters.delivers(names, meta=meta, item_meta=self.item.meta, channels=channels):
            return b""
        content = filters.filter_content(
            names, message.content, meta=meta, prev_ids=dict.fromkeys(channels)
        )
        if content is message.content:
            return self.frame
        changed = dataclasses.replace(message, content=content)
        return Delivery(dataclasses.replace(self.item, ws_message=changed)).frame
