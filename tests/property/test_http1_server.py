"""Any bytes sent to the server give answers, a 4xx or a close; never a traceback."""

import asyncio
import logging
import re

from hypothesis import example, given
from hypothesis import strategies as st

from grip.headers import Headers
from host_sim.errors import BodyError
from host_sim.http1.connection import Connection
from host_sim.http1.server import Listener
from host_sim.messages import Downstream, Request
from tests.support.memory_transport import MemoryTransport

TOKENS = [
    *(b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"/", b"*", b"http://h/x", b"h:1"),
    *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/9.9\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\0"),
    *(b"Host: h\r\n", b"Host: \xff\r\n", b"Content-Length: 3\r\n", b"Content-Length: 999\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"Connection: close\r\n"),
    *(b"Upgrade: x\r\n", b"Expect: 100-continue\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc"),
    *(
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
    ),
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
]
WIRE = st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6)), max_size=12).map(
    b"".join
)
HEAD = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


class Errors(logging.Handler):
    """Keeps what is logged as an error: a client can cause none."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(self.format(record))


async def handle(request: Request, downstream: Downstream) -> None:
    """Read the body and tell its size; by the method, before or after."""
    if request.method == "POST":
        try:
            content = await request.body.whole(100)
        except BodyError:
            content = None
    else:
        content = request.method.encode()
    answer = b"" if content is None else content
    downstream.send_head(200, "OK", Headers(), len(answer) if len(answer) % 2 else None)
    downstream.write(answer)
    downstream.finish()


async def exchange(wire: bytes, cuts: list[int]) -> tuple[bytes, bool]:
    """Send bytes in pieces, then the end; return what came back and whether it was closed."""
    listener = Listener(handle, scheme="http", max_head_bytes=200, idle_timeout_s=60)
    listener.address = ("127.0.0.1", 80)
    transport = MemoryTransport(Connection(listener))
    at = 0
    for cut in [*sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]:
        if cut > at:
            transport.arrive(wire[at:cut])
            at = cut
            for _ in range(4):  # the handler may run in between
                await asyncio.sleep(0)
    transport.arrive_end()
    for _ in range(12 * 4):
        await asyncio.sleep(0)
    closed = transport.is_closing() or transport.ended
    transport.close()
    await asyncio.sleep(0)
    await listener.close(0)
    return transport.written, closed


def send(wire: bytes, cuts: list[int]) -> tuple[bytes, bool]:
    errors = Errors()
    loggers = [logging.getLogger(name) for name in ("host_sim", "asyncio")]
    for logger in loggers:
        logger.addHandler(errors)
    try:
        return asyncio.run(exchange(wire, cuts))
    finally:
        for logger in loggers:
            logger.removeHandler(errors)
        assert not errors.records


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in HEAD.findall(answers)]


@given(wire=WIRE, cuts=st.lists(st.integers(0, 500), max_size=6))
@example(wire=b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\n\r\nabc", cuts=[])
@example(
    wire=b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", cuts=[]
)
def test_any_bytes_are_answered_or_refused(wire: bytes, cuts: list[int]) -> None:
    answers, closed = send(wire, cuts)
    assert closed
    assert set(statuses(answers)) <= {100, 200, 400, 431, 501, 505}
    refused = [status for status in statuses(answers) if status >= 400]
    assert len(refused) <= 1
    if refused:  # it is the last word
        assert b"Connection: close\r\n" in answers[answers.rindex(b"HTTP/1.1 ") :]


@given(
    requests=st.lists(st.sampled_from(TOKENS[-3:-1]), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_answers_do_not_depend_on_how_bytes_arrive(requests: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(one if one.startswith(b"GET") else one + b"abc" for one in requests)
    answers, _ = send(wire, cuts)
    assert statuses(answers) == [200] * len(requests)
    assert answers == send(wire, [])[0]
