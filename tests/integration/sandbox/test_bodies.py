"""Bodies and their trailers in a guest's hands, row by row. Host contract §2.4."""

from collections.abc import AsyncIterator

import pytest

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.inbox import Inbox
from host_sim.messages import HandedOff, Request, Response
from tests.support.sandbox import Scripted, response

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

TRAILERS = Headers([("X-Sum", "1"), ("x-end", "ü"), ("X-Sum", "2")])


def arriving(*pieces: bytes, trailers: Headers = TRAILERS, late: bool = True) -> Body:
    """Return a chunked body with trailers; `late`: its end is not there yet when it is given."""
    if not late:
        return Body.of(b"".join(pieces), trailers=trailers)
    inbox = Inbox(lambda: None)
    for piece in pieces:
        inbox.feed(piece)
    inbox.end(trailers)
    return Body(inbox, None, keep=999)


# Content: new, write, write-front, read, append, close, get-known-length.


async def test_a_new_body_is_empty_and_takes_everything(guest: Scripted) -> None:
    """Rows `new`, `write`, `write-front`: all of it is always taken, at either end."""
    got = await guest.json(
        """
        b = http_body.new()
        trace = [http_body.get_known_length(b), http_body.read(b, 9).decode()]
        trace += [http_body.write(b, b"bc"), http_body.write(b, b""), http_body.write(b, b"d")]
        http_body.write_front(b, b"a")
        answer([*trace, http_body.get_known_length(b), read_all(b).decode()])
        """
    )
    assert got == [0, "", 2, 0, 1, 4, "abcd"]


@pytest.mark.parametrize("size", [1, 3, 4096, 3 << 20])
async def test_read_gives_at_least_a_byte_and_at_most_what_is_asked(
    guest: Scripted, size: int
) -> None:
    """Row `read`: short reads until the end, which is empty, again and again."""
    content = bytes(range(256)) * (2 if size < 99 else 512)
    got = await guest.json(
        f"""
        sizes, content = [], b""
        while piece := http_body.read(body, {size}):
            sizes.append(len(piece))
            content += piece
        answer([min(sizes), max(sizes), len(content), sum(content),
                len(http_body.read(body, {size}))])
        """,
        body=content,
    )
    least, most, length, total, after = got
    assert 1 <= least <= most <= size
    assert (length, total, after) == (len(content), sum(content), 0)


async def test_reading_nothing_consumes_nothing(guest: Scripted) -> None:
    """Row `read`: of no bytes, none are taken."""
    script = "first = http_body.read(body, 0); answer([len(first), read_all(body).decode()])"
    assert await guest.json(script, body=b"all") == [0, "all"]


async def test_a_write_end_is_not_read_nor_written_at_the_front(guest: Scripted) -> None:
    """Rows `read`, `write-front`, `get-known-length`, trailers: what a write end refuses."""
    answer = await guest.respond(
        """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        trace = [
            failure(http_body.read, new, 1),
            failure(http_body.write_front, new, b"x"),
            http_body.get_known_length(new),
            failure(http_body.get_trailer_names, new, 9, 0),
            failure(http_body.get_trailer_value, new, "a", 9),
            failure(http_body.get_trailer_values, new, "a", 9, 0),
        ]
        http_body.write(new, json.dumps(trace).encode())
        http_body.close(new)
        """
    )
    refused = '["Error", "InvalidArgument"]'
    expected = f'["InvalidArgument", "Unsupported", null, {refused}, {refused}, {refused}]'
    assert await answer.body.whole(999) == expected.encode()


@pytest.mark.parametrize("late", [True, False])
async def test_the_length_of_a_chunked_body_is_never_known(guest: Scripted, late: bool) -> None:
    """Row `get-known-length`: whether it has come already or not; read to its end it is empty."""
    got = await guest.json(
        """
        trace = [http_body.get_known_length(body)]
        http_body.read(body, 1)
        trace.append(http_body.get_known_length(body))
        read_all(body)
        answer([*trace, http_body.get_known_length(body)])
        """,
        body=arriving(b"abc", late=late),
    )
    assert got == [None, None, 0]


async def test_append_joins_what_was_read_in_part(guest: Scripted) -> None:
    """Row `append`: the pieces move; a source that was begun goes on where it was."""
    got = await guest.json(
        """
        a, b = written(b"one "), written(b"xxtwo ")
        http_body.read(b, 2)
        http_body.append(a, b)
        http_body.read(body, 1)
        http_body.append(a, body)
        http_body.write(a, b" end")
        answer([http_body.get_known_length(a), read_all(a).decode()])
        """,
        body=b"-three",
    )
    assert got == [17, "one two three end"]


async def test_append_streams_into_a_write_end(guest: Scripted) -> None:
    """Row `append`: with more than its eight chunks, and the source's trailers at the end."""
    answer = await guest.respond(
        """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        http_body.append(new, body)
        http_body.append_trailer(new, "x-own", b"3")
        http_body.close(new)
        """,
        body=arriving(*(b"%03d," % number for number in range(50))),
    )
    content = await answer.body.whole(999)
    assert content == b"".join(b"%03d," % number for number in range(50))
    assert answer.body.trailers == Headers(
        [("x-sum", "1"), ("x-sum", "2"), ("x-end", "ü"), ("x-own", "3")]
    )


async def test_a_closed_body_is_gone(guest: Scripted) -> None:
    """Row `close`: the handle is used up, and the guest cannot reach the body any more."""
    failed = await guest.fail("http_body.close(body); http_body.read(body, 1)", body=b"x")
    assert failed.status == 500


# Trailers.


@pytest.mark.parametrize("late", [True, False])
async def test_trailers_of_a_client_come_at_the_end(guest: Scripted, late: bool) -> None:
    """Rows `get-trailer-…`: not available before a read has found the end; then all of them."""
    got = await guest.json(
        """
        def ask():
            return [failure(http_body.get_trailer_names, body, 99, 0),
                    failure(http_body.get_trailer_value, body, "x-sum", 99),
                    failure(http_body.get_trailer_values, body, "x-sum", 99, 0)]
        early = ask()
        http_body.read(body, 99)
        almost = ask()
        end = len(http_body.read(body, 99))
        answer([early, almost, end,
                http_body.get_trailer_names(body, 99, 0),
                http_body.get_trailer_value(body, "X-Sum", 1).decode(),
                http_body.get_trailer_values(body, "x-sum", 99, 0)[0].decode(),
                http_body.get_trailer_value(body, "x-end", 99).decode(),
                http_body.get_trailer_value(body, "x-none", 0)])
        """,
        body=arriving(b"abc", late=late),
    )
    none = ["NotAvailableYet"] * 3
    assert got == [none, none, 0, ["x-sum\0x-end\0", None], "1", "1\x002\x00", "ü", None]


async def test_trailers_come_with_the_answer_of_a_backend(guest: Scripted) -> None:
    """Row `get-trailer-value`: of the body that `send` gave."""

    async def origin(_request: Request) -> Response:
        return response(arriving(b"abc"))

    guest.upstream.backends["origin"] = origin
    got = await guest.json(
        """
        _, back = http_req.send(http_req.Request.new(), http_body.new(),
                                backend.Backend.open("origin"))
        content = read_all(back)
        answer([content.decode(), http_body.get_trailer_value(back, "x-sum", 9).decode()])
        """
    )
    assert got == ["abc", "1"]


async def test_trailer_errors(guest: Scripted) -> None:
    """§2.0, §2.4: a value tells no size, a list does; names are checked."""
    got = await guest.json(
        """
        b = http_body.new()
        http_body.append_trailer(b, "Name", b"value")
        http_body.append_trailer(b, "other", b"2")
        http_body.append_trailer(b, "name", b"more")
        http_body.read(b, 1)
        answer([
            failure(http_body.append_trailer, b, "bad name", b""),
            failure(http_body.append_trailer, b, "n", b"a\\nb"),
            failure(http_body.append_trailer, b, "n" * 65536, b""),
            failure(http_body.get_trailer_value, b, "bad name", 9),
            failure(http_body.get_trailer_value, b, "n" * 65536, 9),
            failure(http_body.get_trailer_values, b, "n" * 32769, 9, 0),
            failure(http_body.get_trailer_value, b, "name", 4),
            failure(http_body.get_trailer_values, b, "name", 4, 0),
            failure(http_body.get_trailer_names, b, 4, 0),
            http_body.get_trailer_names(b, 5, 0),
            http_body.get_trailer_names(b, 6, 1),
            http_body.get_trailer_names(b, 0, 2),
            http_body.get_trailer_values(b, "name", 6, 0)[1],
        ])
        """
    )
    assert got == [
        *("GenericError", "GenericError", "InvalidArgument"),
        *(["Error", "GenericError"], ["Error", "InvalidArgument"], ["Error", "InvalidArgument"]),
        *(["Error", ["BufferLen", 0]], ["Error", ["BufferLen", 6]], ["Error", ["BufferLen", 5]]),
        *(["name\0", 1], ["other\0", None], ["", None], 1),
    ]


@pytest.mark.parametrize(
    ("script", "content", "trailers"),
    [
        ("out = written(b'abc')", b"abc", []),
        ("out = http_body.new()", b"", []),
        ("out = body", b"old", [("X-Sum", "1"), ("x-end", "ü"), ("X-Sum", "2")]),
        ("out = body; http_body.read(out, 1)", b"ld", [("X-Sum", "1"), ("X-Sum", "2")]),
        ("out = written(b'new '); http_body.append(out, body)", b"new old", [("X-Sum", "1")]),
        ("out = body; read_all(out)", b"", [("x-sum", "1"), ("x-end", "ü")]),
    ],
)
@pytest.mark.parametrize("late", [True, False])
async def test_trailers_go_out_with_the_body(
    guest: Scripted, script: str, content: bytes, trailers: list[tuple[str, str]], late: bool
) -> None:
    """Row `append-trailer`: to a client and to a backend, chunked; those that came go on."""
    sent: list[tuple[int | None, bytes | None, Headers]] = []

    async def origin(request: Request) -> Response:
        length, content = request.body.length, await request.body.whole(99)
        sent.append((length, content, request.body.trailers))
        return response(b"")

    guest.upstream.backends["origin"] = origin
    own = "http_body.append_trailer(out, 'X-Own', b'3')"
    answer = await guest.respond(
        f"{script}; {own}; http_resp.send_downstream(http_resp.Response.new(), out)",
        body=arriving(b"old", late=late),
    )
    sent.append((answer.body.length, await answer.body.whole(99), answer.body.trailers))
    await guest.bytes(
        f"{script}; {own}; http_req.send(http_req.Request.new(), out, "
        "backend.Backend.open('origin')); answer()",
        body=arriving(b"old", late=late),
    )
    assert len(sent) == 2
    for length, got, fields in sent:
        assert (length, got) == (None, content)
        assert fields.get("x-own") == "3"
        assert {(name.lower(), value) for name, value in trailers} <= {
            (name.lower(), value) for name, value in fields
        }


async def test_trailers_of_a_stream_can_be_added_until_it_is_closed(guest: Scripted) -> None:
    """Row `append-trailer`: always allowed, also on a write end."""
    answer = await guest.respond(
        """
        new = written(b"a")
        http_body.append_trailer(new, "x", b"1")
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        http_body.append_trailer(new, "y", b"2")
        http_body.write(new, b"b")
        http_body.append_trailer(new, "x", b"3")
        http_body.close(new)
        """
    )
    assert await answer.body.whole(9) == b"ab"
    assert answer.body.trailers == Headers([("x", "1"), ("x", "3"), ("y", "2")])


async def test_a_hand_off_keeps_the_trailers_of_the_client(guest: Scripted) -> None:
    """§3.2: the original body, trailers and all, though the guest has read it."""
    body = arriving(b"abc")
    outcome = await guest.run(
        "read_all(body); request.redirect_to_websocket_proxy(backend.Backend.open('plain'))",
        body=body,
    )
    assert isinstance(outcome, HandedOff)
    again = body.replay()
    assert await again.whole(9) == b"abc"
    assert again.trailers == TRAILERS


async def test_framing_by_length_has_no_place_for_trailers(guest: Scripted) -> None:
    """§1.3: with a length of the guest's own they are left out, with chunks of its own kept."""
    script = """
        r = http_resp.Response.new()
        r.set_framing_headers_mode(http_types.FramingHeadersMode.MANUALLY_FROM_HEADERS)
        r.append_header({name!r}, {value!r})
        out = written(b"abc")
        http_body.append_trailer(out, "x", b"1")
        http_resp.send_downstream(r, out)
        """
    sized = await guest.respond(script.format(name="content-length", value=b"3"))
    assert (sized.body.length, await sized.body.whole(9)) == (3, b"abc")
    assert not sized.body.trailers
    chunked = await guest.respond(script.format(name="transfer-encoding", value=b"chunked"))
    assert (chunked.body.length, await chunked.body.whole(9)) == (None, b"abc")
    assert chunked.body.trailers == Headers([("x", "1")])


async def test_a_body_that_breaks_off_has_no_trailers(guest: Scripted) -> None:
    """Row `get-trailer-…`: its end never comes."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise OSError("gone")

    got = await guest.json(
        """
        http_body.read(body, 9)
        broken = failure(http_body.read, body, 9)
        answer([broken, failure(http_body.get_trailer_names, body, 9, 0)])
        """,
        body=Body(broken(), None),
    )
    assert got == ["HttpIncomplete", "NotAvailableYet"]


@pytest.mark.parametrize(
    ("use", "error"),
    [
        ("http_body.append, http_body.new(), new", "GenericError"),
        ("http_resp.send_downstream, http_resp.Response.new(), new", "InvalidArgument"),
        (
            "http_req.send_async, http_req.Request.new(), new, backend.Backend.open('plain')",
            "InvalidArgument",
        ),
    ],
)
async def test_a_write_end_cannot_be_given_away(guest: Scripted, use: str, error: str) -> None:
    """Row `append`: it is used up all the same, so its reader learns that no more will come."""
    got: list[bytes] = []

    async def origin(request: Request) -> Response:
        got.append(await request.body.read())
        with pytest.raises(BodyError):
            await request.body.read()
        return response(b"broken off")

    guest.upstream.backends["origin"] = origin
    answer = await guest.json(
        f"""
        new = written(b"half")
        pending = http_req.send_async_streaming(http_req.Request.new(), new,
                                                backend.Backend.open("origin"))
        error = failure({use})
        _, back = http_req.await_response(pending)
        answer([error, read_all(back).decode()])
        """
    )
    assert answer == [error, "broken off"]
    assert got == [b"half"]


async def test_a_streamed_request_takes_its_trailers_along(guest: Scripted) -> None:
    """Row `append-trailer`: on the way to a backend, closed by the guest."""
    got: list[tuple[bytes | None, Headers]] = []

    async def origin(request: Request) -> Response:
        got.append((await request.body.whole(99), request.body.trailers))
        return response(b"")

    guest.upstream.backends["origin"] = origin
    await guest.bytes(
        """
        new = http_body.new()
        pending = http_req.send_async_streaming(http_req.Request.new(), new,
                                                backend.Backend.open("origin"))
        http_body.write(new, b"abc")
        http_body.append_trailer(new, "x", b"1")
        http_body.close(new)
        http_req.await_response(pending)
        answer()
        """
    )
    assert got == [(b"abc", Headers([("x", "1")]))]


async def test_a_stream_that_is_dropped_has_no_trailers(guest: Scripted) -> None:
    """Row `close`: only that ends a stream properly."""
    answer = await guest.respond(
        """
        new = written(b"half")
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        http_body.append_trailer(new, "x", b"1")
        """
    )
    assert await answer.body.read() == b"half"
    with pytest.raises(BodyError):
        await answer.body.read()
    assert not answer.body.trailers
