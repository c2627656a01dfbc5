"""Runs a guest on one host or the other, in a process of its own, and asks it what cases ask."""

import contextlib
import dataclasses
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h11

from tests.support.viceroy import START_S, free_address
from tests.viceroy.case import Ask, Case, encoded

__all__ = ["Answer", "Runtime", "ours", "viceroy"]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
POLL_S = 0.02
LINE = re.compile(r"^.* :: .*$")
"""A line of a guest's log."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that a client saw of one answer, and what the host's log says meanwhile.

    Attributes:
        status: None if there was no answer at all.
        headers: in their order, names in lower case.
        body: what came of it.
        truncated: whether the connection ended before the answer did.
        trailers: fields after the last chunk.
        log: the guest's lines.
    """

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    truncated: bool = False
    trailers: tuple[tuple[str, str], ...] = ()
    log: tuple[str, ...] = ()


class Runtime:
    """A host that runs the guest while an `open` block does.

    Attributes:
        name: of the host, for people.
        port: where it takes clients.
    """

    def __init__(self, name: str, command: list[str], address: tuple[str, int], log: Path) -> None:
        self.name = name
        self.port = address[1]
        self._command = command
        self._address = address
        self._log = log

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[None]:
        """Start it with `folder` as working directory."""
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                self._command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait(process)
            yield
        finally:
            process.kill()
            process.wait()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until it answers, which our own does once the component is compiled."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            if self._ask(Ask(script="answer(b'ready')"), 0).status == 200:
                return
            time.sleep(POLL_S)
        raise AssertionError(f"{self.name} does not start:\n{self._log.read_text()}")

    def run(self, case: Case) -> tuple[Answer, ...]:
        """Return the answers to what a case asks."""
        return tuple(self._ask(ask, self._log.stat().st_size) for ask in case.asks)

    def _ask(self, ask: Ask, logged: int) -> Answer:
        """Ask once."""
        try:
            answer = _exchange(self._address, ask)
        except OSError as error:
            return Answer(body=type(error).__name__)
        return dataclasses.replace(answer, log=self._lines(logged, ask.lines))

    def _lines(self, begin: int, count: int) -> tuple[str, ...]:
        """Return what the guest logged, once there are so many lines; the client may be faster."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            text = self._log.read_bytes()[begin:].decode("utf-8", "replace")
            found = tuple(line for line in text.split("\n") if LINE.match(line))
            if len(found) >= count or time.monotonic() > deadline:
                return found if count else ()
            time.sleep(POLL_S)


def _exchange(address: tuple[str, int], ask: Ask) -> Answer:
    """Send a request and read its answer to the end."""
    request = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    with socket.create_connection(address, PATIENCE_S) as connection:
        connection.sendall(_request("{}:{}".format(*address), ask))
        # h11 only reads: what it has to be told of the request is whether it was a HEAD
        # or asks for another protocol
        method = ask.method if ask.method in ("HEAD", "CONNECT") else "GET"
        upgrade = [("connection", "upgrade"), ("upgrade", "websocket")] if ask.upgrade else []
        request.send(h11.Request(method=method, target="/", headers=[("host", "x"), *upgrade]))
        request.send(h11.EndOfMessage())
        return _answer(connection, request, ask)


def _request(host: str, ask: Ask) -> bytes:
    fields = [("Host", host), *ask.headers]
    if ask.script:
        fields.append(("X-Script", encoded(ask.script)))
    body = ask.body
    if ask.chunks or ask.trailers:
        fields.append(("Transfer-Encoding", "chunked"))
        pieces = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in ask.chunks)
        ends = "".join(f"{name}: {value}\r\n" for name, value in ask.trailers).encode("latin-1")
        body = pieces + b"0\r\n" + ends + b"\r\n"
    elif body:
        fields.append(("Content-Length", str(len(body))))
    head = [f"{ask.method} {ask.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def _answer(connection: socket.socket, reading: h11.Connection, ask: Ask) -> Answer:
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    body = b""
    truncated = True
    informational: list[int] = []
    with contextlib.suppress(h11.RemoteProtocolError):
        while True:
            event = reading.next_event()
            if event is h11.NEED_DATA:
                try:
                    data = connection.recv(65536)
                except TimeoutError:
                    body += b"<nothing more comes>"
                    break
                reading.receive_data(data)
            elif isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                informational.append(event.status_code)
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                status, headers = event.status_code, _fields(event.headers)
                if status == 101:
                    body = _upgraded(connection, reading.trailing_data[0], ask.upgrade)
                    truncated = False
                    break
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                trailers = _fields(event.headers)
                truncated = False
                break
            else:
                break
    headers += tuple(("status before", str(one)) for one in informational)
    text = body.decode("latin-1")
    return Answer(status=status, headers=headers, body=text, truncated=truncated, trailers=trailers)


def _upgraded(connection: socket.socket, begun: bytes, sent: bytes) -> bytes:
    """Send bytes through a connection that is no longer HTTP, and return as many."""
    connection.sendall(sent)
    received = begun
    while len(received) < len(sent) and (data := connection.recv(65536)):
        received += data
    return received


def _fields(headers: object) -> tuple[tuple[str, str], ...]:
    assert isinstance(headers, list | tuple) or hasattr(headers, "__iter__")
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def viceroy(wasm: Path, manifest: Path, proxy_port: int) -> Runtime:
    """Return the real one."""
    host, port = free_address()
    command = [
        *("viceroy", "serve", "-v", "--log-stdout", "--log-stderr", str(wasm), "-C", str(manifest)),
        *("--addr", f"{host}:{port}", f"--local-pushpin-proxy-port={proxy_port}"),
    ]
    return Runtime("Viceroy", command, (host, port), manifest.parent / "viceroy.log")


def ours(wasm: Path, manifest: Path, proxy_port: int) -> Runtime:
    """Return ours."""
    host, port = free_address()
    command = [
        *(sys.executable, "-c", "import sys; from host_sim.viceroy.command import main; main()"),
        *("serve", "-v", "--log-stdout", "--log-stderr", str(wasm), "-C", str(manifest)),
        *("--addr", f"{host}:{port}", f"--local-pushpin-proxy-port={proxy_port}"),
    ]
    return Runtime("here", command, (host, port), manifest.parent / "here.log")
