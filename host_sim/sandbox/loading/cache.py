"""Compiled components on disk, so that a component is compiled once and not at every start.

Files here are native code, so the folder is the user's alone and files come there whole, by a
rename. A name says everything a file depends on: the component, wasmtime, what the engine is
configured to, the machine. wasmtime looks at a file before it uses it; one it refuses is deleted.
"""

import contextlib
import hashlib
import importlib.metadata
import logging
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Self

__all__ = ["Cache", "default_folder"]

_log = logging.getLogger("host_sim.sandbox")

KEEP = 8
"""Files kept; a new one displaces the one that was unused for longest."""

_SUFFIX = ".cwasm"


def default_folder() -> Path:
    """Return the place for caches on this platform, with a folder of ours in it."""
    if root := os.environ.get("XDG_CACHE_HOME"):
        base = Path(root)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return base / "host-sim"


class Cache:
    """A folder of compiled components, in a `with` statement while one is being loaded."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, or a temporary one where that cannot be the user's alone."""
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if not _make_private(folder):
            _log.warning("compiled components are not kept: %s cannot be used for them", folder)
            self._temporary = tempfile.TemporaryDirectory(prefix="host-sim-")
            folder = Path(self._temporary.name)
        self.folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()  # what is mapped stays

    def paths(self, component: Path, *settings: str) -> list[Path]:
        """Return where the compiled forms of a component belong.

        Args:
            component: file with the component.
            settings: for each form, everything the engine was told.

        Raises:
            OSError: the component cannot be read.
        """
        with component.open("rb") as file:
            content = hashlib.file_digest(file, "sha256")
        version = importlib.metadata.version("wasmtime")
        found = []
        for told in settings:
            digest = content.copy()
            for part in (version, told, sys.platform, platform.machine()):
                digest.update(b"\0" + part.encode())
            found.append(self.folder / (digest.hexdigest() + _SUFFIX))
        return found

    def used(self, path: Path) -> None:
        """Note that a file was used, and delete those that were unused for longest."""
        with contextlib.suppress(OSError):
            os.utime(path)
            files = sorted(self.folder.glob("*" + _SUFFIX), key=lambda file: file.stat().st_mtime)
            for file in files[:-KEEP]:
                file.unlink(missing_ok=True)


def _make_private(folder: Path) -> bool:
    """Make `folder` if need be; return whether nobody else can write into it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            return False
        if found.st_mode & 0o077:
            folder.chmod(0o700)
        return os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False
