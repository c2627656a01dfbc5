"""Runs a program that must not outlive whoever started it; a process of its own, imports nothing.

    python keeper.py FOLDER PROGRAM [ARGUMENT...]

The starter holds the other end of standard input. When that closes, also because the starter was
killed, the program is asked to end, then made to. What it leaves running goes with it, and FOLDER,
where it had its files, is deleted.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["main"]

_GRACE_S = 5.0
"""How long the program may take to end when it is asked to."""


def main(folder: str, *command: str) -> int:
    """Run `command` until it ends or standard input does; return its exit code."""
    program = subprocess.Popen(  # noqa: S603 - runs what its starter names, that is its purpose
        command, stdin=subprocess.DEVNULL, start_new_session=True
    )
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: program.terminate())
    threading.Thread(target=_end_with_starter, args=(program,), daemon=True).start()
    code = program.wait()
    for left in _members(program.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _end_with_starter(program: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    program.terminate()
    try:
        program.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        program.kill()


def _members(session: int) -> list[int]:
    """Return the processes of a session, on systems that list processes below `/proc`."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(entry.name)) == session:
                members.append(int(entry.name))
    return members


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
