"""The commands of the README, run as they stand there, with only the ports replaced."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PORTS = {"edge": "7676", "fanout": "7677", "publish": "5561"}

pytestmark = [
    pytest.mark.wasm,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


def block(kind: str, containing: str) -> str:
    """Return the one fenced block of a kind that contains a text."""
    (found,) = [text for language, text in BLOCKS if language == kind and containing in text]
    return str(found)


def printed_for(name: str, printed: str) -> str:
    """Return what stands behind a name in the lines printed at the start."""
    found = re.search(rf"^ +{name} +(.*)$", printed, re.MULTILINE)
    assert found, f"{name} is not in:\n{printed}"
    return found[1]


class Served:
    """`make serve`, running on free ports."""

    def __init__(self, printed: str) -> None:
        self.printed = printed
        urls = {name: urlsplit(printed_for(name, printed)) for name in PORTS}
        self.ports = {PORTS[name]: url.port for name, url in urls.items()}

    def here(self, command: str) -> str:
        """Return a command of the README with the ports that were really taken."""
        for documented, real in self.ports.items():
            command = command.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{real}")
        return command


async def shell(command: str, stderr: int | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        env={k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
    )


async def listening(command: str) -> asyncio.subprocess.Process:
    """Run a `curl -N` and wait until it has the response head, which it keeps to itself."""
    process = await shell(command.replace("curl", "curl -v"), asyncio.subprocess.PIPE)
    assert process.stderr is not None
    while not (await process.stderr.readline()).startswith(b"< \r\n"):
        assert not process.stderr.at_eof()
    return process


async def stop(process: asyncio.subprocess.Process, number: int = signal.SIGINT) -> None:
    """Signal a whole process group, as Ctrl-C in a terminal does, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    await process.wait()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    assert "make serve" in block("sh", "make test")
    flags = "--addr 127.0.0.1:0 --proxy-port 0 --publish-port 0"
    process = await shell(f"make -s serve SERVE_FLAGS='{flags}'")
    assert process.stdout is not None
    printed = ""
    try:
        while not re.search(r"^ready in", printed, re.MULTILINE):
            line = await asyncio.wait_for(process.stdout.readline(), 120)
            assert line, f"make serve ended early:\n{printed}"
            printed += line.decode()
        yield Served(printed)
    finally:
        await stop(process)


def shape(text: str) -> list[str]:
    """Return lines less what differs from run to run: ports and times."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return re.sub(r"ready in .*", "ready in TIME", text).splitlines()


async def test_make_serve_prints_what_the_readme_shows(served: Served) -> None:
    shown = shape(block("text", "host-sim 0"))
    printed = shape(served.printed)
    assert printed[-len(shown) :] == shown


async def test_listening_and_publishing_as_the_readme_says(served: Served) -> None:
    listener = await listening(served.here(block("sh", "/stream")))
    assert listener.stdout is not None
    try:
        publisher = await shell(
            served.here(block("sh", "http-response")).replace("curl", "curl -sS")
        )
        printed, _ = await publisher.communicate()
        assert printed.decode() == block("text", "Published")
        assert await listener.stdout.readline() == b"hello\n"
    finally:
        await stop(listener, signal.SIGKILL)


async def test_the_printed_publish_command_works_as_pasted(served: Served) -> None:
    listen = printed_for("listen", served.printed)
    publish = served.printed.rpartition("  publish  ")[2].splitlines()[0]
    listener = await listening(listen)
    assert listener.stdout is not None
    try:
        publisher = await shell(publish)
        assert (await publisher.communicate())[0] == b"Published\n"
        assert await listener.stdout.readline() == b"hello\n"
    finally:
        await stop(listener, signal.SIGKILL)


async def test_the_python_example_runs() -> None:
    code = block("python", "Simulator").replace("...", "assert edge.url")
    namespace: dict[str, object] = {}
    exec(code, namespace)
    test = namespace["test_a_published_message_arrives"]
    assert callable(test)
    await test()
