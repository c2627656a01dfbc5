"""A long poll at the proxy (GRIP §5, §8.3, §9.4)."""

import itertools

import pytest

from grip.errors import LocalProtocolError
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
    Shutdown,
    Subscribe,
    Tick,
    transitions,
)
from grip.instruct import Channel, Hold, HoldMode, Instruct
from grip.items import Action as ItemAction
from grip.items import HttpResponseFormat, HttpStreamFormat, Item
from grip.response_hold import Event, ResponseHold, State


def instruct(*channels: Channel, timeout_s: int = 55, user: str = "") -> Instruct:
    return Instruct(
        hold=Hold(mode=HoldMode.RESPONSE, channels=channels, timeout_s=timeout_s),
        next_link=None,
        gone_link=None,
        status=203,
        reason="As Replied",
        headers=Headers([("Content-Type", "text/plain"), ("X-Reply", "1")]),
        body=None,
        meta={"user": user},
    )


ROOM = Channel(name="room")
AT_1 = Channel(name="room", prev_id="1")


def held(
    *channels: Channel, lasts: dict[str, str] | None = None, timeout_s: int = 55, user: str = ""
) -> Held:
    return Held(instruct(*channels, timeout_s=timeout_s, user=user), b"time is up", lasts or {})


def item(
    body: bytes = b"news",
    *,
    id_: str | None = None,
    prev_id: str | None = None,
    action: ItemAction = ItemAction.SEND,
    channel: str = "room",
    **fields: object,
) -> Published:
    response = HttpResponseFormat(action=action, body=body, **fields)  # type: ignore[arg-type]
    return Published(Item(channel=channel, http_response=response, id=id_, prev_id=prev_id))


def poll(*channels: Channel, user: str = "") -> ResponseHold:
    """Return one that is held from time 0 on."""
    hold = ResponseHold()
    hold.handle(held(*channels, user=user), 0.0)
    return hold


def only(actions: object) -> Action:
    assert isinstance(actions, list | tuple)
    assert len(actions) == 1, actions
    action: Action = actions[0]
    return action


def body_of(actions: object) -> bytes:
    action = only(actions)
    assert isinstance(action, Respond)
    return action.body


class TestHeld:
    def test_subscribes_and_waits_for_its_time(self) -> None:
        hold = ResponseHold()
        assert hold.deadline is None
        channels = (ROOM, Channel(name="hall"))
        assert hold.handle(held(*channels, timeout_s=6), 10.0) == [Subscribe(("room", "hall"))]
        assert hold.state is State.HELD
        assert hold.deadline == 16.0

    def test_when_its_time_is_up_the_reply_is_the_answer(self) -> None:
        hold = poll(ROOM)
        assert hold.handle(Tick(0.0), 54.9) == ()
        answer = only(hold.handle(Tick(0.0), 55.0))
        assert answer == Respond(203, "As Replied", instruct().headers, b"time is up")
        assert hold.state is State.OVER
        assert hold.deadline is None

    def test_item_answers_with_its_own_status_and_the_usual_reason(self) -> None:
        answer = only(poll(ROOM).handle(item(b"news", code=201), 1.0))
        assert answer == Respond(201, "Created", instruct().headers, b"news")

    def test_fields_of_the_item_replace_those_of_the_reply_by_name(self) -> None:
        fields = Headers(
            [
                ("content-type", "text/html"),
                ("X-Item", "a"),
                ("X-Item", "b"),
                ("Grip-Hold", "stream"),
                ("Content-Length", "99"),
            ]
        )
        answer = only(poll(ROOM).handle(item(headers=fields, reason="Made Up"), 1.0))
        assert isinstance(answer, Respond)
        assert answer.reason == "Made Up"
        assert list(answer.headers) == [
            ("X-Reply", "1"),
            ("content-type", "text/html"),
            ("X-Item", "a"),
            ("X-Item", "b"),
        ]

    def test_patch_applies_to_the_body_of_the_reply(self) -> None:
        hold = ResponseHold()
        hold.handle(Held(instruct(ROOM), b'{"a": 1}', {}), 0.0)
        patch = ({"op": "add", "path": "/b", "value": 2},)
        assert body_of(hold.handle(item(patch=patch), 1.0)) == b'{"a":1,"b":2}'

    def test_patch_that_does_not_apply_is_the_backends_failure(self) -> None:
        patch = ({"op": "remove", "path": "/missing"},)
        assert isinstance(only(poll(ROOM).handle(item(patch=patch), 1.0)), Fail)

    def test_content_filters_apply_to_the_body(self) -> None:
        hold = poll(Channel(name="room", filters=("var-subst",)), user="alice")
        assert body_of(hold.handle(item(b"hello %(user)s"), 1.0)) == b"hello alice"

    def test_body_that_cannot_be_filtered_is_the_backends_failure(self) -> None:
        hold = poll(Channel(name="room", filters=("var-subst",)))
        assert isinstance(only(hold.handle(item(b"%(missing)s"), 1.0)), Fail)
        assert hold.state is State.OVER

    def test_content_filters_the_publisher_does_not_count_on_are_a_failure(self) -> None:
        hold = poll(Channel(name="room", filters=("var-subst",)))
        assert isinstance(only(hold.handle(item(content_filters=()), 1.0)), Fail)

    @pytest.mark.parametrize("action", [ItemAction.CLOSE, ItemAction.REFRESH])
    def test_other_actions_do_nothing(self, action: ItemAction) -> None:
        hold = poll(ROOM)
        assert hold.handle(item(action=action), 1.0) == ()
        assert hold.state is State.HELD

    def test_items_in_other_formats_do_nothing(self) -> None:
        published = Published(Item(channel="room", http_stream=HttpStreamFormat(content=b"x")))
        assert poll(AT_1).handle(published, 1.0) == ()

    def test_item_that_a_filter_keeps_back_does_nothing(self) -> None:
        hold = poll(Channel(name="room", filters=("skip-self",)), user="alice")
        response = HttpResponseFormat(body=b"own")
        own = Item(channel="room", http_response=response, meta={"sender": "alice"})
        assert hold.handle(Published(own), 1.0) == ()


class TestAskingAgain:
    """GRIP §9.4, §9.5."""

    def test_refresh_asks(self) -> None:
        hold = poll(ROOM)
        assert hold.handle(Refresh(), 1.0) == (Ask(()),)
        assert hold.state is State.ASKING
        assert hold.deadline is None

    def test_hint_asks_from_its_own_id_on(self) -> None:
        hint = item(action=ItemAction.HINT, id_="2", prev_id="1")
        assert poll(AT_1).handle(hint, 1.0) == (Ask((("room", "2"),)),)

    def test_gap_asks_from_where_the_poll_was(self) -> None:
        actions = poll(AT_1).handle(item(id_="3", prev_id="2"), 1.0)
        assert actions == (Forget("room"), Ask((("room", "1"),)))

    def test_hold_that_comes_too_late_asks_at_once(self) -> None:
        actions = ResponseHold().handle(held(AT_1, lasts={"room": "2"}), 0.0)
        assert actions == [Subscribe(("room",)), Forget("room"), Ask((("room", "1"),))]

    def test_time_starts_anew_with_the_new_hold(self) -> None:
        hold = poll(ROOM)
        hold.handle(Refresh(), 50.0)
        hold.handle(held(ROOM), 51.0)
        assert hold.deadline == 51.0 + 55

    def test_answer_of_the_backend_ends_the_hold(self) -> None:
        hold = poll(ROOM)
        hold.handle(Refresh(), 1.0)
        assert hold.handle(Answered(), 1.1) == ()
        assert hold.state is State.OVER

    def test_item_that_comes_meanwhile_answers_the_new_hold(self) -> None:
        hold = poll(ROOM)
        hold.handle(Refresh(), 1.0)
        assert hold.handle(item(b"meanwhile"), 1.1) == ()
        subscribe, answer = hold.handle(held(ROOM), 1.2)
        assert subscribe == Subscribe(("room",))
        assert body_of([answer]) == b"meanwhile"

    def test_items_the_backend_has_accounted_for_are_passed_over(self) -> None:
        hold = poll(AT_1)
        hold.handle(item(id_="3", prev_id="2"), 1.0)
        for number in range(3, 6):
            hold.handle(item(b"%d" % number, id_=str(number), prev_id=str(number - 1)), 1.1)
        new = Channel(name="room", prev_id="4")
        assert body_of(hold.handle(held(new, lasts={"room": "5"}), 1.2)[1:]) == b"5"

    def test_gap_that_nothing_in_the_queue_closes_asks_again(self) -> None:
        hold = poll(AT_1)
        hold.handle(item(id_="3", prev_id="2"), 1.0)
        hold.handle(item(id_="5", prev_id="4"), 1.1)
        actions = hold.handle(held(Channel(name="room", prev_id="3"), lasts={"room": "5"}), 1.2)
        assert actions[1:] == [Forget("room"), Ask((("room", "3"),))]

    def test_hint_that_comes_meanwhile_asks_once_more(self) -> None:
        hold = poll(ROOM)
        hold.handle(Refresh(), 1.0)
        hold.handle(item(action=ItemAction.HINT), 1.1)
        assert hold.handle(held(ROOM), 1.2) == [Subscribe(("room",)), Ask(())]
        assert hold.state is State.ASKING

    def test_queue_is_bounded(self) -> None:
        hold = poll(ROOM)
        hold.handle(Refresh(), 1.0)
        for _ in range(MAX_QUEUED):
            hold.handle(item(action=ItemAction.CLOSE), 1.1)
        hold.handle(item(b"one too many"), 1.1)
        assert hold.handle(held(ROOM), 1.2) == [Subscribe(("room",))]

    def test_refresh_meanwhile_changes_nothing(self) -> None:
        hold = poll(ROOM)
        hold.handle(Refresh(), 1.0)
        assert hold.handle(Refresh(), 1.0) == ()


class TestEnd:
    def test_shutdown_answers_with_the_reply(self) -> None:
        assert body_of(poll(ROOM).handle(Shutdown(), 1.0)) == b"time is up"

    def test_shutdown_before_any_reply_is_a_failure(self) -> None:
        assert isinstance(only(ResponseHold().handle(Shutdown(), 1.0)), Fail)

    @pytest.mark.parametrize("event", [item(), Refresh(), Tick(0.5), Gone(), Shutdown()])
    def test_nothing_happens_after_the_end(self, event: Event) -> None:
        hold = poll(ROOM)
        hold.handle(Gone(), 1.0)
        assert hold.handle(event, 2.0) == ()
        assert hold.state is State.OVER


REFUSED = {("HELD", "Held"), ("HELD", "Answered"), ("OVER", "Held"), ("OVER", "Answered")}


def test_table_has_every_event_in_every_state_or_refuses_it() -> None:
    events = {"Held", "Answered", "Published", "Refresh", "Tick", "Gone", "Shutdown"}
    table = transitions(ResponseHold.RULES)
    pairs = set(itertools.product((state.name for state in State), events))
    assert pairs - set(table) == REFUSED


def test_event_that_cannot_happen_is_the_drivers_fault() -> None:
    with pytest.raises(LocalProtocolError, match="Held cannot happen while held"):
        poll(ROOM).handle(held(ROOM), 1.0)
