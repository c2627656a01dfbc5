"""`fastly.toml`, `build.sh` and our stand-ins for `viceroy` and `pushpin`, used by the Fastly CLI.

The CLI comes from npm where that is at hand; nothing here needs an account.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
import websockets

from host_sim.pushpin.process import free_addresses
from host_sim.sandbox.loading.cache import default_folder
from tests.support import viceroy
from tests.support.artifacts import MANIFEST, artifact
from tests.support.node import installed
from tests.support.project import copy_project
from tests.support.waiting import PATIENCE_S, soon

pytestmark = [pytest.mark.wasm, pytest.mark.slow]

with_own_cli = pytest.mark.skipif(
    shutil.which("fastly") is None, reason="the Fastly CLI is not installed"
)
SCRIPTS = Path(sys.executable).parent
OURS = SCRIPTS / "host-sim-viceroy"

NAME = tomllib.loads(MANIFEST.read_text())["name"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, as it is after `make build`."""
    project = copy_project(tmp_path / "project")
    (project / "bin").mkdir()
    shutil.copy2(artifact("main"), project / "bin")
    return project


def environment(project: Path) -> dict[str, str]:
    """Return an environment in which the CLI has no account and a home of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FASTLY_")}
    home = str(project.parent)
    cache = str(default_folder().parent)
    return {**kept, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": cache}


def fastly(project: Path, *arguments: str) -> str:
    """Run the CLI to its end and return what it printed; failing is an error."""
    done = subprocess.run(
        ["fastly", "compute", *arguments, "--non-interactive", "--accept-defaults"],
        cwd=project,
        env=environment(project),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@with_own_cli
def test_the_cli_builds_packs_and_validates(project: Path) -> None:
    manifest = (project / "fastly.toml").read_bytes()
    fastly(project, "build")
    package = project / "pkg" / f"{NAME}.tar.gz"
    with tarfile.open(package) as archive:
        assert {f"{NAME}/fastly.toml", f"{NAME}/bin/main.wasm"} <= set(archive.getnames())
    package.unlink()
    fastly(project, "pack", "--wasm-binary", "bin/main.wasm")
    assert "Validated package" in fastly(project, "validate", "--package", f"pkg/{NAME}.tar.gz")
    assert (project / "fastly.toml").read_bytes() == manifest, "the CLI had nothing to mend in it"


@with_own_cli
def test_a_build_that_fails_fails_the_clis_build_with_our_reason(project: Path) -> None:
    (project / "wit" / "world.wit").write_text("package fastly:compute@0.1.0;\ninterface {\n")
    with pytest.raises(AssertionError, match=r"build\.sh: wit/: "):
        fastly(project, "build")


class Serving:
    """A `fastly compute serve` and what it prints.

    Attributes:
        output: all of it, so far.
        session: the processes it starts are in this session.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading = asyncio.create_task(self._read())
        self.output = ""
        self.session = process.pid

    async def prints(self, pattern: str) -> re.Match[str]:
        """Wait until something matches, and return it."""
        async with asyncio.timeout(2 * viceroy.START_S):
            while (found := re.search(pattern, self.output)) is None:
                assert not self._reading.done(), self.output
                await asyncio.sleep(0.01)
        return found

    async def end(self) -> int:
        """Tell the CLI alone to end, and wait for that."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait until all of it has ended; return the CLI's exit code."""
        async with asyncio.timeout(PATIENCE_S):
            await self._reading
            return await self._process.wait()

    def left(self) -> list[str]:
        """Return what still runs of it."""
        running = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == self.session:
                    running.append((entry / "cmdline").read_text().replace("\0", " "))
        return [command for command in running if command]  # none: it only waits to be reaped

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.output += line.decode("utf-8", "replace")


@contextlib.asynccontextmanager
async def serving(
    project: Path, cli: Path, port: int, more: Mapping[str, str], viceroy_path: Path = OURS
) -> AsyncIterator[Serving]:
    """Let the CLI serve a project with our `viceroy`, or another one."""
    process = await asyncio.create_subprocess_exec(
        *(str(cli), "compute", "serve", "--skip-build", "--non-interactive", "-v"),
        *("--viceroy-path", str(viceroy_path), "--addr", f"127.0.0.1:{port}"),
        cwd=project,
        env={**environment(project), **more},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    serving = Serving(process)
    try:
        yield serving
    finally:
        await serving.end()


@pytest.fixture
def cli(request: pytest.FixtureRequest) -> Path:
    """The CLI from npm, without the wrapper that would stand between it and signals."""
    assert request.config.cache is not None
    folder = installed(Path(__file__).parent / "fastly_cli" / "npm", request.config.cache)
    binaries = list(folder.glob("node_modules/@fastly/cli-*/fastly"))
    if not binaries:
        pytest.skip("there is no Fastly CLI for this platform")
    return binaries[0]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """What of a project is needed to serve it: the manifest, without Pushpin, and the artifact."""
    (tmp_path / "project" / "bin").mkdir(parents=True)
    shutil.copy2(artifact("main"), tmp_path / "project" / "bin")
    manifest, _, _ = MANIFEST.read_text().partition("[local_server.pushpin]")
    (tmp_path / "project" / "fastly.toml").write_text(manifest)
    return tmp_path / "project"


async def check_transports(port: int, publish_url: str) -> None:
    """A plain answer, a stream and a WebSocket, both with a message that is published."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        url = f"http://127.0.0.1:{port}"
        response = await client.get(f"{url}/stream", headers={"Grip-Sig": "forged"})
        assert (response.status_code, response.text) == (403, "forbidden\n")
        async with (
            client.stream("GET", f"{url}/stream") as stream,
            websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as ws,
        ):
            await ws.send("echo")
            assert await ws.recv() == "echo"
            formats = {"http-stream": {"content": "hello\n"}, "ws-message": {"content": "hello"}}
            items = {"items": [{"channel": "test", "formats": formats}]}
            published = await client.post(publish_url, json=items)
            assert published.status_code == 200
            assert await anext(stream.aiter_text()) == "hello\n"
            assert await ws.recv() == "hello"


async def test_the_cli_serves_with_our_viceroy_alone(served: Path, cli: Path) -> None:
    """§5.2, §5.3 way 1: without Pushpin; Fanout is in the same process."""
    [(_, port)] = free_addresses("127.0.0.1", [0])
    async with serving(served, cli, port, {}) as serve:
        await serve.prints(rf"Z  INFO Listening on http://127\.0\.0\.1:{port}\n")
        assert "Viceroy version: viceroy 0.22.0" in serve.output
        elsewhere = re.search(r"publishers will be at (\S+)", serve.output)  # 5561 was taken
        await check_transports(
            port, f"{elsewhere[1] if elsewhere else 'http://127.0.0.1:5561'}/publish/"
        )
        await serve.prints("Z  INFO request{id=0}: handling request GET http://127.0.0.1:")
        await serve.prints("Pushpin handoff signaled to backend 'self'")
    await soon(lambda: not serve.left())


async def test_ctrl_c_in_the_terminal_ends_both(served: Path, cli: Path) -> None:
    """§5.2: the whole group has the signal; the CLI would start anew what ends with 0."""
    [(_, port)] = free_addresses("127.0.0.1", [0])
    async with serving(served, cli, port, {}) as serve:
        await serve.prints("Z  INFO Listening on")
        os.killpg(serve.session, signal.SIGINT)
        assert await serve.ended() == 0
        assert serve.output.count("Z  INFO Listening on") == 1
    await soon(lambda: not serve.left())


@pytest.mark.skipif(viceroy.missing(), reason="Viceroy is not installed")
async def test_the_cli_serves_with_the_real_viceroy(served: Path, cli: Path) -> None:
    """It tells the same things in the same lines, and the service answers the same."""
    [(_, port)] = free_addresses("127.0.0.1", [0])
    real = Path(str(shutil.which("viceroy")))
    async with serving(served, cli, port, {}, real) as serve:
        await serve.prints(rf"Z  INFO Listening on http://127\.0\.0\.1:{port}\n")
        assert "Viceroy version: viceroy " in serve.output
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            url = f"http://127.0.0.1:{port}/stream"
            response = await client.get(url, headers={"Grip-Sig": "forged"})
        assert (response.status_code, response.text) == (403, "forbidden\n")
        await serve.prints(r"Z  INFO request{id=0}: handling request GET http://127.0.0.1:")


@pytest.mark.parametrize("found", ["by path", "by name"])
async def test_the_cli_serves_with_our_viceroy_and_our_pushpin(
    served: Path, cli: Path, tmp_path: Path, found: str
) -> None:
    """§5.3 way 2: `pushpin_path` names it, or it is called `pushpin` on the `PATH`."""
    (_, port), (_, proxy_port), (_, publish_port) = free_addresses("127.0.0.1", [0, 0, 0])
    program = SCRIPTS / "host-sim-pushpin"
    more = {}
    path = f'pushpin_path = "{program}"\n'
    if found == "by name":
        (tmp_path / "path").mkdir()
        (tmp_path / "path" / "pushpin").symlink_to(program)
        more = {"PATH": f"{tmp_path / 'path'}{os.pathsep}{os.environ['PATH']}"}
        path = ""
    manifest = (served / "fastly.toml").read_text().replace(":7676", f":{port}")
    (served / "fastly.toml").write_text(
        f"{manifest}[local_server.pushpin]\nenable = true\n{path}"
        f"proxy_port = {proxy_port}\npublish_port = {publish_port}\n"
    )
    async with serving(served, cli, port, more) as serve:
        await serve.prints(r" INFO \[Pushpin\] started\n")
        await serve.prints(rf"Z  INFO Listening on http://127\.0\.0\.1:{port}\n")
        await check_transports(port, f"http://127.0.0.1:{publish_port}/publish/")
        await serve.prints(r"Handoff target 'Pushpin \[self\]' responded with status: 200 OK\.")
    await soon(lambda: not serve.left())


@pytest.mark.parametrize("wasm", ["missing.wasm", "fastly.toml"])
async def test_the_cli_tells_that_our_viceroy_cannot_start(
    served: Path, cli: Path, wasm: str
) -> None:
    """§5.2: anything but 0 ends the CLI too, with 1."""
    process = await asyncio.create_subprocess_exec(
        *(str(cli), "compute", "serve", "--file", wasm, "--non-interactive", "-v"),
        *("--viceroy-path", str(OURS), "--addr", "127.0.0.1:1"),
        cwd=served,
        env=environment(served),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 1
    assert b"error: invalid value" in printed
