"""Which version this is, as the metadata of the installed distribution has it."""

import importlib.metadata

__all__ = ["program"]


def program() -> str:
    """Return the name of the program and its version, `host-sim 1.2.3`."""
    return f"host-sim {importlib.metadata.version('compute-starter-kit-python-fanout')}"
