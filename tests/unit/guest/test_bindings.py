"""The bindings against a host played in Python; signatures are those generated from `wit/`."""

from collections.abc import Callable
from typing import Any, Self

import pytest
from componentize_py_types import Err
from wit_world.imports import backend, config_store, http_body, http_downstream
from wit_world.imports.types import Error_BufferLen, Error_CannotRead, Error_Unsupported, OpenError

from grip.headers import Headers
from guest import bindings
from guest.messages import Response, SetupError

type Fields = list[tuple[str, bytes]]


def limited[T: (str, bytes)](value: T, max_len: int) -> T:
    """Return a value as the host does: whole, or not at all and what it needs."""
    if len(value) > max_len:
        raise Err(Error_BufferLen(len(value)))
    return value


def page[T: (str, bytes)](
    items: list[T], nul: T, max_len: int, cursor: int
) -> tuple[T, int | None]:
    """Return as much of a NUL list as fits."""
    buffer = nul[:0]
    for index, item in enumerate(items[cursor:], cursor):
        if len(buffer) + len(item) + 1 > max_len:
            if not buffer:
                raise Err(Error_BufferLen(len(item) + 1))
            return buffer, index
        buffer += item + nul
    return buffer, None


class Handle:
    """A request handle of the host."""

    def __init__(self, method: str = "GET", uri: str = "http://h/x", fields: Fields = []) -> None:  # noqa: B006  # never changed
        self.method, self.uri, self.fields = method, uri, fields
        self.calls = 0
        self.open = True
        self.handed_to: object = None
        self.refusal: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False

    def get_method(self, max_len: int) -> str:
        self.calls += 1
        return limited(self.method, max_len)

    def get_uri(self, max_len: int) -> str:
        self.calls += 1
        return limited(self.uri, max_len)

    def get_header_names(self, max_len: int, cursor: int) -> tuple[str, int | None]:
        self.calls += 1
        names = list(dict.fromkeys(name for name, _ in self.fields))
        return page(names, "\0", max_len, cursor)

    def get_header_values(self, name: str, max_len: int, cursor: int) -> tuple[bytes, int | None]:
        self.calls += 1
        values = [value for key, value in self.fields if key == name]
        return page(values, b"\0", max_len, cursor)

    def redirect_to_grip_proxy(self, target: object) -> None:
        if self.refusal is not None:
            raise Err(self.refusal)
        self.handed_to = target


class Body:
    """A body of the host."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False


def request(handle: Handle, body: Body | None = None) -> bindings.Request:
    played: Any = handle, body or Body()
    return bindings.Request(*played)


@pytest.fixture(autouse=True)
def new_sandbox() -> None:
    """Each test is a sandbox of its own, which knows no backend yet."""
    bindings.backend_named.cache_clear()


def opener(*known: str) -> Callable[[str], str]:
    def open_it(name: str) -> str:
        if name not in known:
            raise Err(OpenError.NOT_FOUND)
        return f"opened {name}"

    return open_it


@pytest.mark.parametrize("length", [1, 4096, 4097, 100_000])
def test_values_of_any_length_are_read_whole(length: int) -> None:
    handle = Handle("M" * length, "http://h/" + "p" * length)
    asked = request(handle)
    assert asked.method == handle.method
    assert asked.path == "/" + "p" * length


def test_each_value_is_asked_for_once() -> None:
    handle = Handle(uri="http://h/a?b")
    asked = request(handle)
    assert [asked.path, asked.path, asked.uri] == ["/a", "/a", "http://h/a?b"]
    assert handle.calls == 1


def test_headers_come_repeated_in_order_and_with_all_their_bytes() -> None:
    fields = [("a", b"1"), ("b", b"caf\xe9"), ("c", b""), ("b", "grün".encode()), ("b", b"\xff")]
    headers = request(Handle(fields=fields)).headers
    assert sorted(headers.to_wire()) == sorted((n.encode(), v) for n, v in fields)
    assert [v.encode("utf-8", "surrogateescape") for v in headers.get_all("b")] == [
        b"caf\xe9",
        "grün".encode(),
        b"\xff",
    ]


def test_many_and_long_headers_come_page_by_page() -> None:
    fields = [(f"x-{n}-{'n' * 60}", b"v" * (n * 37)) for n in range(300)]
    fields += [("same", bytes([65 + n % 26]) * n) for n in range(400)]
    handle = Handle(fields=fields)
    assert request(handle).headers.to_wire() == [(n.encode(), v) for n, v in fields]


def test_one_field_is_read_without_the_others() -> None:
    handle = Handle(fields=[("grip-sig", b"a"), ("x", b"1"), ("grip-sig", b"b\xe9")])
    assert request(handle).values("grip-sig") == ["a", "b\udce9"]
    assert request(handle).values("missing") == []
    assert handle.calls == 2


def test_a_host_that_asks_for_ever_more_room_is_not_followed_for_ever() -> None:
    def ask(max_len: int) -> str:
        raise Err(Error_BufferLen(max_len + 1))

    with pytest.raises(Err):
        bindings.sized(ask)


def test_body_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = [b"a", b"bc", b"d" * 70_000]
    monkeypatch.setattr(
        http_body, "read", lambda body, size: body.chunks.pop(0) if body.chunks else b""
    )
    assert request(Handle(), Body(*chunks)).body() == b"".join(chunks)


class SentResponse:
    """A response of the host, as it was sent."""

    last: "SentResponse | None" = None

    def __init__(self) -> None:
        self.status = 200
        self.fields: Fields = []
        self.content = b""
        SentResponse.last = self

    new = classmethod(lambda cls: cls())

    def set_status(self, status: int) -> None:
        self.status = status

    def append_header(self, name: str, value: bytes) -> None:
        self.fields.append((name, value))


def test_response_is_sent_whole_even_if_the_host_takes_it_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[bytes] = []

    def write(_: object, data: bytes) -> int:
        written.append(data[:1000])
        return len(written[-1])

    monkeypatch.setattr(bindings, "ResponseHandle", SentResponse)
    monkeypatch.setattr(http_body, "new", Body)
    monkeypatch.setattr(http_body, "write", write)
    monkeypatch.setattr(bindings, "send_downstream", lambda *_: None)
    headers = Headers([("A", "1"), ("A", "\udce9"), ("B", "ü")])
    content = bytes(range(256)) * 10
    request(Handle()).respond(Response(status=404, headers=headers, body=content))
    assert SentResponse.last is not None
    assert SentResponse.last.status == 404
    assert SentResponse.last.fields == [("A", b"1"), ("A", b"\xe9"), ("B", "ü".encode())]
    assert b"".join(written) == content


def test_hand_off_names_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.Backend, "open", opener("self"))
    handle = Handle()
    request(handle).handoff_fanout("self")
    assert handle.handed_to == "opened self"
    assert bindings.has_backend("self")
    assert not bindings.has_backend("origin")


def test_hand_off_without_the_backend_or_fanout_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.Backend, "open", opener("self"))
    with pytest.raises(SetupError, match="backend named 'other'"):
        request(Handle()).handoff_fanout("other")
    handle = Handle()
    handle.refusal = Error_Unsupported()
    with pytest.raises(SetupError, match="Fanout"):
        request(handle).handoff_fanout("self")


def test_other_failures_to_open_are_not_taken_for_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise Err(OpenError.GENERIC_ERROR)

    monkeypatch.setattr(backend.Backend, "open", refuse)
    with pytest.raises(Err):
        bindings.has_backend("self")


class Store:
    """A config store of the host."""

    def get(self, key: str, max_len: int) -> str | None:
        return limited("v" * 8000, max_len) if key == "long" else None


def test_config_store_finds_long_values_and_nothing_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config_store.Store, "open", lambda name: Store())
    lookup = bindings.config("fanout")
    assert lookup("long") == "v" * 8000
    assert lookup("missing") is None
    monkeypatch.setattr(config_store.Store, "open", opener())
    assert bindings.config("fanout")("long") is None


class Counting(bindings.Service):
    """A service that notes what it served, and that its handles were open then."""

    def __init__(self) -> None:
        self.served: list[str] = []

    def serve(self, request: bindings.Request) -> None:
        self.served.append(request.path)
        if request.path == "/bad":
            raise Err(Error_Unsupported())


def serve(*uris: str, monkeypatch: pytest.MonkeyPatch, end: object = None) -> list[str]:
    """Play a host that reuses the sandbox for each URI; return what was served."""
    handles = [(Handle(uri=f"http://h{uri}"), Body()) for uri in uris]
    following = iter(handles[1:])

    def await_request(pending: object) -> tuple[Handle, Body] | None:
        assert pending == "pending"
        assert not any(part.open for pair in handles[: len(service.served)] for part in pair)
        more = next(following, None)
        if more is None and end is not None:
            raise Err(end)
        return more

    monkeypatch.setattr(http_downstream, "next_request", lambda options: "pending")
    monkeypatch.setattr(http_downstream, "await_request", await_request)
    service = Counting()
    first: Any = handles[0]
    service.handle(*first)
    return service.served


@pytest.mark.parametrize("end", [None, Error_CannotRead(), Error_Unsupported()])
def test_a_sandbox_serves_until_the_host_has_no_more(
    monkeypatch: pytest.MonkeyPatch, end: object
) -> None:
    assert serve("/1", monkeypatch=monkeypatch, end=end) == ["/1"]
    assert serve("/1", "/2", "/3", monkeypatch=monkeypatch, end=end) == ["/1", "/2", "/3"]


def test_a_failed_hostcall_ends_the_sandbox_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="Unsupported"):
        serve("/1", "/bad", "/3", monkeypatch=monkeypatch)


def test_log_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    bindings.log("why")
    assert capsys.readouterr().err == "why\n"
