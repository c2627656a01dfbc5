"""Small parts of a sandbox: handles, lines of output, threads, URIs."""

import logging
import threading

import pytest

from host_sim.sandbox.border.handles import Handles
from host_sim.sandbox.border.values import Stopped, WitError
from host_sim.sandbox.objects.messages import Uri
from host_sim.sandbox.output import MAX_LINE, Lines
from host_sim.sandbox.threads import Threads


def test_handles_are_never_used_twice() -> None:
    handles = Handles()
    first = handles.add("first")
    assert handles.get(first) == "first"
    assert handles.take(first) == "first"
    second = handles.add("second")
    assert second != first
    for number in (first, 0):
        with pytest.raises(Stopped):
            handles.get(number)
        with pytest.raises(Stopped):
            handles.take(number)
    handles.drop(first)
    assert len(handles) == 1


def test_things_are_told_that_they_were_dropped() -> None:
    told = []

    class Thing:
        def dropped(self) -> None:
            told.append(self)

    handles, things = Handles(), [Thing(), Thing()]
    numbers = [handles.add(thing) for thing in things]
    handles.add("something else")
    handles.drop(numbers[1])
    handles.drop_all()
    assert told == things[::-1]
    assert len(handles) == 0


def test_lines_are_logged_when_they_are_whole(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "host_sim.guest")
    lines = Lines("stdout", lambda: 7)
    for piece in (b"a", b"", b"b\nc\r\n\n", b"d", b"\xff" + "é".encode()[:1], "é".encode()[1:]):
        lines.write(piece)
    assert caplog.messages == ["stdout :: ab", "stdout :: c", "stdout :: "]
    lines.flush()
    lines.flush()
    assert caplog.messages[3:] == ["stdout :: d\ufffdé"]
    assert list(lines.recent) == ["ab", "c", "d\ufffdé"]
    assert caplog.records[0].__dict__["request_id"] == 7


def test_lines_cannot_control_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    """§7: what guests print is often their clients'; one line stays one line, and visible."""
    caplog.set_level(logging.INFO, "host_sim.guest")
    lines = Lines("stdout", lambda: 7)
    lines.write("a\tb\x1b[31mred\x07\rback\x85\x9b\0 é ☃\r\n".encode())
    assert caplog.messages == [
        r"stdout :: a\tb\x1b[31mred\x07\rback\x85\x9b\x00 é ☃".replace(r"\t", "\t")
    ]


def test_a_line_without_an_end_is_logged_some_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "host_sim.guest")
    lines = Lines("stdout", lambda: 1)
    for _ in range(MAX_LINE + 1):
        lines.write(b"x")
    assert len(caplog.messages) == 1


def test_idle_threads_are_used_again_and_busy_ones_are_not() -> None:
    threads, done, gate = Threads("test"), threading.Semaphore(0), threading.Event()
    seen: list[int] = []

    def work() -> None:
        seen.append(threading.get_ident())
        gate.wait()
        done.release()

    for _ in range(3):
        threads.run(work)
    gate.set()
    for _ in range(3):
        assert done.acquire(timeout=10)
    assert len(set(seen)) == 3
    while threads.idle != 3:
        threading.Event().wait(0.001)
    threads.run(work)
    assert done.acquire(timeout=10)
    assert len(set(seen)) == 3


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("http://h", "http://h/"),
        ("HTTPS://H:8?q", "https://H:8/?q"),
        ("http://u@[::1]:8/p?q#f", "http://u@[::1]:8/p?q"),
        ("/p?q", "/p?q"),
        ("/é", "/é"),
        ("/p?q#f", "/p?q"),
        ("*", "*"),
        ("ftp://h/", "ftp://h/"),
        ("FTP://H?", "FTP://H/?"),
        ("h:80", "h:80"),
        ("x", "x"),
    ],
)
def test_uris(text: str, normal: str) -> None:
    assert str(Uri.parse(text)) == normal


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "http://",
            "http:///p",
            "http://h:1:2/",
            "http://h%41/",
            "http://u@/",
            "http://[::1/",
        ),
        *("/a b", "/a\nb", "/a<b", "h/p", "?q", "é", "/" * 65_535, "/" + "é" * 32_767),
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(WitError, match="generic-error"):
        Uri.parse(text)
