"""Serves a node application in a process of its own, with its packages from the registry."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

__all__ = ["installed", "serving_node"]

_OFFLINE = re.compile(
    r"EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH"
)


def installed(source: Path, cache: pytest.Cache) -> Path:
    """Copy an application to where tests may keep things, install its packages, return its folder.

    That is only done when `package.json` has changed; without a network the test is skipped then.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    wanted = (source / "package.json").read_bytes()
    folder = cache.mkdir(f"node-{source.parent.name}")
    manifest = folder / "package.json"
    if not manifest.exists() or manifest.read_bytes() != wanted:
        shutil.rmtree(folder)
        install = folder.with_suffix(".new")
        shutil.rmtree(install, ignore_errors=True)
        install.mkdir()
        (install / "package.json").write_bytes(wanted)
        done = subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=install,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0 and _OFFLINE.search(done.stderr):
            pytest.skip("the npm packages are not here yet, and their registry is out of reach")
        assert done.returncode == 0, done.stderr
        install.rename(folder)
    for file in source.glob("*.mjs"):
        shutil.copy(file, folder)
    return folder


@contextlib.contextmanager
def serving_node(
    script: Path, listening: socket.socket, environment: Mapping[str, str]
) -> Iterator[None]:
    """Run a script that serves the socket whose number is its argument, while the block runs."""
    number = listening.fileno()
    process = subprocess.Popen(
        ["node", script.name, str(number)],
        cwd=script.parent,
        env={"PATH": os.environ["PATH"], **environment},
        pass_fds=[number],
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()
