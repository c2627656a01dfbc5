"""Bodies against a model: whoever reads, and in whatever turns, gets the same bytes."""

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from host_sim.body import Body
from host_sim.errors import BodyError

PIECES = st.lists(st.binary(min_size=1, max_size=8), max_size=8)


async def source(pieces: list[bytes], error: bool) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if error:
        raise OSError("broken off")


@given(
    pieces=PIECES,
    keep=st.integers(0, 64),
    spill=st.integers(0, 64),
    error=st.booleans(),
    turns=st.lists(st.integers(0, 3), max_size=40),
)
def test_readers_get_the_bytes_in_order_or_an_error(
    pieces: list[bytes], keep: int, spill: int, error: bool, turns: list[int]
) -> None:
    """Four readers in turns: each has read a prefix, and all of it at a proper end."""
    content = b"".join(pieces)

    async def run() -> None:
        readers = [Body(source(pieces, error), None, keep=keep, spill=spill)]
        readers += [readers[0].replay() for _ in range(3)]
        got = [b""] * 4
        failed = [False] * 4
        ended = [False] * 4
        for number in [*turns, *(n for n in range(4) for _ in range(10))]:
            try:
                piece = await readers[number].read()
            except BodyError:
                failed[number] = True
                continue
            assert not failed[number]
            assert piece or not ended[number] or got[number] == content
            ended[number] |= not piece
            got[number] += piece
            assert content.startswith(got[number])
        for number in range(4):
            assert failed[number] != ended[number]
            if ended[number]:
                assert got[number] == content
                assert not error
        assert any(ended) != error
        if len(content) <= max(keep, spill):  # then nobody is left behind
            assert all(ended) != error

    asyncio.run(run())


@given(pieces=PIECES, limit=st.integers(0, 64))
def test_whole_is_all_or_nothing(pieces: list[bytes], limit: int) -> None:
    content = b"".join(pieces)
    whole = asyncio.run(Body(source(pieces, error=False), None).whole(limit))
    assert whole == (content if len(content) <= limit else None)
