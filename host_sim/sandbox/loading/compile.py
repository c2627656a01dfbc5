"""Compiles a component: `python -m host_sim.sandbox.loading.compile COMPONENT OUTPUT [quick]`.

A process of its own, because compiling takes seconds on all cores and hundreds of megabytes, none
of which the server should keep, and because it can be ended at any moment: it ends when standard
input does, which the server holds. What is wrong with the component goes to standard error, as one
line, with exit code 2.
"""

import os
import sys
import tempfile
import threading
from pathlib import Path

from host_sim.sandbox.loading.engine import make_engine

__all__ = ["compile_component", "main"]


def compile_component(component: Path, output: Path, *, quick: bool = False) -> None:
    """Write the compiled form of `component` to `output`, whole or not at all.

    Args:
        component: file with a component, or its text.
        output: where to write.
        quick: take less time, for slower code.

    Raises:
        UnicodeDecodeError: it is text, but not UTF-8.
        wasmtime.WasmtimeError: it is no component that wasmtime can use.
    """
    from wasmtime import wat2wasm
    from wasmtime.component import Component

    content = component.read_bytes()
    if not content.startswith(b"\0asm"):
        content = bytes(wat2wasm(content.decode()))
    compiled = Component(make_engine(quick=quick), content).serialize()
    with tempfile.NamedTemporaryFile(dir=output.parent, suffix=".part", delete=False) as file:
        try:
            file.write(compiled)
        except OSError:
            Path(file.name).unlink()
            raise
    Path(file.name).replace(output)


def main(arguments: list[str]) -> int:
    """Run as a program; return the exit code."""
    from wasmtime import WasmtimeError

    component, output = map(Path, arguments[:2])
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        compile_component(component, output, quick=arguments[2:] == ["quick"])
    except (OSError, UnicodeDecodeError, WasmtimeError) as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 2
    return 0


def _end_with_server() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
