"""A real origin on sockets: says exactly what it received, and fails in all the usual ways.

Also stands in for Pushpin, since what is handed off is received like anything else.
"""

import contextlib
import gzip
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Self

__all__ = ["Origin"]

Fields = list[list[str]]
PATIENCE_S = 20.0


class Received:
    """One request as it came."""

    def __init__(self, file: BinaryIO) -> None:
        self.line = file.readline().decode("latin-1").rstrip("\r\n")
        self.fields = _fields(file)
        self.body = b""
        self.chunks = 0
        self.trailers: Fields = []
        self.complete = True
        named = {name.lower(): value for name, value in self.fields}
        self.path = self.line.partition(" ")[2].rpartition(" ")[0]
        try:
            if named.get("transfer-encoding") == "chunked":
                self._chunked(file)
            else:
                size = int(named.get("content-length", "0"))
                self.body = file.read(size)
                self.complete = len(self.body) == size
        except OSError:
            self.complete = False

    def _chunked(self, file: BinaryIO) -> None:
        self.complete = False
        while line := file.readline():
            size = int(line.split(b";")[0], 16)
            if size == 0:
                self.trailers = _fields(file)
                self.complete = True
                return
            self.chunks += 1
            self.body += file.read(size)
            file.readline()

    def described(self) -> dict[str, Any]:
        """Return everything, for JSON; how the content was cut in chunks is nobody's business.

        Field names are in lower case and `Host` comes first, but at the path `/raw`.
        """
        fields = self.fields
        if not self.path.startswith("/raw"):
            fields = [[name.lower(), value] for name, value in fields]
            fields.sort(key=lambda field: field[0] != "host")
        return {
            "line": self.line,
            "fields": fields,
            "body": self.body.decode("latin-1"),
            "trailers": self.trailers,
            "complete": self.complete,
        }


def _fields(file: BinaryIO) -> Fields:
    found: Fields = []
    while (line := file.readline().decode("latin-1").rstrip("\r\n")) != "":
        name, _, value = line.partition(":")
        found.append([name, value.strip()])
    return found


def _answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: chunked\r\n\r\n"
FIXED: dict[str, bytes] = {
    "/status/204": b"HTTP/1.1 204 No Content\r\nX-Kind: none\r\n\r\n",
    "/status/304": b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
    "/status/404": _answer(b"missing", status="404 Nowhere"),
    "/status/599": _answer(b"odd", status="599 Odd"),
    "/redirect": _answer(b"", "Location: /echo", status="302 Found"),
    "/fields": _answer(b"", "X-Two: 1", "x-other: o", "X-Two: 2", "X-Empty:", "X-High: caf\xe9"),
    "/gzip": _answer(gzip.compress(b"unpacked " * 9, mtime=0), "Content-Encoding: gzip"),
    "/x-gzip": _answer(gzip.compress(b"unpacked " * 9, mtime=0), "Content-Encoding: x-gzip"),
    "/gzip-broken": _answer(b"not gzip at all", "Content-Encoding: gzip"),
    "/gzip-cut": _answer(gzip.compress(b"unpacked " * 9, mtime=0)[:-1], "Content-Encoding: gzip"),
    "/gzip-and-more": _answer(gzip.compress(b"unpacked", mtime=0) + b"y", "Content-Encoding: gzip"),
    "/chunked": CHUNKED + _chunk(b"one ") + _chunk(b"two") + b"0\r\n\r\n",
    "/trailers": CHUNKED.replace(b"X-Kind: chunked", b"Trailer: X-Sum, X-Two")
    + _chunk(b"content")
    + b"0\r\nX-Sum: 7\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n",
    "/until-closed": b"HTTP/1.1 200 OK\r\nX-Kind: closed\r\n\r\nuntil closed",
    "/http10": b"HTTP/1.0 200 OK\r\nX-Kind: old\r\nContent-Length: 3\r\n\r\nold",
    "/early-hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + _answer(b"late"),
    "/head": b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
    "/large": _answer(b"0123456789abcdef" * 16384),
    # and those that break off
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
    "/cut-chunked": CHUNKED + _chunk(b"one "),
    "/cut-head": b"HTTP/1.1 200 OK\r\nX-Begun: ",
    "/drop": b"",
    "/garbage": b"this is not HTTP\r\n\r\n",
    "/bad-status": b"HTTP/1.1 2x0 OK\r\n\r\n",
}
WEBSOCKET = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class _Handler(socketserver.BaseRequestHandler):
    """Serves one connection, which is closed after one answer."""

    server: "_Server"

    def handle(self) -> None:
        connection = self.request
        connection.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError, ssl.SSLError):
            if self.server.tls is not None:
                connection = self.server.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as file:
                received = Received(file)
                if received.line:
                    self._serve(received, connection, file)
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, received: Received, connection: socket.socket, file: BinaryIO) -> None:
        path, _, query = received.path.partition("?")
        path = path.removeprefix("/base")
        if query.startswith("journal="):
            self.server.note(query, received)
        if path in FIXED:
            content = FIXED[path]
            connection.sendall(content)
        elif path == "/journal":
            connection.sendall(_answer(json.dumps(self.server.noted(query)).encode()))
        elif path == "/hang":  # until the other side goes
            file.read(1)
        elif path == "/hang-body":
            connection.sendall(CHUNKED + _chunk(b"one "))
            file.read(1)
        elif path == "/websocket":
            connection.sendall(WEBSOCKET)
            while data := connection.recv(65536):
                connection.sendall(data.upper())
        else:
            content = json.dumps(received.described() | self._tls_facts(connection)).encode()
            connection.sendall(_answer(content, "Content-Type: application/json"))

    def _tls_facts(self, connection: socket.socket) -> dict[str, Any]:
        if not isinstance(connection, ssl.SSLSocket):
            return {}
        shown: Any = connection.getpeercert()
        return {
            "protocol": connection.selected_alpn_protocol(),
            "server_name": self.server.names.pop(id(connection), None),
            "client": shown and [one[0][1] for one in shown["subject"]],
        }


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tls = tls
        self.names: dict[int, str | None] = {}
        self._journal: dict[str, dict[str, Any]] = {}
        self._change = threading.Condition()
        if tls is not None:
            tls.sni_callback = self._sni

    def _sni(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        self.names[id(connection)] = name

    def note(self, key: str, received: Received) -> None:
        """Keep what was received, for whoever asks for it in another request."""
        with self._change:
            self._journal[key] = received.described()
            self._change.notify_all()

    def noted(self, key: str) -> dict[str, Any] | None:
        """Return what was received under that key, as soon as it was."""
        with self._change:
            self._change.wait_for(lambda: key in self._journal, PATIENCE_S)
            return self._journal.pop(key, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: connections that break off are what some cases are about."""


class Origin:
    """Listens while a `with` block runs."""

    def __init__(self, tls: Callable[[], ssl.SSLContext] | None = None) -> None:
        self._server = _Server(None if tls is None else tls())
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
