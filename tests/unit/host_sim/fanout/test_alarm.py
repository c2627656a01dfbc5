"""One timer that is set again and again."""

from host_sim.fanout.alarm import Alarm
from tests.support.fanout import Clock


def test_rings_at_its_deadline_once() -> None:
    clock, rings = Clock(), []
    alarm = Alarm(clock, lambda: rings.append(clock.now))
    alarm.set(5.0)
    clock.advance(4.9)
    assert rings == []
    clock.advance(10.0)
    assert rings == [5.0]


def test_earlier_deadline_takes_the_place_of_a_later_one() -> None:
    clock, rings = Clock(), []
    alarm = Alarm(clock, lambda: rings.append(clock.now))
    alarm.set(5.0)
    alarm.set(3.0)
    assert clock.pending == 1
    clock.advance(10.0)
    assert rings == [3.0]


def test_later_deadline_costs_no_new_timer() -> None:
    clock, rings = Clock(), []
    alarm = Alarm(clock, lambda: rings.append(clock.now))
    for deadline in range(5, 1000):
        alarm.set(float(deadline))
    assert clock.pending == 1
    clock.advance(10.0)
    assert rings == [5.0]  # it looks at the time and sets the alarm again


def test_no_deadline_cancels() -> None:
    clock, rings = Clock(), []
    alarm = Alarm(clock, lambda: rings.append(clock.now))
    alarm.set(5.0)
    alarm.set(None)
    clock.advance(10.0)
    assert rings == []
