"""The proxy's side of one WebSocket (GRIP §11.4 to §11.7, §8.4, §12)."""

import typing

import pytest

from grip.errors import LocalProtocolError
from grip.headers import Headers, Pair
from grip.ws_over_http.control import (
    Control,
    Detach,
    KeepAlive,
    SendDelayed,
    Subscribe,
    encode_control,
)
from grip.ws_over_http.courier import RETRY_DELAYS_S
from grip.ws_over_http.events import (
    Binary,
    Close,
    Disconnect,
    Event,
    Open,
    Ping,
    Pong,
    Text,
    encode_events,
)
from grip.ws_over_http.session import CLOSE_WAIT_S, WebSocketSession
from grip.ws_over_http.states import TRANSITIONS, State
from grip.ws_over_http.steps import (
    Accept,
    Ask,
    CloseItem,
    Delivered,
    Drop,
    Fail,
    Failed,
    Faulted,
    Gone,
    Handshake,
    Hangup,
    Join,
    Received,
    Refresh,
    Refuse,
    Refused,
    Replied,
    Send,
    SendClose,
    SessionAction,
    SessionEvent,
    Tick,
    Unreachable,
)

GRIP = ("Sec-WebSocket-Extensions", "grip")
LATER = ("Keep-Alive-Interval", "20")


class Proxy:
    """A session with its door, and short ways to say what happens."""

    def __init__(self) -> None:
        self.session = WebSocketSession("abc")
        self.now = 1000.0

    def reached(self, state: State) -> bool:
        """Tell where the session is; a method, so that mypy does not take it for a constant."""
        return self.session.state is state

    def do(self, event: SessionEvent) -> list[SessionAction | bytes]:
        """Hand over an event; requests are shown as their bodies."""
        before = self.session.state
        actions = self.session.handle(event, self.now)
        assert self.session.state in TRANSITIONS[before][type(event)]
        return [action.body if isinstance(action, Ask) else action for action in actions]

    def client(self, event: Text | Binary | Ping | Pong | Close) -> list[SessionAction | bytes]:
        return self.do(Received(event))

    def reply(self, *events: Event, fields: tuple[Pair, ...] = ()) -> list[SessionAction | bytes]:
        return self.do(Replied(Headers(fields), encode_events(events)))

    def wait(self) -> list[SessionAction | bytes]:
        """Let time pass until something is due."""
        assert self.session.deadline is not None
        self.now = self.session.deadline
        return self.do(Tick())


def control(message: Control) -> Text:
    return Text(encode_control(message))


def body(*events: Event) -> bytes:
    return encode_events(events)


@pytest.fixture
def opening() -> Proxy:
    proxy = Proxy()
    assert proxy.do(Handshake()) == [b"OPEN\r\n"]
    return proxy


@pytest.fixture
def proxy(opening: Proxy) -> Proxy:
    assert opening.reply(Open(), fields=(GRIP,)) == [Accept(Headers())]
    assert opening.reached(State.OPEN)
    assert not opening.session.wants_deliveries
    assert opening.session.plain
    return opening


# Opening (§11.4).


def test_the_reply_may_have_headers_and_messages(opening: Proxy) -> None:
    actions = opening.reply(
        Open(),
        control(Subscribe("room")),
        Text(b"m:hello"),
        Ping(b"p"),
        fields=(GRIP, ("Set-Cookie", "a=1"), ("Content-Type", "x")),
    )
    assert actions == [
        Accept(Headers([("Set-Cookie", "a=1")])),
        Join("room"),
        Send(Text(b"hello")),
        Send(Ping(b"p")),
    ]
    assert opening.session.subscriptions == {"room": ()}


def test_the_reply_may_close_again(opening: Proxy) -> None:
    assert opening.reply(Open(), Close(4001, "bye")) == [
        Accept(Headers()),
        SendClose(4001, "bye"),
    ]
    assert opening.reached(State.CLOSING)


def test_the_reply_may_drop_the_connection(opening: Proxy) -> None:
    *_, drop = opening.reply(Open(), Disconnect())
    assert isinstance(drop, Drop)


@pytest.mark.parametrize("events", [(), (Text(b"m:x"),), (Close(),)])
def test_a_reply_that_does_not_open_fails(opening: Proxy, events: tuple[Event, ...]) -> None:
    (fail,) = opening.reply(*events)
    assert isinstance(fail, Fail)
    assert opening.reached(State.OVER)


@pytest.mark.parametrize(
    "event",
    [
        Replied(Headers(), b"OPEN"),
        Replied(Headers([("Sec-WebSocket-Extensions", 'grip; a="')]), b"OPEN\r\n"),
        Failed("closed"),
        Unreachable("refused", 0.0),
    ],
)
def test_what_else_fails(opening: Proxy, event: SessionEvent) -> None:
    (fail,) = opening.do(event)
    assert isinstance(fail, Fail)
    assert opening.reached(State.OVER)


def test_a_time_out_is_told_apart(opening: Proxy) -> None:
    assert opening.do(Failed("too slow", timed_out=True)) == [Fail("too slow", timed_out=True)]


def test_any_other_reply_is_the_answer(opening: Proxy) -> None:
    assert opening.do(Refused("status 401")) == [Refuse()]
    assert opening.reached(State.OVER)


def test_the_backend_may_open_later(opening: Proxy) -> None:
    assert opening.reply(fields=(LATER,)) == []
    assert opening.wait() == [b"OPEN\r\n"]
    assert opening.reply() == []
    assert opening.wait() == [b"OPEN\r\n"]
    assert opening.reply(Open()) == [Accept(Headers())]
    assert opening.wait() == [b""]


@pytest.mark.parametrize("answer", [Open(), Text(b"m:no"), None])
def test_the_client_may_leave_before_the_reply(opening: Proxy, answer: Event | None) -> None:
    """Only a backend that accepts hears of it."""
    assert opening.do(Gone()) == []
    told = opening.reply(*([answer] if answer else []), fields=(LATER,))
    assert told == ([b"DISCONNECT\r\n"] if answer == Open() else [])
    if answer == Open():
        assert opening.reply() == []
    assert opening.reached(State.OVER)


@pytest.mark.parametrize("event", [Refused("401"), Failed("closed"), Unreachable("refused", 0.0)])
def test_the_client_may_leave_before_a_refusal(opening: Proxy, event: SessionEvent) -> None:
    opening.do(Gone())
    assert opening.do(event) == []
    assert opening.reached(State.OVER)


def test_the_client_may_leave_while_nobody_is_asked(opening: Proxy) -> None:
    opening.reply(fields=(LATER,))
    assert opening.do(Gone()) == []
    assert opening.reached(State.OVER)
    assert opening.session.deadline is None


# Messages (§11.5).


def test_messages_wait_for_the_request_under_way(proxy: Proxy) -> None:
    assert proxy.client(Text(b"a")) == [body(Text(b"a"))]
    assert proxy.client(Text(b"b")) == []
    assert proxy.client(Ping()) == []
    assert proxy.reply(Text(b"m:1")) == [Send(Text(b"1")), body(Text(b"b"), Ping())]
    assert proxy.reply(Pong()) == [Send(Pong())]
    assert proxy.client(Text(b"c")) == [body(Text(b"c"))]


def test_the_client_is_not_read_while_too_much_waits(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.client(Binary(b"x" * 200_000))
    full = [proxy.session.full]
    for _ in range(2):
        proxy.reply()
        full.append(proxy.session.full)
    assert full == [True, True, False]


@pytest.mark.parametrize(
    "event",
    [
        Refused("status 500"),
        Failed("closed"),
        Replied(Headers(), b"TEXT zz\r\n"),
        Replied(Headers(), b"OPEN\r\n"),
        Replied(Headers(), b"DISCONNECT\r\n"),
        Replied(Headers([("Content-Bytes-Accepted", "9")]), b""),
    ],
)
def test_errors_drop_the_connection(proxy: Proxy, event: SessionEvent) -> None:
    """§11.7: and the backend hears nothing more of it."""
    proxy.client(Text(b"a"))
    proxy.client(Text(b"b"))
    (drop,) = proxy.do(event)
    assert isinstance(drop, Drop)
    assert proxy.do(Gone()) == []
    assert proxy.reached(State.OVER)


def test_a_backend_out_of_reach_is_tried_again(proxy: Proxy) -> None:
    """§11.7."""
    proxy.client(Text(b"a"))
    for _ in RETRY_DELAYS_S:
        assert proxy.do(Unreachable("refused", 0.5)) == []
        assert proxy.client(Text(b"b")) == []
        assert proxy.wait() == [body(Text(b"a"))]
    assert proxy.do(Unreachable("refused", 0.5)) == [Drop("refused")]


def test_a_refresh_asks_the_backend(proxy: Proxy) -> None:
    """§8.4."""
    assert proxy.do(Refresh()) == [b""]
    assert proxy.do(Refresh()) == []
    assert proxy.reply() == [b""]


def test_published_messages_put_off_the_keep_alive_message(proxy: Proxy) -> None:
    """§12."""
    proxy.client(Text(b"a"))
    proxy.reply(control(KeepAlive(Text(b"beat"), 10)))
    assert proxy.session.wants_deliveries
    assert not proxy.session.plain
    proxy.now += 5
    assert proxy.do(Delivered()) == []
    assert proxy.session.deadline == proxy.now + 10
    assert proxy.wait() == [Send(Text(b"beat"))]


# Closing (§11.6).


def test_the_client_closes_and_the_backend_answers(proxy: Proxy) -> None:
    assert proxy.client(Text(b"a")) == [body(Text(b"a"))]
    assert proxy.client(Text(b"b")) == []
    assert proxy.client(Close(4000, "bye")) == []
    assert proxy.reached(State.ENDING)
    assert proxy.client(Text(b"ignored")) == []
    assert proxy.reply(Text(b"m:1")) == [
        Send(Text(b"1")),
        body(Text(b"b"), Close(4000, "bye")),
    ]
    assert proxy.reply(Text(b"m:2"), Close(4001, "so be it"), Text(b"m:3")) == [
        Send(Text(b"2")),
        SendClose(4001, "so be it"),
        Hangup(),
    ]
    assert proxy.reached(State.OVER)


def test_an_answer_without_a_code_means_1000(proxy: Proxy) -> None:
    assert proxy.client(Close()) == [b"CLOSE\r\n"]
    assert proxy.reply(Close()) == [SendClose(1000, ""), Hangup()]


def test_a_close_that_is_not_answered_drops(proxy: Proxy) -> None:
    proxy.client(Close(1000))
    (drop,) = proxy.reply()
    assert isinstance(drop, Drop)


def test_with_an_interval_the_close_is_sent_again(proxy: Proxy) -> None:
    proxy.client(Close(4000))
    assert proxy.reply(fields=(LATER,)) == []
    assert proxy.wait() == [body(Close(4000))]
    assert proxy.reply(Close(4000)) == [SendClose(4000, ""), Hangup()]


def test_both_close_at_once(proxy: Proxy) -> None:
    """The backend's code goes to the client, and the client's to the backend."""
    proxy.client(Text(b"a"))
    proxy.client(Close(4000))
    assert proxy.reply(Close(4001)) == [SendClose(4001, ""), Hangup(), body(Close(4000))]
    assert proxy.reached(State.LEAVING)
    assert proxy.reply() == []
    assert proxy.reached(State.OVER)


def test_the_client_closes_and_vanishes(proxy: Proxy) -> None:
    proxy.client(Close(4000))
    assert proxy.do(Gone()) == []
    assert proxy.reply(Close(4000)) == []
    assert proxy.reached(State.OVER)


def test_the_client_vanishes_while_the_close_waits_for_the_interval(proxy: Proxy) -> None:
    proxy.client(Close(4000))
    proxy.reply(fields=(LATER,))
    assert proxy.do(Gone()) == []
    assert proxy.reached(State.OVER)


def test_the_backend_closes(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    assert proxy.reply(Text(b"m:1"), Close(4002, "enough"), Text(b"m:2")) == [
        Send(Text(b"1")),
        SendClose(4002, "enough"),
    ]
    assert proxy.client(Text(b"ignored")) == []
    assert proxy.do(CloseItem(4003, "")) == proxy.do(Refresh()) == proxy.do(Delivered()) == []
    assert proxy.client(Close(4002, "enough")) == [Hangup(), body(Close(4002, "enough"))]
    assert proxy.do(Failed("whatever")) == []
    assert proxy.reached(State.OVER)


def test_what_came_before_the_backend_closed_still_reaches_it(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.client(Text(b"b"))
    assert proxy.reply(Close(4002)) == [SendClose(4002, ""), body(Text(b"b"))]
    assert proxy.reply(Text(b"m:too late")) == []
    assert proxy.client(Close(4002)) == [Hangup(), body(Close(4002))]


@pytest.mark.parametrize("event", [Failed("closed"), Refused("500"), Replied(Headers(), b"x")])
def test_a_backend_that_fails_after_its_close_hears_no_more(
    proxy: Proxy, event: SessionEvent
) -> None:
    proxy.client(Text(b"a"))
    proxy.client(Text(b"b"))
    proxy.reply(Close(4002))
    assert proxy.do(event) == []
    assert proxy.client(Close(4002)) == [Hangup()]
    assert proxy.reached(State.OVER)


def test_a_client_that_does_not_answer_a_close_is_dropped(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.reply(Close(4002))
    started = proxy.now
    drop, told = proxy.wait()
    assert proxy.now == started + CLOSE_WAIT_S
    assert isinstance(drop, Drop)
    assert told == b"DISCONNECT\r\n"
    assert proxy.do(Gone()) == []
    assert proxy.reply() == []
    assert proxy.reached(State.OVER)


def test_the_client_vanishes(proxy: Proxy) -> None:
    assert proxy.do(Gone()) == [b"DISCONNECT\r\n"]
    assert proxy.do(CloseItem(None, "")) == proxy.do(Refresh()) == proxy.do(Delivered()) == []
    assert proxy.client(Text(b"late")) == proxy.do(Gone()) == []
    assert proxy.reply(Text(b"m:whatever")) == []
    assert proxy.reached(State.OVER)


def test_the_client_vanishes_during_a_request(proxy: Proxy) -> None:
    """What it has sent is not lost."""
    proxy.client(Text(b"a"))
    proxy.client(Text(b"b"))
    assert proxy.do(Gone()) == []
    assert proxy.reply(Text(b"m:too late")) == [body(Text(b"b"), Disconnect())]


def test_the_client_vanishes_while_the_backend_is_out_of_reach(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.do(Unreachable("refused", 0.0))
    assert proxy.do(Gone()) == []
    assert proxy.wait() == [body(Text(b"a"))]
    for _ in RETRY_DELAYS_S[1:]:
        proxy.do(Unreachable("refused", 0.0))
        proxy.wait()
    assert proxy.do(Unreachable("refused", 0.0)) == []
    assert proxy.reached(State.OVER)


def test_timed_messages_end_with_the_connection(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.reply(
        control(KeepAlive(Text(b"beat"), 5)),
        control(SendDelayed(Text(b"later"), 5)),
        fields=(LATER,),
    )
    started = proxy.now
    assert proxy.session.deadline == started + 5
    proxy.do(CloseItem(None, ""))
    assert proxy.session.deadline == started + CLOSE_WAIT_S
    proxy.do(Gone())
    assert proxy.session.deadline is None


# A client that breaks the protocol (RFC 6455 §7.1.7).


def test_a_fault_closes_at_once_if_nothing_is_under_way(proxy: Proxy) -> None:
    assert proxy.do(Faulted(1002, "why")) == [
        SendClose(1002, "why"),
        Hangup(),
        b"DISCONNECT\r\n",
    ]
    assert proxy.do(Gone()) == proxy.do(Faulted(1002, "")) == proxy.reply() == []
    assert proxy.reached(State.OVER)


def test_what_was_sent_before_a_fault_is_answered(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.client(Text(b"b"))
    assert proxy.do(Faulted(1007, "why")) == []
    assert proxy.client(Text(b"ignored")) == proxy.do(Faulted(1002, "")) == []
    assert proxy.do(CloseItem(4005, "")) == proxy.do(Refresh()) == proxy.do(Delivered()) == []
    assert proxy.reply(Text(b"m:1"), fields=(LATER,)) == [Send(Text(b"1")), body(Text(b"b"))]
    assert proxy.reply(Text(b"m:2")) == [
        Send(Text(b"2")),
        SendClose(1007, "why"),
        Hangup(),
        b"DISCONNECT\r\n",
    ]


@pytest.mark.parametrize("event", [Close(4001), control(Detach())])
def test_whatever_the_backend_says_the_fault_decides(proxy: Proxy, event: Event) -> None:
    proxy.client(Text(b"a"))
    proxy.do(Faulted(1007, "why"))
    assert proxy.reply(event, Text(b"m:1")) == [
        SendClose(1007, "why"),
        Hangup(),
        b"DISCONNECT\r\n",
    ]


def test_a_fault_does_not_wait_for_ever(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.do(Faulted(1002, "why"))
    started = proxy.now
    assert proxy.wait() == [SendClose(1002, "why"), Hangup()]
    assert proxy.now == started + CLOSE_WAIT_S
    assert proxy.reply() == [b"DISCONNECT\r\n"]


def test_a_fault_and_an_error_of_the_backend(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.do(Faulted(1002, "why"))
    proxy.do(Unreachable("refused", 0.0))
    assert proxy.wait() == [body(Text(b"a"))]
    assert proxy.do(Failed("closed")) == [Drop("closed")]


def test_a_client_vanishes_after_a_fault(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.do(Faulted(1002, "why"))
    assert proxy.do(Gone()) == []
    assert proxy.reply(Text(b"m:1")) == [b"DISCONNECT\r\n"]


def test_a_fault_while_the_client_should_answer_a_close(proxy: Proxy) -> None:
    proxy.do(CloseItem(None, ""))
    assert proxy.do(Faulted(1002, "why")) == [Hangup()]
    proxy.reply()
    assert proxy.reached(State.OVER)


def test_a_fault_of_a_detached_client(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.reply(control(Detach()))
    proxy.reply()
    assert proxy.do(Faulted(1002, "why")) == [SendClose(1002, "why"), Hangup()]
    assert proxy.reached(State.OVER)


def test_a_fault_after_the_close_does_not_matter(proxy: Proxy) -> None:
    proxy.client(Close(4000))
    assert proxy.do(Faulted(1002, "")) == []


# What is published (§8.4).


def test_an_item_closes(proxy: Proxy) -> None:
    assert proxy.do(CloseItem(4005, "done")) == [SendClose(4005, "done"), b"CLOSE\r\n"]
    assert proxy.reply(Text(b"m:too late")) == []
    assert proxy.client(Close(4005)) == [Hangup()]
    assert proxy.reached(State.OVER)


def test_an_item_closes_during_a_request(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.client(Text(b"b"))
    assert proxy.do(CloseItem(None, "")) == [SendClose(1000, "")]
    assert proxy.client(Close(1000)) == [Hangup()]
    assert proxy.reply() == [body(Text(b"b"), Close())]
    assert proxy.reached(State.LEAVING)


def test_a_closing_client_is_not_closed(proxy: Proxy) -> None:
    proxy.client(Close(4000))
    assert proxy.do(CloseItem(4005, "")) == proxy.do(Refresh()) == proxy.do(Delivered()) == []
    assert proxy.reply(Close(4000)) == [SendClose(4000, ""), Hangup()]


# Detached (§12).


def test_a_detached_client_is_the_proxys(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    assert proxy.reply(control(Detach()), Text(b"m:on your own"), fields=(LATER,)) == [
        Send(Text(b"on your own")),
        b"CLOSE\r\n",
    ]
    assert proxy.reached(State.DETACHED)
    assert proxy.client(Text(b"ignored")) == []
    assert proxy.client(Ping(b"p")) == [Send(Pong(b"p"))]
    assert proxy.reply(Text(b"m:ignored"), fields=(LATER,)) == []
    assert proxy.do(Refresh()) == proxy.do(Delivered()) == []
    assert proxy.session.deadline is None
    assert proxy.client(Close(4000)) == [SendClose(1000, ""), Hangup()]
    assert proxy.reached(State.OVER)


def test_a_detached_client_vanishes(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.client(Text(b"b"))
    assert proxy.reply(control(Detach())) == [body(Text(b"b"), Close())]
    assert proxy.do(Gone()) == []
    assert proxy.reached(State.LEAVING)
    assert proxy.reply() == []
    assert proxy.reached(State.OVER)


@pytest.mark.parametrize("event", [Failed("closed"), Refused("500"), Replied(Headers(), b"x")])
def test_a_detached_client_does_not_mind_errors(proxy: Proxy, event: SessionEvent) -> None:
    proxy.client(Text(b"a"))
    proxy.reply(control(Detach()))
    assert proxy.do(event) == []
    assert proxy.do(Gone()) == []
    assert proxy.reached(State.OVER)


def test_a_detached_client_can_be_closed(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.reply(control(Detach()), Close(4001))
    assert proxy.reached(State.CLOSING)
    assert proxy.client(Close(4001)) == [Hangup()]
    proxy.reply()
    assert proxy.reached(State.OVER)


def test_an_item_closes_a_detached_client(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.reply(control(Detach()))
    proxy.reply()
    assert proxy.do(CloseItem(4005, "")) == [SendClose(4005, "")]
    assert proxy.client(Close(4005)) == [Hangup()]
    assert proxy.reached(State.OVER)


def test_the_backend_detaches_while_the_client_closes(proxy: Proxy) -> None:
    proxy.client(Text(b"a"))
    proxy.client(Close(4000))
    assert proxy.reply(control(Detach()), Text(b"m:1")) == [
        SendClose(1000, ""),
        Hangup(),
        body(Close(4000)),
    ]


# The table.


def test_every_event_is_in_the_table_or_impossible() -> None:
    events = set(typing.get_args(SessionEvent.__value__))
    impossible = {
        (state, event.__name__) for state, row in TRANSITIONS.items() for event in events - set(row)
    }
    not_before = {"Received", "Faulted", "Delivered", "CloseItem", "Refresh"}
    assert impossible == {
        *((State.OPENING, name) for name in not_before),
        *((state, "Handshake") for state in set(State) - {State.OPENING}),
    }
    assert set(TRANSITIONS) == set(State)


def test_what_is_not_in_the_table_is_refused(opening: Proxy) -> None:
    with pytest.raises(LocalProtocolError, match="Received cannot happen while opening"):
        opening.session.handle(Received(Text(b"")), 0.0)
