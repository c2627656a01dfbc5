"""Backends of the manifest, and TLS to those that guests describe. Host contract §2.2, §2.5."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from host_sim.config.backends import Backend, ClientCertificate, Health
from host_sim.config.manifest import Manifest
from tests.support.certificates import Authority
from tests.support.hosts import networked
from tests.support.http2_server import Http2Server
from tests.support.sandbox import Scripted
from tests.support.tls_server import TlsServer

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

FACTS = """
def facts(name):
    b = backend.Backend.open(name)
    host = b.get_override_host(99)
    return [b.get_name(), b.is_healthy().name, b.is_dynamic(), b.get_host(99),
            host and host.decode(), b.get_port(), b.is_tls(), b.get_connect_timeout_ms(),
            b.get_first_byte_timeout_ms(), b.get_between_bytes_timeout_ms(),
            b.get_tls_min_version(), b.get_tls_max_version(), b.get_http_keepalive_time(),
            b.get_tcp_keepalive_enable(), b.get_tcp_keepalive_interval(),
            b.get_tcp_keepalive_probes(), b.get_tcp_keepalive_time()]
"""


async def test_backends_of_the_manifest(guest: Scripted) -> None:
    """§2.5: `open`, names, ports, TLS, health, override host; too small a buffer."""
    got = await guest.json(
        """
        trace = [failure(backend.Backend.open, "nowhere"), failure(backend.Backend.open, "")]
        for name in ("origin", "plain"):
            b = backend.Backend.open(name)
            host = b.get_override_host(99)
            trace.append([b.get_name(), b.is_healthy().name, b.is_dynamic(), b.get_port(),
                          b.is_tls(), host and host.decode(), b.get_host(11),
                          failure(b.get_override_host, 1), failure(b.get_host, 1)])
        trace.append(failure(http_req.upgrade_websocket, b))
        answer(trace)
        """
    )
    assert got == [
        *("NOT_FOUND", "NOT_FOUND"),
        [
            *("origin", "UNKNOWN", False, 8443, True, "origin.test", "origin.test"),
            *(["BufferLen", 0], ["BufferLen", 11]),
        ],
        ["plain", "HEALTHY", False, 80, False, None, "plain.test", None, ["BufferLen", 10]],
        "GenericError",
    ]


async def test_the_write_end_of_a_stream_cannot_be_sent(guest: Scripted) -> None:
    """§2.2: an error of `send` is a record, whatever it comes from."""
    got = await guest.json(
        """
        to, failures = backend.Backend.open("plain"), []
        for send in (http_req.send, http_req.send_uncached, http_req.send_async):
            stream = http_body.new()
            http_req.send_async_streaming(http_req.Request.new(), stream, to)
            failures.append(failure(send, http_req.Request.new(), stream, to))
        answer(failures)
        """
    )
    assert got == [["InvalidArgument", None], ["InvalidArgument", None], "InvalidArgument"]


MANIFEST = Manifest(
    backends={
        "bare": Backend(url="https://bare.test/path"),
        "full": Backend(
            url="http://[::1]:81",
            override_host="o.test",
            health=Health.UNHEALTHY,
            first_byte_timeout_ms=1500,
            between_bytes_timeout_ms=250,
        ),
        "socket": Backend(url="wss://ws.test"),
    }
)


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("border", ["direct", "public"])
async def test_what_is_known_of_backends(border: str) -> None:
    """§2.5, timeouts, TLS versions, keep-alive: what is used here, where Viceroy tells nothing."""
    async with networked(border, MANIFEST) as own:
        got = await own.json(FACTS + "answer([facts(n) for n in ('bare', 'full', 'socket')])")
    rest = [None, None, 4000, False, 0, 0, 0]
    assert got == [
        ["bare", "UNKNOWN", False, "bare.test", None, 443, True, 10_000, 0, 0, *rest],
        ["full", "UNHEALTHY", False, "[::1]", "o.test", 81, False, 10_000, 1500, 250, *rest],
        ["socket", "UNKNOWN", False, "ws.test", None, 443, True, 10_000, 0, 0, *rest],
    ]


ASK = """
def ask(authority, port, host="localhost", **options):
    chosen = backend.DynamicBackendOptions()
    chosen.use_tls(True)
    if authority:
        chosen.ca_certificate(authority)
    for option, value in options.items():
        getattr(chosen, option)(*value if isinstance(value, tuple) else (value,))
    try:
        own = backend.register_dynamic_backend("own", f"{host}:{port}", chosen)
        content = read_all(http_req.send(http_req.Request.new(), http_body.new(), own)[1])
    except Err as error:
        answer(described(error.value))
    else:
        answer(json.loads(content))
"""

REFUSED = ["GenericError", "ConnectionRefused"]


@pytest_asyncio.fixture(params=["direct", "public"], scope="module", loop_scope="module")
async def own(request: pytest.FixtureRequest) -> AsyncIterator[Scripted]:
    async with networked(request.param) as scripted:
        yield scripted


async def asked(guest: Scripted, server: TlsServer, options: str = "") -> object:
    """Return what the server saw of a guest that trusts its authority, or the guest's error."""
    call = f"ask({server.authority.pem!r}, {server.port}, {options})"
    return await guest.json(ASK + call)


async def test_tls_to_a_described_backend(own: Scripted, tmp_path: Path) -> None:
    """§2.2, TLS: an authority of its own; the URL's host is checked and sent as SNI."""
    async with TlsServer.running(tmp_path, "localhost") as server:
        assert await asked(own, server) == {"sni": "localhost", "version": "TLSv1.3", "client": []}
        wrong = f"ask({Authority().pem!r}, {server.port})"
        assert await own.json(ASK + wrong) == REFUSED
        assert await own.json(ASK + f"ask(None, {server.port})") == REFUSED
        plain = f"ask({server.authority.pem!r}, {server.port}, use_tls=False)"
        assert (await own.json(ASK + plain)) == ["HttpIncomplete", "ConnectionTerminated"]


@pytest.mark.parametrize(
    ("options", "sni"),
    [
        ("cert_hostname='cert.test'", "cert.test"),  # the name to check is the one to send
        ("sni_hostname='cert.test'", "cert.test"),  # and the other way round
        ("cert_hostname='cert.test', sni_hostname='cert.test'", "cert.test"),
        ("cert_hostname='cert.test', sni_hostname=''", None),  # SNI off, and still checked
        ("cert_hostname='CERT.test', sni_hostname=''", None),
        ("", REFUSED),
        ("sni_hostname=''", REFUSED),
        ("cert_hostname='other.test'", REFUSED),
        ("cert_hostname='other.test', sni_hostname=''", REFUSED),
    ],
)
async def test_names_in_certificates(
    own: Scripted, tmp_path: Path, options: str, sni: str | list[str] | None
) -> None:
    """§2.2, §2.5: `cert-hostname`, else `sni-hostname`, else the target's; empty SNI is SNI off."""
    async with TlsServer.running(tmp_path, "cert.test") as server:
        got = await asked(own, server, options)
        expected = {"sni": sni, "version": "TLSv1.3", "client": []}
        assert got == (sni if isinstance(sni, list) else expected)


async def test_addresses_in_certificates(own: Scripted, tmp_path: Path) -> None:
    """§2.2: a target that is an address; there is no SNI for these (RFC 6066 §3)."""
    async with TlsServer.running(tmp_path, "127.0.0.1") as server:
        for options in ("host='127.0.0.1'", "host='127.0.0.1', sni_hostname=''"):
            got = await asked(own, server, options)
            assert got == {"sni": None, "version": "TLSv1.3", "client": []}
        assert await asked(own, server, "host='localhost', sni_hostname=''") == REFUSED


async def test_a_client_certificate(own: Scripted, tmp_path: Path) -> None:
    """§2.5, `client-cert`: shown where it is asked for; the key comes as a secret."""
    async with TlsServer.running(tmp_path, "localhost", asks_client=True) as server:
        certificate, key = server.authority.issue("guest.test")
        shown = "client_cert=({!r}, secret_store.Secret.from_bytes({!r}))"
        got = await asked(own, server, shown.format(certificate, key.encode()))
        assert got == {"sni": "localhost", "version": "TLSv1.3", "client": ["guest.test"]}
        stranger, key = Authority().issue("guest.test")
        failed = await asked(own, server, shown.format(stranger, key.encode()))
        assert isinstance(failed, list)
        assert isinstance(await asked(own, server), list)
        unfit = await asked(own, server, shown.format(certificate, key.encode()))
        assert unfit == REFUSED


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ("tls_max_version=0x303", "TLSv1.2"),
        ("tls_min_version=0x304", "TLSv1.3"),
        ("tls_min_version=0x301, tls_max_version=0x304", "TLSv1.3"),
        ("tls_min_version=0x303, tls_max_version=0x303", "TLSv1.2"),
        ("tls_min_version=0x304, tls_max_version=0x303", None),
        ("tls_max_version=0x302", None),
    ],
)
async def test_versions_of_tls(
    own: Scripted, tmp_path: Path, options: str, version: str | None
) -> None:
    """§2.5, `tls-min-version`, `tls-max-version`: they count here; below 1.2 is not spoken."""
    async with TlsServer.running(tmp_path, "localhost") as server:
        got = await asked(own, server, options)
    expected: object = {"sni": "localhost", "version": version, "client": []}
    assert got == (REFUSED if version is None else expected)


async def test_versions_that_do_not_meet(own: Scripted, tmp_path: Path) -> None:
    old = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    async with TlsServer.running(tmp_path, "localhost", versions=old) as server:
        assert await asked(own, server, "tls_min_version=0x304") == REFUSED
        got = await asked(own, server)
        assert got == {"sni": "localhost", "version": "TLSv1.2", "client": []}


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("use_sni", [True, False])
async def test_tls_to_a_backend_of_the_manifest(tmp_path: Path, use_sni: bool) -> None:
    """§4.1: `cert_host`, `use_sni`, `ca_certificate`, `client_certificate`."""
    async with TlsServer.running(tmp_path, "cert.test", asks_client=True) as server:
        origin = Backend(
            url=f"https://127.0.0.1:{server.port}",
            cert_host="cert.test",
            use_sni=use_sni,
            ca_certificates=server.authority.pem,
            client_certificate=ClientCertificate(*server.authority.issue("sim.test")),
        )
        script = """
        own = backend.Backend.open("origin")
        answer(json.loads(read_all(http_req.send(http_req.Request.new(), http_body.new(), own)[1])))
        """
        async with networked(manifest=Manifest(backends={"origin": origin})) as guest:
            got = await guest.json(script)
    expected = "cert.test" if use_sni else None
    assert got == {"sni": expected, "version": "TLSv1.3", "client": ["sim.test"]}


GRPC = """
def call(to, content, path="/echo", trailers=()):
    out = http_req.Request.new()
    out.set_method("POST")
    out.set_uri(path)
    out.append_header("te", b"trailers")
    sent = written(content)
    for name, value in trailers:
        http_body.append_trailer(sent, name, value)
    return http_req.send(out, sent, to)

def after(body):
    names, _ = http_body.get_trailer_names(body, 999, 0)
    return [[n, http_body.get_trailer_value(body, n, 99).decode()] for n in names.split("\\0")[:-1]]
"""


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("border", ["direct", "public"])
async def test_grpc_backends(border: str) -> None:
    """§2.2, gRPC backends: HTTP/2 only, with trailers both ways; of the manifest and dynamic."""
    async with Http2Server.running() as server:
        host, port = server.address
        known = Backend(url=f"http://{host}:{port}", override_host="o.test", grpc=True)
        async with networked(border, Manifest(backends={"origin": known})) as own:
            got = await own.json(
                GRPC
                + f"""
options = backend.DynamicBackendOptions()
options.grpc(True)
dynamic = backend.register_dynamic_backend("own", "{host}:{port}", options)
trace = []
for to in (backend.Backend.open("origin"), dynamic):
    head, body = call(to, b"message", trailers=[("x-sum", b"7")])
    trace.append([head.get_status(), headers_of(head), read_all(body).decode(), after(body)])
head, body = call(dynamic, b"", "/trailers-only")
trace.append([head.get_header_value("grpc-status", 9).decode(), read_all(body).decode()])
trace.append(failure(call, dynamic, b"", "/refused"))
answer(trace)
"""
            )
    heard = [200, [["x-two", "1"], ["x-two", "2"]], "message"]
    trailers = [["grpc-status", "0"], ["grpc-message", "ok"]]
    assert got == [
        [*heard, trailers],
        [*heard, trailers],
        ["12", ""],
        ["HttpIncomplete", "ConnectionTerminated"],
    ]
    assert server.trailers == [[("x-sum", "7")]] * 2
    assert dict(server.requests[0])[":authority"] == "o.test"
    assert dict(server.requests[1])[":authority"] == f"{host}:{port}"


@pytest.mark.asyncio(loop_scope="function")
async def test_a_grpc_backend_that_speaks_http_1(tmp_path: Path) -> None:
    """§2.2: there is no way back to HTTP/1.1, with TLS or without."""
    async with TlsServer.running(tmp_path, "localhost") as server, networked() as own:
        got = await own.json(ASK + f"ask({server.authority.pem!r}, {server.port}, grpc=True)")
    assert got == ["HttpInvalid", "HttpProtocolError"]
