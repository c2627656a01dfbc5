"""Order, duplicates, first subscriptions and lingering per channel (GRIP §9)."""

import pytest

from grip.items import HttpStreamFormat, Item
from grip.sequence import (
    DUPLICATE_MEMORY_S,
    FIRST_SUBSCRIPTION_S,
    GAP_WAIT_S,
    LINGER_S,
    MAX_WAITING,
    Arrived,
    ChannelState,
    Drop,
    DropReason,
    Forgotten,
    Joined,
    Left,
    Process,
    Recovered,
    Refresh,
    SequenceAction,
    Sequencer,
    Tick,
)


def item(
    id_: str | None = None,
    prev_id: str | None = None,
    *,
    channel: str = "room",
    no_seq: bool = False,
) -> Item:
    stream = HttpStreamFormat(content=(id_ or "").encode())
    return Item(channel=channel, http_stream=stream, id=id_, prev_id=prev_id, no_seq=no_seq)


@pytest.fixture
def sequencer() -> Sequencer:
    """One with a subscriber on `room`, whose first refresh is over."""
    sequencer = Sequencer()
    sequencer.handle(Joined("room"), 0.0)
    sequencer.handle(Tick(), FIRST_SUBSCRIPTION_S)
    return sequencer


def processed(actions: list[SequenceAction]) -> list[str | None]:
    return [action.item.id for action in actions if isinstance(action, Process)]


class TestOrder:
    """GRIP §9.3."""

    def test_items_that_follow_each_other_are_processed_at_once(self, sequencer: Sequencer) -> None:
        for id_, prev_id in (("1", None), ("2", "1"), ("3", "2")):
            assert processed(sequencer.handle(Arrived(item(id_, prev_id)), 2.0)) == [id_]
        assert sequencer.last("room") == "3"

    def test_first_item_is_processed_whatever_its_prev_id(self, sequencer: Sequencer) -> None:
        assert processed(sequencer.handle(Arrived(item("8", "7")), 2.0)) == ["8"]

    def test_item_waits_for_its_predecessor_and_so_on_along_the_chain(
        self, sequencer: Sequencer
    ) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        assert sequencer.handle(Arrived(item("4", "3")), 2.0) == []
        assert sequencer.handle(Arrived(item("3", "2")), 2.0) == []
        assert processed(sequencer.handle(Arrived(item("2", "1")), 2.0)) == ["2", "3", "4"]
        assert sequencer.last("room") == "4"

    def test_item_is_processed_anyway_when_its_wait_is_over(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        sequencer.handle(Arrived(item("3", "2")), 3.0)
        sequencer.handle(Arrived(item("4", "3")), 4.0)
        assert sequencer.deadline == 3.0 + GAP_WAIT_S
        assert sequencer.handle(Tick(), 7.9) == []
        assert processed(sequencer.handle(Tick(), 8.0)) == ["3", "4"]
        assert sequencer.deadline is None

    def test_item_without_id_makes_the_last_id_unknown(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        assert processed(sequencer.handle(Arrived(item()), 2.0)) == [None]
        assert sequencer.last("room") is None
        assert processed(sequencer.handle(Arrived(item("9", "8")), 2.0)) == ["9"]

    def test_no_seq_neither_waits_nor_moves_the_last_id(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        assert processed(sequencer.handle(Arrived(item("3", "2", no_seq=True)), 2.0)) == ["3"]
        assert sequencer.last("room") == "1"

    def test_without_a_subscription_nothing_waits_and_nothing_is_remembered(self) -> None:
        sequencer = Sequencer()
        for id_, prev_id in (("1", None), ("3", "2")):
            assert processed(sequencer.handle(Arrived(item(id_, prev_id)), 0.0)) == [id_]
        assert sequencer.last("room") is None

    def test_one_item_may_wait_for_a_predecessor(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        sequencer.handle(Arrived(item("3", "2")), 2.0)
        rival = item("3b", "2")
        assert sequencer.handle(Arrived(rival), 2.0) == [Drop(rival, DropReason.RIVAL)]

    def test_so_many_items_may_wait_and_no_more(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        for number in range(MAX_WAITING):
            assert sequencer.handle(Arrived(item(f"w{number}", f"p{number}")), 2.0) == []
        late = item("late", "missing")
        assert sequencer.handle(Arrived(late), 2.0) == [Drop(late, DropReason.CROWDED)]

    def test_items_of_other_channels_do_not_wait(self, sequencer: Sequencer) -> None:
        sequencer.handle(Joined("hall"), 1.0)
        sequencer.handle(Arrived(item("1")), 2.0)
        assert sequencer.handle(Arrived(item("3", "2")), 2.0) == []
        assert processed(sequencer.handle(Arrived(item("7", "6", channel="hall")), 2.0)) == ["7"]


class TestDuplicates:
    """GRIP §9.2."""

    @pytest.mark.parametrize("no_seq", [False, True])
    def test_id_seen_before_is_dropped(self, sequencer: Sequencer, no_seq: bool) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        again = item("1", no_seq=no_seq)
        assert sequencer.handle(Arrived(again), 2.0) == [Drop(again, DropReason.DUPLICATE)]

    def test_id_counts_even_if_nobody_was_subscribed(self) -> None:
        sequencer = Sequencer()
        sequencer.handle(Arrived(item("1")), 0.0)
        sequencer.handle(Joined("room"), 1.0)
        assert processed(sequencer.handle(Arrived(item("1")), 2.0)) == []

    def test_ids_are_compared_within_a_channel(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        assert processed(sequencer.handle(Arrived(item("1", channel="hall")), 2.0)) == ["1"]

    def test_id_is_forgotten_after_a_while(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        almost, after = 2.0 + DUPLICATE_MEMORY_S - 0.1, 2.0 + DUPLICATE_MEMORY_S
        assert processed(sequencer.handle(Arrived(item("1")), almost)) == []
        assert processed(sequencer.handle(Arrived(item("1")), after)) == ["1"]

    def test_memory_of_ids_is_bounded(
        self, sequencer: Sequencer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("grip.sequence.MAX_IDS", 2)
        for id_ in ("1", "2", "3"):
            sequencer.handle(Arrived(item(id_)), 2.0)
        assert processed(sequencer.handle(Arrived(item("3")), 2.0)) == []
        assert processed(sequencer.handle(Arrived(item("1")), 2.0)) == ["1"]


class TestSubscriptions:
    """GRIP §9.1 and §9.5."""

    def test_first_subscription_refreshes_a_second_later_once(self) -> None:
        sequencer = Sequencer()
        sequencer.handle(Joined("room"), 10.0)
        sequencer.handle(Joined("room"), 10.5)
        assert sequencer.deadline == 10.0 + FIRST_SUBSCRIPTION_S
        assert sequencer.handle(Tick(), 10.9) == []
        assert sequencer.handle(Tick(), 11.0) == [Refresh("room")]
        sequencer.handle(Joined("room"), 12.0)
        assert sequencer.deadline is None

    def test_stream_leaves_nothing_behind(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        sequencer.handle(Left("room"), 3.0)
        assert sequencer.state("room") is ChannelState.UNKNOWN
        assert sequencer.last("room") is None
        sequencer.handle(Joined("room"), 4.0)
        assert sequencer.handle(Tick(), 5.0) == [Refresh("room")]

    def test_long_poll_lingers_so_that_the_next_is_not_the_first(
        self, sequencer: Sequencer
    ) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        sequencer.handle(Left("room", LINGER_S), 3.0)
        assert sequencer.state("room") is ChannelState.LINGERING
        assert sequencer.last("room") == "1"
        assert processed(sequencer.handle(Arrived(item("3", "2")), 4.0)) == []
        sequencer.handle(Joined("room"), 5.0)
        assert sequencer.state("room") is ChannelState.SUBSCRIBED
        assert processed(sequencer.handle(Arrived(item("2", "1")), 6.0)) == ["2", "3"]
        assert Refresh("room") not in sequencer.handle(Tick(), 7.0)

    def test_lingering_ends(self, sequencer: Sequencer) -> None:
        sequencer.handle(Left("room", LINGER_S), 3.0)
        assert sequencer.deadline == 3.0 + LINGER_S
        assert sequencer.handle(Tick(), 3.0 + LINGER_S) == []
        assert sequencer.state("room") is ChannelState.UNKNOWN
        assert sequencer.deadline is None

    def test_stream_does_not_cut_the_lingering_of_a_long_poll_short(
        self, sequencer: Sequencer
    ) -> None:
        sequencer.handle(Joined("room"), 2.0)
        sequencer.handle(Left("room", LINGER_S), 3.0)
        sequencer.handle(Left("room"), 4.0)
        assert sequencer.state("room") is ChannelState.LINGERING
        assert sequencer.deadline == 3.0 + LINGER_S

    def test_item_that_waits_is_not_kept_for_nobody(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        sequencer.handle(Arrived(item("3", "2")), 2.0)
        sequencer.handle(Left("room"), 3.0)
        assert sequencer.handle(Tick(), 2.0 + GAP_WAIT_S) == []
        assert sequencer.deadline is None

    def test_last_id_can_be_forgotten(self, sequencer: Sequencer) -> None:
        sequencer.handle(Arrived(item("1")), 2.0)
        sequencer.handle(Forgotten("room"), 2.0)
        sequencer.handle(Forgotten("nowhere"), 2.0)
        assert sequencer.last("room") is None

    def test_recovering_forgets_everything_and_refreshes_everybody(
        self, sequencer: Sequencer
    ) -> None:
        sequencer.handle(Joined("hall"), 1.0)
        sequencer.handle(Arrived(item("1")), 2.0)
        assert sequencer.handle(Recovered(), 3.0) == [Refresh("room"), Refresh("hall")]
        assert sequencer.last("room") is None
