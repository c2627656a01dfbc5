"""Drives `grip.stream_hold` for one stream: replies relayed, links fetched, content written.

Content that is the same for all subscribers is written as it was framed once, synchronously and
without waking a task. Source: GRIP §6 (stream hold), §7 (next links).
"""

import dataclasses
import logging
from typing import Final

from grip import hold
from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.stream_hold import Event, State, StreamHold
from host_sim.body import Body
from host_sim.errors import BackendError, BodyError
from host_sim.fanout.alarm import Alarm
from host_sim.fanout.client import Client, Room
from host_sim.fanout.delivery import Delivery
from host_sim.fanout.links import url_of
from host_sim.fanout.replies import Instructed, understand
from host_sim.messages import Piece, Sink

__all__ = ["MAX_BUFFERED", "Stream"]

_NO_BODY: Final = Body.of(b"")

log = logging.getLogger("host_sim.fanout")

MAX_BUFFERED: Final = 1 << 20
"""Bytes a client may leave unread; one that has more when content comes is cut off."""


class Stream:
    """A client that gets a response without end."""

    __slots__ = ("_alarm", "_machine", "_room", "_sink", "client")

    def __init__(self, room: Room, client: Client) -> None:
        """Take over `client`, whose request has just been answered by its backend."""
        self.client = client
        self._room = room
        self._machine = StreamHold(url_of(client.request))
        self._alarm = Alarm(room.clock, self._tick)
        self._sink: Sink | None = None  # there while nobody has to be asked about what is for all
        # Links have nothing of the client's request but where it went, so let go of the rest.
        client.request = dataclasses.replace(client.request, headers=Headers(), body=_NO_BODY)
        room.take(client, self)

    async def begin(self, reply: Instructed) -> None:
        """Answer with a reply that asks for a stream, and go on as it says."""
        client, trace, instruct = self.client, self.client.request.trace, reply.instruct
        self._handle(hold.Reply(instruct))  # subscribed before the client sees anything
        client.downstream.send_head(instruct.status, instruct.reason, instruct.headers, None)
        trace.hold, trace.channels = "stream", self._room.registry.channels_of(self)
        trace.emit()
        await self._relay(reply.body)

    def deliver(self, channel: str, delivery: Delivery) -> None:  # noqa: ARG002 - as `Subscriber`
        """Take an item."""
        sink, chunk = self._sink, delivery.common_chunk
        if sink is not None and chunk and sink.get_write_buffer_size() <= MAX_BUFFERED:
            sink.write(chunk)
            self._machine.appended_at = delivery.at  # and the timer is due no earlier than before
            return
        actions = self._machine.handle(delivery.published, self._room.clock.time())
        if actions is hold.AS_PUBLISHED:
            self._write(delivery.stream)  # and the timer is due no earlier than before
            return
        for action in actions:
            self._do(action)
        self._settle()

    def refresh(self) -> None:
        """Ask the backend for the link."""
        self._handle(hold.Refresh())

    def gone(self) -> None:
        """Leave, since the client has."""
        self._handle(hold.Gone())

    def close(self) -> None:
        """End the response, since the proxy shuts down."""
        self._handle(hold.Shutdown())

    async def _relay(self, body: Body) -> None:
        try:
            while piece := await body.read():
                self._handle(hold.Data(piece))
                if self._machine.state is State.OVER:  # the client reads too slowly
                    return
                await self.client.downstream.drain()
        except BodyError as error:
            self._warn(f"backend {self.client.backend!r}: the reply broke off: {error}")
            self._handle(hold.ReplyBroke(self._room.chance()))
        else:
            lasts = self._room.registry.lasts(self._room.registry.channels_of(self))
            self._handle(hold.ReplyEnd(lasts, self._room.chance()))
        finally:
            await body.aclose()

    async def _fetch(self, link: hold.Fetch) -> None:
        client = self.client
        try:
            response = await self._room.links.fetch(
                client.request, client.backend, link.url, link.last_ids, urgent=link.urgent
            )
            if not 200 <= response.status <= 299:
                await response.body.aclose()
                raise RemoteProtocolError(f"expected a 2xx reply to a link, got {response.status}")
            reply = await understand(response, is_link=True, timeout_s=self._room.links.timeout_s)
        except (BackendError, BodyError, RemoteProtocolError) as error:
            self._warn(f"link {link.url}: {error}")
            self._handle(hold.Failed(self._room.chance()))
        else:
            self._handle(hold.Reply(reply.instruct))
            await self._relay(reply.body)

    def _tick(self) -> None:
        self._handle(hold.Tick(self._room.chance()))

    def _handle(self, event: Event) -> None:
        for action in self._machine.handle(event, self._room.clock.time()):
            self._do(action)
        self._settle()

    def _settle(self) -> None:
        """Set the timer as the machine has it, or leave."""
        self._sink = self.client.downstream.sink if self._machine.plain else None
        if self._machine.state is not State.OVER:
            self._alarm.set(self._machine.deadline)
        elif self.client.hold is self:
            self._alarm.cancel()
            self._room.registry.leave(self)
            self._room.let_go(self.client)
            self._room.ended(self.client)
            self.client.give_up()

    def _do(self, action: hold.Action) -> None:
        match action:
            case hold.Subscribe(channels):
                self._room.registry.subscribe_only(self, channels)
            case hold.Forget(channel):
                self._room.registry.forget(channel)
            case hold.Write(content):
                self._write(content)
            case hold.Fetch():
                self.client.spawn(self._fetch(action))
            case hold.Finish(reason):
                log.info("request %d: stream ends: %s", self.client.request.trace.id, reason)
                self.client.downstream.finish()
            case hold.Cut(reason):
                self._warn(f"stream is cut: {reason}")
                self.client.downstream.abort()
            case _:
                raise AssertionError(f"a stream hold does not ask to {action}")

    def _write(self, content: bytes | Piece) -> None:
        downstream = self.client.downstream
        if downstream.buffered > MAX_BUFFERED:
            self._warn("the client reads too slowly and is cut off")
            downstream.abort()
            self.gone()
        else:
            downstream.write(content)

    def _warn(self, text: str) -> None:
        log.warning("request %d: %s", self.client.request.trace.id, text)
