"""`fastly.toml` and `build.sh` as the real Fastly CLI uses them; skipped where it is not installed.

`npm install @fastly/cli` brings it; nothing here needs an account or a network.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tarfile
import tomllib
from pathlib import Path

import httpx
import pytest

from tests.support import viceroy
from tests.support.artifacts import MANIFEST, artifact
from tests.support.project import copy_project

pytestmark = [
    pytest.mark.wasm,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("fastly") is None, reason="the Fastly CLI is not installed"),
]

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
    return {**kept, "HOME": str(project.parent), "XDG_CONFIG_HOME": str(project.parent)}


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


def test_a_build_that_fails_fails_the_clis_build_with_our_reason(project: Path) -> None:
    (project / "wit" / "world.wit").write_text("package fastly:compute@0.1.0;\ninterface {\n")
    with pytest.raises(AssertionError, match=r"build\.sh: wit/: "):
        fastly(project, "build")


@pytest.mark.skipif(viceroy.missing(), reason="Viceroy is not installed")
async def test_the_cli_serves_what_is_built(project: Path) -> None:
    path = project / "fastly.toml"
    # Debian's Pushpin does not start with the configuration the CLI writes for it.
    path.write_text(path.read_text().replace("[local_server.pushpin]\nenable = true\n", ""))
    host, port = viceroy.free_address()
    process = await asyncio.create_subprocess_exec(
        *("fastly", "compute", "serve", "--skip-build", "--non-interactive"),
        *("--viceroy-path", str(shutil.which("viceroy")), "--addr", f"{host}:{port}"),
        cwd=project,
        env=environment(project),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    printed = b""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(viceroy.START_S):
            while b"Listening on http" not in printed:
                more = await process.stdout.read(4096)
                assert more, printed
                printed += more
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            response = await client.get(
                f"http://{host}:{port}/stream", headers={"Grip-Sig": "forged"}
            )
        assert response.status_code == 403
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
