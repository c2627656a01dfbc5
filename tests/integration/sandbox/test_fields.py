"""Header fields of requests and responses through real wasm. Host contract §2.0, §2.2, §2.3."""

import pytest

from host_sim.messages import Request, Response
from tests.support.sandbox import Scripted, response

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

both = pytest.mark.parametrize("new", ["http_req.Request.new()", "http_resp.Response.new()"])


@both
async def test_names_are_in_lower_case_and_in_order(guest: Scripted, new: str) -> None:
    """§2.0, header order: first occurrence; insert replaces in place; removal is swap-remove."""
    got = await guest.json(
        f"""
        m = {new}
        for name, value in [("A", b"1"), ("b", b"2"), ("C", b"3"), ("d", b"4"), ("a", b"5")]:
            m.append_header(name, value)
        m.insert_header("B", b"6")
        trace = [headers_of(m)]
        m.remove_header("A")
        trace.append(headers_of(m))
        m.set_header_values("B", b"7\\x00\\x008\\x00dropped")
        trace.append(headers_of(m))
        m.set_header_values("new", b"9\\x00")
        m.set_header_values("c", b"")
        trace.append(headers_of(m))
        answer(trace)
        """
    )
    assert got == [
        [["a", "1"], ["a", "5"], ["b", "6"], ["c", "3"], ["d", "4"]],
        [["d", "4"], ["b", "6"], ["c", "3"]],
        [["d", "4"], ["c", "3"], ["b", "7"], ["b", ""], ["b", "8"]],
        [["d", "4"], ["new", "9"], ["b", "7"], ["b", ""], ["b", "8"]],
    ]


@both
async def test_names_have_a_longest_length(guest: Scripted, new: str) -> None:
    """§2.0, header names: 65 535 bytes, and 32 768 where all values are asked for."""
    got = await guest.json(
        f"""
        m, longest, many = {new}, "n" * 65535, "n" * 32768
        m.insert_header(longest, b"1")
        m.append_header(longest, b"2")
        trace = [m.get_header_value(longest.upper(), 1).decode(),
                 m.get_header_values(many, 9, 0)[0].decode(), len(m.get_header_names(MAX, 0)[0]),
                 failure(m.get_header_values, many + "n", 9, 0)]
        m.set_header_values(longest, b"3\\x00")
        m.remove_header(longest)
        longer = longest + "n"
        answer(trace + [failure(call, longer, *more) for call, *more in (
            (m.insert_header, b""), (m.append_header, b""), (m.set_header_values, b""),
            (m.remove_header,), (m.get_header_value, 9))])
        """
    )
    assert got == ["1", "", 65_536, *["InvalidArgument"] * 6]


@both
@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\\n", "a\\x00"])
async def test_what_is_no_name(guest: Scripted, new: str, name: str) -> None:
    """§2.0, header names: `generic-error`; to `get-header-value` it is just not there."""
    got = await guest.json(
        f"""
        m, name = {new}, "{name}"
        answer([m.get_header_value(name, 9)] + [failure(call, name, *more) for call, *more in (
            (m.get_header_values, 9, 0), (m.insert_header, b""), (m.append_header, b""),
            (m.set_header_values, b""), (m.set_header_values, b"1\\x00"), (m.remove_header,))])
        """
    )
    assert got == [None, *["GenericError"] * 6]


@both
async def test_what_is_no_value(guest: Scripted, new: str) -> None:
    """§2.0: `generic-error`, and nothing has changed; every other byte is allowed."""
    got = await guest.json(
        f"""
        m = {new}
        m.insert_header("n", bytes([9, *range(32, 127), *range(128, 256)]))
        before = m.get_header_value("n", 999)
        errors = [failure(call, "n", value) for value in (b"a\\n", b"\\r", b"\\x7f", b"\\x01")
                  for call in (m.insert_header, m.append_header)]
        errors.append(failure(m.set_header_values, "n", b"fine\\x00a\\nb\\x00"))
        answer([errors, len(before), m.get_header_values("n", 999, 0)[0] == before + b"\\0"])
        """
    )
    assert got == [["GenericError"] * 9, 224, True]


@both
async def test_what_is_not_there_cannot_be_removed(guest: Scripted, new: str) -> None:
    """§2.2, remove-header: absent is `invalid-argument`."""
    got = await guest.json(
        f"""
        m = {new}
        m.append_header("a", b"1")
        m.append_header("A", b"2")
        answer([failure(m.remove_header, n) for n in ("b", "A", "a")])
        """
    )
    assert got == ["InvalidArgument", None, "InvalidArgument"]


@both
async def test_lists_come_in_parts(guest: Scripted, new: str) -> None:
    """§2.0, NUL lists with cursor: names and values alike."""
    got = await guest.json(
        f"""
        m = {new}
        for name in ("aa", "bbbb", "c"):
            m.append_header(name, b"-")
        for value in (b"11", b"2222", b"3"):
            m.append_header("v", value)
        def said(part):
            text, cursor = part
            return [text if isinstance(text, str) else text.decode(), cursor]
        answer([
            [said(m.get_header_names(size, cursor)) for size, cursor in
             ((MAX, 0), (8, 0), (7, 0), (3, 0), (7, 1), (9, 4), (0, 4), (1 << 40, 99))],
            [failure(m.get_header_names, size, cursor) for size, cursor in ((2, 0), (4, 1))],
            [said(m.get_header_values("v", size, cursor)) for size, cursor in
             ((MAX, 0), (8, 0), (7, 0), (3, 0), (5, 1), (0, 3))],
            [failure(m.get_header_values, "v", size, cursor) for size, cursor in ((2, 0), (4, 1))],
            said(m.get_header_values("none", 0, 0)),
        ])
        """
    )
    names = [
        *(["aa\0bbbb\0c\0v\0", None], ["aa\0bbbb\0", 2], ["aa\0", 1], ["aa\0", 1]),
        *(["bbbb\0c\0", 3], ["", None], ["", None], ["", None]),
    ]
    values = [
        *(["11\0002222\0003\0", None], ["11\0002222\0", 2], ["11\0", 1], ["11\0", 1]),
        *(["2222\0", 2], ["", None]),
    ]
    needed = [["BufferLen", 3], ["BufferLen", 5]]
    assert got == [names, needed, values, needed, ["", None]]


@both
async def test_a_value_needs_room(guest: Scripted, new: str) -> None:
    """§2.0, max-len: the first value, or the size it needs."""
    got = await guest.json(
        f"""
        m = {new}
        m.append_header("v", b"first")
        m.append_header("v", b"second")
        m.append_header("e", b"")
        answer([m.get_header_value("V", 5).decode(), failure(m.get_header_value, "v", 4),
                m.get_header_value("e", 0).decode(), m.get_header_value("none", 0)])
        """
    )
    assert got == ["first", ["BufferLen", 5], "", None]


@both
async def test_versions_are_kept(guest: Scripted, new: str) -> None:
    """§2.2, §2.3, set-version: every version, without effect on the wire."""
    got = await guest.json(
        f"""
        m, trace = {new}, []
        for version in http_types.HttpVersion:
            m.set_version(version)
            trace.append(m.get_version() == version)
        answer(trace)
        """
    )
    assert got == [True] * 5


async def test_a_response_is_set_up_field_by_field(guest: Scripted) -> None:
    """§2.3: `response.new`, numbers, keepalive mode, no address of its own, close."""
    got = await guest.json(
        """
        r = http_resp.Response.new()
        trace = [r.get_status(), r.get_version().name, headers_of(r)]
        for status in (100, 999):
            r.set_status(status)
            trace.append(r.get_status())
        trace += [failure(r.set_status, n) for n in (0, 99, 1000, 65535)]
        trace += [failure(r.set_http_keepalive_mode, mode) for mode in http_resp.KeepaliveMode]
        trace += [r.get_status(), r.get_remote_ip_addr(), r.get_remote_port(),
                  failure(http_resp.close, r)]
        answer(trace)
        """
    )
    assert got == [
        *(200, "HTTP11", [], 100, 999),
        *["InvalidArgument"] * 4,
        *(None, "GenericError"),
        *(999, None, None, None),
    ]


@pytest.mark.parametrize("status", [100, 101, 102, 104, 199])
@pytest.mark.parametrize("send", ["send_downstream", "send_downstream_streaming"])
async def test_informational_answers_are_refused(guest: Scripted, status: int, send: str) -> None:
    """§1.3, other 1xx: `invalid-argument`, and the answer is still to be sent."""
    got = await guest.json(
        f"""
        r = http_resp.Response.new()
        r.set_status({status})
        answer(failure(http_resp.{send}, r, http_body.new()))
        """
    )
    assert got == "InvalidArgument"


@pytest.mark.parametrize(
    ("fields", "length", "content"),
    [
        ([("content-length", "3")], 3, b"hel"),
        ([("transfer-encoding", "chunked")], None, b"hello"),
        ([("content-length", "3"), ("content-length", "3")], 5, b"hello"),
        ([("transfer-encoding", "gzip")], 5, b"hello"),
        ([], 5, b"hello"),
    ],
)
async def test_requests_are_framed_by_the_guest_where_it_may(
    guest: Scripted, fields: list[tuple[str, str]], length: int | None, content: bytes
) -> None:
    """§2.2, set-framing-headers-mode."""
    got: list[tuple[int | None, bytes | None]] = []

    async def origin(request: Request) -> Response:
        assert request.headers.get("content-length") is None
        assert request.headers.get("transfer-encoding") is None
        got.append((request.body.length, await request.body.whole(99)))
        return response()

    guest.upstream.backends["origin"] = origin
    await guest.json(
        f"""
        r = http_req.Request.new()
        r.set_framing_headers_mode(http_types.FramingHeadersMode.MANUALLY_FROM_HEADERS)
        for name, value in {fields!r}:
            r.append_header(name, value.encode())
        http_req.send(r, written(b"hello"), backend.Backend.open("origin"))
        answer(None)
        """
    )
    assert got == [(length, content)]


async def test_framing_fields_leave_a_gap_that_the_last_field_fills(guest: Scripted) -> None:
    """§0 rule 2, §2.2 framing: recorded answers of the vendor's SDK have this order."""
    got: list[list[str]] = []

    async def origin(request: Request) -> Response:
        got.append([name for name, _ in request.headers])
        return response()

    guest.upstream.backends["origin"] = origin
    await guest.json(
        """
        r = http_req.Request.new()
        for name in ("host", "content-length", "b", "transfer-encoding", "c", "d"):
            r.insert_header(name, b"1")
        http_req.send(r, http_body.new(), backend.Backend.open("origin"))
        answer(None)
        """
    )
    assert got == [["host", "d", "b", "c"]]


async def test_every_way_to_send_reaches_the_backend(guest: Scripted) -> None:
    """§2.2: `send-uncached` as `send`, the asynchronous ones as each other."""

    async def origin(request: Request) -> Response:
        return response(request.method.encode() + b" " + (await request.body.whole(99) or b""))

    guest.upstream.backends["origin"] = origin
    got = await guest.json(
        """
        origin, trace = backend.Backend.open("origin"), []
        def made(method):
            r = http_req.Request.new()
            r.set_method(method)
            return r
        for send in (http_req.send, http_req.send_uncached):
            trace.append(read_all(send(made("A"), written(b"1"), origin)[1]).decode())
        for send in (http_req.send_async, http_req.send_async_uncached):
            pending = send(made("B"), written(b"2"), origin)
            trace.append(read_all(http_req.await_response(pending)[1]).decode())
        for send in (http_req.send_async_streaming, http_req.send_async_uncached_streaming):
            new = written(b"3")
            pending = send(made("C"), new, origin)
            http_body.write(new, b"4")
            http_body.close(new)
            trace.append(read_all(http_req.await_response(pending)[1]).decode())
        answer(trace)
        """
    )
    assert got == ["A 1", "A 1", "B 2", "B 2", "C 34", "C 34"]
