"""The publish endpoint in front of a Pushpin (GRIP §8.1, §14)."""

import base64

import pytest

from host_sim.errors import BackendError, BackendFault
from host_sim.fanout.publish_relay import PublishRelay
from tests.support.fanout import Downstream, Origin, reply
from tests.support.requests import request

FORMS = ["/publish", "/publish/", "/publish/?x=1", "/0123/publish/", "/service/0123/publish/"]


async def ask(origin: Origin, method: str, target: str, *headers: tuple[str, str]) -> Downstream:
    """Return what a publisher gets that does not know the key `secret`, or does."""
    client = Downstream()
    relay = PublishRelay(origin, key="secret" if headers else None)
    await relay(request(method, target, (("Host", "h"), *headers), b"{}"), client)
    return client


@pytest.mark.parametrize("target", FORMS)
async def test_every_form_goes_to_the_one_that_the_proxy_knows(target: str) -> None:
    origin = Origin(reply(b"Published\n"))
    client = await ask(origin, "POST", target)
    assert (client.status, client.body) == (200, b"Published\n")
    assert [r.target for r in origin.requests] == ["/publish/"]
    assert origin.bodies == [b"{}"]


@pytest.mark.parametrize(("method", "target"), [("GET", "/"), ("POST", "/recover")])
async def test_other_requests_keep_their_path(method: str, target: str) -> None:
    origin = Origin(reply(b"fine"))
    await ask(origin, method, target)
    assert [(r.method, r.target) for r in origin.requests] == [(method, target)]


async def test_a_key_is_checked_here_and_goes_no_further() -> None:
    origin = Origin(reply(b"Published\n"))
    wrong = await ask(origin, "POST", "/publish/", ("Fastly-Key", "other"))
    assert wrong.status == 403
    assert origin.requests == []
    basic = base64.b64encode(b"0123:secret").decode()
    right = await ask(origin, "POST", "/0123/publish/", ("Authorization", f"Basic {basic}"))
    assert right.status == 200
    assert not origin.requests[0].headers.has("Authorization")


async def test_an_unknown_path_is_not_passed_on() -> None:
    origin = Origin(reply(b""))
    assert (await ask(origin, "POST", "/elsewhere")).status == 404
    assert origin.requests == []


async def test_what_the_proxy_answers_is_passed_on() -> None:
    client = await ask(Origin(reply(b"bad\n", status=400, reason="Bad")), "POST", "/publish/")
    assert (client.status, client.reason, client.body) == (400, "Bad", b"bad\n")


async def test_a_proxy_that_is_gone_is_said_so() -> None:
    origin = Origin(BackendError("publish", BackendFault.UNREACHABLE, "why"))
    client = await ask(origin, "POST", "/publish/")
    assert client.status == 502
    assert b"cannot be reached" in client.body
