"""Every client gets every message once and in order, whatever happens on the way (GRIP §9).

Messages have ids and previous ids, and the backend keeps a history. Publishes are lost, doubled and
put out of order; backends fail, break off and restart; clients go and come back. The machines run
on a clock that passes when the test says so.
"""

from collections.abc import Sequence
from typing import assert_never

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from grip import hold
from grip.headers import Headers
from grip.instruct import Channel, Hold, HoldMode, Instruct, KeepAlive, Link
from grip.items import HttpResponseFormat, HttpStreamFormat, Item
from grip.response_hold import ResponseHold
from grip.sequence import LINGER_S
from grip.stream_hold import RETRIES_S, StreamHold
from host_sim.fanout.alarm import Alarm
from host_sim.fanout.delivery import Delivery
from host_sim.fanout.registry import Registry
from tests.support.fanout import Clock

LINK_TIMEOUT_S = 120
POLL_TIMEOUT_S = 55
RECONNECT_S = 3.0
BEAT = b"beat;"


def encode(messages: Sequence[int]) -> bytes:
    return b"".join(b"%d;" % message for message in messages)


def decode(content: bytes) -> list[int]:
    return [int(part) for part in content.replace(BEAT, b"").split(b";") if part]


def item(message: int) -> Item:
    content = encode([message])
    return Item(
        channel="room",
        http_stream=HttpStreamFormat(content=content),
        http_response=HttpResponseFormat(body=content),
        id=str(message),
        prev_id=str(message - 1),
    )


class World:
    """A proxy, and a backend with a history, the numbers from 1 on."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.registry = Registry(self.clock)
        self.published = 0


class Client:
    """What a stream and a long poll have in common: a position, and requests under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.got: list[int] = []
        self.asked_from: int | None = None  # a request that the backend has not seen yet
        self.reply: tuple[int, int] | None = None  # one on its way back: messages from, up to
        self.alarm = Alarm(world.clock, self.tick)
        self.connect()

    @property
    def position(self) -> int:
        return self.got[-1] if self.got else 0

    def connect(self) -> None:
        raise NotImplementedError

    def tick(self) -> None:
        raise NotImplementedError

    def reconnect(self) -> None:
        """Lose the connection; the client comes back a little later."""
        self.leave()
        self.asked_from = self.reply = None
        self.alarm.cancel()
        self.world.clock.call_at(self.world.clock.time() + RECONNECT_S, self.connect)

    def leave(self) -> None:
        self.world.registry.leave(self)  # type: ignore[arg-type]  # subclasses are subscribers

    def backend_reads(self) -> None:
        """The backend looks into its history; its reply is on its way from now on."""
        if self.asked_from is not None:
            self.reply = (self.asked_from, self.world.published)
            self.asked_from = None

    def lasts(self) -> dict[str, str]:
        return self.world.registry.lasts(["room"])


def instruct(mode: HoldMode, at: int) -> Instruct:
    return Instruct(
        hold=Hold(
            mode=mode,
            channels=(Channel(name="room", prev_id=str(at)),),
            timeout_s=POLL_TIMEOUT_S,
            keep_alive=KeepAlive(content=BEAT, timeout_s=20),
        ),
        next_link=Link(uri="/next", timeout_s=LINK_TIMEOUT_S),
        gone_link=None,
        status=200,
        reason="OK",
        headers=Headers(),
        body=None,
        meta={},
    )


class StreamClient(Client):
    """A stream: `prev-id` and a next link."""

    def connect(self) -> None:
        self.machine = StreamHold("http://h/")
        self.asked_from = self.position

    def deliver(self, channel: str, delivery: Delivery) -> None:
        self.do(self.machine.handle(delivery.published, self.world.clock.time()), delivery)

    def refresh(self) -> None:
        self.handle(hold.Refresh())

    def tick(self) -> None:
        self.handle(hold.Tick(0.5))

    def reply_comes(self, *, fails: bool, breaks_after: int | None) -> None:
        if self.reply is None:
            return
        (start, end), self.reply = self.reply, None
        first = self.machine._at is None
        if fails and first:
            self.reconnect()
            return
        if fails:
            self.handle(hold.Failed(0.5))
            return
        self.handle(hold.Reply(instruct(HoldMode.STREAM, end)))
        for number, message in enumerate(range(start + 1, end + 1)):
            if number == breaks_after:
                self.handle(hold.ReplyBroke(0.5))
                return
            self.handle(hold.Data(encode([message])))
        self.handle(hold.ReplyEnd(self.lasts(), 0.5))

    def handle(self, event: object) -> None:
        self.do(self.machine.handle(event, self.world.clock.time()), None)  # type: ignore[arg-type]

    def do(self, actions: Sequence[hold.Action], delivery: Delivery | None) -> None:
        for action in actions:
            match action:
                case hold.Subscribe(channels):
                    self.world.registry.subscribe_only(self, channels)
                case hold.Forget(channel):
                    self.world.registry.forget(channel)
                case hold.Append():
                    assert delivery is not None
                    self.got += decode(delivery.stream.content)
                case hold.Write(content):
                    self.got += decode(content)
                case hold.Fetch(_, last_ids):
                    self.asked_from = int(dict(last_ids)["room"])
                case hold.Finish() | hold.Cut():
                    self.reconnect()
                    return
                case hold.Ask() | hold.Respond() | hold.Fail():
                    raise AssertionError(action)
                case _ as never:
                    assert_never(never)
        self.alarm.set(self.machine.deadline)


class PollClient(Client):
    """A client that polls again after each answer, from where it is."""

    def connect(self) -> None:
        self.machine = ResponseHold()
        self.asked_from = self.position

    def deliver(self, channel: str, delivery: Delivery) -> None:
        self.handle(delivery.published)

    def refresh(self) -> None:
        self.handle(hold.Refresh())

    def tick(self) -> None:
        self.handle(hold.Tick(0.5))

    def leave(self) -> None:
        self.world.registry.leave(self, linger_s=LINGER_S)

    def reply_comes(self, *, fails: bool, breaks_after: int | None) -> None:
        if self.reply is None:
            return
        (start, end), self.reply = self.reply, None
        if fails or breaks_after is not None:
            self.reconnect()
        elif start == end:
            self.handle(hold.Held(instruct(HoldMode.RESPONSE, end), b"", self.lasts()))
        else:
            self.handle(hold.Answered())
            self.answer(encode(range(start + 1, end + 1)))

    def answer(self, body: bytes) -> None:
        self.leave()
        self.got += decode(body)
        self.alarm.cancel()
        self.connect()

    def handle(self, event: object) -> None:
        actions = self.machine.handle(event, self.world.clock.time())  # type: ignore[arg-type]
        for action in actions:
            match action:
                case hold.Subscribe(channels):
                    self.world.registry.subscribe_only(self, channels, linger_s=LINGER_S)
                case hold.Forget(channel):
                    self.world.registry.forget(channel)
                case hold.Ask(last_ids):
                    self.asked_from = int(dict(last_ids)["room"])
                case hold.Respond(_, _, _, body):
                    self.answer(body)
                    return
                case _:
                    raise AssertionError(action)
        self.alarm.set(self.machine.deadline)


CLIENTS = st.integers(0, 3)


class ReliableDelivery(RuleBasedStateMachine):
    """Everything that can go wrong, in any order, and healing at the end."""

    @initialize()
    def start(self) -> None:
        self.world = World()
        self.under_way: list[Item] = []  # publishes that have not arrived yet
        self.clients = [kind(self.world) for kind in (StreamClient, PollClient) * 2]

    @rule(lost=st.booleans(), doubled=st.booleans())
    def publish(self, lost: bool, doubled: bool) -> None:
        self.world.published += 1
        if not lost:
            self.under_way += [item(self.world.published)] * (2 if doubled else 1)

    @rule(position=st.integers(0, 9))
    def publish_arrives(self, position: int) -> None:
        if self.under_way:
            self.world.registry.publish([self.under_way.pop(position % len(self.under_way))])

    @rule(client=CLIENTS)
    def backend_reads(self, client: int) -> None:
        self.clients[client].backend_reads()

    @rule(client=CLIENTS, fails=st.booleans(), breaks_after=st.none() | st.integers(0, 3))
    def reply_comes(self, client: int, fails: bool, breaks_after: int | None) -> None:
        self.clients[client].reply_comes(fails=fails, breaks_after=breaks_after)

    @rule(client=CLIENTS)
    def reply_comes_whole(self, client: int) -> None:
        self.clients[client].backend_reads()
        self.clients[client].reply_comes(fails=False, breaks_after=None)

    @rule(client=CLIENTS)
    def client_reconnects(self, client: int) -> None:
        target = self.clients[client]
        if target.asked_from is not None or target.reply or self.is_held(target):
            target.reconnect()

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 20.0, 60.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    def is_held(self, client: Client) -> bool:
        assert isinstance(client, StreamClient | PollClient)
        return bool(self.world.registry.channels_of(client))

    @invariant()
    def nothing_is_missing_doubled_or_out_of_order(self) -> None:
        for client in getattr(self, "clients", ()):
            assert client.got == list(range(1, len(client.got) + 1)), type(client)

    def teardown(self) -> None:
        """Let everything arrive and work again: then everybody gets everything."""
        if not hasattr(self, "clients"):
            return
        self.world.registry.publish(self.under_way)
        for _ in range(2 * len(RETRIES_S) + 4):
            for client in self.clients:
                client.backend_reads()
                client.reply_comes(fails=False, breaks_after=None)
            self.nothing_is_missing_doubled_or_out_of_order()
            self.world.clock.advance(LINK_TIMEOUT_S / 4)
        for client in self.clients:
            assert client.got == list(range(1, self.world.published + 1)), type(client)


ReliableDelivery.TestCase.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None
)
TestReliableDelivery = ReliableDelivery.TestCase
