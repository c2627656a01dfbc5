"""Requests on their way to a backend (GRIP §2.1, §2.2)."""

import asyncio
import dataclasses

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault
from host_sim.fanout.forward import FEATURES, Forwarded, Forwarder
from host_sim.messages import Request, Response
from tests.support.fanout import Origin, reply
from tests.support.requests import request


def cleaned(*fields: tuple[str, str]) -> list[tuple[str, str]]:
    return list(Forwarder.clean(Headers(fields)))


def test_end_to_end_fields_stay_as_they_are_and_in_order() -> None:
    fields = [("Host", "h"), ("Cookie", "a"), ("X-Custom", "\udce9"), ("cookie", "b"), ("Via", "v")]
    assert cleaned(*fields) == fields


@pytest.mark.parametrize(
    "name",
    [
        *("Connection", "Keep-Alive", "Transfer-Encoding", "Expect", "Accept-Encoding", "TE"),
        *("Trailer", "Upgrade", "Proxy-Connection", "Pushpin-Route"),
        *("X-Forwarded-Proto", "x-forwarded-protocol"),
        *("Grip-Sig", "grip-last", "GRIP-ANYTHING"),
    ],
)
def test_fields_of_the_connection_and_of_the_proxy_go(name: str) -> None:
    assert cleaned(("Host", "h"), (name, "x")) == [("Host", "h")]


def test_fields_the_connection_nominates_go_but_never_host_and_length() -> None:
    """RFC 9110 §7.6.1."""
    kept = [("Host", "h"), ("Content-Length", "3"), ("X-Other", "1")]
    nominated = [
        ("Connection", "close, X-Hop"),
        ("connection", "host,CONTENT-LENGTH"),
        ("x-hop", ""),
    ]
    assert cleaned(*kept, *nominated) == kept


def test_forwarded_for_is_one_field() -> None:
    fields = cleaned(("X-Forwarded-For", "a, b"), ("Host", "h"), ("x-forwarded-for", "c"))
    assert fields == [("Host", "h"), ("X-Forwarded-For", "a, b, c")]


def test_fields_of_a_trusted_proxy_stay() -> None:
    headers = Headers([("Grip-Sig", "theirs"), ("Connection", "close")])
    assert list(Forwarder.clean(headers, trusted=True)) == [("Grip-Sig", "theirs")]


async def test_each_request_is_signed_afresh_and_one_hop_further() -> None:
    signatures = iter(["one", "two"])
    origin = Origin(reply())
    forwarder = Forwarder(origin, lambda: next(signatures))
    asked = request("POST", "/a?b", (("Host", "h"), ("Grip-Sig", "forged")), b"body", hops=1)
    for _ in range(2):
        await forwarder.send(asked, "b", body=asked.body.replay())
    first, second = origin.requests
    assert first.headers.get_all("Grip-Sig") == ["one"]
    assert second.headers.get_all("Grip-Sig") == ["two"]
    assert first.headers.get("Grip-Feature") == FEATURES
    assert not first.headers.has("X-Forwarded-Proto")
    assert (first.method, first.target, first.hops) == ("POST", "/a?b", 2)
    assert first.trace is asked.trace
    assert origin.bodies == [b"body", b"body"]


async def test_tls_of_the_client_is_told() -> None:
    import dataclasses

    origin = Origin(reply())
    asked = dataclasses.replace(request(headers=(("X-Forwarded-Proto", "gopher"),)), scheme="https")
    await Forwarder(origin, lambda: "sig").send(asked, "b")
    assert origin.requests[0].headers.get_all("X-Forwarded-Proto") == ["https"]


async def test_what_is_given_takes_the_place_of_the_clients_own() -> None:
    origin = Origin(reply())
    await Forwarder(origin, lambda: "sig").send(
        request("POST", "/a", body=b"body"),
        "b",
        method="GET",
        target="/c",
        headers=Headers([("Host", "other")]),
        body=Body.of(b""),
    )
    sent = origin.requests[0]
    assert (sent.method, sent.target, origin.bodies) == ("GET", "/c", [b""])
    assert [name for name, _ in sent.headers] == ["Host", "Grip-Sig", "Grip-Feature"]


async def test_relayed_request_is_not_signed() -> None:
    origin = Origin(reply())
    await Forwarder(origin, lambda: "ours").relay(request(headers=(("Grip-Sig", "x"),)), "b")
    assert list(origin.requests[0].headers) == [("Grip-Sig", "x")]


async def test_backend_that_does_not_answer_in_time_has_failed() -> None:
    async def never(_: Request) -> Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with pytest.raises(BackendError, match="no response head within 0 s") as caught:
        await Forwarder(Origin(never), lambda: "sig", timeout_s=0.0).send(request(), "slow")
    assert (caught.value.backend, caught.value.fault) == ("slow", BackendFault.TIMEOUT)


@pytest.mark.parametrize(
    ("rule", "came", "expected"),
    [
        (Forwarded(), "a, b", ["a, b"]),
        (Forwarded(append=True), "a, b", ["a, b, 192.0.2.1"]),
        (Forwarded(append=True), None, ["192.0.2.1"]),
        (Forwarded(append=True, kept=1), "a, b", ["b, 192.0.2.1"]),
        (Forwarded(append=True, kept=0), "a, b", ["192.0.2.1"]),
        (Forwarded(kept=0), "a, b", []),
        (Forwarded(kept=3), "a, b", ["a, b"]),
    ],
)
async def test_addresses_of_clients(rule: Forwarded, came: str | None, expected: list[str]) -> None:
    """§2.1, the option `x_forwarded_for`."""
    origin = Origin(reply())
    headers = () if came is None else (("X-Forwarded-For", came),)
    await Forwarder(origin, lambda: "signed", forwarded=rule).send(request(headers=headers), "b")
    assert origin.requests[0].headers.get_all("X-Forwarded-For") == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Forwarded(), ["X-Forwarded-Proto"]),
        (Forwarded(protocol=True), ["X-Forwarded-Proto", "X-Forwarded-Protocol"]),
        (Forwarded(proto=False), []),
    ],
)
async def test_tls_of_clients(rule: Forwarded, expected: list[str]) -> None:
    """§2.1, the option `set_x_forwarded_protocol`."""
    origin = Origin(reply())
    asked = dataclasses.replace(request(), scheme="https")
    await Forwarder(origin, lambda: "signed", forwarded=rule).send(asked, "b")
    sent = [name for name, _ in origin.requests[0].headers if name.startswith("X-Forwarded-P")]
    assert sent == expected


async def test_trailers_of_clients_stay_behind() -> None:
    """They are not cleaned, so a client could say in them what only the proxy may."""
    origin = Origin(reply())
    body = Body.of(b"content", trailers=Headers([("Grip-Sig", "forged")]))
    asked = request("POST", body=body)
    await Forwarder(origin, lambda: "s").send(asked, "b")
    await Forwarder(origin, lambda: "s").relay(dataclasses.replace(asked, body=body.replay()), "b")
    assert origin.bodies == [b"content", b"content"]
    for sent in origin.requests:
        assert sent.body.length is None
        assert not sent.body.trailers
    assert body.replay().trailers.has("Grip-Sig")
