"""The sandbox on a guest that runs the script a test gives it."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from grip.headers import Headers
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault
from host_sim.messages import Failed, Outcome, Request, Responded, Response
from host_sim.sandbox.data import DynamicBackend
from host_sim.sandbox.instance import Sandboxes
from host_sim.trace import Trace

__all__ = ["Scripted", "Upstream", "build_guest", "encoded", "response"]

ROOT = Path(__file__).resolve().parents[2]
GUESTS = ROOT / "tests" / "guests"
BUILT = ROOT / "bin" / "tests"

type Answerer = Callable[[Request], Awaitable[Response]]


def build_guest(name: str = "scripted") -> Path:
    """Return a compiled guest, built if its source has changed.

    Both run scripts: `scripted` is built by the vendor's tool, against all of the SDK's world;
    `newest` is the same source against what Viceroy's newest WIT has beyond that.
    """
    scripted = GUESTS / "scripted" / "app.py"
    newest = [GUESTS / "newest" / "app.py", GUESTS / "newest" / "newest.wit"]
    sources = {"scripted": [scripted], "newest": [scripted, *newest]}[name]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    path = BUILT / f"{name}-{digest[:16]}.wasm"
    if not path.exists():
        (BUILT / "no-packages").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILT) as folder:
            part = Path(folder) / "out.wasm"
            if name == "scripted":
                _build_scripted(scripted.parent, part)
            else:
                shutil.copy(scripted, Path(folder) / "scripted.py")
                shutil.copy(newest[0], folder)
                _build_newest(Path(folder), part)
            part.rename(path)
    return path


def _build_scripted(source: Path, output: Path) -> None:
    subprocess.run(
        [
            *(ROOT / ".venv" / "bin" / "fastly-compute-py", "build", "--entry", "app"),
            *("--virtualenv", BUILT / "no-packages", "--output", output),
        ],
        cwd=source,
        check=True,
        capture_output=True,
    )


def _build_newest(source: Path, output: Path) -> None:
    # WASI is stubbed out: Viceroy offers no files and sockets, which the tool would import.
    subprocess.run(
        [
            *(ROOT / ".venv" / "bin" / "componentize-py", "--world", "newest"),
            *("--wit-path", GUESTS / "newest" / "newest.wit", "componentize", "app"),
            *("--python-path", source, "--stub-wasi", "--output", output),
        ],
        cwd=source,
        env={**os.environ, "VIRTUAL_ENV": str(BUILT / "no-packages")},
        check=True,
        capture_output=True,
    )


def response(
    body: bytes | Body = b"", status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Return what a backend could answer."""
    return Response(
        status=status,
        reason="",
        headers=Headers(headers),
        body=Body.of(body) if isinstance(body, bytes) else body,
    )


class Upstream:
    """Backends by name, each an async function.

    Attributes:
        requests: what they got.
        described: the backends that guests described themselves, in order of requests.
    """

    def __init__(self) -> None:
        self.backends: dict[str, Answerer] = {}
        self.requests: list[Request] = []
        self.described: list[DynamicBackend] = []

    async def send_dynamic(self, request: Request, backend: DynamicBackend) -> Response:
        """Let the backend of that name answer."""
        self.described.append(backend)
        return await self.send(request, backend.name)

    async def send(self, request: Request, backend: str) -> Response:
        """Let the backend answer."""
        self.requests.append(request)
        if backend not in self.backends:
            raise BackendError(backend, BackendFault.UNREACHABLE, "connection refused")
        return await self.backends[backend](request)


def encoded(script: str) -> str:
    """Return a script as the guest expects it in `X-Script`."""
    return base64.b64encode(textwrap.dedent(script).encode()).decode()


class Scripted:
    """Guests that run scripts."""

    def __init__(self, sandboxes: Sandboxes, upstream: Upstream) -> None:
        self.sandboxes = sandboxes
        self.upstream = upstream

    async def run(
        self,
        script: str,
        *,
        method: str = "GET",
        target: str = "/",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | Body = b"",
    ) -> Outcome:
        """Serve one request and return what became of it."""
        code = encoded(script)
        return await self.sandboxes.run(
            Request(
                method=method,
                scheme="http",
                authority="edge.test",
                target=target,
                headers=Headers([("Host", "edge.test"), *headers, ("X-Script", code)]),
                body=Body.of(body) if isinstance(body, bytes) else body,
                client=("192.0.2.7", 1234),
                server=("127.0.0.1", 7676),
                trace=Trace(method=method, target=target),
            )
        )

    async def respond(self, script: str, **request: Any) -> Response:
        """Serve one request, which has to be answered."""
        outcome = await self.run(script, **request)
        assert isinstance(outcome, Responded), outcome
        return outcome.response

    async def bytes(self, script: str, **request: Any) -> bytes:
        """Return the content of the answer."""
        answer = await self.respond(script, **request)
        content = await answer.body.whole(1 << 30)
        assert content is not None
        return content

    async def json(self, script: str, **request: Any) -> Any:
        """Return the content of the answer, parsed."""
        return json.loads(await self.bytes(script, **request))

    async def fail(self, script: str, **request: Any) -> Failed:
        """Serve one request, which has to fail."""
        outcome = await self.run(script, **request)
        assert isinstance(outcome, Failed), outcome
        return outcome
