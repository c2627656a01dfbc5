"""Handing off to a proxy in another process, as Viceroy does (compute-host §3.2, §3.3)."""

import asyncio
import contextlib
import ssl

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.edge.handoff_http import HttpHandoff
from host_sim.edge.loopback import Loopback
from host_sim.edge.passing import GoneError
from host_sim.edge.tunnels import tunnel_pair
from host_sim.errors import BackendError, BackendFault, UnfitRequestError
from host_sim.messages import Address, Downstream, Request, Response
from tests.support.requests import request
from tests.support.waiting import PATIENCE_S, soon


class Client:
    """An HTTP client that answers as told (`edge.upstream.HttpSender`)."""

    def __init__(self, answer: Response | BackendError | None) -> None:
        self.answer = answer
        self.asked: list[tuple[Request, str, int]] = []
        self.cancelled = False

    async def send(
        self,
        request: Request,
        *,
        backend: str,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        first_byte_timeout_s: float | None = None,
        between_bytes_timeout_s: float | None = None,
    ) -> Response:
        assert (tls, first_byte_timeout_s, between_bytes_timeout_s) == (None, None, None)
        self.asked.append((request, host, port))
        match self.answer:
            case BackendError():
                raise self.answer
            case None:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled = True
        assert isinstance(self.answer, Response)
        return self.answer


async def ask(
    client: Client, asked: Request | None = None, proxy: Address = ("127.0.0.1", 7677)
) -> Response:
    """Return what a client gets that was handed off to backend `b`."""

    async def handler(request: Request, downstream: Downstream) -> None:
        with contextlib.suppress(GoneError):  # the edge's own business
            await HttpHandoff(client, proxy).take(request, "b", downstream)

    async with asyncio.timeout(PATIENCE_S):
        return await Loopback(handler).call(asked or request(), "edge")


def response(status: int = 200) -> Response:
    return Response(
        status=status, reason="Fine", headers=Headers([("X", "y")]), body=Body.of(b"hello")
    )


@pytest.mark.parametrize(
    ("proxy", "host"),
    [(("127.0.0.1", 7677), "127.0.0.1:7677"), (("::1", 7677), "[::1]:7677")],
)
async def test_the_proxy_hears_its_own_address_and_the_backend(proxy: Address, host: str) -> None:
    """§3.2: both replace what the client said."""
    client = Client(response())
    told = (("Host", "edge"), ("Pushpin-Route", "mine"), ("X", "1"), ("Connection", "keep-alive"))
    answer = await ask(client, request(headers=told), proxy)
    assert (answer.status, answer.reason, answer.headers) == (200, "Fine", Headers([("X", "y")]))
    assert await answer.body.whole(99) == b"hello"
    [(sent, *address)] = client.asked
    assert tuple(address) == proxy
    assert sent.headers == Headers(
        [("X", "1"), ("Connection", "keep-alive"), ("Host", host), ("Pushpin-Route", "b")]
    )


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (BackendFault.UNREACHABLE, 500, b"Error: Could not connect to handoff target: why."),
        (BackendFault.CLOSED, 502, b"Error: Handoff request failed: why"),
        (BackendFault.INVALID, 502, b"Error: Handoff request failed: why"),
        (None, 500, b"Error: Failed to build Pushpin [b] request: unfit request: why"),
    ],
)
async def test_a_proxy_that_fails_is_explained(
    fault: BackendFault | None, status: int, text: bytes
) -> None:
    """§3.3; no fault: the request cannot be built."""
    asked = request()
    error = BackendError("b", fault, "why") if fault else UnfitRequestError("b", "why")
    answer = await ask(Client(error), asked)
    assert answer.status == status
    assert await answer.body.whole(999) == text
    assert "why" in (asked.trace.note or "")


async def test_after_a_101_bytes_go_both_ways() -> None:
    """§3.3."""
    near, far = tunnel_pair()
    switched = Response(status=101, reason="Go", headers=Headers(), body=Body.of(b""), tunnel=near)
    answer = await ask(Client(switched))
    assert answer.status == 101
    assert answer.tunnel is not None
    heard: list[bytes] = []
    answer.tunnel.start(heard.append, lambda: heard.append(b"gone"))
    far.start(lambda data: far.write(data.upper()), lambda: None)
    answer.tunnel.write(b"ping")
    await soon(lambda: heard == [b"PING"])
    far.close()
    await soon(lambda: heard == [b"PING", b"gone"])


async def test_a_client_that_goes_takes_its_request_along() -> None:
    client = Client(None)
    task = asyncio.create_task(ask(client))
    await soon(lambda: client.asked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await soon(lambda: client.cancelled)
