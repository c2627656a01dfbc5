"""What waits for a backend (GRIP §11.5, §11.8)."""

import pytest

from grip.errors import RemoteProtocolError
from grip.ws_over_http.events import Binary, Close, Event, Open, Ping, Text, encode_events
from grip.ws_over_http.outbox import MAX_PENDING_BYTES, MAX_PENDING_EVENTS, Outbox


def outbox(*events: Event) -> Outbox:
    box = Outbox()
    for event in events:
        box.add(event)
    return box


def test_all_events_go_together_in_order() -> None:
    box = outbox(Text(b"a"), Binary(b"b"), Ping())
    assert (box.empty, box.fresh) == (False, True)
    assert box.offer() == encode_events([Text(b"a"), Binary(b"b"), Ping()])
    box.add(Text(b"c"))
    box.settle(None)
    assert (box.empty, box.fresh) == (False, True)
    assert box.offer() == encode_events([Text(b"c")])
    box.settle(None)
    assert (box.empty, box.fresh, box.pending_bytes) == (True, False, 0)


def test_a_batch_ends_with_the_event_that_fills_the_limit() -> None:
    large = Binary(b"x" * (MAX_PENDING_BYTES // 2))
    box = outbox(large, large, Text(b"next"))
    assert box.full
    assert box.offer() == encode_events([large, large])
    box.settle(None)
    assert box.offer() == encode_events([Text(b"next")])


def test_many_small_events_fill_it_too() -> None:
    assert not outbox(*[Text(b"")] * (MAX_PENDING_EVENTS - 1)).full
    assert outbox(*[Text(b"")] * MAX_PENDING_EVENTS).full


@pytest.mark.parametrize(
    ("accepted", "rest", "replayed"),
    [
        (0, [Text(b"abc"), Text(b""), Binary(b"de")], 5),
        (2, [Text(b"c"), Text(b""), Binary(b"de")], 3),
        (3, [Binary(b"de")], 2),
        (4, [Binary(b"e")], 1),
        (5, [], 0),
    ],
)
def test_what_is_not_accepted_is_offered_again(
    accepted: int, rest: list[Event], replayed: int
) -> None:
    """GRIP §11.8; with its end reached, content that is empty counts as accepted."""
    box = outbox(Text(b""), Text(b"abc"), Text(b""), Binary(b"de"))
    box.offer()
    box.settle(accepted)
    assert (box.fresh, box.replayed_bytes, box.pending_bytes) == (False, replayed, replayed)
    box.add(Text(b"new"))
    assert (box.fresh, box.replayed_bytes) == (True, replayed)
    assert box.offer() == encode_events([*rest, Text(b"new")])


@pytest.mark.parametrize(
    ("events", "accepted"),
    [
        ([Text(b"abc")], 4),
        ([Open()], 1),
        ([Text(b"abc"), Close(1000)], 4),
        ([Binary(b"x" * MAX_PENDING_BYTES)], 0),
    ],
    ids=["more than offered", "of nothing", "not all at the end", "no progress"],
)
def test_what_a_backend_cannot_accept(events: list[Event], accepted: int) -> None:
    """GRIP §11.8."""
    box = outbox(*events)
    box.offer()
    with pytest.raises(RemoteProtocolError):
        box.settle(accepted)


def test_a_full_buffer_may_drain_slowly() -> None:
    box = outbox(Binary(b"x" * MAX_PENDING_BYTES))
    box.offer()
    box.settle(1)
    assert not box.full
