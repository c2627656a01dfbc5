"""Compiles a component: `python -m host_sim.sandbox.loading.compile COMPONENT OUTPUT`.

A process of its own, because compiling takes seconds on all cores and hundreds of megabytes, none
of which the server should keep, and because it can be ended at any moment. What is wrong with the
component goes to standard error, as one line, with exit code 2.
"""

import sys
import tempfile
from pathlib import Path

from host_sim.sandbox.loading.engine import make_engine

__all__ = ["compile_component", "main"]


def compile_component(component: Path, output: Path) -> None:
    """Write the compiled form of `component` to `output`, whole or not at all.

    Raises:
        wasmtime.WasmtimeError: it is no component that wasmtime can use.
    """
    from wasmtime.component import Component

    compiled = Component(make_engine(), component.read_bytes()).serialize()
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

    component, output = map(Path, arguments)
    try:
        compile_component(component, output)
    except (OSError, WasmtimeError) as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
