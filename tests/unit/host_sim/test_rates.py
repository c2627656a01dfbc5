"""Rate counters and penalty boxes on a clock that the test turns (compute-host §2.8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_sim.sandbox.stores.rates import MAX_COUNT, Rates


class Clock:
    """Seconds, turned by hand."""

    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_counts_do_not_pass_what_can_be_returned(clock: Clock) -> None:
    rates = Rates(clock)
    for _ in range(3):
        rates.increment("c", "e", MAX_COUNT)
    assert rates.count("c", "e", 60) == MAX_COUNT
    assert rates.rate("c", "e", 1) == MAX_COUNT


def test_names_and_entries_are_apart(clock: Clock) -> None:
    rates = Rates(clock)
    rates.increment("c", "e", 1)
    rates.penalise("p", "e", 60)
    assert [rates.count(*key, 60) for key in (("c", "e"), ("c", "f"), ("d", "e"))] == [1, 0, 0]
    assert [rates.penalised(*key) for key in (("p", "e"), ("p", "f"), ("q", "e"))] == [
        *(True, False, False),
    ]


def test_what_is_over_is_forgotten(clock: Clock) -> None:
    """Entries are often addresses of clients, of which there is no end."""
    rates = Rates(clock)
    for number in range(1000):
        rates.increment("c", str(number), 1)
        rates.penalise("p", str(number), 60)
    assert len(rates) == 2000
    clock.now += 61
    rates.increment("c", "new", 1)
    assert len(rates) == 1
    assert rates.count("c", "1", 60) == 0


@pytest.mark.parametrize(
    ("ttl", "lasts"), [(0, 60), (59, 60), (60, 60), (179, 120), (3600, 3600), (1 << 32, 3600)]
)
def test_penalties_are_whole_minutes(clock: Clock, ttl: int, lasts: int) -> None:
    rates = Rates(clock)
    rates.penalise("p", "e", ttl)
    clock.now += lasts - 0.1
    assert rates.penalised("p", "e")
    clock.now += 0.1
    assert not rates.penalised("p", "e")


def test_a_penalty_is_made_longer_by_another_one(clock: Clock) -> None:
    rates = Rates(clock)
    assert rates.check("c", "e", delta=2, window_s=1, limit=1, box="p", ttl_s=60)
    clock.now += 59
    assert rates.check("c", "e", delta=2, window_s=1, limit=1, box="p", ttl_s=60)
    clock.now += 59
    assert rates.check("c", "e", delta=0, window_s=1, limit=1, box="p", ttl_s=60)
    clock.now += 1
    assert not rates.check("c", "e", delta=0, window_s=1, limit=1, box="p", ttl_s=60)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.integers(0, 1 << 32)), max_size=30),
    st.integers(0, 1 << 32),
)
def test_counts_are_those_of_the_window(steps: list[tuple[float, int]], window: int) -> None:
    """Against a model that remembers everything."""
    clock = Clock()
    rates = Rates(clock)
    seen: list[tuple[int, int]] = []
    for wait, delta in steps:
        clock.now += wait
        rates.increment("c", "e", delta)
        seen.append((int(clock.now), delta))
    after = int(clock.now) - min(max(window, 1), 60)
    expected = min(sum(delta for second, delta in seen if second > after), MAX_COUNT)
    assert rates.count("c", "e", window) == expected
