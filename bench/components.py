"""Components that are built for measurements only, with the tool that builds the service."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.peers import ROOT

BUILT = ROOT / "bin" / "bench"
SERVICE = (ROOT / "guest", ROOT / "grip")


def once() -> Path:
    """Return the service that serves one request a sandbox (`bench/guest`)."""
    return _build("guest", SERVICE, ROOT / ".guest-env")


def hello() -> Path:
    """Return the smallest service there can be (`bench/hello`)."""
    (BUILT / "no-packages").mkdir(parents=True, exist_ok=True)
    return _build("hello", (), BUILT / "no-packages")


def _build(name: str, packages: tuple[Path, ...], environment: Path) -> Path:
    """Build a component unless it is there."""
    app = ROOT / "bench" / name / "app.py"
    sources = [app, *sorted(path for package in packages for path in package.rglob("*.py"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    output = BUILT / f"{name}-{digest[:16]}.wasm"
    if output.exists():
        return output
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as folder:
        # `bench` and `host_sim` must not be found there: the tool takes all that it sees.
        shutil.copy(app, folder)
        for package in packages:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(package, Path(folder) / package.name, ignore=ignored)
        subprocess.run(
            [
                *(ROOT / ".venv" / "bin" / "fastly-compute-py", "build", "--entry", "app"),
                *("--virtualenv", environment, "--output", "out.wasm"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        (Path(folder) / "out.wasm").rename(output)
    return output
