"""One request of a guest from socket to socket, row by row. Host contract §1.1 to §1.3, §1.5.

What needs no socket is in `sandbox/test_lifecycle.py` and `sandbox/test_messages.py`.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.backend import Backend
from tests.support.edge import Edge, ask, edge, url
from tests.support.raw import Raw
from tests.support.waiting import soon

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

STREAM = """
new = http_body.new()
http_resp.send_downstream_streaming(http_resp.Response.new(), new)
http_body.write(new, b"half")
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    async with edge(tmp_path_factory.mktemp("edge")) as simulator:
        yield simulator


@pytest_asyncio.fixture(loop_scope="module")
async def client(running: Edge) -> Raw:
    return await running.connect()


async def content(client: Raw, request: bytes) -> bytes:
    client.send(request)
    return (await client.answer())[1]


# §1.1.


@pytest.mark.parametrize(
    ("line", "host", "uri"),
    [
        (b"GET /a%20b?x=1&y HTTP/1.1", b"Host: edge.test\r\n", "http://edge.test/a%20b?x=1&y"),
        (b"GET / HTTP/1.1", b"Host: EDGE.test:81\r\n", "http://EDGE.test:81/"),
        (b"GET //a/../b HTTP/1.1", b"Host: [::1]:8\r\n", "http://[::1]:8//a/../b"),
        (b"GET http://other.test/p?q HTTP/1.1", b"Host: e\r\n", "http://other.test/p?q"),
        (b"GET https://other.test HTTP/1.1", b"Host: e\r\n", "http://other.test/"),
        (b"GET /old HTTP/1.0", b"", None),
    ],
)
async def test_accept_makes_the_uri_absolute(
    running: Edge, client: Raw, line: bytes, host: bytes, uri: str | None
) -> None:
    """Row `Accept`: scheme of the connection, authority, path and query as received."""
    got = await content(client, ask("answer(request.get_uri(999))", line=line, host=host))
    assert json.loads(got) == (uri or f"{running.simulator.url}/old")


@pytest.mark.parametrize(
    ("line", "host"),
    [
        (b"GET / HTTP/1.1", b""),
        (b"GET / HTTP/1.1", b"Host: \r\n"),
        (b"GET / HTTP/1.1", b"Host: a b\r\n"),
        (b"GET / HTTP/1.1", b"Host: user@h\r\n"),
        (b"GET / HTTP/1.1", b"Host: h/p\r\n"),
        (b"GET / HTTP/1.1", b"Host: a\r\nHost: b\r\n"),
        (b"GET nowhere HTTP/1.1", b"Host: h\r\n"),
    ],
)
async def test_accept_refuses_a_bad_host_or_path(
    running: Edge, client: Raw, line: bytes, host: bytes
) -> None:
    """Row `Accept`: the connection's error, and no guest is started."""
    number = "answer(http_downstream.downstream_client_request_id(request, 32))"
    before = int(json.loads(await content(client, ask(number))), 16)
    client.send(ask("answer()", line=line, host=host))
    head, _ = await client.answer()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert await client.rest() == b""
    again = await running.connect()
    assert int(json.loads(await content(again, ask(number))), 16) == before + 1


async def test_a_body_of_unknown_size_is_streamed(client: Raw) -> None:
    """Row `Body`: the guest answers what has come before the rest is sent."""
    script = STREAM + "http_body.write(new, http_body.read(body, 99)); read_all(body)\n"
    client.send(
        ask(script, line=b"POST / HTTP/1.1", fields=b"Transfer-Encoding: chunked\r\n")
        + b"5\r\nfirst\r\n"
    )
    await client.until(b"5\r\nfirst\r\n")
    client.send(b"0\r\n\r\n")


async def test_metadata(running: Edge, client: Raw) -> None:
    """Row `Metadata`: numbers count up, addresses are real, original names are the client's."""
    script = """
        request.insert_header("x-new", b"1")
        answer([http_downstream.downstream_client_request_id(request, 32),
                str(http_downstream.downstream_client_ip_addr(request)),
                str(http_downstream.downstream_server_ip_addr(request)),
                http_downstream.downstream_original_header_names(request, 999, 0)[0],
                http_downstream.downstream_compliance_region(request, 9)])
        """
    first = json.loads(await content(client, ask(script, fields=b"X-Two: 1\r\n")))
    second = json.loads(await content(client, ask(script, fields=b"X-Two: 1\r\n")))
    assert int(second[0], 16) == int(first[0], 16) + 1
    assert "127, 0, 0, 1" in first[1]
    assert first[1] == first[2]
    assert first[3] == "host\0x-two\0x-script\0"
    assert first[4] == "none"


# §1.2.


@pytest.mark.parametrize("script", ["pass", "sys.exit()"])
async def test_a_guest_that_says_nothing(client: Raw, script: str) -> None:
    """Rows 1 and 2: 200, empty."""
    client.send(ask(script))
    assert (await client.until(b"\r\n\r\n")) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "script",
    ["raise Err(None)", "sys.exit(3)", "1 / 0", "os.abort()", "hoard = bytearray(1 << 30)"],
)
async def test_a_guest_that_fails(client: Raw, script: str) -> None:
    """Rows 3 to 6: 500, and the connection goes on."""
    client.send(ask(script))
    head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert body.startswith(b"the service failed; see the log for request ")
    assert await content(client, ask("answer(b'next')")) == b"next"


@pytest.mark.parametrize("end", ["1 / 0", "sys.exit(1)", "sys.exit(0)", "pass", "raise Err(None)"])
async def test_a_stream_that_is_not_closed_is_cut(client: Raw, end: str) -> None:
    """After the head the client gets no second status, but sees that something is missing."""
    client.send(ask(STREAM + end))
    head = await client.until(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert await client.rest() == b"4\r\nhalf\r\n"


async def test_a_stream_of_a_length_that_ends_early_is_cut(client: Raw) -> None:
    """The same where the guest gave the length itself, even if it closes the body."""
    script = """
        r = http_resp.Response.new()
        r.set_framing_headers_mode(http_types.FramingHeadersMode.MANUALLY_FROM_HEADERS)
        r.append_header("content-length", b"9")
        new = http_body.new()
        http_resp.send_downstream_streaming(r, new)
        http_body.write(new, b"half")
        http_body.close(new)
        """
    client.send(ask(script))
    assert b"Content-Length: 9\r\n" in await client.until(b"\r\n\r\n")
    assert await client.rest() == b"half"


# §1.3.


async def test_early_hints_stay_here(client: Raw) -> None:
    """Status 103, any number of times: never on the wire, and the answer is still to come."""
    script = """
        for _ in range(3):
            hints = http_resp.Response.new()
            hints.set_status(103)
            hints.append_header("link", b"</a>")
            http_resp.send_downstream(hints, http_body.new())
        hints = http_resp.Response.new()
        hints.set_status(103)
        new = http_body.new()
        http_resp.send_downstream_streaming(hints, new)
        early = http_downstream.next_request(http_downstream.NextRequestOptions(1, None))
        answer(failure(http_downstream.await_request, early))
        """
    client.send(ask(script))
    head, body = await client.answer()
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n"
    assert json.loads(body) == "Unsupported"


@pytest.mark.parametrize(
    ("fields", "line", "body"),
    [
        ([], b"Content-Length: 5", b"hello"),
        ([("content-length", "3")], b"Content-Length: 3", b"hel"),
        ([("transfer-encoding", "Chunked")], b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0"),
        ([("content-length", "3"), ("content-length", "3")], b"Content-Length: 5", b"hello"),
        ([("content-length", "-3")], b"Content-Length: 5", b"hello"),
        ([("transfer-encoding", "gzip")], b"Content-Length: 5", b"hello"),
    ],
)
async def test_framing_from_headers(
    client: Raw, fields: list[tuple[str, str]], line: bytes, body: bytes
) -> None:
    """Framing mode manually-from-headers: kept where it has one meaning, else automatic."""
    script = f"""
        r = http_resp.Response.new()
        r.set_framing_headers_mode(http_types.FramingHeadersMode.MANUALLY_FROM_HEADERS)
        for name, value in {fields!r}:
            r.append_header(name, value.encode())
        http_resp.send_downstream(r, written(b"hello"))
        """
    client.send(ask(script))
    assert (await client.until(b"\r\n\r\n")) == b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % line
    assert await client.exactly(len(body)) == body


async def test_framing_is_automatic_by_default(client: Raw) -> None:
    """What the guest says of it is dropped: the length where it is known, else chunks."""
    fields = "[('content-length', '9'), ('transfer-encoding', 'chunked'), ('x', '1')]"
    client.send(ask(f"answer(b'hello', headers={fields})"))
    head, body = await client.answer()
    assert head == b"HTTP/1.1 200 OK\r\nx: 1\r\nContent-Length: 5\r\n\r\n"
    assert body == b"hello"


async def test_trailers_on_the_wire(client: Raw) -> None:
    """§2.4: a client's are read, the guest's own are sent after the last chunk."""
    script = """
        content = read_all(body)
        out = written(content + http_body.get_trailer_value(body, "x-sum", 9))
        http_body.append_trailer(out, "X-Own", b"2")
        http_body.append_trailer(out, "content-length", b"9")
        http_resp.send_downstream(http_resp.Response.new(), out)
        """
    client.send(
        ask(script, line=b"POST / HTTP/1.1", fields=b"Transfer-Encoding: chunked\r\n")
        + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    assert b"Transfer-Encoding: chunked\r\n" in await client.until(b"\r\n\r\n")
    assert await client.until(b"\r\n\r\n") == b"4\r\nabc1\r\n0\r\nx-own: 2\r\n\r\n"
    assert await content(client, ask("answer(b'next')")) == b"next"


async def test_trailers_between_guest_and_backend(tmp_path: Path) -> None:
    """§2.4: both ways over a real connection, which is used again."""
    got: list[bytes] = []

    async def script(peer: Raw) -> None:
        for _ in range(2):
            got.append(await peer.until(b"x-own: 2\r\n\r\n"))
            peer.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n"
            )
        await peer.rest()

    send = """
        out = written(b"abc")
        http_body.append_trailer(out, "x-own", b"2")
        _, back = http_req.send(http_req.Request.new(), out, backend.Backend.open("origin"))
        answer([read_all(back).decode(), http_body.get_trailer_value(back, "x-sum", 9).decode()])
        """
    async with (
        Backend(script) as backend,
        edge(tmp_path, f'origin.url = "{url(backend)}"') as simulator,
    ):
        client = await simulator.connect()
        for _ in range(2):
            assert json.loads(await content(client, ask(send))) == ["hi", "7"]
    for request in got:
        head, _, body = request.partition(b"\r\n\r\n")
        assert b"\r\nTransfer-Encoding: chunked" in head
        assert body == b"3\r\nabc\r\n0\r\nx-own: 2\r\n\r\n"


async def test_trailers_are_left_out_for_http_1_0(client: Raw) -> None:
    """It has no chunks; the answer ends with the connection."""
    script = """
        out = written(b"abc")
        http_body.append_trailer(out, "x", b"1")
        http_resp.send_downstream(http_resp.Response.new(), out)
        """
    client.send(ask(script, line=b"GET / HTTP/1.0"))
    await client.until(b"\r\n\r\n")
    assert await client.rest() == b"abc"


async def test_a_client_that_goes_stops_the_writes(
    running: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    """Client gone during streaming: `generic-error`."""
    caplog.set_level("INFO", "host_sim.guest")
    client = await running.connect()
    client.send(
        ask(
            STREAM
            + """
while (error := failure(http_body.write, new, bytes(9999))) is None:
    pass
print("stopped by", error)
"""
        )
    )
    await client.until(b"half")
    client.reset()
    await soon(lambda: any("stopped by GenericError" in m for m in caplog.messages))


# §1.5.


async def test_the_guest_goes_on_after_its_answer(tmp_path: Path) -> None:
    """The client has all of it and asks again on the same connection meanwhile."""
    asked: list[bytes] = []

    async def script(peer: Raw) -> None:
        asked.append(await peer.until(b"\r\n\r\n"))
        await peer.rest()

    async with (
        Backend(script) as backend,
        edge(tmp_path, f'origin.url = "{url(backend)}"', request_timeout_s=60) as simulator,
    ):
        client = await simulator.connect()
        first = await content(
            client,
            ask(
                """
                answer(b"early")
                failure(http_req.send, http_req.Request.new(), http_body.new(),
                        backend.Backend.open("origin"))
                """
            ),
        )
        assert first == b"early"
        await soon(lambda: asked)  # the guest waits for a backend that never answers
        assert await content(client, ask("answer(b'second')")) == b"second"


async def test_answers_of_many_connections_do_not_mix(running: Edge) -> None:
    """Row `Answer`: each connection gets the answer to its own request, the first one first."""
    clients = [await running.connect() for _ in range(8)]
    for number, client in enumerate(clients):
        client.send(ask(f"answer(b'{number}'); print(http_body.new())") * 2)
    for number, client in enumerate(clients):
        for _ in range(2):
            assert (await client.answer())[1] == str(number).encode()
