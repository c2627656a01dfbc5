"""In which order a proxy processes items: duplicates dropped, gaps waited for, per channel.

The machine knows how many subscribers a channel has, not who they are; delivering is the caller's
work. It also notices the first subscription to a channel, after which everybody on it should ask
the backend again. Source: GRIP §9.1 (state), §9.2 (duplicates), §9.3 (order), §9.5 (first
subscription).
"""

import collections
import dataclasses
import enum
import heapq
import itertools
import math
from collections.abc import Iterable
from typing import assert_never

from grip.items import Item

__all__ = [
    "DUPLICATE_MEMORY_S",
    "FIRST_SUBSCRIPTION_S",
    "GAP_WAIT_S",
    "LINGER_S",
    "MAX_IDS",
    "MAX_WAITING",
    "Arrived",
    "ChannelState",
    "Drop",
    "DropReason",
    "Forgotten",
    "Joined",
    "Left",
    "Process",
    "Recovered",
    "Refresh",
    "SequenceAction",
    "SequenceEvent",
    "Sequencer",
    "Tick",
]

DUPLICATE_MEMORY_S = 60.0
"""How long an id of an item is remembered."""
MAX_IDS = 1_000_000
"""Ids remembered at most; beyond that the oldest is forgotten early."""
GAP_WAIT_S = 5.0
"""How long an item waits for its predecessor, unless told otherwise."""
MAX_WAITING = 100
"""Items of one channel that wait at most."""
LINGER_S = 60.0
"""How long the subscription of a long poll outlives it, so that its client can poll again."""
FIRST_SUBSCRIPTION_S = 1.0
"""How long after the first subscription to a channel its subscribers are refreshed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Arrived:
    """A publisher sent `item`."""

    item: Item


@dataclasses.dataclass(frozen=True, slots=True)
class Joined:
    """A channel got a subscriber."""

    channel: str


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """A channel lost a subscriber, whose subscription lasts `linger_s` seconds more."""

    channel: str
    linger_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Forgotten:
    """A subscriber found the last id of a channel to be of no use (§9.4)."""

    channel: str


@dataclasses.dataclass(frozen=True, slots=True)
class Recovered:
    """Publishes may have been missed: no last id is worth anything any more (`/recover`)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


type SequenceEvent = Arrived | Joined | Left | Forgotten | Recovered | Tick


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """Deliver `item` to whoever is subscribed to its channel now."""

    item: Item


@dataclasses.dataclass(frozen=True, slots=True)
class Refresh:
    """Let every subscriber of `channel` that can do so ask its backend again."""

    channel: str


class DropReason(enum.Enum):
    """Why an item is not processed."""

    DUPLICATE = "its id was seen before"
    RIVAL = "another item waits for the same predecessor"
    CROWDED = "too many items of the channel wait for their predecessors"


@dataclasses.dataclass(frozen=True, slots=True)
class Drop:
    """Do not deliver `item`."""

    item: Item
    reason: DropReason


type SequenceAction = Process | Refresh | Drop


class ChannelState(enum.Enum):
    """What the sequencer keeps of a channel.

    ============  ==================  ===================  =========================
    state         `Joined`            last `Left`          deadline
    ============  ==================  ===================  =========================
    UNKNOWN       SUBSCRIBED, first   (cannot happen)      (none)
    SUBSCRIBED    SUBSCRIBED          LINGERING, UNKNOWN   first refresh, gaps
    LINGERING     SUBSCRIBED          (cannot happen)      UNKNOWN once it is over
    ============  ==================  ===================  =========================
    """

    UNKNOWN = "no subscription"
    SUBSCRIBED = "has subscribers"
    LINGERING = "subscription outlives its last long poll"


@dataclasses.dataclass(slots=True)
class _Channel:
    subscribers: int = 0
    last: str | None = None
    refresh_at: float = math.inf
    lingers_until: float = -math.inf
    wakes_at: float = math.inf
    # predecessor's id → the item that waits for it and until when; oldest first
    waiting: dict[str, tuple[Item, float]] | None = None

    @property
    def deadline(self) -> float:
        ends_at = math.inf if self.subscribers else self.lingers_until
        gives_up_at = next(iter(self.waiting.values()))[1] if self.waiting else math.inf
        return min(self.refresh_at, ends_at, gives_up_at)


class Sequencer:
    """The order of items on all channels of one proxy; see the module for what it decides."""

    def __init__(self, gap_wait_s: float = GAP_WAIT_S) -> None:
        """Let items wait `gap_wait_s` seconds for their predecessors."""
        self._gap_wait_s = gap_wait_s
        self._channels: dict[str, _Channel] = {}
        self._ids: set[tuple[str, str]] = set()
        self._ids_by_age: collections.deque[tuple[float, tuple[str, str]]] = collections.deque()
        # Wake-up calls, earliest first. A channel has one that matters, the one at `wakes_at`.
        self._wakes: list[tuple[float, int, str]] = []
        self._tiebreak = itertools.count()

    @property
    def deadline(self) -> float | None:
        """When to send a `Tick`, in seconds on the caller's clock; None for never."""
        return self._wakes[0][0] if self._wakes else None

    def last(self, channel: str) -> str | None:
        """Return the id of the last item processed on `channel`, None if it is not known."""
        state = self._channels.get(channel)
        return state.last if state else None

    def state(self, channel: str) -> ChannelState:
        """Return what is kept of `channel`."""
        state = self._channels.get(channel)
        if state is None:
            return ChannelState.UNKNOWN
        return ChannelState.SUBSCRIBED if state.subscribers else ChannelState.LINGERING

    def handle(self, event: SequenceEvent, now: float) -> list[SequenceAction]:
        """Take an event and return what to do about it, in order."""
        match event:
            case Arrived(item):
                return self._arrived(item, now)
            case Joined(channel):
                self._joined(channel, now)
                return []
            case Left(channel, linger_s):
                self._left(channel, now + linger_s, now)
                return []
            case Forgotten(channel):
                if channel in self._channels:
                    self._channels[channel].last = None
                return []
            case Recovered():
                for state in self._channels.values():
                    state.last = None
                return [Refresh(channel) for channel in self._channels]
            case Tick():
                return list(self._tick(now))
            case _ as never:
                assert_never(never)

    def _joined(self, channel: str, now: float) -> None:
        state = self._channels.get(channel)
        if state is None:
            state = self._channels[channel] = _Channel(refresh_at=now + FIRST_SUBSCRIPTION_S)
        state.subscribers += 1
        self._arm(channel, state)

    def _left(self, channel: str, lingers_until: float, now: float) -> None:
        state = self._channels[channel]
        state.subscribers -= 1
        state.lingers_until = max(state.lingers_until, lingers_until)
        if state.subscribers:
            return
        if state.lingers_until <= now:
            del self._channels[channel]
        else:
            self._arm(channel, state)

    def _arrived(self, item: Item, now: float) -> list[SequenceAction]:
        if item.id is not None and not self._is_new((item.channel, item.id), now):
            return [Drop(item, DropReason.DUPLICATE)]
        state = self._channels.get(item.channel)
        if state is None or item.no_seq:
            return [Process(item)]
        if item.prev_id is None or state.last is None or item.prev_id == state.last:
            return list(self._process(item, state))
        if state.waiting is None:
            state.waiting = {}
        if item.prev_id in state.waiting:
            return [Drop(item, DropReason.RIVAL)]
        if len(state.waiting) >= MAX_WAITING:
            return [Drop(item, DropReason.CROWDED)]
        state.waiting[item.prev_id] = (item, now + self._gap_wait_s)
        self._arm(item.channel, state)
        return []

    @staticmethod
    def _process(item: Item, state: _Channel) -> Iterable[Process]:
        """Process an item, and then those that waited for it, along the chain."""
        state.last = item.id
        yield Process(item)
        while state.waiting and item.id in state.waiting:
            item, _ = state.waiting.pop(item.id)
            state.last = item.id
            yield Process(item)

    def _tick(self, now: float) -> Iterable[SequenceAction]:
        while self._wakes and self._wakes[0][0] <= now:
            when, _, channel = heapq.heappop(self._wakes)
            state = self._channels.get(channel)
            if state is None or state.wakes_at != when:
                continue  # of a channel that is gone, or put off
            state.wakes_at = math.inf
            if state.refresh_at <= now:
                state.refresh_at = math.inf
                yield Refresh(channel)
            while state.waiting:
                item, gives_up_at = next(iter(state.waiting.values()))
                if gives_up_at > now:
                    break
                assert item.prev_id is not None
                del state.waiting[item.prev_id]
                yield from self._process(item, state)
            if not state.subscribers and state.lingers_until <= now:
                del self._channels[channel]
            else:
                self._arm(channel, state)

    def _arm(self, channel: str, state: _Channel) -> None:
        """See to a wake-up call at the channel's deadline, unless there is an earlier one."""
        if state.deadline < state.wakes_at:
            state.wakes_at = state.deadline
            heapq.heappush(self._wakes, (state.wakes_at, next(self._tiebreak), channel))

    def _is_new(self, key: tuple[str, str], now: float) -> bool:
        """Tell whether an id was not seen of late, and remember it."""
        ages = self._ids_by_age
        while ages and (ages[0][0] <= now or len(ages) >= MAX_IDS):
            self._ids.discard(ages.popleft()[1])
        if key in self._ids:
            return False
        self._ids.add(key)
        ages.append((now + DUPLICATE_MEMORY_S, key))
        return True
