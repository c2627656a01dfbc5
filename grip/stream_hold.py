"""A stream at the proxy: replies of the backend one after the other, and published content between.

The machine starts when the client's request is on its way to the backend. Each reply says how to
go on: hold the stream, follow a link, or end. While a reply or a link is under way, items wait in
a queue. Keep-alive data is sent between replies only, never into one. No transport; the driver
fetches, relays and writes. Source: GRIP §6 (stream hold), §7 (next links), §9.4 (recovery).
"""

import enum
import itertools
import math
from collections.abc import Sequence
from typing import Final
from urllib.parse import urljoin

from grip.errors import RemoteProtocolError
from grip.hold import (
    AS_PUBLISHED,
    MAX_QUEUED,
    Action,
    Append,
    Cut,
    Data,
    Failed,
    Fetch,
    Finish,
    Forget,
    Gone,
    Published,
    Refresh,
    Reply,
    ReplyBroke,
    ReplyEnd,
    Rule,
    Rules,
    Shutdown,
    Subscribe,
    Tick,
    Write,
    refusal,
)
from grip.instruct import HoldMode, Instruct
from grip.items import Action as ItemAction
from grip.items import HttpStreamFormat, Item
from grip.keep_alive import KeepAlive, KeepAliveMode
from grip.subscription import Subscriptions, Verdict

__all__ = ["RETRIES_S", "State", "StreamHold"]

RETRIES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""After how many seconds a link that failed is fetched again, plus up to one second each."""

type Event = (
    Reply | Data | ReplyEnd | ReplyBroke | Failed | Published | Refresh | Tick | Gone | Shutdown
)


class State(enum.Enum):
    """Where a stream is."""

    FETCHING = "the backend is being asked"
    RELAYING = "its reply is passed on"
    HOLDING = "waits for items"
    PAUSED = "waits before it fetches its link again"
    OVER = "the response has ended, or the client has gone"


class StreamHold:
    """One stream; see the module for its life and `RULES` for the table of its transitions.

    Attributes:
        state: where it is.
        appended_at: when the last item was appended or keep-alive data sent, on the caller's clock.
    """

    __slots__ = (
        "_at",
        "_beat_delay",
        "_failures",
        "_incoming",
        "_keep_alive",
        "_link_at",
        "_link_timeout_s",
        "_next",
        "_queue",
        "_relayed",
        "_retry_at",
        "_silent",
        "_subscriptions",
        "_unfiltered",
        "appended_at",
        "state",
    )

    def __init__(self, url: str) -> None:
        """Start with the client's request, which was for the absolute `url`."""
        self.state = State.FETCHING
        self._at: str | None = None  # URL of the last complete reply, what its links relate to
        self._next: str | None = url  # URL of the reply to come
        self._link_timeout_s = math.inf
        self._link_at = math.inf
        # Channels without an item since the link's time started; None without a link.
        self._silent: set[str] | None = None
        self._subscriptions = Subscriptions()
        self._queue: list[Published] = []
        self._keep_alive: KeepAlive | None = None
        self.appended_at = 0.0  # keep-alive data is due `_beat_delay` seconds after this
        self._beat_delay = math.inf
        self._failures = 0
        self._retry_at = math.inf
        self._incoming: Instruct | None = None  # of the reply under way
        self._relayed = False  # a part of it has been passed on
        self._unfiltered: bytearray | None = None  # its body, if filters are to change it

    @property
    def deadline(self) -> float | None:
        """When to send a `Tick`, in seconds on the caller's clock; None for never."""
        match self.state:
            case State.HOLDING:
                due = min(self._link_at, self._beat_at)
            case State.FETCHING:
                due = self._beat_at
            case State.PAUSED:
                due = min(self._retry_at, self._beat_at)
            case State.RELAYING | State.OVER:
                return None
        return None if due == math.inf else due

    @property
    def plain(self) -> bool:
        """Whether content that is sent to all would be appended here as it is, and nothing else.

        Until the next event a driver may then append it without asking, if it sets `appended_at`.
        """
        return (
            self.state is State.HOLDING
            and self._silent is None
            and (self._keep_alive is None or self._keep_alive.mode is KeepAliveMode.IDLE)
            and self._subscriptions.plain
        )

    @property
    def _beat_at(self) -> float:
        return self.appended_at + self._beat_delay

    def handle(self, event: Event, now: float) -> Sequence[Action]:
        """Take an event and return what to do about it, in order.

        Raises:
            LocalProtocolError: the event cannot happen in this state.
        """
        try:
            rule = self.RULES[self.state][type(event)]
        except KeyError:
            raise refusal(self.state, event) from None
        return rule.do(self, event, now)

    # The reply.

    def _replied(self, event: Reply, _now: float) -> Sequence[Action]:
        self._incoming = event.instruct
        self._relayed = False
        coming = _subscriptions(event.instruct)
        self._unfiltered = bytearray() if coming.filters_reply else None
        self.state = State.RELAYING
        # What is published while the reply is passed on is queued for either hold.
        return (Subscribe(tuple(dict.fromkeys((*self._subscriptions.names, *coming.names)))),)

    def _data(self, event: Data, _now: float) -> Sequence[Action]:
        if self._unfiltered is not None:
            self._unfiltered += event.content
            return ()
        self._relayed = True
        return (Write(event.content),)

    def _reply_ended(self, event: ReplyEnd, now: float) -> Sequence[Action]:
        assert self._incoming is not None
        instruct, self._incoming = self._incoming, None
        hold, link = instruct.hold, instruct.next_link
        self._failures = 0
        self._keep_alive = hold.keep_alive if hold else None
        self._start_beat(now, event.chance)
        self._subscriptions = _subscriptions(instruct)
        actions: list[Action] = [Subscribe(self._subscriptions.names)]
        if self._unfiltered is not None:
            try:
                actions.append(Write(self._subscriptions.filter_reply(bytes(self._unfiltered))))
            except RemoteProtocolError as error:
                return (*actions, self._finish(str(error)))
        self._at, self._next = self._next, None
        if link is not None and self._at is not None:
            self._next = urljoin(self._at, link.uri)
            self._link_timeout_s = link.timeout_s

        if hold is None:
            end = self._finish("end of the reply") if self._next is None else self._fetch()
            return (*actions, end)
        if hold.mode is not HoldMode.STREAM:
            return (*actions, self._finish("a link led to a long poll"))
        if self._next is None and self._subscriptions.last_ids:
            return (*actions, self._finish("a channel has a prev-id but there is no next link"))

        self.state = State.HOLDING
        self._start_link(now)
        actions += self._drain(now)
        behind = self._subscriptions.behind(event.lasts) if self.state is State.HOLDING else ()
        if behind:
            actions += (*map(Forget, behind), *self._recover())
        return actions

    def _drain(self, now: float) -> Sequence[Action]:
        """Let queued items have their effect, from the first that follows the reply on."""
        queue, self._queue = self._queue, []
        actions: list[Action] = []
        for event in itertools.dropwhile(self._lacks, queue):
            published = event.item.http_stream
            assert published is not None
            for action in self._published(event, now):
                # Only the item that is being published can be appended as it is.
                shared = isinstance(action, Append)
                actions.append(Write(published.content) if shared else action)
            if self.state is not State.HOLDING:
                break
        return actions

    def _lacks(self, event: Published) -> bool:
        return self._subscriptions.lacks(event.item)

    def _broke(self, event: ReplyBroke, now: float) -> Sequence[Action]:
        if self._at is None:  # the client's own reply: it has to see that it is incomplete
            self.state = State.OVER
            return (Cut("the reply broke off"),)
        if self._relayed:
            return (self._finish("the reply to a link broke off"),)
        return self._failed(Failed(event.chance), now)

    # The link.

    def _failed(self, event: Failed, now: float) -> Sequence[Action]:
        if self._failures == len(RETRIES_S):
            return (self._finish("the link failed too often"),)
        self._retry_at = now + RETRIES_S[self._failures] + event.chance
        self._failures += 1
        self.state = State.PAUSED
        return ()

    def _recover(self, *, urgent: bool = False) -> Sequence[Action]:
        """Fetch the link, if there is one, to learn what has been missed."""
        return () if self._next is None else (self._fetch(urgent=urgent),)

    def _fetch(self, *, urgent: bool = False) -> Fetch:
        assert self._next is not None
        self.state = State.FETCHING
        return Fetch(self._next, self._subscriptions.last_ids, urgent)

    def _start_link(self, now: float) -> None:
        self._link_at = math.inf if self._next is None else now + self._link_timeout_s
        self._silent = None if self._next is None else set(self._subscriptions.names)

    def _refreshed(self, _event: Refresh, _now: float) -> Sequence[Action]:
        return self._recover()

    # Items.

    def _queued(self, event: Published, _now: float) -> Sequence[Action]:
        if event.item.http_stream is not None and len(self._queue) < MAX_QUEUED:
            self._queue.append(event)
        return ()

    def _published(self, event: Published, now: float) -> Sequence[Action]:
        item = event.item
        published = item.http_stream
        if published is None:
            return ()
        verdict = self._subscriptions.judge(item, published.content_filters)
        if verdict is Verdict.TAKE and published.action is ItemAction.SEND:
            return self._append(item, published, now)  # by far the most frequent
        match verdict:
            case Verdict.TAKE:
                return self._obey(published.action)
            case Verdict.SKIP:
                return ()
            case Verdict.GAP:
                return (Forget(item.channel), *self._recover())
            case Verdict.MISFIT:
                return (self._finish("an item counts on other content filters"),)

    def _obey(self, action: ItemAction) -> Sequence[Action]:
        match action:
            case ItemAction.HINT:
                return self._recover(urgent=True)
            case ItemAction.CLOSE:
                return (self._finish("closed by a publisher"),)
            case ItemAction.SEND | ItemAction.REFRESH:
                return ()

    def _append(self, item: Item, published: HttpStreamFormat, now: float) -> Sequence[Action]:
        try:
            content = self._subscriptions.filter_content(item.channel, published.content)
        except RemoteProtocolError as error:
            return (self._finish(str(error)),)
        if self._keep_alive is not None and self._keep_alive.mode is KeepAliveMode.IDLE:
            self.appended_at = now
        if self._silent is not None:
            self._silent.discard(item.channel)
            if not self._silent:
                self._start_link(now)
        return AS_PUBLISHED if content is published.content else (Write(content),)

    # Time.

    def _start_beat(self, now: float, chance: float) -> None:
        self.appended_at = now
        self._beat_delay = self._keep_alive.timeout_s - chance if self._keep_alive else math.inf

    def _ticked(self, event: Tick, now: float) -> Sequence[Action]:
        actions: list[Action] = []
        if self._keep_alive is not None and self._beat_at <= now:
            actions.append(Write(self._keep_alive.content))
            self._start_beat(now, event.chance)
        match self.state:
            case State.HOLDING if self._link_at <= now:
                actions.append(self._fetch())
            case State.PAUSED if self._retry_at <= now:
                actions.append(self._fetch())
        return actions

    # The end.

    def _finish(self, reason: str) -> Finish:
        self.state = State.OVER
        return Finish(reason)

    def _gone(self, _event: Gone, _now: float) -> Sequence[Action]:
        self.state = State.OVER
        return ()

    def _shut_down(self, _event: Shutdown, _now: float) -> Sequence[Action]:
        if self.state is State.RELAYING:
            self.state = State.OVER
            return (Cut("the proxy shuts down"),)
        return (self._finish("the proxy shuts down"),)

    def _ignored(self, _event: Event, _now: float) -> Sequence[Action]:
        return ()

    RULES: Final[Rules] = {
        State.FETCHING: {
            Reply: Rule(_replied, (State.RELAYING,)),
            Failed: Rule(_failed, (State.PAUSED, State.OVER)),
            Published: Rule(_queued, (State.FETCHING,)),
            Refresh: Rule(_ignored, (State.FETCHING,)),  # that is what happens already
            Tick: Rule(_ticked, (State.FETCHING,)),
            Gone: Rule(_gone, (State.OVER,)),
            Shutdown: Rule(_shut_down, (State.OVER,)),
        },
        State.RELAYING: {
            Data: Rule(_data, (State.RELAYING,)),
            ReplyEnd: Rule(_reply_ended, (State.HOLDING, State.FETCHING, State.OVER)),
            ReplyBroke: Rule(_broke, (State.PAUSED, State.OVER)),
            Published: Rule(_queued, (State.RELAYING,)),
            Refresh: Rule(_ignored, (State.RELAYING,)),
            Tick: Rule(_ignored, (State.RELAYING,)),
            Gone: Rule(_gone, (State.OVER,)),
            Shutdown: Rule(_shut_down, (State.OVER,)),
        },
        State.HOLDING: {
            Published: Rule(_published, (State.HOLDING, State.FETCHING, State.OVER)),
            Refresh: Rule(_refreshed, (State.HOLDING, State.FETCHING)),
            Tick: Rule(_ticked, (State.HOLDING, State.FETCHING)),
            Gone: Rule(_gone, (State.OVER,)),
            Shutdown: Rule(_shut_down, (State.OVER,)),
        },
        State.PAUSED: {
            Published: Rule(_queued, (State.PAUSED,)),
            Refresh: Rule(_ignored, (State.PAUSED,)),
            Tick: Rule(_ticked, (State.PAUSED, State.FETCHING)),
            Gone: Rule(_gone, (State.OVER,)),
            Shutdown: Rule(_shut_down, (State.OVER,)),
        },
        State.OVER: {
            Published: Rule(_ignored, (State.OVER,)),
            Refresh: Rule(_ignored, (State.OVER,)),
            Tick: Rule(_ignored, (State.OVER,)),
            Gone: Rule(_ignored, (State.OVER,)),
            Shutdown: Rule(_ignored, (State.OVER,)),
        },
    }


def _subscriptions(instruct: Instruct) -> Subscriptions:
    """Return what a reply subscribes a stream to; only a stream hold does so (§7.1)."""
    hold = instruct.hold
    holds = hold is not None and hold.mode is HoldMode.STREAM
    return Subscriptions(hold.channels if hold and holds else (), instruct.meta)
