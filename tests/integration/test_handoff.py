"""Clients given away by a guest, over real sockets, row by row. Host contract §3.

The guest runs the script a test gives it; backends speak plain bytes. What the GRIP proxy does with
a client is tested with the service; here only who gets what.
"""

import asyncio
import contextlib
import ssl
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from host_sim.edge.handoff import PROTECTED
from host_sim.http1 import connection
from tests.support.backend import Backend
from tests.support.certificates import Authority
from tests.support.edge import ask, edge, url
from tests.support.raw import Raw
from tests.support.waiting import soon

pytestmark = pytest.mark.wasm

PASS = "request.redirect_to_websocket_proxy(backend.Backend.open('origin'))"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
SWITCH = b"HTTP/1.1 101 Go\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: k\r\n"


@contextlib.asynccontextmanager
async def client_of(
    folder: Path, backends: str, *, fanout: str | None = None
) -> AsyncIterator[Raw]:
    """Run a simulator and yield its client."""
    async with edge(folder, backends, fanout=fanout) as running:
        yield await running.connect()


class Recorder:
    """Answers with the same bytes each time and keeps what it got."""

    def __init__(self, answer: bytes = OK, *, until: bytes = b"\r\n\r\n") -> None:
        self.answer = answer
        self.until = until
        self.got = b""

    async def __call__(self, peer: Raw) -> None:
        self.got = await peer.until(self.until)
        peer.send(self.answer)
        await peer.rest()

    @property
    def head(self) -> list[bytes]:
        """Request line and fields, those of the test's own script left out."""
        lines = self.got.partition(b"\r\n\r\n")[0].split(b"\r\n")
        return [line for line in lines if not line.lower().startswith(b"x-script:")]


# §3.1: at the call.


async def test_the_call_copies_the_request(tmp_path: Path) -> None:
    """Method, path, query and fields as at the call; later edits do not matter."""
    recorder = Recorder()
    script = f"""
        request.set_method("PUT")
        request.set_uri("https://elsewhere.test/new%20path?q=1#f")
        request.insert_header("x-added", b"1")
        {PASS}
        request.set_uri("/late")
        request.insert_header("x-late", b"1")
        """
    async with (
        Backend(recorder) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"') as client,
    ):
        client.send(ask(script, fields=b"X-Mine: 2\r\n"))
        assert (await client.answer())[1] == b"hi"
    assert recorder.head == [
        b"PUT /new%20path?q=1 HTTP/1.1",
        *(b"host: " + url(backend).removeprefix("http://").encode(), b"x-mine: 2", b"x-added: 1"),
    ]


async def test_only_the_first_answer_counts(tmp_path: Path) -> None:
    """A second hand-off and an answer after it are `generic-error`; the guest goes on."""
    script = f"""
        {PASS}
        again = failure(request.redirect_to_websocket_proxy, backend.Backend.open("origin"))
        fanout = failure(request.redirect_to_grip_proxy, backend.Backend.open("origin"))
        late = failure(http_resp.send_downstream, http_resp.Response.new(), http_body.new())
        out = http_req.Request.new()
        out.insert_header("x-errors", f"{{again}} {{fanout}} {{late}}".encode())
        http_req.send(out, http_body.new(), backend.Backend.open("other"))
        """
    first, other = Recorder(), Recorder()
    async with (
        Backend(first) as origin,
        Backend(other) as second,
        client_of(tmp_path, f'origin.url = "{url(origin)}"\nother.url = "{url(second)}"') as client,
    ):
        client.send(ask(script))
        assert (await client.answer())[1] == b"hi"
        expected = b"x-errors: GenericError GenericError GenericError"
        await soon(lambda: expected in other.head)


async def test_a_hand_off_after_an_answer(tmp_path: Path) -> None:
    """It is `generic-error`, and the client has its answer."""
    script = """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        error = failure(request.redirect_to_websocket_proxy, backend.Backend.open("origin"))
        http_body.write(new, error.encode())
        http_body.close(new)
        """
    async with client_of(tmp_path, 'origin.url = "http://127.0.0.1:1"') as client:
        client.send(ask(script))
        assert (await client.answer())[1] == b"c\r\nGenericError\r\n0\r\n\r\n"


async def test_a_guest_that_fails_after_a_hand_off_does_not_matter(tmp_path: Path) -> None:
    """The client has been given away already."""
    async with (
        Backend(Recorder()) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"') as client,
    ):
        client.send(ask(f"{PASS}\nraise ValueError"))
        assert (await client.answer())[1] == b"hi"


# §3.2: the request that goes out.


async def test_the_sixteen_protected_headers_are_the_clients(tmp_path: Path) -> None:
    """A guest can neither change nor remove nor add any, whatever it tries; others are its own."""
    names = sorted(PROTECTED - {"host", "content-length", "transfer-encoding", "expect"})
    own = sorted(PROTECTED)
    script = f"""
        for name in {own!r}:
            request.insert_header(name, b"guest")
        for name in {own[::2]!r}:
            request.remove_header(name)
        request.insert_header("grip-sig", b"not protected")
        request.insert_header("sec-websocket-protocol", b"neither")
        request.remove_header("x-gone")
        {PASS}
        """
    recorder = Recorder(until=b"body")
    fields = b"".join(b"%s: client-%d\r\n" % (n.encode(), i) for i, n in enumerate(names))
    async with (
        Backend(recorder) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"') as client,
    ):
        client.send(
            ask(
                script,
                line=b"POST / HTTP/1.1",
                fields=fields + b"X-Gone: 1\r\nContent-Length: 4\r\n",
            )
            + b"body"
        )
        assert (await client.answer())[1] == b"hi"
    lines = [line.lower() for line in recorder.head[1:]]
    assert lines[0] == b"host: " + url(backend).removeprefix("http://").encode()
    assert lines[1:-2] == [
        *(b"%s: client-%d" % (n.encode(), i) for i, n in enumerate(names)),
        b"content-length: 4",
    ]
    assert sorted(lines[-2:]) == [b"grip-sig: not protected", b"sec-websocket-protocol: neither"]


@pytest.mark.parametrize(
    "how",
    [
        "pass",
        "read_all(body)",
        "http_body.read(body, 1)",
        "http_body.write_front(body, b'x'); http_body.write(body, b'y')",
        "http_body.append(http_body.new(), body)",
        "http_body.close(body)",
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_the_body_is_the_clients_whatever_the_guest_did(
    tmp_path: Path, how: str, chunked: bool
) -> None:
    """Known length or chunks, trailers included; edits are ignored."""
    if chunked:
        framing, content = b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n"
    else:
        framing, content = b"Content-Length: 3\r\n", b"abc"
    recorder = Recorder(until=b"\r\n\r\n" + content)
    async with (
        Backend(recorder) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"') as client,
    ):
        client.send(ask(f"{how}\n{PASS}", line=b"POST / HTTP/1.1", fields=framing) + content)
        assert (await client.answer())[1] == b"hi"
    assert framing.strip().lower() in [line.lower() for line in recorder.head]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_the_clients_too(
    tmp_path: Path, chunked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the guest has read all of it, and it is more than stays in memory."""
    monkeypatch.setattr(connection, "REPLAY_LIMIT", 100_000)
    pieces = [bytes([number]) * (1 << 16) for number in range(9)]

    async def count(peer: Raw) -> None:
        head = await peer.until(b"\r\n\r\n")
        if b"content-length: 589824" in head.lower():
            assert await peer.exactly(9 << 16) == b"".join(pieces)
        else:
            got = b""
            while size := int(await peer.until(b"\r\n"), 16):
                got += await peer.exactly(size)
                await peer.until(b"\r\n")
            assert got == b"".join(pieces)
        peer.send(OK)
        await peer.rest()

    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: 589824\r\n"
    async with (
        Backend(count) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"') as client,
    ):
        client.send(ask(f"read_all(body)\n{PASS}", line=b"POST / HTTP/1.1", fields=framing))
        for piece in pieces:
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            client.send(b"0\r\n\r\n")
        assert (await client.answer())[1] == b"hi"


@pytest.mark.parametrize(
    ("entry", "target", "host"),
    [
        ("", b"/ws?x", None),
        ("/", b"/ws?x", None),
        ("/base", b"/base/ws?x", None),
        ("/base/", b"/base/ws?x", None),
        ("/a/b?ignored", b"/a/b/ws?x", None),
        ('"\norigin.override_host = "over.test:8', b"/ws?x", b"over.test:8"),
    ],
)
async def test_path_prefix_and_host_are_the_backends(
    tmp_path: Path, entry: str, target: bytes, host: bytes | None
) -> None:
    """The path of its URL comes first; `Host` is `override_host`, else the URL's."""
    recorder = Recorder()
    async with (
        Backend(recorder) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}{entry}"') as client,
    ):
        client.send(ask(PASS))
        assert (await client.answer())[1] == b"hi"
    assert recorder.head[:2] == [
        b"GET %s HTTP/1.1" % target,
        b"host: " + (host or url(backend).removeprefix("http://").encode()),
    ]


async def test_a_pushpin_hears_its_own_address_and_the_backends_name(tmp_path: Path) -> None:
    """`pushpin-route` and `Host` replace the client's; no path prefix, and the name unchecked."""
    recorder = Recorder()
    script = "request.redirect_to_grip_proxy(backend.Backend.open('origin'))"
    async with (
        Backend(recorder) as backend,
        client_of(tmp_path, 'origin.url = "http://h:1/base"', fanout=url(backend)) as client,
    ):
        client.send(ask(script, fields=b"Pushpin-Route: mine\r\nConnection: keep-alive\r\n"))
        assert (await client.answer())[1] == b"hi"
    assert recorder.head == [
        b"GET /ws?x HTTP/1.1",
        b"Host: " + url(backend).removeprefix("http://").encode(),
        *(b"Connection: keep-alive", b"Pushpin-Route: origin"),
    ]


async def test_a_backend_with_tls(tmp_path: Path) -> None:
    """Certificates, names and SNI as the backend says; 101 and its bytes pass as without."""
    authority = Authority()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue_files("origin.test", tmp_path))
    server.load_verify_locations(cadata=authority.pem)
    server.verify_mode = ssl.CERT_REQUIRED
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    mine = authority.issue_files("me", tmp_path)

    async def echo(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(SWITCH)
        peer.send((await peer.exactly(4)).upper())
        await peer.rest()

    async with Backend(echo, tls=server) as backend:
        entry = f"""
            [local_server.backends.origin]
            url = "{url(backend, "https")}"
            cert_host = "origin.test"
            ca_certificate = {{ value = '''{authority.pem}''' }}
            [local_server.backends.origin.client_certificate]
            certificate_file = "{mine[0]}"
            key_file = "{mine[1]}"
            """
        async with client_of(tmp_path, textwrap.dedent(entry)) as client:
            client.send(ask(PASS, fields=UPGRADE))
            assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            client.send(b"ping")
            assert await client.exactly(4) == b"PING"
    assert asked == ["origin.test"]


async def test_nothing_is_waited_for_shorter_than_it_takes(tmp_path: Path) -> None:
    """The time-outs of the backend are for guests that send; a hand-off has none."""

    async def slow(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        await asyncio.sleep(0.02)  # longer than the time-outs
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await asyncio.sleep(0.02)
        peer.send(b"late")
        await peer.rest()

    entry = "origin.first_byte_timeout_ms = 1\norigin.between_bytes_timeout_ms = 1"
    async with (
        Backend(slow) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"\n{entry}') as client,
    ):
        client.send(ask(PASS))
        assert (await client.answer())[1] == b"late"


# §3.3: the answer.


async def test_the_answer_is_passed_on_unchanged(tmp_path: Path) -> None:
    """Status, reason, fields and streamed body; redirects are not followed."""
    answer = (
        b"HTTP/1.1 302 Over There\r\nlocation: http://other.test/\r\nSet-Cookie: a\r\n"
        b"set-cookie: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-End: 1\r\n\r\n"
    )
    async with (
        Backend(Recorder(answer)) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"') as client,
    ):
        client.send(ask(PASS))
        head = await client.until(b"\r\n\r\n")
        assert head == (
            b"HTTP/1.1 302 Over There\r\nlocation: http://other.test/\r\nSet-Cookie: a\r\n"
            b"set-cookie: b\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert await client.until(b"\r\n\r\n") == b"2\r\nhi\r\n0\r\nX-End: 1\r\n\r\n"


@pytest.mark.parametrize("closes", ["client", "backend"])
async def test_after_a_101_bytes_go_both_ways_until_either_side_closes(
    tmp_path: Path, closes: str
) -> None:
    """What comes with the head goes on, too; then both connections end."""
    ended: list[bytes] = []

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(SWITCH + b"hello")
        while data := await peer.reader.read(1 << 16):
            peer.send(data.upper())
            if data.endswith(b"bye") and closes == "backend":
                return
        ended.append(b"client")

    async with (
        Backend(script) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"') as client,
    ):
        client.send(ask(PASS, fields=UPGRADE))
        assert await client.until(b"\r\n\r\n") == (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        assert await client.exactly(5) == b"hello"
        client.send(b"x" * 300_000)
        assert await client.exactly(300_000) == b"X" * 300_000
        client.send(b"bye")
        assert await client.exactly(3) == b"BYE"
        if closes == "client":
            client.writer.write_eof()
        assert await client.rest() == b""
    assert ended == ([b"client"] if closes == "client" else [])


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (b"", b"502", b"Error: Handoff request failed: "),
        (b"SSH-2.0-x\r\n", b"502", b"Error: Handoff request failed: "),
    ],
)
async def test_a_backend_that_gives_no_response(
    tmp_path: Path, answer: bytes, status: bytes, said: bytes
) -> None:
    """Closed before a response, or something else than HTTP: 502."""

    async def script(peer: Raw) -> None:
        await peer.until(b"\r\n\r\n")
        peer.send(answer)

    async with (
        Backend(script) as backend,
        client_of(tmp_path, f'origin.url = "{url(backend)}"') as client,
    ):
        client.send(ask(PASS))
        head, body = await client.answer()
        assert head.startswith(b"HTTP/1.1 %s " % status)
        assert body.startswith(said)


async def test_a_backend_that_is_not_there(tmp_path: Path) -> None:
    """TCP connect fails: 500, and what failed."""
    async with Backend(Recorder()) as backend:
        gone = url(backend)
    async with client_of(tmp_path, f'origin.url = "{gone}"') as client:
        client.send(ask(PASS))
        head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 500 ")
    assert body.startswith(b"Error: Could not connect to handoff target: 127.0.0.1:")


async def test_a_backend_that_only_the_guest_knows(tmp_path: Path) -> None:
    """Dynamic backends are unknown to a hand-off: ok at the call, then 500."""
    script = """
        options = backend.DynamicBackendOptions()
        made = backend.register_dynamic_backend("mine", "127.0.0.1:1", options)
        request.redirect_to_websocket_proxy(made)
        """
    async with client_of(tmp_path, 'origin.url = "http://127.0.0.1:1"') as client:
        client.send(ask(script))
        head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 500 ")
    assert body == b"Backend handoff signaled to unknown backend 'mine'."


async def test_a_request_that_http_cannot_carry(tmp_path: Path) -> None:
    """It cannot be built: 500."""
    script = f"request.insert_header('x', b' spaces '); {PASS}"
    async with client_of(tmp_path, 'origin.url = "http://127.0.0.1:1"') as client:
        client.send(ask(script))
        head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 500 ")
    assert body.startswith(b"Error: ")
