"""`host-sim-viceroy` as programs meet it that start `viceroy` (compute-host §5.1, §5.2, §6).

Where a Viceroy is installed, what does not need a running service is compared with it.
"""

import asyncio
import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from host_sim.pushpin.process import free_addresses
from tests.support import viceroy
from tests.support.backend import Backend
from tests.support.raw import Raw
from tests.support.sandbox import build_guest
from tests.support.waiting import PATIENCE_S, soon

pytestmark = [pytest.mark.wasm]

COMMAND = [
    sys.executable,
    "-c",
    "from host_sim.viceroy.command import main; raise SystemExit(main())",
]
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (?: INFO| WARN|ERROR|DEBUG) "
    r"(?:request\{id=\d+\}: )?\S.*"
)
ORIGIN = '[local_server.backends.origin]\nurl = "http://127.0.0.1:{}/base"\n'


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


class Service:
    """A running command.

    Attributes:
        out, err: the lines on its streams, so far.
    """

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.out: list[str] = []
        self.err: list[str] = []
        self._reading = [
            asyncio.create_task(self._read(process.stdout, self.out)),
            asyncio.create_task(self._read(process.stderr, self.err)),
        ]

    async def prints(self, pattern: str) -> re.Match[str]:
        """Wait for a line on either stream that matches."""
        async with asyncio.timeout(2 * PATIENCE_S):
            while True:
                for line in (*self.out, *self.err):
                    if found := re.search(pattern, line):
                        return found
                assert not all(task.done() for task in self._reading), (self.out, self.err)
                await asyncio.sleep(0.005)

    async def run(self, script: str, path: str = "/", **headers: str) -> httpx.Response:
        """Let the guest run a script for a request."""
        code = base64.b64encode(textwrap.dedent(script).encode()).decode()
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            return await client.get(f"{self.url}{path}", headers={"X-Script": code, **headers})

    async def ended(self) -> int:
        """Wait for its end, and for all it has printed."""
        code = await self.process.wait()
        await asyncio.gather(*self._reading)
        return code

    async def _read(self, stream: asyncio.StreamReader | None, lines: list[str]) -> None:
        assert stream is not None
        while line := await stream.readline():
            lines.append(line.decode().rstrip("\n"))


@contextlib.asynccontextmanager
async def serving(
    *arguments: str | Path, host: str = "127.0.0.1", wasm: Path | None = None, **environment: str
) -> AsyncIterator[Service]:
    """Run the command on the guest that runs scripts, or on `wasm`."""
    [(_, port)] = free_addresses(host, [0])
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "serve", str(wasm or build_guest()), "--addr", place),
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    service = Service(process, f"http://{place}")
    try:
        yield service
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await service.ended()


# What ends at once.


@pytest.fixture
def wasm(tmp_path: Path) -> Path:
    """A file that looks like a component, for what is not going to be run."""
    path = tmp_path / "x.wasm"
    path.write_bytes(b"\0asm\x0d\0\x01\0")
    return path


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_the_second_word(flag: str) -> None:
    """§5.2: the CLI compares it with `viceroy_version`."""
    done = run(flag)
    assert (done.returncode, done.stdout, done.stderr) == (0, "viceroy 0.22.0\n", "")


USAGE = [
    ([], "error: the following required arguments were not provided:\n  <INPUT>\n"),
    (
        ["none.wasm"],
        "error: invalid value 'none.wasm' for '<INPUT>': No such file or directory (os",
    ),
    (["not.wasm"], "error: invalid value 'not.wasm' for '<INPUT>': Expected a valid Wasm file\n"),
    (["x.wasm", "--new"], "error: unexpected argument '--new' found\n"),
    (
        ["x.wasm", "--addr", "localhost:7676"],
        "error: invalid value 'localhost:7676' for '--addr <SOCKET_ADDR>': invalid socket address",
    ),
    (
        ["x.wasm", "--addr", "1.2.3.4:65536"],
        "error: invalid value '1.2.3.4:65536' for '--addr <SOCK",
    ),
    (
        ["x.wasm", "--addr", "[::g]:1"],
        "error: invalid value '[::g]:1' for '--addr <SOCKET_ADDR>': ",
    ),
    (
        ["x.wasm", "--local-pushpin-proxy-port=x"],
        "error: invalid value 'x' for '--local-pushpin-proxy-port <LOCAL_PUSHPIN_PROXY_PORT>': ",
    ),
    (["x.wasm", "--profile=perf"], "error: invalid value 'perf' for '--profile <STRATEGY>': "),
    (["x.wasm", "--profile"], "error: a value is required for '--profile"),
    (
        ["x.wasm", "--unknown-import-behavior", "x"],
        "error: invalid value 'x' for '--unknown-import-behavior <UNKNOWN_IMPORT_BEHAVIOR>'",
    ),
    (
        ["x.wasm", "--experimental_modules", "x"],
        "error: invalid value 'x' for '--experimental_modules <EXPERIMENTAL_MODULES>'",
    ),
    (
        ["x.wasm", "--enable-local-websocket-passthrough=x"],
        "error: invalid value 'x' for '--enable-local-websocket-passthrough[=<BOOL>]'",
    ),
    (["run"], "error: the following required arguments were not provided:\n  <INPUT>\n"),
]


@pytest.mark.parametrize(("arguments", "said"), USAGE)
def test_wrong_usage_ends_with_2(
    wasm: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§5.1: in Viceroy's words, as far as they say what is wrong."""
    monkeypatch.chdir(wasm.parent)
    Path("not.wasm").write_text("(module")
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.endswith("\nFor more information, try '--help'.\n")
    if not viceroy.missing():
        real = subprocess.run(["viceroy", *arguments], capture_output=True, text=True, check=False)
        assert real.returncode == 2
        assert real.stderr.startswith(said)


STARTS = [
    (["adapt", "x.wasm", "-o", "y.wasm"], "File is already a component: x.wasm"),
    (["run", "-v", "x.wasm", "--flag", "word"], "components not currently supported with `run`"),
    (["run", "core.wasm"], "run is not supported by host-sim"),
    (["adapt", "core.wat"], "adapt is not supported by host-sim"),
    (["core.wasm"], "core.wasm is a core WebAssembly module, expected a component"),
    (
        ["x.wasm", "-C", "none.toml"],
        "error reading 'none.toml': No such file or directory (os error",
    ),
    (
        ["x.wasm", "-C", "bad.toml"],
        "invalid configuration for 'b': unrecognized key 'urll' (did you",
    ),
    (["serve", "x.wasm", "-C", "high.toml"], "unsupported manifest version 9; max supported versi"),
    (["x.wasm"], "x.wasm cannot be compiled: "),
]


@pytest.mark.parametrize(("arguments", "said"), STARTS)
def test_what_cannot_start_is_one_line_on_standard_error_and_1(
    wasm: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§5.1, exit codes: also without `-v`."""
    monkeypatch.chdir(wasm.parent)
    wasm.write_bytes(b"\0asm\x0d\0\x01\0\xff\xff")
    Path("core.wasm").write_bytes(b"\0asm\x01\0\0\0")
    Path("core.wat").write_text("(module)")
    Path("bad.toml").write_text('[local_server.backends.b]\nurl = "http://x"\nurll = ""')
    Path("high.toml").write_text("manifest_version = 9")
    address = [] if arguments[0] in ("adapt", "run") else ["--addr", "127.0.0.1:0"]
    done = run(*arguments, *address) if address else run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert LINE.fullmatch(line)
    assert "Z ERROR " in line
    assert said in line


def test_a_taken_port_is_an_error(wasm: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(wasm, "--addr", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: the port is taken" in done.stderr


# What serves.


async def test_lines_streams_and_the_end(tmp_path: Path) -> None:
    """§5.1: format and places; SIGINT ends it by SIGINT, with no child left."""
    async with serving("-v") as service:
        listening = await service.prints(r"Listening on (http://\S+)")
        assert listening[1] == service.url
        response = await service.run(
            """
            endpoint = log.Endpoint.open("things")
            endpoint.write(b"one\\ntwo\\n")
            print("on output")
            print("on error", file=sys.stderr)
            answer({"ok": True})
            """,
            path="/a?b",
        )
        assert response.json() == {"ok": True}
        await service.prints("guest completed in ")
        service.process.send_signal(signal.SIGINT)
        assert await service.ended() == -signal.SIGINT
        said = [line for line in service.out if not LINE.fullmatch(line)]
        assert said == ["things :: one\\ntwo", "on output"]
        assert service.err == ["on error"]
        told = [line.split(" ", 1)[1].strip() for line in service.out if LINE.fullmatch(line)]
        asked = told.index(f"INFO request{{id=0}}: handling request GET {service.url}/a?b")
        assert told[asked + 1] == "INFO request{id=0}: response status: 200"
        assert (
            "WARN no configuration provided, "
            "invoke with `-C <TOML_FILE>` to provide a configuration" in told
        )
        # What the guest said came before the answer.
        assert service.out.index("on output") < service.out.index(
            next(line for line in service.out if "response status" in line)
        )


async def test_without_v_only_guests_and_errors_are_heard() -> None:
    async with serving() as service:
        while True:  # nothing tells when it listens
            try:
                failed = await service.run("print('heard'); 1 / 0")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
        assert failed.status_code == 500
        await service.prints(r"Z ERROR request\{id=\d+\}: WebAssembly trapped: ")
        assert service.out == ["heard"]


async def test_streams_as_log_endpoints() -> None:
    """§5.1 `--log-stdout`, `--log-stderr`; §7: collected until the line is whole."""
    async with serving("--log-stdout", "--log-stderr", "-v") as service:
        await service.prints("Listening on")
        await service.run("print('a', 'b'); print(); print('c', file=sys.stderr); answer()")
        assert [line for line in service.out if not LINE.fullmatch(line)] == [
            "stdout :: a b",
            "stderr :: c",
        ]
        assert service.err == []


async def test_rust_log_wins_and_can_be_pretty() -> None:
    async with serving("-vvv", RUST_LOG="viceroy=warn", RUST_LOG_PRETTY="true") as service:
        await service.prints(r"^  \S+Z  WARN no configuration provided")
        await service.prints(r"^    at command\.py:\d+$")
        assert not [line for line in service.out if "Listening" in line]


async def test_ipv6() -> None:
    async with serving("-v", host="::1") as service:
        await service.prints(rf"Listening on {re.escape(service.url)}$")
        assert (await service.run("answer(b'six')")).content == b"six"


async def test_sigterm_ends_it_at_once() -> None:
    """§6, also while a guest is at work."""
    async with serving("-v") as service:
        await service.prints("Listening on")
        asking = asyncio.create_task(service.run("print('begun', flush=True); time.sleep(3600)"))
        await service.prints("^begun$")
        service.process.terminate()
        assert await service.ended() == -signal.SIGTERM
        with pytest.raises(httpx.HTTPError):
            await asking


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(),
    reason="this system does not tell whose children are whose",
)
async def test_the_compiler_ends_with_it(tmp_path: Path) -> None:
    """§5.2: nothing is left of it after SIGKILL, the CLI's way to end it."""
    async with serving("-v", XDG_CACHE_HOME=str(tmp_path)) as service:
        await service.prints("compiling ")
        number = service.process.pid
        await soon(lambda: children(number))
        compilers = children(number)
        service.process.kill()
        await service.ended()
        await soon(lambda: not any(map(runs, compilers)))


def children(number: int) -> list[str]:
    """Return the numbers of the processes a process has started."""
    return Path(f"/proc/{number}/task/{number}/children").read_text().split()


def runs(number: str) -> bool:
    """Tell whether a process runs, that is, does not only wait to be reaped."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_backends_are_asked_whether_they_are_up(tmp_path: Path) -> None:
    """§4.1: once each, and never fatal; one that is this very process is up."""
    heads: list[bytes] = []

    async def script(raw: Raw) -> None:
        heads.append(await raw.until(b"\r\n\r\n"))
        raw.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    async with Backend(script) as backend:
        [(_, dead)] = free_addresses("127.0.0.1", [0])
        manifest = tmp_path / "fastly.toml"
        manifest.write_text(
            ORIGIN.format(backend.address[1])
            + f'[local_server.backends.dead]\nurl = "http://127.0.0.1:{dead}"\n'
        )
        async with serving("-v", "-C", manifest) as service:
            await service.prints("Listening on")
            for line in (
                r"Z  INFO checking if backend 'origin' is up$",
                r"Z  INFO backend 'origin' is up$",
                rf"Z  WARN backend 'dead' on 'http://127\.0\.0\.1:{dead}/' is not up right now$",
            ):
                await service.prints(line)
    assert len(heads) == 1
    assert heads[0].startswith(b"GET /base HTTP/1.1\r\n")


async def test_a_manifest_without_backends_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[other]\nx = 1\n[local_server.log_endpoints.x]\ny = "z"')
    async with serving("-v", "-C", tmp_path / "x.toml") as service:
        await service.prints(r"Z  WARN no backend definitions found in .*x\.toml$")


async def test_flags_without_effect_are_accepted_with_a_word() -> None:
    flags = ("--profile=guest,profiles,50us", "--debug", "-g", "--adapt", "--wasm-exceptions")
    more = ("--wasm-gc", "--wasm-cm-gc", "--experimental_modules", "wasi-nn")
    async with serving("-v", *flags, *more) as service:
        await service.prints("Listening on")
        assert service.err == [
            f"viceroy: {flag} is accepted, but does nothing in host-sim"
            for flag in (
                *("--profile", "--experimental_modules", "--debug-info", "--debug", "--adapt"),
                *("--wasm-exceptions", "--wasm-gc", "--wasm-cm-gc"),
            )
        ]


HAND_OFF = """
backend = backend.Backend.open("origin")
request.redirect_to_{}_proxy(backend)
"""


async def test_hand_off_to_the_port_of_a_proxy(tmp_path: Path) -> None:
    """§3.2, §3.3: where the CLI has its Pushpin; a proxy that is not there is no error at first."""
    heads: list[bytes] = []

    async def script(raw: Raw) -> None:
        heads.append(await raw.until(b"\r\n\r\n"))
        raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld")

    manifest = tmp_path / "fastly.toml"
    manifest.write_text(ORIGIN.format(1))
    [(_, port)] = free_addresses("127.0.0.1", [0])
    flag = "--local-pushpin-proxy-port"
    async with serving("-v", "-C", manifest, f"{flag}={port}") as service:
        await service.prints("Listening on")
        failed = await service.run(HAND_OFF.format("grip"))
        assert failed.status_code == 500
        assert failed.text.startswith("Error: Could not connect to handoff target: ")
    async with Backend(script) as proxy:
        port = proxy.address[1]
        async with serving("-v", "-C", manifest, flag, str(port)) as service:
            await service.prints("Listening on")
            held = await service.run(HAND_OFF.format("grip"), "/a?b")
            assert (held.status_code, held.text) == (200, "held")
            await service.prints("Pushpin handoff signaled to backend 'origin'$")
            await service.prints(
                r"Handoff target 'Pushpin \[origin\]' responded with status: 200 OK\."
            )
    assert heads[0].startswith(b"GET /a?b HTTP/1.1\r\n")
    lines = [line.lower() for line in heads[0].decode().split("\r\n")]
    assert f"host: 127.0.0.1:{port}" in lines
    assert "pushpin-route: origin" in lines


async def test_without_a_proxy_our_fanout_takes_over(tmp_path: Path) -> None:
    """§5.3 way 1; ports that are taken are told, not an error."""

    async def script(raw: Raw) -> None:
        await raw.until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 200 OK\r\nGrip-Hold: response\r\nGrip-Channel: c\r\n")
        raw.send(b"Content-Length: 0\r\n\r\n")

    manifest = tmp_path / "fastly.toml"
    async with Backend(script) as backend, contextlib.AsyncExitStack() as stack:
        manifest.write_text(ORIGIN.format(backend.address[1]))
        for port in (7677, 5561):
            with contextlib.suppress(OSError):  # taken by somebody else is taken as well
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        async with serving("-v", "-C", manifest) as service:
            await service.prints("Listening on")
            await service.prints("Z  WARN .*127.0.0.1:7677: .*the GRIP proxy will be at http://")
            found = await service.prints("Z  WARN .*127.0.0.1:5561: .*publishers will be at (.*)")
            poll = asyncio.create_task(service.run(HAND_OFF.format("grip")))
            item = {"channel": "c", "formats": {"http-response": {"body": "hello"}}}
            async with httpx.AsyncClient(trust_env=False) as client:
                while not poll.done():  # until it is held, and somebody gets it
                    await client.post(f"{found[1]}/publish/", json={"items": [item]})
                    await asyncio.wait([poll], timeout=0.05)
            assert (await poll).text == "hello"


@pytest.mark.parametrize("enabled", [True, False])
async def test_websocket_pass_through_can_be_disabled(tmp_path: Path, enabled: bool) -> None:
    """§5.2: then the guest hears `unsupported`."""

    async def script(raw: Raw) -> None:
        await raw.until(b"\r\n\r\n")
        raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npassed")

    flag = "--enable-local-websocket-passthrough"
    async with Backend(script) as backend:
        (tmp_path / "x.toml").write_text(ORIGIN.format(backend.address[1]))
        flags = (flag,) if enabled else (f"{flag}=false",)
        async with serving("-v", "-C", tmp_path / "x.toml", *flags) as service:
            await service.prints("Listening on")
            response = await service.run(
                """
                origin = backend.Backend.open("origin")
                failed = failure(request.redirect_to_websocket_proxy, origin)
                if failed:
                    answer(failed)
                """
            )
            assert response.text == ("passed" if enabled else '"Unsupported"')


async def test_the_http_cache_is_as_little_there_as_in_viceroy() -> None:
    """§2.11: SDKs fall back to a plain send."""
    async with serving("-v") as service:
        await service.prints("Listening on")
        script = "answer(failure(http_cache.is_request_cacheable, request))"
        assert (await service.run(script)).json() == "Unsupported"
