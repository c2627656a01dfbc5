"""A real Viceroy of one test (`cargo install --locked viceroy`), running one component."""

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Self

from host_sim.pushpin.process import free_addresses

__all__ = ["START_S", "Viceroy", "free_address", "missing"]

START_S = 300.0
"""How long it may compile; only reached by a failing test."""


def missing() -> bool:
    """Tell whether Viceroy is not installed here."""
    return shutil.which("viceroy") is None


def free_address() -> tuple[str, int]:
    """Return an address nobody listens at: Viceroy cannot say which port it was given."""
    [address] = free_addresses("127.0.0.1", [0])
    return address


class Viceroy:
    """Runs while an `async with` block does; hand-offs go to a proxy at `proxy_port`.

    Attributes:
        address: where it takes clients; known before it runs.
        output: what it has printed, the guest's log included.
    """

    def __init__(self, wasm: Path, manifest: Path) -> None:
        self._wasm = wasm
        self._manifest = manifest
        self.address = free_address()
        self.proxy_port = 0
        self.output = ""
        self._printed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        host, port = self.address
        self._process = await asyncio.create_subprocess_exec(
            *("viceroy", "serve", "-v", self._wasm, "-C", self._manifest),
            *("--addr", f"{host}:{port}", f"--local-pushpin-proxy-port={self.proxy_port}"),
            cwd=self._manifest.parent,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reading = asyncio.create_task(self._read())
        try:
            await self.prints("Listening on")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()
        await self._reading

    async def prints(self, text: str) -> None:
        """Wait until `text` was printed."""
        async with asyncio.timeout(START_S), self._printed:
            await self._printed.wait_for(lambda: text in self.output or self._reading.done())
        assert text in self.output, f"expected {text!r}, Viceroy printed:\n{self.output}"

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._printed:
                self.output += line.decode("utf-8", "replace")
                self._printed.notify_all()
