"""A long poll at the proxy: held until an item answers it, its time is up, or the backend is asked.

The machine starts when the client's request is on its way to the backend, and lives on while that
request is repeated, so that what is published meanwhile is not lost: it waits in a queue and has
its effect on the next hold, unless the backend answers itself. No transport; the driver asks the
backend and answers the client. Source: GRIP §5 (response hold), §8.3 (delivery), §9.4 (recovery).
"""

import enum
import itertools
from collections.abc import Sequence
from typing import Final

from grip import json_patch
from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.hold import (
    MAX_QUEUED,
    Action,
    Answered,
    Ask,
    Fail,
    Forget,
    Gone,
    Held,
    Published,
    Refresh,
    Respond,
    Rule,
    Rules,
    Shutdown,
    Subscribe,
    Tick,
    refusal,
)
from grip.instruct import Instruct, usual_reason
from grip.items import Action as ItemAction
from grip.items import HttpResponseFormat, Item
from grip.subscription import Subscriptions, Verdict

__all__ = ["ResponseHold", "State"]

type Event = Held | Answered | Published | Refresh | Tick | Gone | Shutdown


class State(enum.Enum):
    """Where a long poll is."""

    ASKING = "the backend is being asked"
    HELD = "waits for an item or for its time"
    OVER = "the client has its answer, or has gone"


class ResponseHold:
    """One long poll; see the module for its life and `RULES` for the table of its transitions."""

    __slots__ = ("_body", "_expires_at", "_instruct", "_queue", "_subscriptions", "state")

    def __init__(self) -> None:
        self.state = State.ASKING
        self._subscriptions = Subscriptions()
        self._queue: list[Item] = []
        self._instruct: Instruct | None = None
        self._body = b""
        self._expires_at = 0.0

    @property
    def deadline(self) -> float | None:
        """When to send a `Tick`, in seconds on the caller's clock; None for never."""
        return self._expires_at if self.state is State.HELD else None

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

    def _held(self, event: Held, now: float) -> Sequence[Action]:
        hold = event.instruct.hold
        assert hold is not None
        self._instruct, self._body = event.instruct, event.body
        self._subscriptions = Subscriptions(hold.channels, event.instruct.meta)
        self._expires_at = now + hold.timeout_s
        self.state = State.HELD
        actions: list[Action] = [Subscribe(self._subscriptions.names)]

        queue, self._queue = self._queue, []
        for item in itertools.dropwhile(self._subscriptions.lacks, queue):
            actions += self._take(item)
            if self.state is not State.HELD:
                return actions
        behind = self._subscriptions.behind(event.lasts)
        return [*actions, *map(Forget, behind), self._ask()] if behind else actions

    def _published(self, event: Published, _now: float) -> Sequence[Action]:
        return self._take(event.item)

    def _queued(self, event: Published, _now: float) -> Sequence[Action]:
        if event.item.http_response is not None and len(self._queue) < MAX_QUEUED:
            self._queue.append(event.item)
        return ()

    def _refreshed(self, _event: Refresh, _now: float) -> Sequence[Action]:
        return (self._ask(),)

    def _ticked(self, _event: Tick, now: float) -> Sequence[Action]:
        return () if now < self._expires_at else (self._expire(),)

    def _shut_down(self, _event: Shutdown, _now: float) -> Sequence[Action]:
        if self._instruct is None:
            return (self._fail("the proxy shuts down"),)
        return (self._expire(),)

    def _over(self, _event: Answered | Gone, _now: float) -> Sequence[Action]:
        self.state = State.OVER
        return ()

    def _ignored(self, _event: Event, _now: float) -> Sequence[Action]:
        return ()

    def _take(self, item: Item) -> Sequence[Action]:
        """Let an item have its effect on the hold."""
        published = item.http_response
        if published is None:
            return ()
        match self._subscriptions.judge(item, published.content_filters):
            case Verdict.SKIP:
                return ()
            case Verdict.GAP:
                return (Forget(item.channel), self._ask())
            case Verdict.MISFIT:
                return (self._fail("the item counts on other content filters"),)
        match published.action:
            case ItemAction.SEND:
                return (self._respond(item, published),)
            case ItemAction.HINT:
                return (self._ask(),)
            case ItemAction.CLOSE | ItemAction.REFRESH:
                return ()

    def _respond(self, item: Item, published: HttpResponseFormat) -> Action:
        """Answer with a published item (§5)."""
        assert self._instruct is not None
        try:
            if published.patch is None:
                body = published.body or b""
            else:
                body = json_patch.patch_body(self._body, published.patch)
            body = self._subscriptions.filter_content(item.channel, body)
        except RemoteProtocolError as error:
            return self._fail(str(error))
        headers = _merged(self._instruct.headers, published.headers)
        reason = usual_reason(published.code) if published.reason is None else published.reason
        self.state = State.OVER
        return Respond(published.code, reason, headers, body)

    def _expire(self) -> Action:
        """Answer with the reply itself (§5)."""
        assert self._instruct is not None
        self.state = State.OVER
        instruct = self._instruct
        return Respond(instruct.status, instruct.reason, instruct.headers, self._body)

    def _ask(self) -> Ask:
        self.state = State.ASKING
        return Ask(self._subscriptions.last_ids)

    def _fail(self, reason: str) -> Fail:
        self.state = State.OVER
        return Fail(reason)

    RULES: Final[Rules] = {
        State.ASKING: {
            Held: Rule(_held, (State.HELD, State.ASKING, State.OVER)),
            Answered: Rule(_over, (State.OVER,)),
            Published: Rule(_queued, (State.ASKING,)),
            Refresh: Rule(_ignored, (State.ASKING,)),  # that is what happens already
            Tick: Rule(_ignored, (State.ASKING,)),
            Gone: Rule(_over, (State.OVER,)),
            Shutdown: Rule(_shut_down, (State.OVER,)),
        },
        State.HELD: {
            Published: Rule(_published, (State.HELD, State.ASKING, State.OVER)),
            Refresh: Rule(_refreshed, (State.ASKING,)),
            Tick: Rule(_ticked, (State.HELD, State.OVER)),
            Gone: Rule(_over, (State.OVER,)),
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


def _merged(reply: Headers, item: Headers) -> Headers:
    """Return the fields of a published answer: the reply's, except where the item has its own.

    `Grip-*` and `Content-Length` of the item are left out (§5).
    """
    own = item.where(lambda name: name != "content-length" and not name.startswith("grip-"))
    named = {name for name, _ in item}
    return reply.without(*named).plus(*own)
