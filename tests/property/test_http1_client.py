"""Any bytes a backend answers give a response or a documented failure, however they arrive."""

import asyncio

from hypothesis import example, given
from hypothesis import strategies as st

from host_sim.errors import BodyError
from host_sim.http1.client_connection import ClientConnection
from host_sim.outbound import Failure
from tests.support.memory_transport import MemoryTransport
from tests.support.requests import request

TOKENS = [
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 "),
    *(b"HTTP/1.1 101 Go\r\n", b"HTTP/1.1 204 No\r\n", b"999 X\r\n", b"\r\n", b"\n", b"\0", b"abc"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Transfer-Encoding: x\r\n", b"Connection: close\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
]
WIRE = st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6)), max_size=10).map(
    b"".join
)


class Owner:
    """Notes what becomes of its only connection."""

    max_head_bytes = 200

    def __init__(self) -> None:
        self.reusable = False

    def idle(self, connection: ClientConnection) -> None:
        self.reusable = True

    def lost(self, connection: ClientConnection) -> None:
        self.reusable = False


type Outcome = tuple[int, bytes | None] | str
"""Status and body, None for a body that broke off; or the name of a fault."""


async def exchange(wire: bytes, cuts: list[int]) -> Outcome:
    connection = ClientConnection(Owner())
    transport = MemoryTransport(connection)
    fields = (("Host", "h"), ("Connection", "Upgrade"), ("Upgrade", "x"))
    asking = asyncio.create_task(connection.ask(request(headers=fields), None))
    await asyncio.sleep(0)
    at = 0
    for cut in [*sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]:
        if cut > at:
            transport.arrive(wire[at:cut])
            at = cut
    transport.arrive_end()
    try:
        async with asyncio.timeout(5):
            response = await asking
            body = await response.body.whole(10_000)
    except Failure as failure:
        return failure.fault.name
    except BodyError:
        return response.status, None
    finally:
        transport.close()
        await asyncio.sleep(0)
    assert (response.tunnel is not None) == (response.status == 101)
    return response.status, body


@given(wire=WIRE, cuts=st.lists(st.integers(0, 300), max_size=6))
@example(wire=b"HTTP/1.1 101 Go\r\n\r\nabc", cuts=[5])
@example(wire=b"HTTP/1.1 200 OK\r\n\r\nabc", cuts=[])
def test_any_bytes_give_a_response_or_a_failure(wire: bytes, cuts: list[int]) -> None:
    outcome = asyncio.run(exchange(wire, cuts))
    match outcome:
        case str():
            assert outcome in ("CLOSED", "INVALID")
        case (status, body):
            assert status == 101 or 200 <= status <= 999
            assert body is None or len(body) <= len(wire)


@given(
    body=st.binary(max_size=60),
    chunked=st.booleans(),
    cuts=st.lists(st.integers(0, 300), max_size=6),
)
def test_a_response_does_not_depend_on_how_its_bytes_arrive(
    body: bytes, chunked: bool, cuts: list[int]
) -> None:
    if chunked:
        chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        wire = TOKENS[-1] + chunk + b"0\r\n\r\n"
    else:
        wire = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    assert asyncio.run(exchange(wire, cuts)) == (200, body)
