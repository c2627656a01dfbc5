"""Guests in other languages, built where their toolchain and Viceroy's adapter are at hand.

- JavaScript: `js-compute-runtime` on the PATH (`npm install -g @fastly/js-compute`).
- Rust: `cargo`, and a `rustc` that can build for wasm32-wasip1. Either it has the target, as rustup
  installs it; or it has its own source beside it, and wasi-libc: Debian's `rustc-web`,
  `rust-web-src` and `wasi-libc`. `WASM_RUSTC` names one that is not on the PATH.

`viceroy adapt` makes components of what they build. All is kept in bin/tests by the hash of the
source; the first build of the guest in Rust takes minutes.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

__all__ = ["build_javascript", "build_rust", "missing"]

ROOT = Path(__file__).resolve().parents[2]
GUESTS = ROOT / "tests" / "guests"
FOLDER = ROOT / "bin" / "tests"
TARGET = "wasm32-wasip1"
BUILD_S = 900.0


def missing(language: str) -> str | None:
    """Say what is not installed here, None if nothing is missing."""
    if shutil.which("viceroy") is None:
        return "Viceroy, which adapts core modules, is not installed"
    if language == "javascript":
        found: object = shutil.which("js-compute-runtime")
        return None if found else "js-compute-runtime is not installed"
    return None if _rust() else "there is no Rust for wasm32-wasip1"


def build_javascript() -> Path:
    """Return the component of tests/guests/javascript."""
    source = GUESTS / "javascript" / "index.js"

    def build(module: Path) -> None:
        _run(["js-compute-runtime", str(source), str(module)], {})

    return _adapted("javascript", [source], build)


def build_rust() -> Path:
    """Return the component of tests/guests/rust."""
    home = GUESTS / "rust"
    environment = _rust()
    assert environment is not None

    def build(module: Path) -> None:
        command = ["cargo", "build", "--release", "--target", TARGET]
        if "RUSTC_BOOTSTRAP" in environment:
            command.append("-Zbuild-std=std,panic_abort")
        folder = FOLDER / "rust"
        shutil.copytree(home, folder, dirs_exist_ok=True)
        _run([*command, "--manifest-path", str(folder / "Cargo.toml")], environment)
        shutil.copy(folder / "target" / TARGET / "release" / "guest.wasm", module)

    sources = [home / "Cargo.toml", home / "src" / "main.rs"]
    return _adapted("rust", sources, build)


def _rust() -> dict[str, str] | None:
    """Return the environment in which cargo can build for wasm, None if there is none."""
    for name in ("WASM_RUSTC", "rustc", "/usr/bin/rustc"):
        rustc = os.environ.get(name, "") if name.isupper() else shutil.which(name)
        if not rustc or shutil.which("cargo") is None:
            continue
        library = Path(rustc).resolve().parents[1] / "lib"
        environment = {"RUSTC": rustc, "LD_LIBRARY_PATH": str(library / "x86_64-linux-gnu")}
        asked = [rustc, "--print", "sysroot"]
        found = subprocess.run(
            asked, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        if found.returncode:
            continue
        sysroot = Path(found.stdout.strip()) / "lib"
        if (sysroot / "rustlib" / TARGET).exists():
            return environment
        libc = sysroot / "wasm32-wasi"
        linker = _linker()
        if (sysroot / "rustlib" / "src" / "rust").exists() and libc.exists() and linker:
            flags = (
                f"-C link-self-contained=no -L native={libc} "
                f"-C link-arg={libc / 'crt1-command.o'} -C linker-flavor=wasm-ld"
            )
            return environment | {
                "RUSTC_BOOTSTRAP": "1",
                "CARGO_TARGET_WASM32_WASIP1_LINKER": linker,
                "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS": flags,
            }
    return None


def _linker() -> str | None:
    """Return a linker for wasm: LLVM's, or the one that rustup brings."""
    for name in ("wasm-ld", "wasm-ld-22", "wasm-ld-19"):
        if linker := shutil.which(name):
            return linker
    rustc = shutil.which("rustc")
    if rustc is None:
        return None
    asked = [rustc, "--print", "sysroot"]
    sysroot = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return next((str(path) for path in Path(sysroot).glob("lib/rustlib/*/bin/rust-lld")), None)


def _adapted(name: str, sources: list[Path], build: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    path = FOLDER / f"{name}-{digest}.wasm"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        module, part = path.with_suffix(".core"), path.with_suffix(".part")
        build(module)
        _run(["viceroy", "adapt", str(module), "-o", str(part)], {})
        module.unlink()
        part.rename(path)
    return path


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(
        command, env=os.environ | environment, check=True, timeout=BUILD_S, stdin=subprocess.DEVNULL
    )
