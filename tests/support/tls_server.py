"""An HTTP/1.1 server behind TLS that tells what it saw of the handshake."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority

__all__ = ["TlsServer"]


class TlsServer:
    """Answers every request with what the handshake said.

    Attributes:
        port: where it listens, on 127.0.0.1.
        authority: who signed its certificate, and whose clients it believes.
        handshakes: the server names (SNI) that clients sent, None for none.
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.port = 0
        self.handshakes: list[str | None] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        folder: Path,
        name: str,
        *,
        asks_client: bool = False,
        versions: tuple[ssl.TLSVersion, ssl.TLSVersion] | None = None,
    ) -> AsyncIterator["TlsServer"]:
        """Run one with a certificate for `name`."""
        self = cls(Authority())
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.authority.pem)
        context.load_cert_chain(*self.authority.issue_files(name, folder))
        context.sni_callback = self._note
        if asks_client:
            context.verify_mode = ssl.CERT_REQUIRED
        if versions is not None:
            context.minimum_version, context.maximum_version = versions
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    def _note(self, _socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self.handshakes.append(name)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
            certificate: Any = connection.getpeercert() or {}
            names = [value for _, value in certificate.get("subjectAltName", ())]
            content = json.dumps(
                {"sni": self.handshakes[-1], "version": connection.version(), "client": names}
            ).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(content)
            )
            writer.write(content)
            await writer.drain()
        writer.close()
