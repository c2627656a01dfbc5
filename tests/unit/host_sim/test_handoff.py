"""The request after a hand-off (compute-host §3.2)."""

from collections.abc import AsyncIterator

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.edge.handoff import PROTECTED, handed_on
from host_sim.errors import BodyError
from host_sim.messages import HandedOff
from tests.support.requests import request


def outcome(*headers: tuple[str, str], to_fanout: bool = True) -> HandedOff:
    return HandedOff(
        backend="b", to_fanout=to_fanout, method="PUT", target="/new?x", headers=Headers(headers)
    )


def test_method_and_target_are_the_guests() -> None:
    onward = handed_on(request("GET", "/old"), outcome())
    assert (onward.method, onward.target) == ("PUT", "/new?x")
    assert (onward.authority, onward.client) == ("h", ("192.0.2.1", 1234))


@pytest.mark.parametrize("name", sorted(PROTECTED))
def test_a_guest_cannot_touch_protected_headers(name: str) -> None:
    """Neither add, change nor remove, in whatever case they are written."""
    client = request(headers=((name.title(), "client"),))
    assert handed_on(client, outcome()).headers == Headers([(name.title(), "client")])
    changed = handed_on(client, outcome((name, "guest")))
    assert changed.headers == Headers([(name.title(), "client")])
    added = handed_on(request(headers=()), outcome((name.upper(), "guest")))
    assert len(added.headers) == 0


def test_all_sixteen_are_protected() -> None:
    assert len(PROTECTED) == 16


def test_other_headers_are_the_guests_after_the_protected_ones() -> None:
    client = request(
        headers=(("X-Client", "1"), ("Connection", "a"), ("Host", "h"), ("connection", "b"))
    )
    onward = handed_on(client, outcome(("Sec-WebSocket-Protocol", "p"), ("X", "1"), ("x", "2")))
    assert list(onward.headers) == [
        ("Connection", "a"), ("Host", "h"), ("connection", "b"),
        ("Sec-WebSocket-Protocol", "p"), ("X", "1"), ("x", "2"),
    ]  # fmt: skip


def test_towards_a_websocket_proxy_the_host_is_the_backends() -> None:
    onward = handed_on(request(), outcome(to_fanout=False))
    assert not onward.headers.has("host")
    assert onward.authority == ""


async def test_the_body_is_the_clients_from_its_start() -> None:
    client = request("POST", body=b"hello")
    await client.body.read()
    assert await handed_on(client, outcome()).body.whole(9) == b"hello"


async def test_a_body_that_was_not_kept_cannot_be_handed_on() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"hello"

    client = request("POST", body=Body(source(), None))
    await client.body.read()
    with pytest.raises(BodyError):
        handed_on(client, outcome())
