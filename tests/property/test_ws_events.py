"""The event codec under any input (GRIP §11.1)."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from grip.errors import RemoteProtocolError
from grip.ws_over_http.events import (
    NEED_DATA,
    Binary,
    Close,
    Disconnect,
    Event,
    EventDecoder,
    Open,
    Ping,
    Pong,
    Text,
    decode_events,
    encode_events,
)

CODES = st.one_of(st.integers(1000, 1003), st.integers(1007, 1014), st.integers(3000, 4999))
REASONS = st.text(max_size=30)  # at most four bytes a character
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Open()),
    st.just(Disconnect()),
    st.builds(Text, st.text().map(str.encode)),
    st.builds(Binary, st.binary()),
    st.builds(Ping, st.binary(max_size=125)),
    st.builds(Pong, st.binary(max_size=125)),
    st.just(Close()),
    st.builds(Close, CODES, REASONS),
)
NEARLY_EVENTS = st.lists(
    st.one_of(
        EVENTS.map(lambda event: encode_events([event])),
        st.binary(max_size=6),
        st.sampled_from([b"TEXT ", b"CLOSE 2\r\n", b"\r\n", b"\n", b" ", b"HELLO 3\r\nabc\r\n"]),
    )
).map(b"".join)


def decode_in_pieces(body: bytes, cuts: list[int]) -> list[Event] | str:
    decoder = EventDecoder(max_bytes=200, max_events=10)
    events: list[Event] = []
    edges = [0, *sorted(cut for cut in cuts if cut <= len(body)), len(body)]
    try:
        for start, end in itertools.pairwise(edges):
            decoder.receive_data(body[start:end])
            while (event := decoder.next_event()) is not NEED_DATA:
                events.append(event)
        decoder.receive_end()
    except RemoteProtocolError:
        return "refused"
    return events


@given(st.lists(EVENTS))
def test_what_is_encoded_is_decoded(events: list[Event]) -> None:
    assert decode_events(encode_events(events)) == events


@given(NEARLY_EVENTS, st.lists(st.integers(0, 300)))
def test_it_does_not_matter_where_a_body_is_split(body: bytes, cuts: list[int]) -> None:
    whole = decode_in_pieces(body, [])
    assert decode_in_pieces(body, cuts) == whole
    assert decode_in_pieces(body, list(range(len(body)))) == whole


@given(st.one_of(st.binary(), NEARLY_EVENTS))
def test_any_bytes_are_events_or_a_documented_error(body: bytes) -> None:
    try:
        events = decode_events(body)
    except RemoteProtocolError as error:
        offset = error.offset
    else:
        offset = 0
        assert decode_events(encode_events(events)) == events
    assert offset is not None
    assert 0 <= offset <= len(body)
