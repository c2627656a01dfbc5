"""Backends that guests describe themselves. Host contract §2.5."""

import pytest

from host_sim.messages import Request, Response
from host_sim.sandbox.data import DynamicBackend
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
"""


async def test_a_described_backend_is_reached_as_described(guest: Scripted) -> None:
    """Every option that matters arrives; the backend can be asked about, and opened by name."""

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
        target="h.test:8443",
        tls=True,
        override_host="o.test",
        cert_host="c.test",
        use_sni=True,
        ca_certificates=PEM,
        client_certificate=(PEM, KEY),
        first_byte_timeout_ms=1,
        between_bytes_timeout_ms=0,
        grpc=True,
    )


async def test_defaults(guest: Scripted) -> None:
    """15 s to the first byte, 10 s between bytes, no TLS."""

    async def own(request: Request) -> Response:
        return response(b"")

    guest.upstream.backends["own"] = own
    await guest.bytes(
        DESCRIBE
        + "http_req.send(http_req.Request.new(), http_body.new(), describe(target='[::1]'))"
    )
    described = guest.upstream.described[-1]
    assert described.url == "http://[::1]"
    assert (described.first_byte_timeout_ms, described.between_bytes_timeout_ms) == (15_000, 10_000)
    assert (described.cert_host, described.use_sni) == (None, True)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("target=''", "InvalidArgument"),
        ("target='h:0'", "InvalidArgument"),
        ("target='h:99999'", "InvalidArgument"),
        ("target='http://h'", "InvalidArgument"),
        ("target='h/p'", "InvalidArgument"),
        ("override_host=''", "InvalidArgument"),
        ("override_host='x' * 1025", "InvalidArgument"),
        ("override_host='a\\nb'", "GenericError"),
        ("cert_hostname=''", "InvalidArgument"),
        ("sni_hostname='x' * 1025", "InvalidArgument"),
        ("cert_hostname='a', sni_hostname='b'", "InvalidArgument"),
        ("use_tls=True, ca_certificate=''", "InvalidArgument"),
        ("use_tls=True, ca_certificate='x' * 65537", "InvalidArgument"),
        ("use_tls=True, ca_certificate='no PEM'", "GenericError"),
        ("ca_certificate='no PEM'", None),
        ("cert_hostname='a', sni_hostname='a'", None),
        ("sni_hostname=''", None),
        ("name='origin'", "GenericError"),
    ],
)
async def test_what_cannot_be_described(guest: Scripted, options: str, error: str | None) -> None:
    """Names, targets and certificates that cannot be; TLS options count with TLS only."""
    got = await guest.json(DESCRIBE + f"answer(failure(lambda: describe({options})))")
    assert got == error


async def test_all_options_can_be_set(guest: Scripted) -> None:
    """Those about connections that are kept have no effect."""
    got = await guest.json(
        DESCRIBE
        + """
own = describe(connect_timeout=1, tls_min_version=0x303, tls_max_version=0x304, tls_ciphers="x",
               http_keepalive_time_ms=1, tcp_keepalive_enable=1, tcp_keepalive_interval_secs=1,
               tcp_keepalive_probes=1, tcp_keepalive_time_secs=1, max_connections=1, max_use=1,
               max_lifetime_ms=1, pooling=False, prefer_ipv6=False)
answer(own.get_name())
"""
    )
    assert got == "own"


async def test_a_name_is_taken_once_and_known_to_its_sandbox_only(guest: Scripted) -> None:
    script = DESCRIBE + (
        "answer([failure(backend.Backend.open, 'own'), failure(describe), failure(describe)])"
    )
    for _ in range(2):
        assert await guest.json(script) == ["NOT_FOUND", None, "GenericError"]


async def test_a_client_certificate_that_is_none(guest: Scripted) -> None:
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
