"""A copy of the project that can be built and broken without harm to the original."""

import shutil
import subprocess
from pathlib import Path

from tests.support.artifacts import ROOT

__all__ = ["copy_project"]

COPIED = (
    *("build.sh", "fastly.toml", "pyproject.toml", "requirements.lock"),
    *("guest", "grip", "wit", "typings", ".guest-env"),
)


def copy_project(folder: Path) -> Path:
    """Copy what a build needs into `folder`, set up; the tools are the original's own.

    The original is set up first: a copy that found something to install would do so for both.
    """
    subprocess.run([ROOT / "build.sh", "--setup-only"], check=True)
    folder.mkdir(exist_ok=True)
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder
