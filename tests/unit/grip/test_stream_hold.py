"""A stream at the proxy (GRIP §6, §7, §8.3, §9.4)."""

import itertools

import pytest

from grip.errors import LocalProtocolError
from grip.headers import Headers
from grip.hold import (
    MAX_QUEUED,
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
    Shutdown,
    Subscribe,
    Tick,
    Write,
    transitions,
)
from grip.instruct import Channel, Hold, HoldMode, Instruct, Link
from grip.items import Action as ItemAction
from grip.items import HttpResponseFormat, HttpStreamFormat, Item
from grip.keep_alive import KeepAlive, KeepAliveMode
from grip.stream_hold import RETRIES_S, Event, State, StreamHold

URL = "http://h/a/first?x=1"
ROOM = Channel(name="room")
AT_1 = Channel(name="room", prev_id="1")
NEXT = Link(uri="next", timeout_s=120)
END = ReplyEnd({}, 0.0)


def reply(
    *channels: Channel,
    mode: HoldMode | None = HoldMode.STREAM,
    link: Link | None = None,
    beat: KeepAlive | None = None,
    meta: dict[str, str] | None = None,
) -> Reply:
    hold = None if mode is None else Hold(mode=mode, channels=channels, keep_alive=beat)
    return Reply(
        Instruct(
            hold=hold,
            next_link=link,
            gone_link=None,
            status=200,
            reason="OK",
            headers=Headers(),
            body=None,
            meta=meta or {},
        )
    )


def item(
    content: bytes = b"news",
    *,
    id_: str | None = None,
    prev_id: str | None = None,
    action: ItemAction = ItemAction.SEND,
    channel: str = "room",
    content_filters: tuple[str, ...] | None = None,
) -> Published:
    stream = HttpStreamFormat(action=action, content=content, content_filters=content_filters)
    return Published(Item(channel=channel, http_stream=stream, id=id_, prev_id=prev_id))


def holding(
    *channels: Channel,
    link: Link | None = None,
    beat: KeepAlive | None = None,
    chance: float = 0.0,
    meta: dict[str, str] | None = None,
) -> StreamHold:
    """Return one that holds from time 0 on."""
    stream = StreamHold(URL)
    stream.handle(reply(*channels, link=link, beat=beat, meta=meta), 0.0)
    stream.handle(ReplyEnd({}, chance), 0.0)
    assert stream.state is State.HOLDING
    return stream


class TestReply:
    def test_is_subscribed_before_anything_is_passed_on(self) -> None:
        stream = StreamHold(URL)
        assert stream.handle(reply(ROOM), 0.0) == (Subscribe(("room",)),)
        assert stream.handle(Data(b"one"), 0.0) == (Write(b"one"),)
        assert stream.handle(END, 0.0) == [Subscribe(("room",))]
        assert stream.state is State.HOLDING
        assert stream.deadline is None

    def test_items_that_come_meanwhile_follow_the_body(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(ROOM), 0.0)
        assert stream.handle(item(b"early"), 0.0) == ()
        assert stream.handle(END, 0.0) == [Subscribe(("room",)), Write(b"early")]

    def test_queue_is_bounded(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(ROOM), 0.0)
        for _ in range(MAX_QUEUED + 1):
            stream.handle(item(), 0.0)
        assert len(stream.handle(END, 0.0)) == 1 + MAX_QUEUED

    def test_client_sees_that_its_reply_broke_off(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(ROOM), 0.0)
        assert stream.handle(ReplyBroke(0.0), 0.0) == (Cut("the reply broke off"),)
        assert stream.state is State.OVER

    def test_prev_id_without_a_link_ends_the_response(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(AT_1), 0.0)
        assert isinstance(stream.handle(END, 0.0)[-1], Finish)

    def test_reply_is_filtered_whole(self) -> None:
        stream = StreamHold(URL)
        channel = Channel(name="room", filters=("build-id",))
        stream.handle(reply(channel, meta={"id_format": "-"}), 0.0)
        assert stream.handle(Data(b"%(A"), 0.0) == ()
        assert stream.handle(Data(b"B)I"), 0.0) == ()
        assert stream.handle(END, 0.0) == [Subscribe(("room",)), Write(b"AB")]

    def test_reply_that_cannot_be_filtered_ends_the_response(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(Channel(name="room", filters=("build-id",))), 0.0)
        assert isinstance(stream.handle(END, 0.0)[-1], Finish)


class TestItems:
    def test_content_is_appended_as_it_is(self) -> None:
        assert holding(ROOM).handle(item(), 1.0) == (Append(),)

    def test_content_that_a_filter_changed_is_this_streams_own(self) -> None:
        stream = holding(Channel(name="room", filters=("var-subst",)), meta={"user": "alice"})
        assert stream.handle(item(b"for %(user)s"), 1.0) == (Write(b"for alice"),)

    def test_content_that_cannot_be_filtered_ends_the_response(self) -> None:
        stream = holding(Channel(name="room", filters=("var-subst",)))
        assert isinstance(stream.handle(item(b"%(missing)s"), 1.0)[0], Finish)
        assert stream.state is State.OVER

    def test_content_filters_the_publisher_does_not_count_on_end_the_response(self) -> None:
        stream = holding(Channel(name="room", filters=("var-subst",)))
        assert isinstance(stream.handle(item(content_filters=()), 1.0)[0], Finish)

    def test_close_ends_the_response(self) -> None:
        stream = holding(ROOM)
        assert isinstance(stream.handle(item(action=ItemAction.CLOSE), 1.0)[0], Finish)
        assert stream.handle(item(), 1.0) == ()

    @pytest.mark.parametrize("action", [ItemAction.HINT, ItemAction.REFRESH])
    def test_without_a_link_there_is_nothing_to_fetch(self, action: ItemAction) -> None:
        stream = holding(ROOM)
        assert stream.handle(item(action=action), 1.0) == ()
        assert stream.handle(Refresh(), 1.0) == ()
        assert stream.state is State.HOLDING

    def test_other_formats_and_channels_do_nothing(self) -> None:
        stream = holding(ROOM)
        answer = Published(Item(channel="room", http_response=HttpResponseFormat(body=b"x")))
        assert stream.handle(answer, 1.0) == ()
        assert stream.handle(item(channel="hall"), 1.0) == ()


class TestKeepAlive:
    """GRIP §6.2."""

    BEAT = KeepAlive(content=b"beat", timeout_s=20)

    def test_comes_up_to_a_second_early(self) -> None:
        assert holding(ROOM, beat=self.BEAT, chance=0.25).deadline == 19.75

    def test_is_sent_again_and_again(self) -> None:
        stream = holding(ROOM, beat=self.BEAT)
        assert stream.handle(Tick(0.0), 19.9) == []
        assert stream.handle(Tick(0.5), 20.0) == [Write(b"beat")]
        assert stream.deadline == 39.5

    def test_content_puts_it_off_when_idle_counts(self) -> None:
        stream = holding(ROOM, beat=self.BEAT)
        stream.handle(item(), 15.0)
        assert stream.deadline == 35.0
        assert stream.handle(Tick(0.0), 20.0) == []

    def test_content_does_not_put_it_off_at_intervals(self) -> None:
        beat = KeepAlive(content=b"beat", timeout_s=20, mode=KeepAliveMode.INTERVAL)
        stream = holding(ROOM, beat=beat)
        stream.handle(item(), 15.0)
        assert stream.deadline == 20.0

    def test_goes_on_while_the_link_is_fetched_but_never_into_a_reply(self) -> None:
        stream = holding(ROOM, link=NEXT, beat=self.BEAT)
        stream.handle(Refresh(), 1.0)
        deadlines = [stream.deadline]
        assert stream.handle(Tick(0.0), 20.0) == [Write(b"beat")]
        stream.handle(reply(ROOM, link=NEXT, beat=self.BEAT), 30.0)
        deadlines.append(stream.deadline)
        assert deadlines == [20.0, None]
        assert stream.handle(Tick(0.0), 50.0) == ()

    def test_ends_with_a_reply_that_has_none(self) -> None:
        stream = holding(ROOM, link=NEXT, beat=self.BEAT)
        stream.handle(Refresh(), 1.0)
        stream.handle(reply(ROOM), 2.0)
        stream.handle(END, 2.0)
        assert stream.deadline is None


class TestLink:
    """GRIP §7."""

    def test_without_a_hold_links_follow_at_once_relative_to_each_other(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(mode=None, link=Link(uri="../b/second")), 0.0)
        fetch = stream.handle(END, 0.0)[-1]
        assert fetch == Fetch("http://h/b/second", (), urgent=False)
        stream.handle(reply(mode=None, link=Link(uri="third?page=3")), 0.0)
        assert stream.handle(Data(b"2"), 0.0) == (Write(b"2"),)
        fetch = stream.handle(END, 0.0)[-1]
        assert fetch == Fetch("http://h/b/third?page=3", (), urgent=False)
        stream.handle(reply(mode=None), 0.0)
        assert isinstance(stream.handle(END, 0.0)[-1], Finish)

    def test_link_leads_to_a_hold(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(mode=None, link=NEXT), 0.0)
        stream.handle(END, 0.0)
        assert stream.handle(reply(ROOM), 0.0) == (Subscribe(("room",)),)
        stream.handle(END, 0.0)
        assert stream.handle(item(), 0.0) == (Append(),)

    def test_link_does_not_lead_to_a_long_poll(self) -> None:
        stream = holding(ROOM, link=NEXT)
        stream.handle(Refresh(), 1.0)
        stream.handle(reply(ROOM, mode=HoldMode.RESPONSE), 1.0)
        assert stream.handle(Data(b"x"), 1.0) == (Write(b"x"),)
        assert isinstance(stream.handle(END, 1.0)[-1], Finish)

    def test_hint_fetches_at_once(self) -> None:
        stream = holding(AT_1, link=NEXT)
        hint = item(action=ItemAction.HINT, id_="2", prev_id="1")
        assert stream.handle(hint, 1.0) == (
            Fetch("http://h/a/next", (("room", "2"),), urgent=True),
        )

    def test_refresh_fetches(self) -> None:
        fetch = Fetch("http://h/a/next", (), urgent=False)
        assert holding(ROOM, link=NEXT).handle(Refresh(), 1.0) == (fetch,)

    def test_time_of_the_link_fetches(self) -> None:
        stream = holding(ROOM, link=NEXT)
        assert stream.deadline == 120.0
        assert stream.handle(Tick(0.0), 120.0) == [Fetch("http://h/a/next", (), urgent=False)]

    def test_time_of_the_link_starts_anew_when_all_channels_had_an_item(self) -> None:
        stream = holding(ROOM, Channel(name="hall"), link=NEXT)
        stream.handle(item(channel="room"), 10.0)
        assert stream.deadline == 120.0
        stream.handle(item(channel="hall"), 20.0)
        assert stream.deadline == 140.0
        stream.handle(item(channel="hall"), 30.0)
        assert stream.deadline == 140.0

    def test_reply_replaces_channels_and_link(self) -> None:
        stream = holding(ROOM, link=NEXT)
        stream.handle(Refresh(), 1.0)
        hall = Channel(name="hall")
        assert stream.handle(reply(hall), 1.0) == (Subscribe(("room", "hall")),)
        assert stream.handle(END, 1.0) == [Subscribe(("hall",))]
        assert stream.handle(Refresh(), 1.0) == ()

    def test_failed_link_is_fetched_again_later_and_later_then_no_more(self) -> None:
        stream = holding(ROOM, link=NEXT)
        stream.handle(Refresh(), 0.0)
        now = 0.0
        for delay_s in RETRIES_S:
            assert stream.handle(Failed(0.5), now) == ()
            assert stream.deadline == now + delay_s + 0.5
            assert stream.handle(Tick(0.0), now) == []
            now = stream.deadline
            assert stream.handle(Tick(0.0), now) == [Fetch("http://h/a/next", (), urgent=False)]
        assert isinstance(stream.handle(Failed(0.5), now)[0], Finish)

    def test_success_makes_failures_forgotten(self) -> None:
        stream = holding(ROOM, link=NEXT)
        for _ in range(2 * len(RETRIES_S)):
            stream.handle(Refresh(), 0.0)
            stream.handle(Failed(0.0), 0.0)
            stream.handle(Tick(0.0), 1.0)
            stream.handle(reply(ROOM, link=Link(uri="/a/next")), 1.0)
            stream.handle(END, 1.0)
        assert stream.state is State.HOLDING

    def test_reply_that_breaks_off_before_its_first_byte_counts_as_failed(self) -> None:
        stream = holding(AT_1, link=NEXT)
        stream.handle(Refresh(), 1.0)
        stream.handle(reply(Channel(name="room", prev_id="9"), link=Link(uri="/other")), 1.0)
        assert stream.handle(ReplyBroke(0.0), 1.0) == ()
        fetch = Fetch("http://h/a/next", (("room", "1"),), urgent=False)
        assert stream.handle(Tick(0.0), 2.0) == [fetch]

    def test_reply_that_breaks_off_later_ends_the_response(self) -> None:
        stream = holding(ROOM, link=NEXT)
        stream.handle(Refresh(), 1.0)
        stream.handle(reply(ROOM), 1.0)
        stream.handle(Data(b"x"), 1.0)
        assert isinstance(stream.handle(ReplyBroke(0.0), 1.0)[0], Finish)


class TestRecovery:
    """GRIP §9.4."""

    def test_gap_fetches_from_where_the_stream_was(self) -> None:
        stream = holding(AT_1, link=NEXT)
        assert stream.handle(item(id_="2", prev_id="1"), 1.0) == (Append(),)
        assert stream.handle(item(id_="4", prev_id="3"), 1.0) == (
            Forget("room"),
            Fetch("http://h/a/next", (("room", "2"),), urgent=False),
        )

    def test_hold_that_comes_too_late_fetches_at_once(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(AT_1, link=NEXT), 0.0)
        assert stream.handle(ReplyEnd({"room": "2"}, 0.0), 0.0) == [
            Subscribe(("room",)),
            Forget("room"),
            Fetch("http://h/a/next", (("room", "1"),), urgent=False),
        ]

    def test_queue_is_delivered_from_what_follows_the_reply(self) -> None:
        stream = holding(AT_1, link=NEXT)
        stream.handle(item(b"3", id_="3", prev_id="2"), 1.0)
        for number in range(4, 7):
            stream.handle(item(b"%d" % number, id_=str(number), prev_id=str(number - 1)), 1.0)
        stream.handle(reply(Channel(name="room", prev_id="4"), link=NEXT), 1.0)
        stream.handle(Data(b"234"), 1.0)
        actions = stream.handle(ReplyEnd({"room": "6"}, 0.0), 1.0)
        assert actions == [Subscribe(("room",)), Write(b"5"), Write(b"6")]
        assert stream.state is State.HOLDING

    def test_gap_in_the_queue_fetches_again(self) -> None:
        stream = holding(AT_1, link=NEXT)
        stream.handle(Refresh(), 1.0)
        stream.handle(item(b"2", id_="2", prev_id="1"), 1.0)
        stream.handle(item(b"4", id_="4", prev_id="3"), 1.0)
        stream.handle(item(b"5", id_="5", prev_id="4"), 1.0)
        stream.handle(reply(AT_1, link=NEXT), 1.0)
        assert stream.handle(ReplyEnd({"room": "5"}, 0.0), 1.0)[1:] == [
            Write(b"2"),
            Forget("room"),
            Fetch("http://h/a/next", (("room", "2"),), urgent=False),
        ]

    def test_refresh_while_a_link_is_fetched_changes_nothing(self) -> None:
        stream = holding(ROOM, link=NEXT)
        stream.handle(Refresh(), 1.0)
        assert stream.handle(Refresh(), 1.0) == ()


class TestEnd:
    def test_shutdown_ends_the_response_properly(self) -> None:
        assert isinstance(holding(ROOM).handle(Shutdown(), 1.0)[0], Finish)

    def test_shutdown_in_mid_reply_cuts_it(self) -> None:
        stream = StreamHold(URL)
        stream.handle(reply(ROOM), 0.0)
        assert isinstance(stream.handle(Shutdown(), 0.0)[0], Cut)

    @pytest.mark.parametrize("event", [item(), Refresh(), Tick(0.5), Gone(), Shutdown()])
    def test_nothing_happens_after_the_end(self, event: Event) -> None:
        stream = holding(ROOM, link=NEXT)
        assert stream.handle(Gone(), 1.0) == ()
        assert stream.handle(event, 500.0) == ()
        assert stream.state is State.OVER
        assert stream.deadline is None


REFUSED = {
    *(("FETCHING", event) for event in ("Data", "ReplyEnd", "ReplyBroke")),
    *(("RELAYING", event) for event in ("Reply", "Failed")),
    *(
        (state, event)
        for state in ("HOLDING", "PAUSED", "OVER")
        for event in ("Reply", "Data", "ReplyEnd", "ReplyBroke", "Failed")
    ),
}


def test_table_has_every_event_in_every_state_or_refuses_it() -> None:
    replies = {"Reply", "Data", "ReplyEnd", "ReplyBroke", "Failed"}
    events = {*replies, "Published", "Refresh", "Tick", "Gone", "Shutdown"}
    table = transitions(StreamHold.RULES)
    pairs = set(itertools.product((state.name for state in State), events))
    assert pairs - set(table) == REFUSED


def test_event_that_cannot_happen_is_the_drivers_fault() -> None:
    with pytest.raises(LocalProtocolError, match="Data cannot happen while holding"):
        holding(ROOM).handle(Data(b"x"), 1.0)
