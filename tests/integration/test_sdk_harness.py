"""The vendor's SDK tests services with a Viceroy; here it does so with ours (compute-host §6).

A project as its users write them (`sdk_harness`) runs in an environment of its own, which has the
SDK, its harness and the frameworks from PyPI, and nothing of ours but the program `VICEROY` names.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.artifacts import ROOT

pytestmark = [pytest.mark.wasm, pytest.mark.slow]

SOURCE = Path(__file__).parent / "sdk_harness"
PACKAGE = SOURCE / "sdk_checks"
VICEROY = Path(sys.executable).parent / "host-sim-viceroy"


OFFLINE = re.compile(r"error sending request|dns error|failed to connect|timed out", re.IGNORECASE)


def run(*command: str | Path) -> None:
    """Run a tool; without a network that is a reason to skip."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0 and OFFLINE.search(said):
        pytest.skip("the SDK's packages are not here yet, and their registry is out of reach")
    assert done.returncode == 0, said


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> Path:
    """Python in an environment with the packages of the lock file; made when that has changed."""
    assert pytestconfig.cache is not None
    lock = SOURCE / "requirements.lock"
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = pytestconfig.cache.mkdir("sdk-harness") / key
    uv = Path(sys.executable).parent / "uv"
    if not folder.exists():
        new = folder.with_suffix(".new")
        run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, "--relocatable", new)
        run(uv, "pip", "install", "--quiet", "--python", new, "--require-hashes", "-r", lock)
        new.rename(folder)
    [packages] = folder.glob("lib/python*/site-packages")
    shutil.rmtree(packages / PACKAGE.name, ignore_errors=True)
    shutil.copytree(PACKAGE, packages / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def service(python: Path) -> Path:
    """The service of the project, built by the vendor's tool if it has changed."""
    lock, source = (SOURCE / "requirements.lock", PACKAGE / "service.py")
    digest = hashlib.sha256(lock.read_bytes() + source.read_bytes()).hexdigest()[:16]
    path = ROOT / "bin" / "tests" / f"sdk-{digest}.wasm"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as empty:
            shutil.copy(source, empty)
            tool = python.with_name("fastly-compute-py")
            part = path.with_suffix(".part")
            done = subprocess.run(
                [
                    *(str(tool), "build", "--entry", "service", "--output", str(part)),
                    *("--virtualenv", str(python.parents[1])),
                ],
                cwd=empty,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        part.rename(path)
    return path


@pytest.fixture(scope="module")
def harness(
    python: Path, service: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a module of the project with the harness and its plugin.

    The folder of what is compiled is empty at first. Outside of a service the harness needs the
    types that are only in one; it brings stubs of them.
    """
    folder = tmp_path_factory.mktemp("harness")
    [stubs] = python.parents[1].glob("lib/python*/site-packages/fastly_compute/testing/stubs")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {
        **kept,
        "VICEROY": str(VICEROY),
        "SDK_CHECKS_WASM": str(service),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }

    def run_module(module: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(str(python), "-m", "pytest", "-v", "-p", "fastly_compute.pytest_plugin"),
                *("-p", "no:cacheprovider", "--rootdir", str(folder), "--tb=short"),
                *("-o", "python_files=check_*.py", "-o", f"pythonpath={stubs}"),
                *("--pyargs", f"sdk_checks.{module}"),
            ],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run_module


type Harness = Callable[[str], subprocess.CompletedProcess[str]]


def test_a_service_that_was_built(harness: Harness) -> None:
    """Flask, Bottle, stores, log lines, backends of both kinds, concurrency, reuse."""
    done = harness("check_service")
    assert done.returncode == 0, done.stdout
    assert "11 passed" in done.stdout


def test_functions_that_run_in_the_service(harness: Harness) -> None:
    """The harness builds it, anew each time, so nothing of it was compiled before."""
    done = harness("check_functions")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_plugin_shows_what_was_printed(harness: Harness) -> None:
    done = harness("check_failing")
    assert done.returncode == 1, done.stdout
    for said in (
        "Viceroy output for failed test: test_failing",
        "checks :: first before-it-failed",
        " INFO Listening on http://127.0.0.1:",
    ):
        assert said in done.stdout
