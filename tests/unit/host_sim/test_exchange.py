import asyncio

import h11

from grip.headers import Headers
from host_sim.http1.exchange import Exchange
from host_sim.messages import Piece, Sink, Tunnel

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Carrier:
    """A connection that has taken a GET and notes each write."""

    closing = False
    sink: Sink | None = None

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER)
        self._http.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while self._http.their_state is not h11.DONE:
            self._http.next_event()
        self.writes: list[bytes] = []

    @property
    def buffered(self) -> int:
        return 0

    def framed(self, event: h11.Event) -> bytes:
        return self._http.send(event) or b""

    def write(self, data: bytes) -> None:
        if data:
            self.writes.append(data)

    async def drain(self) -> None: ...

    def answered(self) -> None: ...

    def cut(self, *, reset: bool) -> None:
        self.writes.append(b"reset" if reset else b"cut")

    def switch(self) -> Tunnel:
        raise AssertionError


def begun() -> tuple[Carrier, Exchange]:
    carrier = Carrier()
    exchange = Exchange(carrier, "GET", None, http_1_0=False)
    exchange.send_head(200, "OK", Headers(), None)
    return carrier, exchange


async def test_the_head_leaves_together_with_the_first_piece() -> None:
    carrier, exchange = begun()
    assert exchange.buffered == len(HEAD)
    exchange.write(b"one")
    exchange.write(Piece(b"two"))
    await asyncio.sleep(0)
    assert carrier.writes == [HEAD + b"3\r\none\r\n", b"3\r\ntwo\r\n"]


async def test_the_head_waits_no_longer_than_a_turn_of_the_loop() -> None:
    carrier, exchange = begun()
    assert carrier.writes == []
    await asyncio.sleep(0)
    assert carrier.writes == [HEAD]
    assert exchange.buffered == 0


async def test_an_answer_without_a_body_leaves_at_once() -> None:
    carrier = Carrier()
    exchange = Exchange(carrier, "GET", None, http_1_0=False)
    exchange.send_head(200, "OK", Headers(), 0)
    exchange.finish()
    assert carrier.writes == [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]


async def test_the_head_leaves_before_the_answer_is_cut() -> None:
    carrier, exchange = begun()
    exchange.abort()
    await asyncio.sleep(0)
    assert carrier.writes == [HEAD, b"cut"]


async def test_nothing_is_written_past_the_head() -> None:
    carrier, exchange = begun()
    assert exchange.sink is carrier.sink
    assert carrier.writes == [HEAD]
