"""The story of a request is told once."""

import logging

import pytest

from host_sim.trace import Trace


def stories(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_it_is_told_once_with_the_time_it_took(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "host_sim.access")
    trace = Trace(method="GET", target="/x?y")
    trace.emit()
    elapsed_ms = trace.elapsed_ms
    trace.emit()
    assert stories(caplog) == [(logging.INFO, "GET /x?y")]
    assert trace.elapsed_ms == elapsed_ms > 0
    assert vars(caplog.records[0])["trace"] is trace


def test_inner_requests_are_told_quietly(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "host_sim.access")
    Trace(method="GET", target="/", internal=True).emit()
    assert stories(caplog) == [(logging.DEBUG, "GET /")]


def test_numbers_grow() -> None:
    first, second = Trace(method="GET", target="/"), Trace(method="GET", target="/")
    assert second.id > first.id
