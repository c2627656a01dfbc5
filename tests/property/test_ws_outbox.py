"""What waits for a backend that takes it in any portions (GRIP §11.8)."""

from hypothesis import given
from hypothesis import strategies as st

from grip.ws_over_http.events import Binary, content_of, decode_events
from grip.ws_over_http.outbox import Outbox


@given(
    st.lists(st.tuples(st.lists(st.binary(max_size=9), max_size=4), st.integers(0, 40))),
)
def test_no_byte_is_lost_or_taken_twice(rounds: list[tuple[list[bytes], int]]) -> None:
    box = Outbox()
    sent = taken = b""
    for messages, willing in rounds:
        for message in messages:
            box.add(Binary(message))
            sent += message
        replayed = box.replayed_bytes
        offered = b"".join(content_of(event) for event in decode_events(box.offer()))
        assert taken + offered == sent
        assert replayed <= len(offered)
        accepted = min(willing, len(offered))
        box.settle(accepted)
        taken += offered[:accepted]
        assert box.pending_bytes == len(sent) - len(taken)
        assert not box.fresh
    box.offer()
    box.settle(None)
    assert box.empty
