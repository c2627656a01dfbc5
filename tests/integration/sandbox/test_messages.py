"""Requests, responses and bodies through real wasm. Host contract §1.3, §2.0 to §2.4."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.messages import Request, Response
from tests.support.sandbox import Scripted, response
from tests.support.waiting import soon

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]


async def test_request_reaches_the_guest_whole(guest: Scripted) -> None:
    """§1.1: absolute URI, method with its case, fields in order, the body."""
    got = await guest.json(
        "answer([request.get_method(99), request.get_uri(999), headers_of(request)[:-1],"
        " read_all(body).decode()])",
        method="pAtch",
        target="/a%20b?x=ü&y",
        headers=(("X-Two", "1"), ("Y", "2"), ("x-two", "3")),
        body="grüß".encode(),
    )
    assert got == [
        "pAtch",
        "http://edge.test/a%20b?x=ü&y",
        [["host", "edge.test"], ["x-two", "1"], ["x-two", "3"], ["y", "2"]],
        "grüß",
    ]


async def test_response_reaches_the_client_whole(guest: Scripted) -> None:
    """§1.3: status, fields with repetition, length from the body and not from the guest."""
    response = await guest.respond(
        "answer(b'hello', 418, [('x-a', '1'), ('content-length', '999'), ('x-b', '2'),"
        " ('x-a', '3'), ('transfer-encoding', 'chunked'), ('connection', 'close')])"
    )
    assert response.status == 418
    assert response.reason == "I'm a Teapot"
    assert list(response.headers) == [("x-a", "1"), ("x-a", "3"), ("x-b", "2")]
    assert response.body.length == 5
    assert await response.body.whole(99) == b"hello"


@pytest.mark.parametrize("size", [0, 1, 255, 70_000])
async def test_buffer_len_tells_the_size_a_retry_needs(guest: Scripted, size: int) -> None:
    """§2.0, max-len: nothing is consumed, and the size is that of the UTF-8 bytes."""
    target = "/" + "é" * size
    needed = len(f"http://edge.test{target}".encode())
    got = await guest.json(
        f"""
        answer([
            failure(request.get_uri, {needed - 1}),
            len(request.get_uri({needed}).encode()),
            failure(request.get_method, 2),
            failure(request.get_header_value, "x-long", {size} // 2),
            len(request.get_header_value("x-long", {size})),
            request.get_header_value("x-none", 0),
        ])
        """,
        target=target,
        headers=(("X-Long", "v" * size),),
    )
    too_short = ["BufferLen", size] if size else None
    assert got == [["BufferLen", needed], needed, ["BufferLen", 3], too_short, size, None]


async def test_values_keep_every_byte(guest: Scripted) -> None:
    """§2.0: values are bytes; neither direction touches them."""
    raw = bytes(b for b in range(256) if b >= 32 and b != 127) + b"\t\xff"
    value = raw.decode("utf-8", "surrogateescape")
    response = await guest.respond(
        "answer(b'', headers=[('x-back', request.get_header_value('x-raw', 999))])",
        headers=(("X-Raw", value),),
    )
    assert Headers(response.headers).to_wire() == [(b"x-back", raw)]


async def test_many_headers_come_in_as_many_lists_as_the_buffer_needs(guest: Scripted) -> None:
    """§2.0, NUL lists with cursor."""
    headers = tuple((f"X-{i:04}", f"{i}") for i in range(1000))
    got = await guest.json(
        """
        names, cursor, calls = "", 0, 0
        while cursor is not None:
            text, cursor = request.get_header_names(100, cursor)
            names, calls = names + text, calls + 1
        answer([names.count("\\0"), calls, failure(request.get_header_names, 6, 1)])
        """,
        headers=headers,
    )
    assert got == [1002, 72, ["BufferLen", 7]]


async def test_a_new_request_can_be_set_up_field_by_field(guest: Scripted) -> None:
    """§2.2: `request.new` and the setters."""
    got = await guest.json(
        """
        r = http_req.Request.new()
        trace = [r.get_method(9), r.get_uri(9), r.get_version().name]
        r.set_method("BREW"), r.set_uri("HTTP://h:8?q#f"), r.set_version(http_types.HttpVersion.H2)
        trace += [r.get_method(9), r.get_uri(99), r.get_version().name]
        trace += [failure(r.set_method, "a b"), failure(r.set_method, ""),
                  failure(r.set_uri, "no uri"), failure(r.set_uri, "http:///p")]
        r.set_cache_override(http_req.CacheOverride_Override(http_req.CacheOverrideDetails(
            ttl=1, stale_while_revalidate=None, pci=True, surrogate_key="k", extra=None)))
        r.set_cache_override(http_req.CacheOverride_Pass())
        http_req.close(r)
        answer(trace)
        """
    )
    assert got == [
        *("GET", "/", "HTTP11"),
        *("BREW", "http://h:8/?q", "H2"),
        *["GenericError"] * 4,
    ]


async def test_only_one_final_answer_can_be_sent(guest: Scripted) -> None:
    """§1.3: early hints are dropped, other 1xx refused, a second answer is an error."""
    response = await guest.respond(
        """
        hints = http_resp.Response.new()
        hints.set_status(103)
        http_resp.send_downstream(hints, http_body.new())
        other = http_resp.Response.new()
        other.set_status(102)
        first = failure(http_resp.send_downstream, other, http_body.new())
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        second = failure(http_resp.send_downstream, http_resp.Response.new(), http_body.new())
        third = failure(request.redirect_to_grip_proxy, backend.Backend.open("self"))
        http_body.write(new, json.dumps([first, second, third]).encode())
        http_body.close(new)
        """
    )
    assert await response.body.whole(99) == b'["InvalidArgument", "GenericError", "GenericError"]'


@pytest.mark.parametrize(
    ("fields", "length", "content"),
    [
        ([("content-length", "3")], 3, b"hel"),
        ([("content-length", "5")], 5, b"hello"),
        ([("transfer-encoding", "chunked")], None, b"hello"),
        ([("content-length", "3"), ("transfer-encoding", "chunked")], 5, b"hello"),
        ([("content-length", "x")], 5, b"hello"),
        ([], 5, b"hello"),
    ],
)
async def test_framing_can_be_the_guests_own_where_it_is_valid(
    guest: Scripted,
    caplog: pytest.LogCaptureFixture,
    fields: list[tuple[str, str]],
    length: int | None,
    content: bytes,
) -> None:
    """§1.3, framing mode: otherwise a warning, and the host frames the answer."""
    response = await guest.respond(
        f"""
        r = http_resp.Response.new()
        r.set_framing_headers_mode(http_types.FramingHeadersMode.MANUALLY_FROM_HEADERS)
        for name, value in {fields!r}:
            r.append_header(name, value.encode())
        http_resp.send_downstream(r, written(b"hello"))
        """
    )
    assert response.headers == Headers()
    assert response.body.length == length
    assert await response.body.whole(99) == content
    usable = length in (None, 3) or fields == [("content-length", "5")]
    assert ("framing fields cannot be used" in caplog.text) is not usable


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
async def test_answers_without_content_keep_their_length_field(
    guest: Scripted, method: str, status: int
) -> None:
    """`messages.Response`: an answer that has no body may still say how long one would be."""
    response = await guest.respond(
        f"answer(b'', {status}, [('content-length', '42')])", method=method
    )
    assert response.headers.get("content-length") == "42"
    assert response.body.length == 0


async def test_bodies_grow_at_both_ends_and_join(guest: Scripted) -> None:
    """§2.4."""
    got = await guest.json(
        """
        a, b = written(b"middle "), written(b"end")
        http_body.write_front(a, b"front ")
        sizes = [http_body.get_known_length(a)]
        first = http_body.read(a, 3)
        http_body.write_front(a, b"<")
        http_body.append(a, b)
        sizes.append(http_body.get_known_length(a))
        content = read_all(a, 4)
        sizes.append(http_body.get_known_length(a))
        answer([first.decode(), content.decode(), sizes, http_body.read(a, 9).decode()])
        """
    )
    assert got == ["fro", "<nt middle end", [13, 14, 0], ""]


async def test_large_bodies_pass_both_ways(guest: Scripted) -> None:
    """A body of known length, in the sizes SDKs read it in."""
    content = bytes(range(256)) * 1024
    back = await guest.bytes(
        "content = read_all(body, 65536); answer(content[::-1])", method="POST", body=content
    )
    assert back == content[::-1]


async def test_a_body_can_be_passed_on_unread(guest: Scripted) -> None:
    """§2.4: nothing is copied, and the length stays known."""
    response = await guest.respond(
        "http_resp.send_downstream(http_resp.Response.new(), body)", body=b"as it came"
    )
    assert response.body.length == 10
    assert await response.body.whole(99) == b"as it came"


async def test_a_body_still_arriving_is_read_as_it_comes(guest: Scripted) -> None:
    """§1.1: chunked bodies are streamed; their length is not known."""
    more = asyncio.Event()

    async def arriving() -> AsyncIterator[bytes]:
        yield b"first"
        await more.wait()
        yield b"second"

    response = await guest.respond(
        """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        http_body.write(new, repr(http_body.get_known_length(body)).encode())
        while piece := http_body.read(body, 3):
            http_body.write(new, piece)
        http_body.close(new)
        """,
        body=Body(arriving(), None, keep=99),
    )
    assert [await response.body.read() for _ in range(3)] == [b"None", b"fir", b"st"]
    more.set()
    assert await response.body.whole(99) == b"second"


async def test_a_body_that_breaks_off_is_an_error_of_read(guest: Scripted) -> None:
    """§2.0, causes: closed in the middle of the message."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise BodyError("gone")

    got = await guest.json(
        "http_body.read(body, 9); answer(failure(http_body.read, body, 9))",
        body=Body(broken(), None),
    )
    assert got == "HttpIncomplete"


async def test_a_stream_is_written_while_it_is_read(guest: Scripted) -> None:
    """§1.3, streaming: what was in the body comes first; the writer waits for the reader."""
    response = await guest.respond(
        """
        new = written(b"head,")
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        for i in range(100):
            http_body.write(new, b"%d," % i)
        print("all written", http_body.get_known_length(new), failure(http_body.read, new, 1),
              failure(http_body.write_front, new, b"x"))
        http_body.close(new)
        """
    )
    assert response.body.length is None
    expected = "head," + "".join(f"{i}," for i in range(100))
    assert await response.body.whole(9999) == expected.encode()


async def test_a_stream_cannot_be_sent_a_second_time(guest: Scripted) -> None:
    """§2.4: what has become a write end is no content any more."""
    response = await guest.respond(
        """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        pending = failure(http_req.send_async_streaming, http_req.Request.new(), new,
                          backend.Backend.open("self"))
        http_body.write(new, pending.encode())
        http_body.close(new)
        """
    )
    assert await response.body.whole(99) == b"InvalidArgument"


@pytest.mark.parametrize("end", ["del new; gc.collect()", "pass", "raise SystemExit", "1 / 0"])
async def test_a_stream_that_is_not_closed_is_broken_off(guest: Scripted, end: str) -> None:
    """§1.2: the client must not take half an answer for a whole one."""
    response = await guest.respond(
        f"""
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        http_body.write(new, b"half")
        {end}
        """
    )
    assert await response.body.read() == b"half"
    with pytest.raises(BodyError):
        await response.body.read()


async def test_writes_fail_once_the_client_has_gone(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """§1.3: the guest learns it by `generic-error`, even if it was waiting for room."""
    caplog.set_level("INFO", "host_sim.guest")
    response = await guest.respond(
        """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        written = 0
        while (error := failure(http_body.write, new, b"x")) is None:
            written += 1
        print("gone:", error, written)
        """
    )
    assert await response.body.read() == b"x"
    await response.body.aclose()
    await soon(lambda: any("gone: GenericError" in m for m in caplog.messages))


DECODED = """
out = http_req.Request.new()
out.set_auto_decompress_response(http_types.ContentEncodings({flags}))
back, content = http_req.send(out, http_body.new(), backend.Backend.open("origin"))
try:
    answer([headers_of(back), read_all(content).decode("latin-1")])
except Err as error:
    answer(described(error.value))
"""
ALL, GZIP = 63, 1  # every coding there is a flag for


def coded(guest: Scripted, content: bytes, coding: str) -> None:
    """Let the backend answer with content in a coding."""

    async def origin(_request: Request) -> Response:
        return response(content, headers=(("Content-Encoding", coding),))

    guest.upstream.backends["origin"] = origin


def packed(content: bytes) -> bytes:
    """Compress without a date, which would be in the names of the tests."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        (b"", b""),
        (packed(b""), b""),
        (packed(b"one,") + packed(b"two"), b"one,two"),
        (packed(b"a" * 150_000), b"a" * 150_000),
    ],
)
@pytest.mark.parametrize("coding", ["gzip", "X-GZIP"])
async def test_gzip_is_decoded(guest: Scripted, content: bytes, plain: bytes, coding: str) -> None:
    """§2.2, set-auto-decompress-response: whatever gzip can be."""
    coded(guest, content, coding)
    assert await guest.json(DECODED.format(flags=ALL)) == [[], plain.decode()]


@pytest.mark.parametrize("content", [packed(b"cut off")[:-1], packed(b"x") + b"y"])
async def test_gzip_that_ends_badly_is_an_error(guest: Scripted, content: bytes) -> None:
    """§2.2, set-auto-decompress-response: half of it must not be taken for the whole."""
    coded(guest, content, "gzip")
    assert await guest.json(DECODED.format(flags=GZIP)) == "GenericError"


@pytest.mark.parametrize(
    ("coding", "flags"), [("gzip", 0), ("gzip", ALL - GZIP), ("br", ALL), ("br, gzip", ALL)]
)
async def test_other_codings_stay(guest: Scripted, coding: str, flags: int) -> None:
    """§2.2, set-auto-decompress-response: only gzip is honoured, and only where it is asked for."""
    coded(guest, b"as it came", coding)
    fields = [["content-encoding", coding], ["content-length", "10"]]
    assert await guest.json(DECODED.format(flags=flags)) == [fields, "as it came"]
