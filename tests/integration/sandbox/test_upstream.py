"""Requests of guests to backends. Host contract §2.2, §2.7."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault, BodyError
from host_sim.messages import Request, Response
from tests.support.sandbox import Scripted, response

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

SEND = """
def send(content=b"", uri="http://origin.test/p?q", headers=(), method="POST", to="origin"):
    out = http_req.Request.new()
    out.set_uri(uri)
    out.set_method(method)
    for name, value in headers:
        out.append_header(name, value)
    return http_req.send(out, written(content), backend.Backend.open(to))
"""


async def echo(request: Request) -> Response:
    """Answer with what came."""
    content = await request.body.whole(1 << 24)
    assert content is not None
    return response(content[::-1], 201, (("X-Back", "1"), ("x-back", "2")))


async def test_a_request_goes_out_and_its_answer_comes_back(guest: Scripted) -> None:
    """§2.2: `send`; framing fields are the host's, lengths are known, Host is kept."""
    guest.upstream.requests.clear()
    guest.upstream.backends["origin"] = echo
    got = await guest.json(
        SEND
        + """
back, content = send(b"abc", headers=[("Host", b"other.test"), ("x-a", b"1"), ("x-a", b"\\xff"),
                                      ("content-length", b"99")])
answer([back.get_status(), headers_of(back), read_all(content).decode(),
        back.get_remote_ip_addr(), back.get_remote_port(), back.get_version().name])
"""
    )
    assert got == [
        201,
        [["x-back", "1"], ["x-back", "2"], ["content-length", "3"]],
        *("cba", None, None, "HTTP11"),
    ]
    [sent] = guest.upstream.requests
    assert (sent.method, sent.scheme, sent.authority, sent.target) == (
        *("POST", "http", "other.test", "/p?q"),
    )
    assert list(sent.headers) == [("host", "other.test"), ("x-a", "1"), ("x-a", "\udcff")]
    assert sent.body.length == 3
    assert sent.client is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (BackendFault.UNKNOWN, ["GenericError", "DestinationNotFound"]),
        (BackendFault.UNREACHABLE, ["GenericError", "ConnectionRefused"]),
        (BackendFault.CLOSED, ["HttpIncomplete", "ConnectionTerminated"]),
        (BackendFault.INVALID, ["HttpInvalid", "HttpProtocolError"]),
        (BackendFault.TIMEOUT, ["GenericError", "HttpResponseTimeout"]),
        (BackendFault.LOOP, ["GenericError", "InternalError"]),
    ],
)
async def test_a_backend_that_fails(guest: Scripted, fault: BackendFault, error: list[str]) -> None:
    """§2.0, causes of errors: an error record, at `send` and at `await-response`."""

    async def failing(request: Request) -> Response:
        raise BackendError("origin", fault, "as the test wants it")

    guest.upstream.backends["origin"] = failing
    got = await guest.json(
        SEND
        + """
pending = http_req.send_async(http_req.Request.new(), http_body.new(),
                              backend.Backend.open("origin"))
answer([failure(send), failure(http_req.await_response, pending)])
"""
    )
    assert got == [error, error]


async def test_several_requests_at_once_and_the_first_to_answer(guest: Scripted) -> None:
    """§2.7: `select` gives the place of the first one that is ready."""
    gate = asyncio.Event()

    async def slow(request: Request) -> Response:
        await gate.wait()
        return response(b"slow")

    async def quick(request: Request) -> Response:
        if request.target == "/go":
            gate.set()
        return response(b"quick")

    guest.upstream.backends |= {"origin": slow, "plain": quick}
    got = await guest.json(
        """
        def start(target, name):
            out = http_req.Request.new()
            out.set_uri(target)
            return http_req.send_async_uncached(out, http_body.new(), backend.Backend.open(name))
        def text(pending):
            return read_all(http_req.await_response(pending)[1]).decode()
        pending = [start("/", "origin"), start("/", "plain")]
        place = async_io.select(pending)
        answer([place, text(pending.pop(place)), text(start("/go", "plain")), text(pending[0])])
        """
    )
    assert got == [1, "quick", "quick", "slow"]


async def test_a_wait_with_timeout_gives_up(guest: Scripted) -> None:
    """§2.7: none when nothing was ready in time; what was dropped is cancelled."""
    cancelled = asyncio.Event()

    async def silent(request: Request) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    guest.upstream.backends["origin"] = silent
    got = await guest.json(
        """
        pending = http_req.send_async(http_req.Request.new(), http_body.new(),
                                      backend.Backend.open("origin"))
        answer([pending.is_ready(), async_io.select_with_timeout([pending], 1)])
        """
    )
    assert got == [False, None]
    await cancelled.wait()


async def test_a_request_body_is_streamed(guest: Scripted) -> None:
    """§2.2: `send-async-streaming`; the body's handle becomes the write end."""
    guest.upstream.backends["origin"] = echo
    got = await guest.json(
        """
        out, new = http_req.Request.new(), written(b"start ")
        pending = http_req.send_async_streaming(out, new, backend.Backend.open("origin"))
        for i in range(20):
            http_body.write(new, b"%d " % i)
        http_body.append(new, written(b"end"))
        early = pending.is_ready()
        http_body.close(new)
        answer([early, read_all(http_req.await_response(pending)[1]).decode()])
        """
    )
    sent = "start " + "".join(f"{i} " for i in range(20)) + "end"
    assert got == [False, sent[::-1]]
    assert guest.upstream.requests[-1].body.length is None


async def test_a_request_body_that_is_not_closed_is_broken_off(guest: Scripted) -> None:
    """§2.4: dropping a write end is no proper end."""
    broken = asyncio.Event()

    async def reader(request: Request) -> Response:
        with pytest.raises(BodyError):
            await request.body.whole(999)
        broken.set()
        return response(b"")

    guest.upstream.backends["origin"] = reader
    await guest.respond(
        """
        new = http_body.new()
        pending = http_req.send_async_streaming(http_req.Request.new(), new,
                                                backend.Backend.open("origin"))
        http_body.write(new, b"half")
        del new
        gc.collect()
        http_req.await_response(pending)
        """
    )
    await broken.wait()


async def test_a_backends_body_is_passed_on_as_it_comes(guest: Scripted) -> None:
    """A proxying guest neither waits for the body nor copies it."""
    gate = asyncio.Event()

    async def arriving() -> AsyncIterator[bytes]:
        yield b"one"
        await gate.wait()
        yield b"two"

    async def origin(request: Request) -> Response:
        return response(Body(arriving(), 6))

    guest.upstream.backends["origin"] = origin
    answer = await guest.respond(SEND + "http_resp.send_downstream(*send())")
    assert answer.body.length == 6
    assert answer.headers.get("content-length") is None
    assert await answer.body.read() == b"one"
    gate.set()
    assert await answer.body.whole(99) == b"two"


async def test_a_body_partly_read_is_sent_on_from_there(guest: Scripted) -> None:
    """§2.4: known length and content are those of what is left."""

    async def arriving() -> AsyncIterator[bytes]:
        yield b"0123"
        yield b"4567"

    async def origin(request: Request) -> Response:
        return response(Body(arriving(), 8))

    guest.upstream.backends["origin"] = origin
    answer = await guest.respond(
        SEND
        + """
back, content = send()
http_body.read(content, 2)
http_body.append(content, written(b"."))
http_resp.send_downstream(back, content)
"""
    )
    assert answer.body.length == 7
    assert await answer.body.whole(99) == b"234567."


async def test_an_unread_body_of_a_backend_is_closed(guest: Scripted) -> None:
    """What the guest drops must not keep a connection."""
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.set()

    async def origin(request: Request) -> Response:
        return response(Body(endless(), None))

    guest.upstream.backends["origin"] = origin
    assert await guest.bytes(SEND + "answer(http_body.read(send()[1], 9))") == b"x"
    await closed.wait()


async def test_an_answer_that_came_and_was_never_awaited_is_closed(guest: Scripted) -> None:
    """Nor must a pending response keep a connection when its guest has ended."""
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.set()

    async def origin(request: Request) -> Response:
        body = Body(endless(), None)
        await body.read()  # so that there is something to close
        return response(body)

    guest.upstream.backends["origin"] = origin
    await guest.bytes(
        """
        pending = http_req.send_async(http_req.Request.new(), http_body.new(),
                                      backend.Backend.open("origin"))
        async_io.select([pending])
        answer(b"")
        """
    )
    await closed.wait()


@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_gzip_is_decoded_where_the_guest_asks_for_it(guest: Scripted, pieces: int) -> None:
    """§2.2: `set-auto-decompress-response`; the fields that no longer fit go."""
    plain = b"so much text " * 99
    packed = gzip.compress(plain)
    size = max(1, len(packed) // pieces)

    async def arriving() -> AsyncIterator[bytes]:
        for start in range(0, len(packed), size):
            yield packed[start : start + size]

    async def origin(request: Request) -> Response:
        fields = (("Content-Encoding", "gzip"), ("X-Kept", "1"))
        return response(Body(arriving(), len(packed)), headers=fields)

    guest.upstream.backends["origin"] = origin
    got = await guest.json(
        """
        out = http_req.Request.new()
        out.set_auto_decompress_response(http_types.ContentEncodings.GZIP)
        back, content = http_req.send(out, http_body.new(), backend.Backend.open("origin"))
        answer([headers_of(back), http_body.get_known_length(content), read_all(content).decode()])
        """
    )
    assert got == [[["x-kept", "1"]], None, plain.decode()]


async def test_gzip_that_is_none_is_an_error(guest: Scripted) -> None:
    """§2.2: a body that is not what its field says is an error of `read`, as with Viceroy."""

    async def origin(request: Request) -> Response:
        return response(b"not gzip", headers=(("Content-Encoding", "gzip"),))

    guest.upstream.backends["origin"] = origin
    got = await guest.json(
        """
        out = http_req.Request.new()
        out.set_auto_decompress_response(http_types.ContentEncodings.GZIP)
        answer(failure(http_body.read, http_req.send(out, http_body.new(),
                                                     backend.Backend.open("origin"))[1], 9))
        """
    )
    assert got == "GenericError"


async def test_large_bodies_to_and_from_a_backend(guest: Scripted) -> None:
    """Bodies in pieces of the transport's size, larger and smaller than what is read."""
    content = bytes(range(256)) * 1000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 7001):
            yield content[start : start + 7001]

    async def origin(request: Request) -> Response:
        assert await request.body.whole(1 << 24) == content
        return response(Body(pieces(), len(content)))

    guest.upstream.backends["origin"] = origin
    back = await guest.bytes(
        SEND + "answer(read_all(send(read_all(body, 4096))[1], 4096))", body=content
    )
    assert back == content


async def test_a_mistake_in_an_upstream_ends_the_guest_only(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """No Python exception crosses wasmtime; it is logged with its traceback."""

    async def faulty(request: Request) -> Response:
        raise LookupError("a mistake")

    guest.upstream.backends["origin"] = faulty
    failed = await guest.fail(SEND + "send()")
    assert "host function http-req/send failed: LookupError: a mistake" in failed.reason
    assert any(record.exc_info for record in caplog.records)
