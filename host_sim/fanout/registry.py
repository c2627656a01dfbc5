"""Who is subscribed to which channel, and the delivery of items to them.

What is published is delivered at once, into the subscribers' connection buffers, unless it is so
much that others would have to wait: then the rest follows in slices, and publishers wait
(`caught_up`). What a subscriber gets is in the order of the items. What an item does to a
subscriber is the subscriber's business. Source: GRIP §8.3, §9.
"""

import asyncio
import collections
import logging
from collections.abc import Iterable
from typing import Final, Protocol, assert_never

from grip import sequence
from grip.items import Item
from host_sim.fanout.alarm import Alarm, Clock
from host_sim.fanout.delivery import Delivery

__all__ = ["SLICE", "Registry", "Subscriber"]

log = logging.getLogger("host_sim.fanout")


SLICE: Final = 2_000
"""Deliveries at a stretch, about; then whatever else has happened meanwhile is seen to."""


class Subscriber(Protocol):
    """Somebody who waits for items; compared and hashed by identity."""

    def deliver(self, channel: str, delivery: Delivery) -> None:
        """Take an item of a channel. Called only while subscribed to it; must not block."""

    def refresh(self) -> None:
        """Ask the backend again if this subscriber can (§9.5); must not block."""


class Registry:
    """Channels and their subscribers, in the order in which they subscribed."""

    def __init__(
        self, clock: Clock | None = None, *, message_wait_s: float = sequence.GAP_WAIT_S
    ) -> None:
        """Take times from `clock`, by default from the event loop that runs at the first use.

        Items wait `message_wait_s` seconds for their predecessors (§9.3).
        """
        self._clock = clock
        self._alarm: Alarm | None = None
        self._sequencer = sequence.Sequencer(message_wait_s)
        self._channels: dict[str, dict[Subscriber, None]] = {}
        self._channels_of: dict[Subscriber, tuple[str, ...]] = {}
        self._backlog: collections.deque[Item] = collections.deque()
        self._caught_up = asyncio.Event()
        self._caught_up.set()

    def subscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Subscribe to `channel`; a second time does nothing."""
        subscribers = self._channels.setdefault(channel, {})
        if subscriber not in subscribers:
            subscribers[subscriber] = None
            self._channels_of[subscriber] = (*self._channels_of.get(subscriber, ()), channel)
            self._sequence(sequence.Joined(channel))

    def unsubscribe(self, channel: str, subscriber: Subscriber, *, linger_s: float = 0.0) -> None:
        """End a subscription if there is one.

        For `linger_s` seconds more the channel counts as subscribed to (§9.1): what has been
        processed on it stays known, and who comes next is not the first.
        """
        subscribers = self._channels.get(channel)
        if subscribers is None or subscriber not in subscribers:
            return
        del subscribers[subscriber]
        if not subscribers:
            del self._channels[channel]
        left = tuple(name for name in self._channels_of[subscriber] if name != channel)
        if left:
            self._channels_of[subscriber] = left
        else:
            del self._channels_of[subscriber]
        self._sequence(sequence.Left(channel, linger_s))

    def leave(self, subscriber: Subscriber, *, linger_s: float = 0.0) -> None:
        """End all subscriptions of `subscriber`."""
        for channel in self._channels_of.get(subscriber, ()):
            self.unsubscribe(channel, subscriber, linger_s=linger_s)

    def subscribe_only(
        self, subscriber: Subscriber, channels: Iterable[str], *, linger_s: float = 0.0
    ) -> None:
        """Have `subscriber` subscribed to exactly these channels."""
        wanted = tuple(channels)
        for channel in self.channels_of(subscriber):
            if channel not in wanted:
                self.unsubscribe(channel, subscriber, linger_s=linger_s)
        for channel in wanted:
            self.subscribe(channel, subscriber)

    def channels_of(self, subscriber: Subscriber) -> tuple[str, ...]:
        """Return the channels of `subscriber`, in the order of subscription."""
        return self._channels_of.get(subscriber, ())

    def has(self, channel: str) -> bool:
        """Tell whether anybody is subscribed to `channel`."""
        return channel in self._channels

    def count(self, channel: str) -> int:
        """Return how many are subscribed to `channel`."""
        return len(self._channels.get(channel, ()))

    def lasts(self, channels: Iterable[str]) -> dict[str, str]:
        """Return the ids of the last items processed, for those of `channels` that have one."""
        lasts = ((channel, self._sequencer.last(channel)) for channel in channels)
        return {channel: last for channel, last in lasts if last is not None}

    def forget(self, channel: str) -> None:
        """Forget the last id of `channel`, since a subscriber has found a gap (§9.4)."""
        self._sequence(sequence.Forgotten(channel))

    def recover(self) -> None:
        """Forget all last ids and let all subscribers ask their backends again (§8.1)."""
        self._sequence(sequence.Recovered())

    def publish(self, items: Iterable[Item]) -> None:
        """Deliver items, or keep them back until their predecessors have come (§9.3).

        They are behind what was published before, and may be so when this returns.
        """
        idle = not self._backlog
        self._backlog.extend(items)
        if idle:
            self._work_off()

    async def caught_up(self) -> None:
        """Wait until everything published has been delivered."""
        while self._backlog:
            self._caught_up.clear()
            await self._caught_up.wait()

    def _work_off(self) -> None:
        """Process the items that wait, or as many as make a slice."""
        left = SLICE
        try:
            while self._backlog and left > 0:
                item = self._backlog[0]  # still in its place, for whoever publishes meanwhile
                left -= 1 + self.count(item.channel)
                try:
                    self._sequence(sequence.Arrived(item))
                finally:
                    self._backlog.popleft()
        finally:  # an item that fails must not keep those behind it, and publishers, for ever
            if self._backlog:
                clock = self._running_clock()
                clock.call_at(clock.time(), self._work_off)
            else:
                self._caught_up.set()

    def _running_clock(self) -> Clock:
        if self._clock is None:
            self._clock = asyncio.get_running_loop()
        return self._clock

    def _sequence(self, event: sequence.SequenceEvent) -> None:
        clock = self._running_clock()
        for action in self._sequencer.handle(event, clock.time()):
            match action:
                case sequence.Process(item):
                    self._deliver(item)
                case sequence.Refresh(channel):
                    self._refresh(channel)
                case sequence.Drop(item, reason):
                    log.info("channel %r: item %r dropped: %s", item.channel, item.id, reason.value)
                case _ as never:
                    assert_never(never)
        if self._alarm is None:
            self._alarm = Alarm(clock, lambda: self._sequence(sequence.Tick()))
        self._alarm.set(self._sequencer.deadline)

    def _deliver(self, item: Item) -> None:
        channel = item.channel
        subscribers = self._channels.get(channel)
        if subscribers is None:
            return
        delivery = Delivery(item, self._running_clock().time())
        for subscriber in tuple(subscribers):  # any of them may leave, or make others leave
            if subscriber in subscribers:
                try:
                    subscriber.deliver(channel, delivery)
                except Exception:
                    log.exception("channel %r: an item could not be delivered", channel)

    def _refresh(self, channel: str) -> None:
        for subscriber in tuple(self._channels.get(channel, ())):
            subscriber.refresh()
