"""A Pushpin of our own: its configuration written, its processes started, waited for and ended.

It runs in a temporary folder below a `keeper`, so that it ends with this process whatever becomes
of it. What it says goes to the logger `host_sim.pushpin`. Source: GRIP §2.5; compute-host §5.3.
"""

import asyncio
import base64
import collections
import contextlib
import dataclasses
import logging
import random
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from grip.headers import Headers
from grip.keys import Key
from host_sim.body import Body
from host_sim.errors import BackendError, BodyError, StartError
from host_sim.http1.client import HttpClient
from host_sim.messages import Address, Request
from host_sim.pushpin import keeper
from host_sim.trace import Trace

__all__ = ["READY_ROUTE", "Pushpin", "PushpinSettings", "free_addresses", "quoted"]

log = logging.getLogger("host_sim.pushpin")

READY_S: Final = 30.0
"""How long Pushpin may take until it can hold a request."""

READY_ROUTE = "host-sim-ready"
"""Name of the route to Pushpin's built-in test handler, which shows that a hold works."""

_FREE_PORTS: Final = range(20_000, 32_768)
"""Where a free port is looked for first: not among those that systems lend to outgoing connections
(Linux from 32768, others from 49152), one of which could take it before Pushpin does."""

_PROGRAM = "pushpin"
_ATTEMPT_S = 1.0  # a request that comes too early is never answered
_PAUSE_S = 0.05
_SETTLE_S = 1.0

_LINE = re.compile(r"\[(\w+)\] \S+ \S+ (.*)")
_LEVELS = {"ERR": logging.ERROR, "ERROR": logging.ERROR, "WARN": logging.WARNING}

# Names of processes and sockets as in Debian's package, limits as for our own proxy.
_CONFIG = """\
[global]
include={{libdir}}/internal.conf
rundir={folder}
ipc_prefix=p-

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port={address}
log_level=2
client_buffer_size=70656
client_maxconn=5000
condure_bin=condure
zurl_bin=zurl

[proxy]
zurl_out_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in
zurl_out_stream_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in-stream
zurl_in_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-out
routesfile=routes
set_x_forwarded_protocol=proto-only
accept_pushpin_route=true
sig_iss={sig_iss}
sig_key={sig_key}
updates_check=off

[handler]
push_in_spec=ipc://{{rundir}}/push-in
push_in_sub_specs=ipc://{{rundir}}/push-sub
push_in_http_addr={publish_host}
push_in_http_port={publish_port}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
command_spec=ipc://{{rundir}}/command
stats_spec=ipc://{{rundir}}/stats
message_rate=2500
message_hwm=25000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
stats_connection_ttl=120
stats_subscription_ttl=60
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PushpinSettings:
    """What a Pushpin is to do.

    Attributes:
        address: where it takes clients.
        publish_address: where it takes publishers.
        routes: lines of its `routes` file.
        sig_iss: issuer in `Grip-Sig`.
        sig_key: key of `Grip-Sig`.
    """

    address: Address
    publish_address: Address
    routes: tuple[str, ...]
    sig_iss: str
    sig_key: Key


class Pushpin:
    """One Pushpin; `start`, `ready`, `stop`."""

    def __init__(self, settings: PushpinSettings) -> None:
        """Describe it; nothing happens before `start`."""
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._last_lines: collections.deque[str] = collections.deque(maxlen=5)
        self._stopping = False

    async def start(self) -> None:
        """Start its processes.

        Raises:
            StartError: it is not installed.
        """
        program = shutil.which(_PROGRAM)
        if program is None:
            raise StartError(
                f"cannot find the program {_PROGRAM!r}: install it (Debian: apt install pushpin), "
                "or leave --fanout out"
            )
        # A short path: those of Unix sockets may not be long.
        folder = Path(tempfile.mkdtemp(prefix="pushpin-"))
        try:
            self._write(folder)
            command = (program, f"--config={folder / 'pushpin.conf'}", "--merge-output")
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", keeper.__file__, str(folder), *command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours, and ends Pushpin in its turn
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._listening = asyncio.create_task(self._listen(self._process))

    async def ready(self) -> None:
        """Wait until it can hold requests.

        Raises:
            StartError: it ended, or takes too long.
        """
        assert self._listening is not None
        client = HttpClient(keep_idle_s=0)
        try:
            async with asyncio.timeout(READY_S):
                while not await self._holds(client):
                    if self._listening.done():
                        raise StartError(f"pushpin has ended: {self._said()}")
                    await asyncio.sleep(_PAUSE_S)
                # Its processes find each other one by one; what they send too early is lost, a
                # handshake for example, and a hold does not take all the ways there are.
                await asyncio.sleep(_SETTLE_S)
        except TimeoutError:
            raise StartError(
                f"pushpin was not ready within {READY_S:g} s: {self._said()}"
            ) from None
        finally:
            await client.close()

    async def stop(self) -> None:
        """End its processes; what it holds is cut off."""
        self._stopping = True
        if self._process is None or self._listening is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._listening
        self._process = None

    def _write(self, folder: Path) -> None:
        settings = self._settings
        match settings.sig_key.material:
            case bytes(secret):
                key = "base64:" + base64.b64encode(secret).decode()  # nothing to be escaped
            case str(pem):
                (folder / "key.pem").write_bytes(_as_pkcs8(pem))
                key = f"file:{folder / 'key.pem'}"
            case _:
                raise StartError("expected a secret or the text of a PEM as key of Grip-Sig")
        config = _CONFIG.format(
            folder=folder,
            address=_authority(settings.address),
            publish_host=settings.publish_address[0],
            publish_port=settings.publish_address[1],
            sig_iss=quoted(settings.sig_iss),
            sig_key=key,
        )
        lines = (*settings.routes, f"id={READY_ROUTE} test", "")
        (folder / "pushpin.conf").write_text(config)
        (folder / "routes").write_text("\n".join(lines))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Log what it says, and that it has ended."""
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            found = _LINE.fullmatch(line)
            level = _LEVELS.get(found[1], logging.DEBUG) if found else logging.INFO
            text = found[2] if found else line
            if level > logging.DEBUG:
                self._last_lines.append(text)
            log.log(level, "pushpin: %s", text)
        code = await process.wait()
        if not self._stopping:
            log.error("pushpin has ended (exit code %d); nobody can be handed off any more", code)

    def _said(self) -> str:
        return "; ".join(self._last_lines) or "it did not say why"

    async def _holds(self, client: HttpClient) -> bool:
        """Tell whether its test handler's stream is held: all of its processes work together."""
        request = Request(
            method="GET",
            scheme="http",
            authority=READY_ROUTE,
            target="/stream",
            headers=Headers([("Host", READY_ROUTE), ("Pushpin-Route", READY_ROUTE)]),
            body=Body.of(b""),
            client=None,
            server=None,
            trace=Trace(method="GET", target="/stream", internal=True),
        )
        host, port = self._settings.address
        with contextlib.suppress(BackendError, BodyError):
            response = await client.send(
                request,
                backend=_PROGRAM,
                host=host,
                port=port,
                first_byte_timeout_s=_ATTEMPT_S,
            )
            await response.body.aclose()
            return response.status == 200
        return False


def _as_pkcs8(pem: str) -> bytes:
    """Return a private key in the form Pushpin reads; of the other one it makes no signatures."""
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except ValueError as error:
        raise StartError("the key of Grip-Sig cannot sign: it is not a private key") from error
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def quoted(text: str) -> str:
    """Return a value as Pushpin's files take it, whatever is in it."""
    if re.fullmatch(r"[\w.:/-]*", text, re.ASCII):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def free_addresses(host: str, ports: Iterable[int]) -> list[Address]:
    """Return an address for each port, a free one for 0: Pushpin cannot say which it was given.

    Raises:
        StartError: the host is not one of this machine.
    """
    with contextlib.ExitStack() as stack:
        return [(host, port or _free_port(host, stack)) for port in ports]


def _free_port(host: str, stack: contextlib.ExitStack) -> int:
    for port in random.sample(_FREE_PORTS, 20):
        with contextlib.suppress(StartError):
            return _bound(host, port, stack)
    return _bound(host, 0, stack)


def _bound(host: str, port: int, stack: contextlib.ExitStack) -> int:
    """Keep a port until the stack is closed and return it; 0 for any."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        free = stack.enter_context(socket.socket(family))
        free.bind((host, port))
    except OSError as error:
        raise StartError(f"cannot listen on {host}: {error.strerror or error}") from error
    return int(free.getsockname()[1])


def _authority(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
