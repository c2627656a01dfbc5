"""`build.sh` on a copy of the project: what it makes, skips and refuses, and never looks at."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.project import copy_project

pytestmark = [pytest.mark.wasm, pytest.mark.slow]

PROBE = """
import importlib

found = []
names = "nosuch h11 wasmtime fastly_compute cryptography host_sim ecdsa grip".split()
for name in names:
    try:
        importlib.import_module(name)
        found.append(name)
    except ImportError:
        pass
raise RuntimeError(f"found: {found}")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def start(project: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [project / "build.sh", *arguments],
        cwd="/",  # any directory but its own
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def built(project: Path, *arguments: str, **environment: str) -> tuple[int | None, str]:
    """Run to the end; return the exit code and what it said."""
    process = start(project, *arguments, **environment)
    said, complained = process.communicate()
    assert said == "", "standard output is for nobody"
    return process.returncode, complained


def test_two_at_once_in_a_hostile_environment_build_once(project: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "jwt.py").write_text("raise SystemExit('the caller's packages are none of ours')")
    (trap / "componentize_py.py").write_text("raise SystemExit('nor its tools')")
    hostile = {
        "VIRTUAL_ENV": str(trap),
        "PYTHONPATH": str(trap),
        "PYTHONHOME": str(trap),
        "PIP_TARGET": str(trap),
        "PATH": "/usr/bin:/bin",
        "CDPATH": "/tmp",
    }
    both = [start(project, **hostile) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(text.count("bin/main.wasm") for text in said) == 1, "built once"
    for name in ("main", "edge"):
        assert (project / "bin" / f"{name}.wasm").read_bytes().startswith(b"\0asm")

    before = {path.name: path.stat().st_mtime_ns for path in project.glob("bin/*.wasm")}
    assert built(project) == (0, ""), "nothing has changed"
    assert before == {path.name: path.stat().st_mtime_ns for path in project.glob("bin/*.wasm")}

    # A change that does not compile: one line that says what and where, the old ones stay.
    (project / "guest" / "handlers.py").write_text("def answer(\n")
    code, line = built(project)
    assert code != 0
    assert line.startswith("build.sh: bin/main.wasm: guest/handlers.py:1: SyntaxError")
    assert line.count("\n") == 1
    assert before == {path.name: path.stat().st_mtime_ns for path in project.glob("bin/*.wasm")}


def test_nothing_but_the_guests_own_packages_can_be_compiled_in(project: Path) -> None:
    (project / "guest" / "messages.py").write_text(PROBE)
    code, line = built(project)
    assert code != 0
    assert "guest/messages.py:" in line
    for name in ("main", "edge"):
        assert (
            "RuntimeError: found: ['ecdsa', 'grip']"
            in (project / "bin" / f"{name}.log").read_text()
        )


def test_a_wit_that_does_not_parse_is_named(project: Path) -> None:
    (project / "wit" / "world.wit").write_text("package fastly:compute@0.1.0;\ninterface {\n")
    code, line = built(project, "--setup-only")
    assert code != 0
    assert line.startswith("build.sh: wit/: ")
    assert line.count("\n") == 1


def test_without_any_usable_python_it_says_what_to_install(project: Path, tmp_path: Path) -> None:
    (project / ".venv").unlink()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "mkdir", "cat", "uname"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # too old, and cannot fetch anything
    (tools / "python3").chmod(0o755)
    code, line = built(project, PATH=str(tools), HOME=str(tmp_path), PYENV_ROOT=str(tmp_path))
    assert code != 0
    assert "no Python 3.12 or later" in line
    assert "install" in line
    assert line.count("\n") == 1


def test_an_unknown_option_gets_the_usage(project: Path) -> None:
    assert built(project, "--fast") == (1, "build.sh: usage: build.sh [--setup-only]\n")
