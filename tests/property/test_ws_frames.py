"""A client's frames under any input (RFC 6455 §5)."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from grip.ws_over_http.control import Outgoing
from grip.ws_over_http.events import NEED_DATA, Close
from host_sim.fanout.frames import ClientError, MessageReader, TooLargeError

FRAMES = st.builds(
    lambda opcode, data, fin: Frame(opcode, data, fin).serialize(mask=True),
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]),
    st.one_of(st.text(max_size=9).map(str.encode), st.binary(max_size=9)),
    st.booleans(),
)
CONTROL_FRAMES = st.builds(
    lambda opcode, data: Frame(opcode, data).serialize(mask=True),
    st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE]),
    st.one_of(st.binary(max_size=9), st.just(b"\x03\xe8")),
)
BYTES = st.lists(st.one_of(FRAMES, CONTROL_FRAMES, st.binary(max_size=3))).map(b"".join)


def read(data: bytes, cuts: list[int]) -> list[Outgoing | Close | str]:
    reader = MessageReader()
    messages: list[Outgoing | Close | str] = []
    edges = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    try:
        for start, end in itertools.pairwise(edges):
            reader.receive_data(data[start:end])
            while (message := reader.next_message()) is not NEED_DATA:
                messages.append(message)
    except (ClientError, TooLargeError) as error:
        messages.append(repr(error))
    return messages


@given(BYTES, st.lists(st.integers(0, 200)))
def test_it_does_not_matter_where_bytes_are_split(data: bytes, cuts: list[int]) -> None:
    whole = read(data, [])
    assert read(data, cuts) == whole
    assert read(data, list(range(len(data)))) == whole
