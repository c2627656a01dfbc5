"""Which version this is; the build takes it from here, since to ask the metadata costs a start."""

__all__ = ["VERSION", "program"]

VERSION = "0.1.0"


def program() -> str:
    """Return the name of the program and its version, `host-sim 1.2.3`."""
    return f"host-sim {VERSION}"
