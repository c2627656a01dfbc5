"""The HTTP cache from socket to socket: one fetch, and each client gets what it asked for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.backend import Backend
from tests.support.edge import Edge, ask, edge, url
from tests.support.raw import Raw

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

SERVE = """
origin = backend.Backend.open("origin")
entry = http_cache.Entry.transaction_lookup(request, http_cache.LookupOptions(None, origin, None))
found = entry.get_found_response(1)
if found is None:
    came, content = http_req.send(entry.get_suggested_backend_request(), http_body.new(), origin)
    _, adjusted = entry.prepare_response_for_storage(came)
    s = entry.get_suggested_write_options(adjusted)
    options = http_cache.WriteOptions(s.get_max_age_ns(), s.get_vary_rule(MAX), None, None, None,
                                      s.get_surrogate_keys(MAX), s.get_length(), False, None)
    out, back = entry.transaction_insert_and_stream_back(adjusted, options)
    http_body.append(out, content)
    http_body.close(out)
    found = back.get_found_response(1)
http_resp.send_downstream(*found)
"""

LINES = {method: b"%s /page HTTP/1.1" % method.encode() for method in ("GET", "HEAD")}


async def answer_once(connection: Raw) -> None:
    head = await connection.until(b"\r\n\r\n")
    assert head.startswith(b"GET /page HTTP/1.1\r\n")
    assert b"\r\nrange:" not in head.lower()
    connection.send(
        b'HTTP/1.1 200 OK\r\nETag: "1"\r\nCache-Control: max-age=60\r\n'
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Edge, Backend]]:
    folder: Path = tmp_path_factory.mktemp("edge")
    async with (
        Backend(answer_once) as backend,
        edge(folder, f'origin = {{ url = "{url(backend)}" }}') as running,
    ):
        yield running, backend


async def test_each_client_gets_its_part_of_one_fetch(served: tuple[Edge, Backend]) -> None:
    running, backend = served
    client = await running.connect()
    wishes: list[tuple[str, bytes, bytes, bytes, list[bytes]]] = [
        ("GET", b"Accept: */*\r\n", b"200 ", b"0123456789", []),
        ("GET", b"", b"200 ", b"0123456789", [b'etag: "1"', b"content-length: 10"]),
        ("GET", b"Range: bytes=2-4\r\n", b"206 ", b"234", [b"content-range: bytes 2-4/10"]),
        ("GET", b"Range: bytes=99-\r\n", b"416 ", b"", [b"content-range: bytes */10"]),
        ("GET", b'If-None-Match: "1"\r\n', b"304 ", b"", [b'etag: "1"']),
        ("HEAD", b"", b"200 ", b"", [b"content-length: 10"]),
    ]
    for method, fields, status, content, lines in wishes:
        client.send(ask(SERVE, line=LINES[method], fields=fields))
        head = await client.until(b"\r\n\r\n")
        sent = head.lower().split(b"\r\n")
        assert sent[0].startswith(b"http/1.1 " + status), (fields, head)
        assert not [line for line in lines if line not in sent], head
        assert any(line.startswith(b"age: ") for line in sent)
        if b"transfer-encoding: chunked" in sent:  # it is still arriving
            pieces = (await client.until(b"0\r\n\r\n")).split(b"\r\n")[1::2]
            assert b"".join(pieces) == content
        else:
            assert await client.exactly(len(content)) == content
    assert backend.connections == 1


async def test_the_simulator_can_do_without(tmp_path: Path) -> None:
    """As `host-sim-viceroy` does."""
    script = "answer(failure(http_cache.is_request_cacheable, request))"
    async with edge(tmp_path, http_cache=False) as running:
        client = await running.connect()
        client.send(ask(script))
        assert (await client.answer())[1] == b'"Unsupported"'
