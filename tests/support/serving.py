"""Serves an application from docs/examples in a process of its own, by a real server.

Whoever starts it binds the socket, so that its address is known before there is anybody to answer:

    python -m tests.support.serving FD MODULE:APPLICATION
"""

import contextlib
import importlib
import inspect
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from host_sim.messages import Address

__all__ = ["bound", "serving"]

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def bound() -> Iterator[tuple[socket.socket, Address]]:
    """Listen on a free port; clients wait until somebody serves it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening, listening.getsockname()


@contextlib.contextmanager
def serving(
    application: str, listening: socket.socket, environment: Mapping[str, str]
) -> Iterator[None]:
    """Serve `module:name` from docs/examples while the block runs."""
    number = listening.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.serving", str(number), application],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), **environment},
        pass_fds=[number],
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main(number: str, application: str) -> None:
    """Serve until the process is ended."""
    sys.path.insert(0, str(ROOT / "docs" / "examples"))
    module, _, name = application.partition(":")
    app = getattr(importlib.import_module(module), name)
    listening = socket.socket(fileno=int(number))
    if inspect.iscoroutinefunction(app.__call__):
        import uvicorn

        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
        return
    server = WSGIServer(listening.getsockname(), WSGIRequestHandler, bind_and_activate=False)
    server.socket = listening
    server.server_name, server.server_port = listening.getsockname()
    server.setup_environ()
    server.set_app(app)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
