"""Processes under measurement: start, stop, and what they use, read from /proc (Linux)."""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")


def build(name: str) -> str:
    """Compile `name`.c beside this file into the temporary directory, unless it is there."""
    source = HERE / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    binary = Path(tempfile.gettempdir()) / f"grip-bench-{name}-{digest}"
    if not binary.exists():
        partial = Path(f"{binary}.{os.getpid()}")
        subprocess.run(["cc", "-O2", "-o", partial, source], check=True)
        partial.replace(binary)
    return str(binary)


@contextlib.contextmanager
def running(
    command: list[str],
    *,
    stdout: int | None = subprocess.DEVNULL,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command and stop it at the end of the block, its children with it."""
    process = subprocess.Popen(
        command,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def halted(roots: list[int]) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Stop processes and their children (SIGSTOP) for the block, but for what it gives.

    That is a function for a block within, in which they go on.
    """

    def tell(number: signal.Signals) -> None:
        for root in roots:
            for pid in tree(root):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    @contextlib.contextmanager
    def going_on() -> Iterator[None]:
        tell(signal.SIGCONT)
        try:
            yield
        finally:
            tell(signal.SIGSTOP)

    tell(signal.SIGSTOP)
    try:
        yield going_on
    finally:
        tell(signal.SIGCONT)  # who is stopped does not end when told to


def wait_port(port: int, process: subprocess.Popen[bytes], timeout_s: float = 30) -> None:
    """Wait until something listens on a port of the loopback interface."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def tree(root: int) -> list[int]:
    """Return a process and everything it started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(stat[1]), []).append(int(entry.name))
    found: list[int] = []
    queue = [root]
    while queue:
        pid = queue.pop()
        if pid not in found and Path(f"/proc/{pid}").exists():
            found.append(pid)
            queue.extend(children.get(pid, []))
    return found


def cpu_s(pids: list[int]) -> float:
    """Return the CPU seconds used so far by all threads of the processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def rss_kib(pids: list[int]) -> int:
    """Return the resident memory of the processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total


def machine_cpu_s() -> float:
    """Return the CPU seconds the whole machine has been busy so far."""
    fields = Path("/proc/stat").read_text().split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = map(int, fields)
    return (user + nice + system + irq + softirq) / TICK


def wait_quiet(cores: float = 0.2, patience_s: float = 30) -> None:
    """Wait until the machine uses less than `cores`, but no longer than `patience_s`."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        busy = machine_cpu_s()
        time.sleep(0.5)
        if (machine_cpu_s() - busy) / 0.5 < cores:
            return
