"""Backends that guests describe themselves. Host contract §2.5."""

import asyncio

import pytest

from host_sim.messages import Request, Response
from host_sim.sandbox.data import BackendFacts, DynamicBackend
from host_sim.sandbox.instance import Sandboxes
from tests.support.sandbox import Scripted, Upstream, build_guest, response

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"

DESCRIBE = f"""
PEM, KEY = {PEM!r}, {KEY!r}

def describe(name="own", target="h.test:8443", **options):
    chosen = backend.DynamicBackendOptions()
    for option, value in options.items():
        getattr(chosen, option)(value)
    return backend.register_dynamic_backend(name, target, chosen)

def facts(b):
    host = b.get_override_host(99)
    return [b.get_name(), b.is_healthy().name, b.is_dynamic(), b.get_host(99),
            host and host.decode(), b.get_port(), b.is_tls(), b.get_connect_timeout_ms(),
            b.get_first_byte_timeout_ms(), b.get_between_bytes_timeout_ms(),
            b.get_tls_min_version(), b.get_tls_max_version(), b.get_http_keepalive_time(),
            b.get_tcp_keepalive_enable(), b.get_tcp_keepalive_interval(),
            b.get_tcp_keepalive_probes(), b.get_tcp_keepalive_time()]
"""


async def test_a_described_backend_is_reached_as_described(guest: Scripted) -> None:
    """§2.5: every option that is used arrives; the backend can be opened by its name."""

    async def own(request: Request) -> Response:
        return response(b"from " + request.target.encode())

    guest.upstream.backends["own"] = own
    got = await guest.json(
        DESCRIBE
        + """
chosen = backend.DynamicBackendOptions()
chosen.override_host("o.test"), chosen.first_byte_timeout(1), chosen.between_bytes_timeout(0)
chosen.use_tls(True), chosen.cert_hostname("c.test"), chosen.ca_certificate(PEM)
chosen.client_cert(PEM, secret_store.Secret.from_bytes(KEY.encode())), chosen.grpc(True)
own = backend.register_dynamic_backend("own", "h.test:8443", chosen)
out = http_req.Request.new()
out.set_uri("/p")
body = http_req.send(out, http_body.new(), own)[1]
again = backend.Backend.open("own")
answer([read_all(body).decode(), own.is_dynamic(), own.get_name(), own.get_port(), own.is_tls(),
        again.is_dynamic(), again.is_healthy().name])
"""
    )
    assert got == ["from /p", True, "own", 8443, True, True, "UNKNOWN"]
    assert guest.upstream.described[-1] == DynamicBackend(
        name="own",
        facts=BackendFacts(
            url="https://h.test:8443",
            override_host="o.test",
            connect_timeout_ms=1000,
            first_byte_timeout_ms=1,
            between_bytes_timeout_ms=0,
        ),
        cert_host="c.test",
        use_sni=True,
        ca_certificates=PEM,
        client_certificate=(PEM, KEY),
        grpc=True,
    )


async def test_defaults(guest: Scripted) -> None:
    """§2.5, defaults: connect 1 s, first byte 15 s, between bytes 10 s, no TLS, path `/`."""

    async def own(request: Request) -> Response:
        return response(request.target.encode())

    guest.upstream.backends["own"] = own
    got = await guest.json(
        DESCRIBE
        + """
own = describe(target="[::1]")
body = http_req.send(http_req.Request.new(), http_body.new(), own)[1]
answer([read_all(body).decode(), facts(own)])
"""
    )
    assert got == [
        "/",
        [
            *("own", "UNKNOWN", True, "[::1]", None, 80, False, 1000, 15_000, 10_000),
            *(None, None, 0, False, 0, 0, 0),
        ],
    ]
    described = guest.upstream.described[-1]
    assert described.facts.url == "http://[::1]"
    assert (described.cert_host, described.use_sni) == (None, True)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("target=''", "InvalidArgument"),
        ("target='h:0'", "InvalidArgument"),
        ("target='h:99999'", "InvalidArgument"),
        ("target='http://h'", "InvalidArgument"),
        ("target='h/p'", "InvalidArgument"),
        ("target='u@h'", "InvalidArgument"),
        ("target='[::g]'", "InvalidArgument"),
        ("target='192.0.2.1:1'", None),
        ("override_host=''", "InvalidArgument"),
        ("override_host='x' * 1025", "InvalidArgument"),
        ("override_host='x' * 1024", None),
        ("override_host='a\\nb'", "GenericError"),
        ("cert_hostname=''", "InvalidArgument"),
        ("cert_hostname='x' * 1025", "InvalidArgument"),
        ("sni_hostname='x' * 1025", "InvalidArgument"),
        ("cert_hostname='a', sni_hostname='b'", "InvalidArgument"),
        ("use_tls=True, ca_certificate=''", "InvalidArgument"),
        ("use_tls=True, ca_certificate='x' * 65537", "InvalidArgument"),
        ("use_tls=True, ca_certificate='no PEM'", "GenericError"),
        ("use_tls=True, ca_certificate=PEM.replace('AA==', '%%')", "GenericError"),
        ("ca_certificate='no PEM'", None),
        ("cert_hostname='a', sni_hostname='a'", None),
        ("sni_hostname=''", None),
        ("tls_min_version=0x300", "InvalidArgument"),
        ("tls_max_version=0x305", "InvalidArgument"),
        ("tls_min_version=0x301, tls_max_version=0x304", None),
        ("name='origin'", "GenericError"),
    ],
)
async def test_what_cannot_be_described(guest: Scripted, options: str, error: str | None) -> None:
    """§2.5, errors: names, targets and certificates that cannot be; the CA counts with TLS only."""
    got = await guest.json(DESCRIBE + f"answer(failure(lambda: describe({options})))")
    assert got == error


async def test_all_options_can_be_set(guest: Scripted) -> None:
    """§2.5: the setters of the rest; what has a getter can be asked for."""
    got = await guest.json(
        DESCRIBE
        + """
own = describe(override_host="o.test", connect_timeout=1, tls_min_version=0x303,
               tls_max_version=0x304, tls_ciphers="x", http_keepalive_time_ms=2,
               tcp_keepalive_enable=1, tcp_keepalive_interval_secs=3, tcp_keepalive_probes=4,
               tcp_keepalive_time_secs=5, max_connections=1, max_use=1, max_lifetime_ms=1,
               pooling=False, prefer_ipv6=False, first_byte_timeout=6, between_bytes_timeout=7)
answer([facts(own), failure(own.get_host, 5), failure(own.get_override_host, 5)])
"""
    )
    assert got == [
        [
            *("own", "UNKNOWN", True, "h.test", "o.test", 8443, False, 1, 6, 7, 0x303, 0x304),
            *(2, True, 3, 4, 5),
        ],
        ["BufferLen", 6],
        ["BufferLen", 0],
    ]


async def test_a_name_is_taken_once_and_known_to_its_sandbox_only(guest: Scripted) -> None:
    """§2.5, name already taken; dynamic backends belong to their sandbox."""
    script = DESCRIBE + (
        "answer([failure(backend.Backend.open, 'own'), failure(describe), failure(describe)])"
    )
    for _ in range(2):
        assert await guest.json(script) == ["NOT_FOUND", None, "GenericError"]


async def test_a_client_certificate_that_is_none(guest: Scripted) -> None:
    """§2.5, bad PEM."""
    got = await guest.json(
        DESCRIBE
        + """
chosen = backend.DynamicBackendOptions()
chosen.client_cert(PEM, secret_store.Secret.from_bytes(b"no key"))
answer(failure(backend.register_dynamic_backend, "own", "h", chosen))
"""
    )
    assert got == "GenericError"


@pytest.mark.asyncio(loop_scope="function")
async def test_without_a_way_to_reach_them_they_are_unsupported() -> None:
    sandboxes = Sandboxes(upstream=Upstream())
    await sandboxes.load(build_guest())
    got = await Scripted(sandboxes, Upstream()).json(DESCRIBE + "answer(failure(describe))")
    assert got == "Unsupported"
    await sandboxes.close()


@pytest.mark.asyncio(loop_scope="function")
async def test_they_are_kept_over_reuse() -> None:
    """§2.5: kept over reuse, and nobody else gets them meanwhile."""
    sandboxes = Sandboxes(upstream=(upstream := Upstream()), send_dynamic=upstream.send_dynamic)
    await sandboxes.load(build_guest())
    guest = Scripted(sandboxes, upstream)
    loop = (
        DESCRIBE
        + """
describe()
answer([])
option = http_downstream.NextRequestOptions(5000, None)
http_downstream.await_request(http_downstream.next_request(option))
answer([backend.Backend.open("own").is_dynamic(), failure(describe)])
"""
    )
    assert await guest.json(loop) == []
    async with asyncio.timeout(10):
        while sandboxes.parked != 1:  # noqa: ASYNC110  it has no event
            await asyncio.sleep(0.001)
    assert await guest.json("answer([])") == [True, "GenericError"]  # taken by the parked sandbox
    assert await guest.json("answer(failure(backend.Backend.open, 'own'))") == "NOT_FOUND"
    await sandboxes.close()


async def test_a_backend_can_be_had_twice(newest: Scripted) -> None:
    """The newest WIT, `backend.clone`: a handle of its own to the same backend."""
    got = await newest.json(
        """
        first = backend.register_dynamic_backend("o", "h", backend.DynamicBackendOptions())
        second = first.clone()
        del first
        gc.collect()
        answer([second.get_name(), second.is_dynamic()])
        """
    )
    assert got == ["o", True]


CHECK = """
def check(**fields):
    options = backend.HealthcheckOptions.new("h.test")
    for field, value in fields.items():
        getattr(options, field)(value)
    return options
"""


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ("host=''", "InvalidArgument"),
        ("host='h' * 8191, path='/'", None),
        ("host='h' * 8192", "InvalidArgument"),
        ("path='/' + 'p' * 8185 + '?query'", None),
        ("path='/' + 'p' * 8186", "InvalidArgument"),
        ("path='/ p'", "GenericError"),
        ("path='/é'", "GenericError"),
        ("path='p'", None),  # Viceroy looks at lengths and characters only
        ("path=''", None),
        ("host='h' * 8192, path=''", "InvalidArgument"),
        ("path='/?' + 'q' * 9000", None),
        ("method='a b'", None),
        ("method='m' * 8192", None),
        ("method='m' * 8193", "InvalidArgument"),
        ("expected_status=204", None),
        ("window=15", None),
        ("window=16", "InvalidArgument"),
        ("window=3", "InvalidArgument"),  # fewer than the initial 4
        ("initial=3, window=3", None),
        ("initial=0, window=2", "InvalidArgument"),  # fewer than the threshold, 3
        ("threshold=5", None),
        ("threshold=6", "InvalidArgument"),
        ("initial=6", "InvalidArgument"),
        ("interval_ms=1000, timeout_ms=1000", None),
        ("interval_ms=3599999, timeout_ms=3599999", None),
        ("interval_ms=999", "InvalidArgument"),
        ("interval_ms=3600000", "InvalidArgument"),
        ("timeout_ms=999", "InvalidArgument"),
        ("timeout_ms=3600000", "InvalidArgument"),
    ],
)
async def test_health_checks(newest: Scripted, fields: str, error: str | None) -> None:
    """§2.5, newer WIT `healthcheck-options`: bounds of every field."""
    got = await newest.json(CHECK + f"answer(failure(lambda: check({fields})))")
    assert got == error


async def test_a_health_check_is_never_made(newest: Scripted) -> None:
    """§2.5: it can be given to a backend, even one that is nowhere; a host is needed."""
    got = await newest.json(
        CHECK
        + """
chosen = backend.DynamicBackendOptions()
chosen.healthcheck(check(path="/up", window=9))
own = backend.register_dynamic_backend("own", "h", chosen)
answer([own.is_dynamic(), failure(backend.HealthcheckOptions.new, ""),
        failure(backend.HealthcheckOptions.new, "h" * 8192)])
"""
    )
    assert got == [True, "InvalidArgument", "InvalidArgument"]
