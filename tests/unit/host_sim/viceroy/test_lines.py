"""What is shown of the log, and how (compute-host §5.1)."""

import io
import logging
import re

import pytest

from host_sim.trace import Trace
from host_sim.viceroy.lines import OFF, STEPS, TRACE, ViceroyHandler, threshold


@pytest.mark.parametrize(
    ("verbosity", "level"),
    [(0, logging.ERROR), (1, logging.INFO), (2, logging.DEBUG), (3, TRACE), (4, TRACE)],
)
def test_verbosity(verbosity: int, level: int) -> None:
    assert threshold(verbosity, None) == level


@pytest.mark.parametrize(
    ("rust_log", "level"),
    [
        ("info", logging.INFO),
        ("WARN", logging.WARNING),
        ("off", OFF),
        ("3", logging.INFO),
        ("viceroy=debug", logging.DEBUG),
        ("viceroy_lib=debug", logging.DEBUG),
        ("viceroy", TRACE),
        ("viceroy=error,viceroy_lib=trace", TRACE),
        ("error,viceroy=info", logging.INFO),
        ("viceroy=info,error", logging.INFO),
        ("viceroy_lib[request]=warn", logging.WARNING),
        ("hyper=trace", OFF),
        ("viceroy=loud", OFF),
        (" viceroy=info , x=off", logging.INFO),
        ("", logging.ERROR),
    ],
)
def test_rust_log_wins(rust_log: str, level: int) -> None:
    assert threshold(3, rust_log) == level


class Log:
    """A handler, and what it wrote."""

    def __init__(self, level: int = logging.INFO, endpoints: tuple[str, ...] = ()) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self._handler = ViceroyHandler(level, endpoints, False, (self.out, self.err))

    def tell(
        self, name: str, level: int, text: str, *arguments: object, **extra: object
    ) -> tuple[str, str]:
        """Log something; return what was written on output and error, without the time."""
        record = logging.getLogger(name).makeRecord(
            name, level, "x.py", 1, text, arguments, None, extra=extra
        )
        self._handler.handle(record)
        written = []
        for stream in (self.out, self.err):
            written.append(re.sub(r"^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z", "T", stream.getvalue()))
            stream.seek(0)
            stream.truncate()
        return written[0], written[1]


def test_levels_and_places() -> None:
    log = Log()
    assert log.tell("host_sim.x", logging.INFO, "a %s", "b") == ("T  INFO a b\n", "")
    assert log.tell("host_sim.x", logging.WARNING, "a") == ("T  WARN a\n", "")
    assert log.tell("host_sim.x", logging.ERROR, "a") == ("", "T ERROR a\n")
    assert log.tell("host_sim.x", logging.DEBUG, "a") == ("", "")
    assert Log(logging.DEBUG).tell("host_sim.x", logging.DEBUG, "a") == ("T DEBUG a\n", "")
    assert Log(OFF).tell("host_sim.x", logging.ERROR, "a") == ("", "")


def test_requests_are_counted_from_0_wherever_their_number_is() -> None:
    log = Log()
    said = log.tell("host_sim.x", logging.WARNING, "a", request_id=1)
    assert said == ("T  WARN request{id=0}: a\n", "")
    said = log.tell("host_sim.x", logging.ERROR, "request %d: %s", 8, "b: c")
    assert said == ("", "T ERROR request{id=7}: b: c\n")


def test_steps_are_told_at_info_and_failures_as_errors() -> None:
    log = Log()
    assert log.tell(STEPS, logging.DEBUG, "a", request_id=3) == ("T  INFO request{id=2}: a\n", "")
    for failure, said in (
        ("the guest trapped: x", "WebAssembly trapped: the guest trapped: x"),
        ("the guest exited with a failure", "WebAssembly exited with error: the guest exited with"),
        ("the guest's handler returned an error", "WebAssembly exited with an error: the guest's"),
    ):
        _, line = log.tell(STEPS, logging.DEBUG, "-", request_id=1, failure=failure)
        assert line.startswith(f"T ERROR request{{id=0}}: {said}")
    assert Log(logging.ERROR).tell(STEPS, logging.DEBUG, "a", request_id=3) == ("", "")


def test_the_story_of_a_request_is_only_for_those_who_debug() -> None:
    trace = Trace(method="GET", target="/", id=5, status=200)
    arguments = ("host_sim.access", logging.INFO, "%s %s", "GET", "/")
    assert Log().tell(*arguments, trace=trace) == ("", "")
    told = Log(logging.DEBUG).tell(*arguments, trace=trace)
    assert told == ("T DEBUG request{id=4}: GET / 200 answered\n", "")


def test_what_guests_say_is_always_heard() -> None:
    log = Log(OFF)
    arguments = ("host_sim.guest", logging.INFO, "%s :: %s")
    assert log.tell(*arguments, "logs", "a", endpoint="logs") == ("logs :: a\n", "")
    assert log.tell(*arguments, "stdout", "a", stream="stdout") == ("a\n", "")
    assert log.tell(*arguments, "stderr", "a", stream="stderr") == ("", "a\n")
    assert log.tell(*arguments, "stdout", "", stream="stdout") == ("\n", "")
    log = Log(OFF, ("stdout", "stderr"))
    assert log.tell(*arguments, "stderr", "a", stream="stderr") == ("stderr :: a\n", "")
    assert log.tell(*arguments, "stdout", "", stream="stdout") == ("", "")


def test_streams_that_nobody_reads_any_more_are_no_error() -> None:
    log = Log()
    log.out.close()
    handler = log._handler
    record = logging.getLogger("x").makeRecord("x", logging.INFO, "x.py", 1, "a", (), None)
    handler.handle(record)
