"""Any body with any trailers comes through HTTP client and server as it was (RFC 9112 §7.1.2)."""

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from grip.headers import Headers
from host_sim.body import Body
from host_sim.http1.client import HttpClient
from host_sim.http1.server import serve
from host_sim.messages import Downstream, Request
from tests.support.requests import request
from tests.support.waiting import PATIENCE_S

TOKEN = "!#$%&'*+.^_`|~0123456789ABCXYZabcxyz-"
REFUSED = {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection"} | {
    "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
NAMES = st.text(TOKEN, min_size=1, max_size=12).filter(lambda name: name.lower() not in REFUSED)
VALUES = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
    .map(lambda value: value.strip(" \t"))
    .filter(lambda value: value.isprintable() or value == "")
)
TRAILERS = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(Headers)
PIECES = st.lists(st.binary(min_size=1, max_size=99), max_size=5)


class Pieces:
    """A source that has trailers at its end."""

    def __init__(self, pieces: list[bytes], trailers: Headers) -> None:
        self._pieces = iter(pieces)
        self.trailers = trailers

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def echo(request: Request, downstream: Downstream) -> None:
    """Answer with the body as it comes, its length if it has one, and its trailers."""
    downstream.send_head(200, "OK", Headers(), request.body.length)
    while piece := await request.body.read():
        downstream.write(piece)
        await downstream.drain()
    downstream.finish(request.body.trailers)


async def there_and_back(*bodies: Body) -> list[tuple[int | None, bytes | None, Headers]]:
    """Send bodies one after the other on one connection; return what comes back."""
    listener, client = await serve(echo, "127.0.0.1", 0), HttpClient()
    host, port = listener.address
    got = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            for body in bodies:
                asked = request("POST", body=body)
                answer = await client.send(asked, backend="b", host=host, port=port)
                content = await answer.body.whole(1 << 20)
                got.append((answer.body.length, content, answer.body.trailers))
    finally:
        await client.close()
        await listener.close(0)
    return got


@given(pieces=PIECES, trailers=TRAILERS, whole=st.booleans())
def test_bodies_and_trailers_come_through(
    pieces: list[bytes], trailers: Headers, whole: bool
) -> None:
    content = b"".join(pieces)
    known = Body.of(content, trailers=trailers)
    coming = Body(Pieces(pieces, trailers), None)
    sent = (known, Body.of(content)) if whole else (coming, Body.of(content), known.replay())
    got = asyncio.run(there_and_back(*sent))
    with_trailers = (None, content, trailers)
    assert got[:2] == [with_trailers, (len(content), content, Headers())]
    assert got[2:] == [] if whole else [with_trailers]


@given(name=st.sampled_from(sorted(REFUSED)), value=VALUES)
def test_fields_of_the_connection_are_not_sent_as_trailers(name: str, value: str) -> None:
    trailers = Headers([("A", "1"), (name.title(), value), ("B", "2")])
    got = asyncio.run(there_and_back(Body.of(b"x", trailers=trailers)))
    assert got == [(None, b"x", Headers([("A", "1"), ("B", "2")]))]
