"""The proxy's side of a WebSocket against a simple model (GRIP §11.5 to §11.8).

Whatever the client, the backend, publishers and the clock do: requests go one at a time, nothing
the client sends is lost or reordered, nothing is sent to a client that may not be sent any more,
and in the end the backend has heard exactly one goodbye.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from grip.headers import Headers
from grip.ws_over_http.control import Detach, KeepAlive, SendDelayed, encode_control
from grip.ws_over_http.events import (
    Binary,
    Close,
    Disconnect,
    Event,
    Open,
    Ping,
    Pong,
    Text,
    content_of,
    decode_events,
    encode_events,
)
from grip.ws_over_http.session import WebSocketSession
from grip.ws_over_http.states import TRANSITIONS, State
from grip.ws_over_http.steps import (
    Accept,
    Ask,
    CloseItem,
    Delivered,
    Drop,
    Failed,
    Faulted,
    Gone,
    Handshake,
    Hangup,
    Received,
    Refresh,
    Refused,
    Replied,
    Send,
    SendClose,
    SessionEvent,
    Tick,
    Unreachable,
)

GRIP = ("Sec-WebSocket-Extensions", "grip")
MESSAGES = st.one_of(
    st.builds(Text, st.text(max_size=5).map(str.encode)),
    st.builds(Binary, st.binary(max_size=5)),
    st.builds(Ping, st.binary(max_size=5)),
    st.builds(Pong, st.binary(max_size=5)),
)
CLOSES = st.sampled_from([Close(), Close(1000), Close(4000, "bye")])
SAID: st.SearchStrategy[Event] = st.one_of(
    st.text(max_size=5).map(lambda text: Text(b"m:" + text.encode())),
    st.binary(max_size=5).map(lambda content: Binary(b"m:" + content)),
    st.builds(Ping, st.binary(max_size=5)),
    st.sampled_from(
        [
            Text(b"unmarked"),
            Text(encode_control(KeepAlive(Text(b"beat"), 5))),
            Text(encode_control(SendDelayed(Text(b"later"), 5))),
        ]
    ),
)
SELDOM = st.sampled_from([False, False, False, True])  # so that connections live for a while
FIELDS = st.sampled_from(
    [(), (), (("Keep-Alive-Interval", "20"),), (("Keep-Alive-Interval", "0"),)]
)


class Connection(RuleBasedStateMachine):
    """A client, a backend and a publisher around one session."""

    def __init__(self) -> None:
        super().__init__()
        self.session = WebSocketSession("abc")
        self.now = 0.0
        self.request: Ask | None = None  # under way
        self.lost = False  # the last request did not arrive
        self.sent: list[Event] = []  # by the client
        self.taken: list[Event] = []  # by the backend
        self.partial = False  # the backend has taken a message in part
        self.client_is_there = True
        self.close_sent = False
        self.dropped = False

    # What the driver does.

    def handle(self, event: SessionEvent) -> None:
        before = self.session.state
        actions = self.session.handle(event, self.now)
        assert self.session.state in TRANSITIONS[before][type(event)]
        for action in actions:
            match action:
                case Ask():
                    assert self.request is None
                    self.request = action
                case Send():
                    assert self.client_is_there
                    assert not self.close_sent
                case SendClose():
                    assert self.client_is_there
                    assert not self.close_sent
                    self.close_sent = True
                case Hangup():
                    assert self.client_is_there
                    assert self.close_sent
                    self.client_is_there = False
                case Drop():
                    assert self.client_is_there
                    self.client_is_there = False
                    self.dropped = self.session.state is State.OVER
                case Accept():
                    assert before is State.OPENING
                case _:
                    pass

    def settled(self) -> list[Event]:
        assert self.request is not None
        events = decode_events(self.request.body) if not self.partial else []
        self.request = None
        self.lost = False
        return events

    def reply(self, *events: Event, fields: tuple[tuple[str, str], ...] = ()) -> None:
        self.taken += self.settled()
        self.handle(Replied(Headers([GRIP, *fields]), encode_events(events)))

    @initialize()
    def handshake(self) -> None:
        self.handle(Handshake())

    # What may happen.

    def is_open(self) -> bool:
        return self.client_is_there and self.session.state is not State.OPENING

    def is_asked(self) -> bool:
        return self.request is not None

    @precondition(lambda self: self.is_open() and not self.client_has_closed())
    @rule(message=MESSAGES)
    def client_sends(self, message: Text | Binary | Ping | Pong) -> None:
        if self.session.state is State.OPEN:
            self.sent.append(message)
        self.handle(Received(message))

    def client_has_closed(self) -> bool:
        return bool(self.sent) and isinstance(self.sent[-1], Close)

    @precondition(lambda self: self.is_open() and not self.client_has_closed())
    @rule(close=CLOSES)
    def client_closes(self, close: Close) -> None:
        self.sent.append(close)
        self.handle(Received(close))

    @precondition(lambda self: self.is_open() and not self.client_has_closed())
    @rule(seldom=SELDOM)
    def client_breaks_the_protocol(self, seldom: bool) -> None:
        if seldom:
            self.handle(Faulted(1002, "why"))

    @precondition(lambda self: self.client_is_there)
    @rule(seldom=SELDOM)
    def client_vanishes(self, seldom: bool) -> None:
        if seldom:
            self.client_is_there = False
            self.handle(Gone())

    @precondition(lambda self: self.is_asked())
    @rule(events=st.lists(SAID, max_size=3), fields=FIELDS)
    def backend_replies(self, events: list[Event], fields: tuple[tuple[str, str], ...]) -> None:
        assert self.request is not None
        opens = self.request.body == b"OPEN\r\n"
        self.reply(*([Open()] if opens else []), *events, fields=fields)

    @precondition(lambda self: self.is_asked())
    @rule(close=CLOSES, later=SAID, seldom=SELDOM)
    def backend_closes(self, close: Close, later: Event, seldom: bool) -> None:
        assert self.request is not None
        opens = self.request.body == b"OPEN\r\n"
        if seldom:
            self.reply(*([Open()] if opens else []), close, later)

    @precondition(lambda self: self.is_asked() and self.session.state is State.OPENING)
    @rule()
    def backend_opens_later(self) -> None:
        self.reply(fields=(("Keep-Alive-Interval", "20"),))

    @precondition(lambda self: self.is_asked() and self.session.state is State.OPEN)
    @rule()
    def backend_detaches(self) -> None:
        self.reply(Text(encode_control(Detach())))

    @precondition(lambda self: self.is_asked())
    @rule(accepted=st.integers(0, 5), seldom=SELDOM)
    def backend_takes_a_part(self, accepted: int, seldom: bool) -> None:
        assert self.request is not None
        if not seldom:
            return
        events = decode_events(self.request.body) if not self.partial else []
        offered = sum(len(content_of(event)) for event in events)
        if not offered or any(isinstance(event, Close | Disconnect) for event in events):
            return
        self.partial = True  # whose exact effect is the outbox's and has tests of its own
        self.reply(fields=(("Content-Bytes-Accepted", str(min(accepted, offered))),))

    @precondition(lambda self: self.is_asked())
    @rule(
        event=st.sampled_from(
            [Refused("500"), Failed("closed"), Replied(Headers(), b"TEXT zz\r\n")]
        ),
        seldom=SELDOM,
    )
    def backend_fails(self, event: SessionEvent, seldom: bool) -> None:
        if seldom:
            self.taken += self.settled()
            self.handle(event)

    @precondition(lambda self: self.is_asked())
    @rule(chance=st.floats(0, 1, exclude_max=True))
    def backend_is_out_of_reach(self, chance: float) -> None:
        self.request = None
        self.lost = True
        self.handle(Unreachable("refused", chance))

    @precondition(lambda self: self.is_open())
    @rule(event=st.sampled_from([Delivered(), Delivered(), Refresh(), CloseItem(4001, "")]))
    def publisher(self, event: SessionEvent) -> None:
        self.handle(event)

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        while (deadline := self.session.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.handle(Tick())
            assert self.session.deadline != deadline
        self.now = end

    # What always holds.

    @invariant()
    def backend_hears_everything_in_order(self) -> None:
        if self.partial:
            return
        known = [event for event in self.taken if not isinstance(event, Open)]
        goodbyes = [event for event in known if isinstance(event, Close | Disconnect)]
        messages = [event for event in known if not isinstance(event, Close | Disconnect)]
        sent = [event for event in self.sent if not isinstance(event, Close)]
        assert messages == sent[: len(messages)]
        assert not goodbyes or known[-1] == goodbyes[0]
        assert len(set(goodbyes)) <= 1

    @invariant()
    def a_request_is_under_way_unless_it_is_to_be_repeated(self) -> None:
        if self.session.state is State.OVER:
            assert self.session.deadline is None
        elif self.session.state is State.LEAVING:
            assert self.request is not None or self.lost

    def teardown(self) -> None:
        """Let everything end well, and see that nothing is missing."""
        if self.client_is_there and self.session.state is not State.OVER:
            self.client_is_there = False
            self.handle(Gone())
        for _ in range(20):
            if self.session.state is State.OVER:
                break
            if self.request is None:
                self.time_passes(30.0)
            if self.request is not None:
                self.backend_replies([], ())
            self.backend_hears_everything_in_order()
        assert self.session.state is State.OVER


TestConnection = Connection.TestCase
TestConnection.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
