"""A real Pushpin of one test (Debian package `pushpin`), in front of one backend."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Self

from host_sim.messages import Address
from tests.support.waiting import PATIENCE_S

__all__ = ["Pushpin", "missing"]

# The built-in test handler below /ready tells when Pushpin's processes have found each other.
ROUTES = """\
*,id=backend {host}:{port},over_http
*,path_beg=/ready test
"""
CONFIG = """\
[global]
include={{libdir}}/internal.conf
rundir={work}/run
ipc_prefix=p-
port_offset=0
stats_connection_ttl=120

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{port}
logdir={work}/log
log_level=2
client_buffer_size=8192
client_maxconn=500
condure_bin=condure
zurl_bin=zurl

[proxy]
zurl_out_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in
zurl_out_stream_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in-stream
zurl_in_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-out
routesfile=routes
sig_iss={issuer}
sig_key={key}
updates_check=off

[handler]
push_in_spec=ipc://{{rundir}}/push-in
push_in_sub_specs=ipc://{{rundir}}/push-sub
push_in_http_addr=127.0.0.1
push_in_http_port={publish_port}
command_spec=ipc://{{rundir}}/command
stats_spec=ipc://{{rundir}}/stats
message_rate=2500
message_hwm=25000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
stats_subscription_ttl=60
"""


def missing() -> bool:
    """Tell whether Pushpin is not installed here."""
    return shutil.which("pushpin") is None


class Pushpin:
    """Runs while an `async with` block does.

    Attributes:
        address: where it takes clients.
        publish_address: where it takes publishers.
    """

    def __init__(self, backend: Address, *, issuer: str, key: str) -> None:
        self._backend = backend
        self._issuer = issuer
        self._key = key
        self.address, self.publish_address = _free_addresses(2)

    async def __aenter__(self) -> Self:
        # A short path: those of Unix sockets may not be long.
        self._work = Path(tempfile.mkdtemp(prefix="pp.", dir="/tmp"))
        for name in ("run", "log"):
            (self._work / name).mkdir()
        host, port = self._backend
        (self._work / "routes").write_text(ROUTES.format(host=host, port=port))
        config = self._work / "pushpin.conf"
        config.write_text(
            CONFIG.format(
                work=self._work,
                port=self.address[1],
                publish_port=self.publish_address[1],
                issuer=self._issuer,
                key=self._key,
            )
        )
        with (self._work / "log" / "runner.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                "pushpin", f"--config={config}", stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(3 * PATIENCE_S):
                while not await self._is_ready():
                    assert self._process.returncode is None, "Pushpin has ended"
                    await asyncio.sleep(0.05)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()
        shutil.rmtree(self._work, ignore_errors=True)

    async def _is_ready(self) -> bool:
        # A request that comes too early is never answered, so each attempt has its own patience.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(*self.address)
                try:
                    writer.write(b"GET /ready/stream HTTP/1.1\r\nHost: ready\r\n\r\n")
                    return b" 200 " in await reader.readuntil(b"\r\n")
                finally:
                    writer.close()
        return False


def _free_addresses(count: int) -> list[Address]:
    """Return addresses nobody listens at: Pushpin cannot say which port it was given."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname() for free in sockets]
