"""Who is subscribed to what, and the delivery to them (GRIP §8.3, §9)."""

import logging
from collections.abc import Iterable

import pytest

from grip.items import HttpStreamFormat, Item
from grip.sequence import GAP_WAIT_S, LINGER_S, SequenceAction, SequenceEvent, Sequencer
from host_sim.fanout.registry import SLICE, Registry
from tests.support.fanout import Clock, Sink


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Registry:
    return Registry(clock)


def items(*ids: str, channel: str = "room", prev_id: str | None = None) -> Iterable[Item]:
    stream = HttpStreamFormat(content=b"x")
    return [Item(channel=channel, http_stream=stream, id=id_, prev_id=prev_id) for id_ in ids]


def test_items_reach_the_subscribers_of_their_channel_in_order(registry: Registry) -> None:
    first, second, other = Sink(), Sink(), Sink()
    registry.subscribe("room", first)
    registry.subscribe("room", second)
    registry.subscribe("hall", other)
    registry.publish(items("1", "2"))
    assert first.items == second.items == ["1", "2"]
    assert other.items == []


def test_subscribing_twice_is_like_once(registry: Registry) -> None:
    sink = Sink()
    registry.subscribe("room", sink)
    registry.subscribe("room", sink)
    registry.publish(items("1"))
    assert sink.items == ["1"]
    registry.unsubscribe("room", sink)
    assert not registry.has("room")


def test_nobody_gets_anything_after_leaving(registry: Registry) -> None:
    sink = Sink()
    registry.subscribe("room", sink)
    registry.subscribe("hall", sink)
    assert registry.channels_of(sink) == ("room", "hall")
    registry.unsubscribe("room", sink)
    registry.unsubscribe("room", sink)
    assert registry.channels_of(sink) == ("hall",)
    registry.leave(sink)
    registry.leave(sink)
    registry.publish([*items("1"), *items("1", channel="hall")])
    assert sink.items == []


def test_subscriptions_can_be_replaced(registry: Registry) -> None:
    sink = Sink()
    for channel in ("a", "b"):
        registry.subscribe(channel, sink)
    registry.subscribe_only(sink, ("b", "c"))
    assert registry.channels_of(sink) == ("b", "c")
    assert not registry.has("a")


def test_subscriber_may_leave_during_a_delivery_and_take_others_along(registry: Registry) -> None:
    def leave() -> None:
        registry.leave(first)
        registry.leave(second)

    first, second, third = Sink(on_item=leave), Sink(), Sink()
    for sink in (first, second, third):
        registry.subscribe("room", sink)
    registry.publish(items("1", "2"))
    assert first.items == ["1"]
    assert second.items == []
    assert third.items == ["1", "2"]


def test_fault_of_one_subscriber_is_not_the_others(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("broken")

    broken, sound = Sink(on_item=fail), Sink()
    registry.subscribe("room", broken)
    registry.subscribe("room", sound)
    registry.publish(items("1"))
    assert sound.items == ["1"]
    assert "could not be delivered" in caplog.text


def test_item_kept_back_comes_when_its_time_is_up(registry: Registry, clock: Clock) -> None:
    """GRIP §9.3."""
    sink = Sink()
    registry.subscribe("room", sink)
    registry.publish([*items("1"), *items("3", prev_id="2")])
    clock.advance(GAP_WAIT_S - 0.1)
    assert sink.items == ["1"]
    clock.advance(0.1)
    assert sink.items == ["1", "3"]


def test_last_ids_are_known_until_they_are_forgotten(registry: Registry) -> None:
    registry.subscribe("room", Sink())
    registry.publish(items("1"))
    assert registry.lasts(["room", "hall"]) == {"room": "1"}
    registry.forget("room")
    assert registry.lasts(["room"]) == {}


def test_everybody_on_a_channel_is_refreshed_after_the_first_subscription(
    registry: Registry, clock: Clock
) -> None:
    """GRIP §9.5."""
    first, second, third = Sink(), Sink(), Sink()
    registry.subscribe("room", first)
    clock.advance(0.5)
    registry.subscribe("room", second)
    clock.advance(0.5)
    registry.subscribe("room", third)
    clock.advance(10.0)
    assert [first.refreshed, second.refreshed, third.refreshed] == [1, 1, 0]


def test_lingering_subscription_makes_the_next_one_not_the_first(
    registry: Registry, clock: Clock
) -> None:
    """GRIP §9.1, §9.5."""
    first, second, third = Sink(), Sink(), Sink()
    registry.subscribe("room", first)
    clock.advance(1.0)
    registry.leave(first, linger_s=LINGER_S)
    assert not registry.has("room")
    registry.subscribe("room", second)
    clock.advance(10.0)
    assert second.refreshed == 0
    registry.leave(second)
    clock.advance(LINGER_S)
    registry.subscribe("room", third)
    clock.advance(1.0)
    assert third.refreshed == 1


def test_recovering_refreshes_everybody(registry: Registry) -> None:
    """GRIP §8.1."""
    sink, other = Sink(), Sink()
    registry.subscribe("room", sink)
    registry.subscribe("hall", other)
    registry.recover()
    assert sink.refreshed == other.refreshed == 1


def test_dropped_items_are_told_to_who_listens(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "host_sim.fanout")
    registry.publish(items("1", "1"))
    assert "'1' dropped: its id was seen before" in caplog.text


def test_large_publish_leaves_time_for_others_between_slices(
    registry: Registry, clock: Clock
) -> None:
    sink = Sink()
    registry.subscribe("room", sink)
    ids = [str(number) for number in range(SLICE)]
    registry.publish(items(*ids))
    assert 0 < len(sink.items) < SLICE
    registry.publish(items("last"))
    clock.advance(0.0)
    assert sink.items == [*ids, "last"]


async def test_item_that_fails_keeps_nobody_waiting(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was published behind it is delivered, and publishers go on."""
    handle, arrived = Sequencer.handle, 0

    def failing_once(self: Sequencer, event: SequenceEvent, now: float) -> list[SequenceAction]:
        nonlocal arrived
        arrived += 1
        if arrived == 2:
            raise ValueError("broken")
        return handle(self, event, now)

    sink = Sink()
    registry.subscribe("room", sink)
    monkeypatch.setattr(Sequencer, "handle", failing_once)
    with pytest.raises(ValueError, match="broken"):
        registry.publish(items("1", "2", "3"))
    clock.advance(0.0)
    assert sink.items == ["1", "3"]
    await registry.caught_up()
