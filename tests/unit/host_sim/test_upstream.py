"""Where requests to backends go and what they say there (compute-host §2.2, §4.1)."""

import dataclasses
from typing import Any

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.config import Backend
from host_sim.edge.upstream import MAX_HOPS, Backends
from host_sim.errors import BackendError, BackendFault
from host_sim.messages import Address, Downstream, Request, Response
from tests.support.certificates import Authority
from tests.support.requests import request


class Sender:
    """An HTTP client that only notes what it is asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.options: list[dict[str, Any]] = []

    async def send(self, request: Request, **options: Any) -> Response:
        self.requests.append(request)
        self.options.append(options)
        return Response(status=200, reason="OK", headers=Headers(), body=Body.of(b""))


class Edge:
    """A handler that notes what comes back."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        self.requests.append(request)
        downstream.send_head(200, "OK", Headers(), 0)
        downstream.finish()


async def sent(asked: Request, **options: Any) -> Request:
    """Return the request as a backend with these options gets it."""
    sender = Sender()
    backend = Backend(**{"url": "http://origin.test:81/", **options})
    await Backends({"b": backend}, sender).send(asked, "b")
    return sender.requests[0]


@pytest.mark.parametrize(
    ("fields", "authority", "override", "expected"),
    [
        ((("Host", "client"), ("Y", "2")), "a", "over", [("Host", "over"), ("Y", "2")]),
        ((("X", "1"), ("hOST", "client")), "a", None, [("X", "1"), ("hOST", "client")]),
        ((("Host", "one"), ("X", "1"), ("Host", "two")), "a", None, [("Host", "one"), ("X", "1")]),
        ((("X", "1"),), "a:8", None, [("X", "1"), ("host", "a:8")]),
        ((("X", "1"),), "", None, [("X", "1"), ("host", "origin.test:81")]),
        ((), "a", "over", [("host", "over")]),
    ],
)  # fmt: skip
async def test_host(
    fields: tuple[tuple[str, str], ...],
    authority: str,
    override: str | None,
    expected: list[tuple[str, str]],
) -> None:
    """`override_host`, else `Host`, else the authority of the URI, else that of the backend."""
    asked = dataclasses.replace(request(headers=fields), authority=authority)
    assert list((await sent(asked, override_host=override)).headers) == expected


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("", "/x?y", "/x?y"),
        ("/", "/x?y", "/x?y"),
        ("/api", "/", "/api/"),
        ("/api/", "/x//?/", "/api/x//?/"),
        ("/api", "*", "*"),
    ],
)
async def test_paths_are_joined_by_one_slash(path: str, target: str, expected: str) -> None:
    outgoing = await sent(request(target=target), url=f"http://o{path}")
    assert outgoing.target == expected


@pytest.mark.parametrize("field", [(), (("Content-Length", "0"),)])
async def test_a_guests_request_always_has_a_length(field: tuple[tuple[str, str], ...]) -> None:
    """Also a GET: `content-length: 0`; a client's keeps the framing it came with."""
    from_guest = dataclasses.replace(request(headers=field), client=None)
    lengths = (await sent(from_guest)).headers.get_all("content-length")
    assert lengths == ["0"]
    from_client = await sent(request(headers=field))
    assert from_client.headers.get_all("content-length") == [value for _, value in field]


async def test_connection_settings() -> None:
    sender = Sender()
    backends = Backends(
        {
            "plain": Backend(url="http://[::1]:81", first_byte_timeout_ms=1500),
            "tls": Backend(
                url="https://origin.test",
                cert_host="cert.test",
                between_bytes_timeout_ms=250,
                ca_certificates=Authority().pem,
            ),
            "silent": Backend(url="https://origin.test:444", use_sni=False),
        },
        sender,
    )
    for name in ("plain", "tls", "silent"):
        await backends.send(request(), name)
    plain, tls, silent = sender.options
    assert (plain["backend"], plain["host"], plain["port"], plain["tls"]) == (
        "plain",
        "::1",
        81,
        None,
    )
    assert (plain["first_byte_timeout_s"], plain["between_bytes_timeout_s"]) == (1.5, None)
    assert (tls["host"], tls["port"], tls["server_hostname"]) == ("origin.test", 443, "cert.test")
    assert (tls["first_byte_timeout_s"], tls["between_bytes_timeout_s"]) == (None, 0.25)
    assert tls["tls"].check_hostname
    assert len(tls["tls"].get_ca_certs()) == 1
    assert (silent["port"], silent["server_hostname"]) == (444, "")
    assert not silent["tls"].check_hostname
    assert [asked.scheme for asked in sender.requests] == ["http", "https", "https"]
    await backends.send(request(), "tls")
    assert sender.options[-1]["tls"] is tls["tls"]


async def test_certificates_that_do_not_fit_each_other() -> None:
    from host_sim.config import ClientCertificate

    certificate, _ = Authority().issue("a")
    _, key = Authority().issue("b")
    backend = Backend(url="https://o", client_certificate=ClientCertificate(certificate, key))
    with pytest.raises(BackendError, match="its certificates cannot be used") as caught:
        await Backends({"b": backend}, Sender()).send(request(), "b")
    assert caught.value.fault is BackendFault.UNREACHABLE


async def test_an_unknown_name() -> None:
    for name in ("b", "self", "http://origin.test"):
        with pytest.raises(BackendError, match=r"no backend of that name.*local_server") as caught:
            await Backends({}, Sender()).send(request(), name)
        assert caught.value.fault is BackendFault.UNKNOWN


async def test_grpc_is_spoken_over_http_2_only() -> None:
    sender, other = Sender(), Sender()
    grpc = Backend(url="https://o", grpc=True, first_byte_timeout_ms=7)
    backends = Backends({"b": grpc, "c": Backend(url="https://o")}, other, sender)
    await backends.send(request(), "b")
    await backends.send(request(), "c")
    assert (len(sender.requests), len(other.requests)) == (1, 1)
    assert sender.options[0]["first_byte_timeout_s"] == 0.007
    assert sender.options[0]["tls"] is not other.options[0]["tls"]  # they offer other protocols


async def test_grpc_where_there_is_no_http_2() -> None:
    backends = Backends({"b": Backend(url="http://o", grpc=True)}, Sender())
    with pytest.raises(BackendError, match="HTTP/2") as caught:
        await backends.send(request(), "b")
    assert caught.value.fault is BackendFault.INVALID


@pytest.mark.parametrize(
    ("url", "own", "inside"),
    [
        ("http://127.0.0.1:7676", ("127.0.0.1", 7676), True),
        ("http://localhost:7676/x", ("127.0.0.1", 7676), True),
        ("http://[::1]:7676", ("0.0.0.0", 7676), True),
        ("http://127.0.0.5:7676", ("::", 7676), True),
        ("http://edge.test:7676", ("edge.test", 7676), True),
        ("http://127.0.0.1:7677", ("127.0.0.1", 7676), False),
        ("https://127.0.0.1:7676", ("127.0.0.1", 7676), False),
        ("http://192.0.2.1:7676", ("0.0.0.0", 7676), False),
        ("http://other.test:7676", ("127.0.0.1", 7676), False),
        ("http://other.test:7676", ("edge.test", 7676), False),
    ],
)
async def test_a_backend_at_an_own_address_is_entered(url: str, own: Address, inside: bool) -> None:
    edge, sender = Edge(), Sender()
    backends = Backends({"b": Backend(url=url)}, sender)
    backends.enter_at(edge, [own])
    assert (await backends.send(request(), "b")).status == 200
    assert (len(edge.requests), len(sender.requests)) == ((1, 0) if inside else (0, 1))


@pytest.mark.parametrize("declared", [True, False])
async def test_self_is_entered_wherever_it_is_said_to_be(declared: bool) -> None:
    """With a trace of its own, one hop further, and the rules for outgoing requests."""
    edge = Edge()
    known = {"self": Backend(url="https://example.com:444/p", override_host="over.test")}
    backends = Backends(known if declared else {}, Sender())
    backends.enter_at(edge, [])
    asked = request("POST", "/x", body=b"hello", hops=2)
    assert (await backends.send(asked, "self")).status == 200
    inner = edge.requests[0]
    assert (inner.hops, inner.visits) == (3, 1)
    assert inner.trace is not asked.trace
    assert (inner.trace.internal, inner.trace.target) == (True, inner.target)
    assert await inner.body.whole(9) == b"hello"
    expected = ("/p/x", "over.test", "https") if declared else ("/x", "h", "http")
    assert (inner.target, inner.authority, inner.scheme) == expected


async def test_a_loop_ends() -> None:
    edge = Edge()
    backends = Backends({}, Sender())
    backends.enter_at(edge, [])
    await backends.send(request(hops=MAX_HOPS - 1), "self")
    with pytest.raises(BackendError, match="came back too often") as caught:
        await backends.send(request(hops=MAX_HOPS), "self")
    assert caught.value.fault is BackendFault.LOOP
    assert len(edge.requests) == 1


async def test_links_lead_to_origins_by_address() -> None:
    edge, sender = Edge(), Sender()
    backends = Backends({}, sender)
    backends.enter_at(edge, [("127.0.0.1", 7676)])
    await backends.elsewhere.send(request(), "https://origin.test:444")
    assert (sender.options[0]["host"], sender.options[0]["port"]) == ("origin.test", 444)
    await backends.elsewhere.send(request(), "http://127.0.0.1:7676")
    assert len(edge.requests) == 1
    with pytest.raises(BackendError) as caught:
        await backends.elsewhere.send(request(), "self")
    assert caught.value.fault is BackendFault.UNKNOWN
