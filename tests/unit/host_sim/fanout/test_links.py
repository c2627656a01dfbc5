"""Requests for links (GRIP §7.2, §7.3, §9.4)."""

import asyncio
import dataclasses

import pytest

from host_sim.errors import BackendError, BackendFault
from host_sim.fanout.forward import Forwarder
from host_sim.fanout.links import BATCH, BATCH_S, Links, Throttle, grip_last, url_of
from tests.support.fanout import Clock, Origin, reply
from tests.support.requests import request
from tests.support.waiting import soon

ASKED = request("POST", "/t/first?x=1", (("Host", "h"), ("Cookie", "c")), b"question")


def links(origin: Origin, elsewhere: Origin | None = None) -> Links:
    outside = None if elsewhere is None else Forwarder(elsewhere, lambda: "sig")
    return Links(Forwarder(origin, lambda: "sig"), outside, Clock())


async def test_link_request_has_nothing_of_the_clients() -> None:
    origin = Origin(reply(b"2"))
    last_ids = [("room", "1"), ("hall", 'a "b"')]
    await links(origin).fetch(ASKED, "b", "http://h/t/next?y=2", last_ids, urgent=True)
    sent = origin.requests[0]
    assert (sent.method, sent.target, origin.backends, origin.bodies) == (
        *("GET", "/t/next?y=2", ["b"], [b""]),
    )
    assert list(sent.headers)[:3] == [
        ("Host", "h"),
        ("Grip-Last", "room; last-id=1"),
        ("Grip-Last", 'hall; last-id="a \\"b\\""'),
    ]
    assert [name for name, _ in sent.headers][3:] == ["Grip-Sig", "Grip-Feature"]


@pytest.mark.parametrize("url", ["http://h:80/x", "http://H/x"])
async def test_same_service_is_the_same_backend(url: str) -> None:
    origin = Origin(reply())
    await links(origin).fetch(ASKED, "b", url, (), urgent=True)
    assert origin.backends == ["b"]


@pytest.mark.parametrize(
    ("url", "backend"),
    [
        ("http://other/x", "http://other"),
        ("http://h:8080/x", "http://h:8080"),
        ("https://h/x", "https://h"),
    ],
)
async def test_other_service_is_reached_over_the_network(url: str, backend: str) -> None:
    origin, elsewhere = Origin(reply()), Origin(reply())
    await links(origin, elsewhere).fetch(ASKED, "b", url, (), urgent=False)
    assert (origin.backends, elsewhere.backends) == ([], [backend])


@pytest.mark.parametrize("url", ["http://other/x", "ftp://h/x"])
async def test_where_there_is_no_way_there_is_no_backend(url: str) -> None:
    with pytest.raises(BackendError) as caught:
        await links(Origin(reply())).fetch(ASKED, "b", url, (), urgent=True)
    assert caught.value.fault is BackendFault.UNKNOWN


async def test_characters_that_no_request_line_takes_are_escaped() -> None:
    origin = Origin(reply())
    await links(origin).fetch(ASKED, "b", "http://h/é%20%C3?ü", (), urgent=True)
    assert origin.requests[0].target == "/%C3%A9%20%C3?%C3%BC"


async def test_gone_link_is_told_with_an_empty_post() -> None:
    origin = Origin(reply(b"", status=404))
    told = links(origin)
    told.tell_gone(ASKED, "b", "http://h/gone")
    await soon(lambda: origin.requests)
    sent = origin.requests[0]
    assert (sent.method, sent.target, origin.bodies) == ("POST", "/gone", [b""])
    assert sent.headers.has("Grip-Sig")
    await told.close(1.0)


async def test_gone_link_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    told = links(Origin(BackendError("b", BackendFault.UNREACHABLE, "down")))
    told.tell_gone(ASKED, "b", "http://h/gone")
    await told.close(10.0)
    assert "gone link http://h/gone: backend 'b': connection failed: down" in caplog.text


async def test_closing_does_not_wait_for_ever() -> None:
    async def never(_: object) -> None:
        await asyncio.get_running_loop().create_future()

    told = links(Origin(never))  # type: ignore[arg-type]  # never answers
    told.tell_gone(ASKED, "b", "http://h/gone")
    await asyncio.sleep(0)
    await told.close(0.0)


def test_names_that_no_header_can_carry_are_left_out() -> None:
    assert list(grip_last([("a\r\nb", "1"), ("room", "2")])) == [
        ("Grip-Last", "room; last-id=2"),
    ]


def test_url_of_a_request() -> None:
    asked = dataclasses.replace(ASKED, scheme="https", authority="a:1")
    assert url_of(asked) == "https://a:1/t/first?x=1"


@pytest.mark.parametrize("authority", ["[", "h:x", "h:99999"])
async def test_authority_that_is_none_does_no_harm(authority: str) -> None:
    asked = dataclasses.replace(ASKED, authority=authority)
    assert url_of(asked) == "http://invalid/t/first?x=1"
    origin = Origin(reply())
    await links(origin).fetch(asked, "b", "http://invalid/next", (), urgent=True)
    assert origin.backends == ["b"]


class TestThrottle:
    """GRIP §9.4: so many recoveries in a second for one link, in batches."""

    def test_first_batch_goes_at_once_the_next_ones_later(self) -> None:
        throttle = Throttle()
        delays = [throttle.delay_s("link", 10.0) for _ in range(2 * BATCH + 1)]
        assert delays == pytest.approx([0.0] * BATCH + [BATCH_S] * BATCH + [2 * BATCH_S])

    def test_links_do_not_wait_for_each_other(self) -> None:
        throttle = Throttle()
        for _ in range(BATCH):
            throttle.delay_s("a", 10.0)
        assert throttle.delay_s("b", 10.0) == 0.0

    def test_time_that_has_passed_counts(self) -> None:
        throttle = Throttle()
        for _ in range(BATCH + 1):
            throttle.delay_s("link", 10.0)
        assert throttle.delay_s("link", 11.0) == 0.0

    def test_memory_is_bounded(self) -> None:
        throttle = Throttle()
        for number in range(10 * BATCH):
            throttle.delay_s(str(number), float(number))
        assert len(throttle._batches) <= BATCH + 1
