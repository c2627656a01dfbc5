"""What an item does to one subscriber (GRIP §8.3, §9.4, §10)."""

import pytest

from grip.errors import RemoteProtocolError
from grip.instruct import Channel
from grip.items import Item
from grip.subscription import Subscriptions, Verdict


def item(channel: str = "room", **fields: str | None) -> Item:
    return Item(channel=channel, **fields)  # type: ignore[arg-type]  # ids only


def test_other_channels_are_not_for_this_subscriber() -> None:
    assert Subscriptions([Channel(name="room")]).judge(item("hall"), None) is Verdict.SKIP


def test_without_an_id_of_the_backend_ids_do_not_matter() -> None:
    subscriptions = Subscriptions([Channel(name="room")])
    for id_, prev_id in (("1", None), ("9", "8"), (None, "3")):
        assert subscriptions.judge(item(id=id_, prev_id=prev_id), None) is Verdict.TAKE
    assert subscriptions.last_ids == ()


def test_item_that_follows_moves_the_id_on_also_when_a_filter_keeps_it_back() -> None:
    subscriptions = Subscriptions(
        [Channel(name="room", prev_id="1", filters=("skip-self",))], {"user": "alice"}
    )
    own = Item(channel="room", id="2", prev_id="1", meta={"sender": "alice"})
    assert subscriptions.judge(own, None) is Verdict.SKIP
    assert subscriptions.last_ids == (("room", "2"),)


def test_item_that_does_not_follow_leaves_the_id_alone() -> None:
    subscriptions = Subscriptions([Channel(name="room", prev_id="1")])
    assert subscriptions.judge(item(id="3", prev_id="2"), None) is Verdict.GAP
    assert subscriptions.last_ids == (("room", "1"),)


def test_item_without_id_ends_the_watch_for_gaps() -> None:
    subscriptions = Subscriptions([Channel(name="room", prev_id="1")])
    assert subscriptions.judge(item(prev_id="1"), None) is Verdict.TAKE
    assert subscriptions.judge(item(id="9", prev_id="8"), None) is Verdict.TAKE


def test_behind_are_channels_at_another_id_than_the_last_one_known() -> None:
    subscriptions = Subscriptions(
        [
            Channel(name="late", prev_id="1"),
            Channel(name="on-time", prev_id="5"),
            Channel(name="unknown", prev_id="1"),
            Channel(name="without"),
        ]
    )
    assert subscriptions.behind({"late": "2", "on-time": "5", "without": "9"}) == ("late",)


@pytest.mark.parametrize(
    ("expected", "verdict"),
    [
        (None, Verdict.TAKE),
        (("var-subst",), Verdict.TAKE),
        ((), Verdict.MISFIT),
        (("build-id", "var-subst"), Verdict.MISFIT),
    ],
)
def test_publisher_may_count_on_content_filters(
    expected: tuple[str, ...] | None, verdict: Verdict
) -> None:
    subscriptions = Subscriptions([Channel(name="room", filters=("skip-self", "var-subst"))])
    assert subscriptions.judge(item(), expected) is verdict


def test_content_is_the_same_object_where_no_filter_changes_it() -> None:
    content = b"%(user)s"
    assert Subscriptions([Channel(name="room")]).filter_content("room", content) is content


def test_content_filters_know_metadata_and_the_ids_of_all_channels() -> None:
    subscriptions = Subscriptions(
        [Channel(name="a", prev_id="1", filters=("build-id",)), Channel(name="b", prev_id="7")],
        {"id_format": "%(a)s-%(b)s"},
    )
    subscriptions.judge(item("a", id="2", prev_id="1"), None)
    assert subscriptions.filter_content("a", b"id: %I") == b"id: 2-7"


def test_content_that_cannot_be_filtered_is_an_error() -> None:
    subscriptions = Subscriptions([Channel(name="room", filters=("var-subst",))])
    with pytest.raises(RemoteProtocolError):
        subscriptions.filter_content("room", b"%(missing)s")


def test_reply_is_filtered_by_build_id_of_any_channel() -> None:
    subscriptions = Subscriptions(
        [Channel(name="a"), Channel(name="b", filters=("var-subst", "build-id"))],
        {"id_format": "-", "id_encoding": "hex"},
    )
    assert subscriptions.filters_reply
    assert subscriptions.filter_reply(b"%(AB)I") == b"4142"
    assert not Subscriptions([Channel(name="a", filters=("var-subst",))]).filters_reply
