"""`host-sim proxy --config` in the place of `pushpin --config` (GRIP §2.5, compute-host §5.3)."""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import jwt
import pytest

from host_sim.pushpin.process import free_addresses
from tests.support.artifacts import ROOT
from tests.support.backend import Backend
from tests.support.certificates import Authority
from tests.support.raw import Raw
from tests.support.waiting import PATIENCE_S

DEBIAN = Path("/etc/pushpin/pushpin.conf")
KEY = "viceroy_dev_signing_key_dont_use_in_production"
CONFIG = """\
[global]
include={{libdir}}/internal.conf
rundir=run
ipc_prefix=pushpin-

[runner]
services=connmgr,proxy,handler
http_port=127.0.0.1:{http}
https_ports=127.0.0.1:{https}
client_maxconn=50000

[proxy]
routesfile=routes
set_x_forwarded_protocol=proto-only
accept_pushpin_route=true
sig_iss=viceroy
sig_key={key}

[handler]
push_in_http_addr=127.0.0.1
push_in_http_port={publish}
push_in_http_max_body_size=65536
"""


@contextlib.asynccontextmanager
async def proxy(*arguments: str) -> AsyncIterator[list[str]]:
    """Run `host-sim proxy`; gives the lines it prints until it has started."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "host_sim", "proxy", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(3 * PATIENCE_S):
            while not (lines and lines[-1].endswith("started\n")):
                line = await process.stdout.readline()
                assert line, f"it ended: {lines}"
                lines.append(line.decode())
        yield lines
    finally:
        process.terminate()
        _, said = await process.communicate()
        lines.append(said.decode())


async def test_the_files_of_the_fastly_cli(tmp_path: Path) -> None:
    """Command, ports, routes, signature, and the line the CLI waits for."""
    heads: list[bytes] = []

    async def script(raw: Raw) -> None:
        heads.append(await raw.until(b"\r\n\r\n"))
        raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    http, https, publish = (port for _, port in free_addresses("127.0.0.1", [0, 0, 0]))
    config = tmp_path / "pushpin.conf"
    config.write_text(CONFIG.format(http=http, https=https, publish=publish, key=KEY))
    certificates = tmp_path / "runner" / "certs"
    certificates.mkdir(parents=True)
    authority = Authority()
    certificate, key = authority.issue("127.0.0.1")
    (certificates / f"default_{https}.crt").write_text(certificate)
    (certificates / f"default_{https}.key").write_text(key)
    trusting = ssl.create_default_context(cadata=authority.pem)

    async with Backend(script) as backend:
        host, port = backend.address
        route = f"id=api,replace_beg=/v1 {host}:{port},over_http,host=api.example\n"
        (tmp_path / "routes").write_text(route)
        async with (
            proxy(f"--config={config}", "--verbose") as lines,
            httpx.AsyncClient(trust_env=False, verify=trusting) as client,
        ):
            named = {"Pushpin-Route": "api"}
            for url in (f"http://127.0.0.1:{http}/a?b", f"https://127.0.0.1:{https}/a?b"):
                response = await client.get(url, headers=named)
                assert (response.status_code, response.text) == (200, "hi")
            assert (await client.get(f"http://127.0.0.1:{http}/")).status_code == 502
            items = f"http://127.0.0.1:{publish}/publish/"
            assert (await client.post(items, content="x" * 65537)).status_code == 400
            assert (await client.post(items, json={"items": []})).status_code == 200
    assert "runner/services" in lines[-1]
    plain, tls = (head.decode() for head in heads)
    assert plain.startswith("GET /v1/a?b HTTP/1.1\r\n")
    assert "Host: api.example\r\n" in plain
    assert "X-Forwarded-Proto" not in plain
    assert "X-Forwarded-Proto: https\r\n" in tls
    [token] = [line[10:] for line in plain.split("\r\n") if line.startswith("Grip-Sig: ")]
    jwt.decode(token, KEY, algorithms=["HS256"], issuer="viceroy")


@pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's package pushpin is not installed")
async def test_the_files_of_debians_package() -> None:
    """They have one route, to the built-in target; the command line wins over the ports."""
    free = ("--addr=127.0.0.1:0", "--publish-addr=127.0.0.1:0")
    async with (
        proxy(f"--config={DEBIAN}", *free) as lines,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        [url] = [line.split()[1] for line in lines if line.startswith("  fanout")]
        assert (await client.get(url)).status_code == 200
        async with client.stream("GET", f"{url}/stream") as response:
            assert response.status_code == 200
            async for piece in response.aiter_text():
                assert piece == "[stream opened]\n"
                break


async def test_without_configuration_the_options_are_asked_for() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "host_sim", "proxy", "--sig-iss=i"),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"expected --route, --sig-key, or --config" in said
