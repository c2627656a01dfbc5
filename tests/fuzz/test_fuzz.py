"""A short run of every target; `python -m tests.fuzz` is the long one."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\0",
            b'"',
            b"\\",
            b"{",
            b"[",
            b"%(",
            b";",
            b"=",
            b"1e999",
            b"-1",
            b"\xff",
        ]
    ),
    st.text(max_size=3).map(str.encode),
)


@st.composite
def mutations(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Draw a seed of which a few slices are replaced, doubled or taken out."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        piece = draw(st.one_of(PIECES, st.just(data[start:end] * 2)))
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_understood_or_refused(name: str) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.one_of(mutations(SEEDS[name]), st.binary(max_size=200)))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("piece", [b"[", b'{"a":', b"\r\n", b"%(", b"TEXT 0\r\n\r\n", b"a", b"\0"])
def test_long_input_is_no_harder(name: str, piece: bytes) -> None:
    """Depth and repetition, at the length of the largest body that is taken."""
    TARGETS[name](piece * (1_000_000 // len(piece)))
    seed = random.Random(name).choice(SEEDS[name])
    TARGETS[name](seed[: len(seed) // 2] + piece * 10_000 + seed[len(seed) // 2 :])
