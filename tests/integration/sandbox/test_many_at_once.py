"""A thousand requests, 32 at a time, through a simulator with little room: none crossed, no leak.

Each request carries a token that every stage passes on: the guest to a backend, the backend's
answer to a store, what is in the store to the hand-off, and that to the client.
"""

import asyncio
import base64
import contextlib
import dataclasses
import functools
import resource
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from host_sim.messages import Address
from tests.support.backend import Backend
from tests.support.raw import Raw
from tests.support.sandbox import build_guest
from tests.support.waiting import soon

pytestmark = [
    pytest.mark.wasm,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

REQUESTS, AT_A_TIME, WARM_UP = 1600, 32, 600  # a thousand after what they warm up with

SPARE_GUESTS = 16
"""Guests that fit beside those that run: a client has its answer before its guest has ended."""

SCRIPT = """
token = request.get_header_value("x-token", 99)
origin = backend.Backend.open("origin")

asked = http_req.Request.new()
asked.set_method("POST")
asked.set_uri(f"http://origin.test/asked/{token.decode()}")
pending = http_req.send_async(asked, written(token * 100), origin)
assert async_io.select([pending]) == 0
answered, content = http_req.await_response(pending)
assert answered.get_header_value("x-token", 99) == token
echoed = read_all(content)

store = kv_store.Store.open("things")
plain = kv_store.InsertOptions(False, None, None, None, kv_store.InsertMode.OVERWRITE, None)
store.insert(token.decode(), written(echoed), plain)
kept = read_all(store.lookup(token.decode()).take_body())
assert store.delete(token.decode())

left_open = [http_body.new(), http_req.Request.new(), written(b"x" * 10_000)]
print("served", token.decode())
request.insert_header("x-kept", kept)
request.redirect_to_grip_proxy(origin)
"""
CODE = base64.b64encode(textwrap.dedent(SCRIPT).encode()).decode()

MANIFEST = """
[local_server.backends.origin]
url = "http://127.0.0.1:{port}"

[[local_server.kv_stores.things]]
key = "some"
data = "thing"
"""


async def answer(everyone: asyncio.Barrier, connection: Raw) -> None:
    """Answer what the guest asks with the token of the path, and a hand-off with what was kept.

    The first `AT_A_TIME` guests are answered when all of them have asked.
    """
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await connection.until(b"\r\n\r\n")).decode()
            line, *lines = head.split("\r\n")
            fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
            body = await connection.exactly(int(fields.get("content-length", 0)))
            path = line.split(" ")[1]
            token = path.rpartition("/")[2]
            if path.startswith("/asked/"):
                assert body == token.encode() * 100
                if int(token) < AT_A_TIME:
                    await everyone.wait()
                content = f"kept {token}"
            else:
                assert "grip-sig" in fields
                content = f"{token}: {fields['x-kept']}"
            connection.send(
                f"HTTP/1.1 200 OK\r\nX-Token: {token}\r\nContent-Length: {len(content)}\r\n\r\n"
                f"{content}".encode()
            )


@dataclasses.dataclass(frozen=True)
class Used:
    """What a process holds."""

    rss_kib: int
    reserved_bytes: int
    files: int
    threads: int

    @classmethod
    def by(cls, pid: int) -> "Used":
        """Read it from /proc; `reserved_bytes` is the most there ever was."""
        process = Path("/proc") / str(pid)
        status = dict(line.split(":\t") for line in (process / "status").read_text().splitlines())
        return cls(
            rss_kib=int(status["VmRSS"].split()[0]),
            reserved_bytes=int(status["VmPeak"].split()[0]) << 10,
            files=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
        )


@contextlib.contextmanager
def simulator(folder: Path, manifest: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run the command with the scripted guest; return it and the file it writes to."""
    (folder / "fastly.toml").write_text(manifest)
    said = folder / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-u", "-m", "host_sim", "serve", str(build_guest())),
                *("-C", str(folder / "fastly.toml"), "--addr", "127.0.0.1:0"),
                *("--proxy-port", "0", "--publish-port", "0"),
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, said
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with Backend(functools.partial(answer, asyncio.Barrier(AT_A_TIME))) as backend:
        yield backend


async def ask(address: Address, numbers: Iterator[int]) -> None:
    """Make requests on one connection, as long as there are numbers."""
    connection = await Raw.connect(address)
    for number in numbers:
        connection.send(
            f"GET /{number} HTTP/1.1\r\nHost: edge.test\r\nX-Token: {number}\r\n"
            f"X-Script: {CODE}\r\n\r\n".encode()
        )
        head, content = await connection.answer()
        assert head.startswith(b"HTTP/1.1 200 "), (head, content)
        assert content == f"{number}: kept {number}".encode()
    await connection.close()


async def ask_all(address: Address, numbers: Iterator[int]) -> None:
    """Make requests, `AT_A_TIME`; each connection takes the next number there is."""
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(ask(address, numbers))


async def test_a_thousand_requests(backend: Backend, tmp_path: Path) -> None:
    with simulator(tmp_path, MANIFEST.format(port=backend.address[1])) as (process, said):
        await soon(lambda: "\nready in " in said.read_text())
        port = int(said.read_text().partition("http://127.0.0.1:")[2].split()[0])
        address = ("127.0.0.1", port)
        idle = Used.by(process.pid)
        numbers = iter(range(REQUESTS))

        # As many guests exist at once as there ever can: each place of the pool has been touched,
        # however few the machine's speed lets be at work together later.
        await ask_all(address, (next(numbers) for _ in range(WARM_UP)))
        warm = Used.by(process.pid)
        # wasmtime reserves gigabytes of addresses for each memory: room for those that run, and
        # few more. A sandbox that is not freed soon takes the room of one that is to run.
        guest = (warm.reserved_bytes - idle.reserved_bytes) // AT_A_TIME
        room = warm.reserved_bytes + SPARE_GUESTS * guest
        resource.prlimit(process.pid, resource.RLIMIT_AS, (room, room))

        await ask_all(address, numbers)
        assert process.poll() is None
        # Sandboxes are parked for ten seconds, with megabytes each, and connections kept for four.
        await soon(
            lambda: (
                (now := Used.by(process.pid)).rss_kib < warm.rss_kib * 1.05
                and now.files <= warm.files + 2
                and now.threads <= warm.threads + 2
            )
        )
        used = Used.by(process.pid)
        text = said.read_text()
    assert used.rss_kib < warm.rss_kib * 1.05
    assert used.files <= warm.files + 2
    assert used.threads <= warm.threads + 2
    assert "Traceback" not in text
    assert "failed" not in text
    assert text.count(":: served ") == REQUESTS
