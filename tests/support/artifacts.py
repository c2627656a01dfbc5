"""The compiled components under test."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "fastly.toml"
ARTIFACTS = {"main": ROOT / "bin" / "main.wasm", "edge": ROOT / "bin" / "edge.wasm"}


def artifact(name: str) -> Path:
    """Return the path of a built component; a missing one is an error, never a skip."""
    path = ARTIFACTS[name]
    assert path.exists(), f"{path} is missing: run `make build`"
    return path
