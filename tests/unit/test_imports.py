"""The arrows between packages: who may import whom, and what `grip` must stay free of."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A module may import modules below the prefixes of the longest entry that fits it, and its own
# entry's package. Names are prefixes of dotted module names.
COMMON = (
    "host_sim.body",
    "host_sim.errors",
    "host_sim.inbox",
    "host_sim.messages",
    "host_sim.trace",
    "grip",
)
ALLOWED: dict[str, tuple[str, ...]] = {
    "grip": (),
    "grip.web": ("grip",),
    "guest": ("grip",),
    "host_sim.errors": (),
    "host_sim.trace": (),
    "host_sim.body": ("host_sim.errors", "grip.headers"),
    "host_sim.messages": ("host_sim.body", "host_sim.trace", "grip.headers"),
    "host_sim.config": ("host_sim.errors",),
    "host_sim.inbox": ("host_sim.body", "grip.headers"),
    "host_sim.outbound": COMMON,
    "host_sim.http1": (*COMMON, "host_sim.outbound"),
    "host_sim.http2": (*COMMON, "host_sim.outbound"),
    "host_sim.edge": (*COMMON, "host_sim.config"),
    "host_sim.sandbox": COMMON,
    "host_sim.fanout": COMMON,
    # These join the rooms.
    "host_sim": ("host_sim", "grip"),
}
WIT_WORLD_IMPORTERS = {"guest.app", "guest.bindings"}
FORBIDDEN_IN_GRIP = {
    *("asyncio", "contextlib_async", "datetime", "http.client", "logging", "os", "random"),
    *("secrets", "select", "socket", "ssl", "subprocess", "threading", "time", "uuid"),
    *("cryptography", "h11", "websockets"),
}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module of ours with its file."""
    for package in ("grip", "guest", "host_sim"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports_of(path: Path) -> set[str]:
    """Return the dotted names a module imports, `from a import b` as both `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or ""}
    return names


def below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=str)
def test_module_imports_only_what_its_room_may(name: str, path: Path) -> None:
    room = max((entry for entry in ALLOWED if below(name, entry)), key=len)
    allowed = (room, *ALLOWED[room])
    ours = {i for i in imports_of(path) if i.split(".")[0] in {"grip", "guest", "host_sim"}}
    wrong = {i for i in ours if not any(below(i, prefix) for prefix in allowed)}
    assert not wrong, f"{name} ({room}) may import {allowed}, not {sorted(wrong)}"


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=str)
def test_only_the_bindings_know_the_generated_world(name: str, path: Path) -> None:
    if any(below(i, "wit_world") for i in imports_of(path)):
        assert name in WIT_WORLD_IMPORTERS


@pytest.mark.parametrize(
    ("name", "path"),
    [m for m in modules() if below(m[0], "grip") and not below(m[0], "grip.web")],
    ids=str,
)
def test_grip_is_sans_io(name: str, path: Path) -> None:
    assert not imports_of(path) & FORBIDDEN_IN_GRIP, name


@pytest.mark.parametrize(
    ("name", "path"), [m for m in modules() if not below(m[0], "grip.web")], ids=str
)
def test_only_applications_use_the_part_of_grip_that_may_do_io(name: str, path: Path) -> None:
    assert not any(below(i, "grip.web") for i in imports_of(path)), name


@pytest.mark.parametrize(
    ("imported", "heavy"),
    [
        *(("grip", "jwt"), ("grip", "cryptography"), ("grip.web.wsgi", "httpx")),
        *(("host_sim.simulator", module) for module in ("h2", "jwt", "sqlite3", "wasmtime")),
    ],
)
def test_importing_does_not_import_what_is_heavy_or_optional(imported: str, heavy: str) -> None:
    script = f"import sys, {imported}; print({heavy!r} in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["False"]
