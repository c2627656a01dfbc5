"""Drives `grip.response_hold` for one long poll: subscriptions, timer, questions and the answer.

Source: GRIP §5 (response hold), §9.4 (recovery).
"""

from collections.abc import Callable, Coroutine
from typing import Any

from grip import hold
from grip.instruct import Instruct
from grip.response_hold import Event, ResponseHold, State
from grip.sequence import LINGER_S
from host_sim.fanout.alarm import Alarm
from host_sim.fanout.answers import fail, respond
from host_sim.fanout.client import Client, Room
from host_sim.fanout.delivery import Delivery

__all__ = ["AskAgain", "LongPoll"]

type AskAgain = Callable[["LongPoll", tuple[hold.LastId, ...]], Coroutine[Any, Any, None]]
"""Sends a client's request again with these `Grip-Last`; ends with `obey` or `release`."""


class LongPoll:
    """A client that waits for its answer."""

    __slots__ = ("_alarm", "_ask_again", "_machine", "_room", "client")

    def __init__(self, room: Room, client: Client, ask_again: AskAgain) -> None:
        """Take over `client`, whose request has just been answered by its backend."""
        self.client = client
        self._room = room
        self._ask_again = ask_again
        self._machine = ResponseHold()
        self._alarm = Alarm(room.clock, self._tick)
        room.take(client, self)

    def obey(self, instruct: Instruct, body: bytes) -> None:
        """Obey a reply that asks to hold the response; `body` is for when the time is up."""
        assert instruct.hold is not None
        channels = tuple(channel.name for channel in instruct.hold.channels)
        trace = self.client.request.trace
        trace.hold, trace.channels = "response", channels
        self._handle(hold.Held(instruct, body, self._room.registry.lasts(channels)))
        trace.emit()

    def release(self) -> None:
        """Let go of the client: somebody else answers it."""
        self._handle(hold.Answered())

    def deliver(self, channel: str, delivery: Delivery) -> None:  # noqa: ARG002 - as `Subscriber`
        """Take an item."""
        self._handle(delivery.published)

    def refresh(self) -> None:
        """Ask the backend again."""
        self._handle(hold.Refresh())

    def gone(self) -> None:
        """Leave, since the client has."""
        self._handle(hold.Gone())

    def close(self) -> None:
        """Answer now, since the proxy shuts down."""
        self._handle(hold.Shutdown())

    def _tick(self) -> None:
        self._handle(hold.Tick(self._room.chance()))

    def _handle(self, event: Event) -> None:
        actions = self._machine.handle(event, self._room.clock.time())
        if self._machine.state is not State.OVER:
            self._alarm.set(self._machine.deadline)
        elif self.client.hold is self:
            self._leave()
        for action in actions:
            self._do(action)
        if self._machine.state is State.OVER and not isinstance(event, hold.Answered):
            self._room.ended(self.client)

    def _do(self, action: hold.Action) -> None:
        client, registry = self.client, self._room.registry
        match action:
            case hold.Subscribe(channels):
                registry.subscribe_only(self, channels, linger_s=LINGER_S)
            case hold.Forget(channel):
                registry.forget(channel)
            case hold.Ask(last_ids):
                client.spawn(self._ask_again(self, last_ids))
            case hold.Respond(status, reason, headers, body):
                respond(
                    client.downstream,
                    client.request.trace,
                    status=status,
                    reason=reason,
                    headers=headers,
                    body=body,
                )
            case hold.Fail(reason):
                fail(client.downstream, client.request.trace, reason)
            case _:
                raise AssertionError(f"a response hold does not ask to {action}")

    def _leave(self) -> None:
        self._alarm.cancel()
        self._room.registry.leave(self, linger_s=LINGER_S)
        self._room.let_go(self.client)
