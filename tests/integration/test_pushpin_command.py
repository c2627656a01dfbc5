"""`host-sim-pushpin` in the place of `pushpin`, as the Fastly CLI starts it (compute-host §5.3)."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from host_sim.pushpin.process import free_addresses
from tests.support.backend import Backend
from tests.support.raw import Raw
from tests.support.waiting import PATIENCE_S

COMMAND = [
    *(sys.executable, "-c"),
    "from host_sim.pushpin.command import main; raise SystemExit(main())",
]
LINE = re.compile(r"\[(ERR|WARN|INFO|DEBUG)\] \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S.*")
CONFIG = """\
[global]
include={{libdir}}/internal.conf
rundir={folder}/pushpin-run
ipc_prefix=pushpin-
port_offset=0

[runner]
services=connmgr,proxy,handler
http_port={http}
logdir=pushpin-logs
log_level=2
client_buffer_size=8192
client_maxconn=50000
allow_compression=false

[proxy]
routesfile={folder}/pushpin-routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
accept_pushpin_route=true
sig_iss=viceroy
sig_key=viceroy_dev_signing_key_dont_use_in_production

[handler]
push_in_spec=tcp://127.0.0.1:5562
push_in_sub_specs=tcp://127.0.0.1:5563
push_in_sub_connect=false
push_in_http_addr=127.0.0.1
push_in_http_port={publish}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=65536
command_spec=tcp://127.0.0.1:5564
message_rate=2500
message_hwm=25000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
"""


class Files:
    """What the CLI writes: the configuration, and routes to one backend called `api`."""

    def __init__(self, folder: Path, backend: tuple[str, int]) -> None:
        self.http, self.publish = (port for _, port in free_addresses("127.0.0.1", [0, 0]))
        self.config = folder / "pushpin-x.conf"
        self.config.write_text(
            CONFIG.format(folder=folder, http=f"127.0.0.1:{self.http}", publish=self.publish)
        )
        host, port = backend
        (folder / "pushpin-routes").write_text(f"id=api {host}:{port},over_http\n")


@contextlib.asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str]]]:
    """Run it; gives the process, and the lines it prints until one that ends in `started`."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (lines and lines[-1].endswith("started")):
                line = await process.stdout.readline()
                assert line, f"it ended: {lines}"
                lines.append(line.decode().rstrip("\n"))
        yield process, lines
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        rest, _ = await process.communicate()
        lines += rest.decode().splitlines()


async def hold(raw: Raw) -> None:
    """Let the client wait for what is published to `c`."""
    await raw.until(b"\r\n\r\n")
    raw.send(b"HTTP/1.1 200 OK\r\nGrip-Hold: response\r\nGrip-Channel: c\r\n")
    raw.send(b"Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_it_holds_publishes_and_ends_when_it_is_told_to(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with Backend(hold) as backend:
        files = Files(tmp_path, backend.address)
        arguments = (f"--config={files.config}", "--verbose")
        async with (
            started(*arguments) as (process, lines),
            httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client,
        ):
            url = f"http://127.0.0.1:{files.http}/x"
            poll = asyncio.create_task(client.get(url, headers={"Pushpin-Route": "api"}))
            item = {"channel": "c", "formats": {"http-response": {"body": "hello"}}}
            publish = f"http://127.0.0.1:{files.publish}/publish/"
            while not poll.done():  # until it is held, and somebody gets it
                response = await client.post(publish, json={"items": [item]})
                assert response.text == "Published\n"
                await asyncio.wait([poll], timeout=0.05)
            assert (await poll).text == "hello"
            process.send_signal(number)
            code = await process.wait()
            assert code == (-number if number == signal.SIGKILL else 0)
            with pytest.raises(httpx.ConnectError):
                await client.get(url)
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert lines[0].endswith("starting...")
    assert any("not obeyed: " in line for line in lines)
    assert any(line.startswith("[INFO] ") and "held (response) on c" in line for line in lines)


async def test_without_verbose_little_is_said(tmp_path: Path) -> None:
    files = Files(tmp_path, ("127.0.0.1", 1))
    [(_, port)] = free_addresses("127.0.0.1", [0])
    arguments = ("--config", str(files.config), "--merge-output", f"--port=127.0.0.1:{port}")
    async with started(*arguments) as (_, lines):
        assert lines[-2].endswith(
            f"clients: 127.0.0.1:{port}, publishers: 127.0.0.1:{files.publish}"
        )
    assert not [line for line in lines if line.startswith("[DEBUG]")]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, r"pushpin 1\.41\.0\n"),
        (
            ["--config=none.conf"],
            1,
            r"\[ERR\] .* cannot read none\.conf: No such file or directory\n",
        ),
        (["--port=x"], 2, r"usage: pushpin (?s:.*)expected \[ADDR:\]PORT, got 'x'\n"),
    ],
)
def test_what_ends_at_once(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    lines = (done.stdout + done.stderr).splitlines(keepends=True)
    assert re.fullmatch(said, "".join(line for line in lines if "starting..." not in line))


def test_an_address_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    files = Files(tmp_path, ("127.0.0.1", 1))
    config = files.config.read_text().replace(f"127.0.0.1:{files.http}", "192.0.2.1:80")
    files.config.write_text(config)
    done = subprocess.run(
        [*COMMAND, f"--config={files.config}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("[ERR] ")
    assert "192.0.2.1:80" in last
