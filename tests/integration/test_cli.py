"""The command `host-sim` as people and machines meet it: what it says, and how it ends."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets

from host_sim import Simulator
from host_sim.simulator import LOCAL_SIG_ISS, LOCAL_SIG_KEY
from tests.support.artifacts import MANIFEST, artifact
from tests.support.tiny import tiny

HOST_SIM = [sys.executable, "-m", "host_sim"]
FREE_PORTS = ["--addr", "127.0.0.1:0", "--proxy-port", "0", "--publish-port", "0"]
CORE_MODULE = b"\0asm\x01\0\0\0"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that is expected to end by itself."""
    command = [*HOST_SIM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextlib.contextmanager
def serving(*arguments: str, wasm: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run `host-sim serve`, on the real artifact unless told otherwise."""
    component = str(wasm or artifact("main"))
    command = [*HOST_SIM, "serve", component, "-C", str(MANIFEST), *FREE_PORTS]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], pattern: str) -> list[str]:
    """Read standard output up to a line that matches."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if re.search(pattern, line):
            return lines
    raise AssertionError(f"no line matches {pattern!r} in {lines}")


def test_missing_component_is_named_with_what_to_do(tmp_path: Path) -> None:
    ended = run("serve", tmp_path / "none.wasm", *FREE_PORTS)
    assert ended.returncode == 1
    assert ended.stderr == f"host-sim: {tmp_path / 'none.wasm'} is missing: run `make build`\n"
    assert ended.stdout == ""


def test_functions_nobody_has_are_an_error_or_a_trap(tmp_path: Path) -> None:
    """Host contract §5.1, unknown-import-behavior."""
    component = tmp_path / "newer.wat"
    component.write_text(tiny(function="brand-new"))
    ended = run("serve", component, *FREE_PORTS)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "host-sim: the component imports what this host does not have: http-body/brand-new "
        "(--unknown-import-behavior trap lets it start)"
    )
    with serving("--unknown-import-behavior", "trap", wasm=component) as process:
        lines_until(process, "^ready in ")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"#!/bin/sh\n", "is not WebAssembly"), (CORE_MODULE, "expected a component")],
)
def test_what_is_no_component_is_told_apart(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.wasm").write_bytes(content)
    ended = run("serve", tmp_path / "x.wasm", *FREE_PORTS)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("name = ", "error parsing"),
        ("manifest_version = 9", "unsupported manifest version 9"),
        (
            '[local_server.backends.x]\nurl = "http://a"\nurll = "b"',
            "invalid configuration for 'x': unrecognized key 'urll' (did you mean 'url'?)",
        ),
    ],
)
def test_bad_manifest_is_one_line(tmp_path: Path, manifest: str, said: str) -> None:
    (tmp_path / "fastly.toml").write_text(manifest)
    ended = run("serve", artifact("main"), "-C", tmp_path / "fastly.toml", *FREE_PORTS)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("flag", ["--addr", "--proxy-port", "--publish-port"])
def test_taken_port_is_named_with_the_flag_that_changes_it(flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        value = f"127.0.0.1:{port}" if flag == "--addr" else str(port)
        ended = run("serve", artifact("main"), *FREE_PORTS, flag, value)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}: the port is taken" in ended.stderr
    assert flag in ended.stderr


def test_wrong_usage_ends_with_2() -> None:
    ended = run("serve", "--addr", "7676")
    assert ended.returncode == 2
    assert "expected HOST:PORT, got '7676'" in ended.stderr


@pytest.mark.parametrize("number", ["-1", "x", "1.5", ""])
def test_reuse_is_a_number(number: str) -> None:
    ended = run("serve", f"--reuse={number}")
    assert ended.returncode == 2
    assert f"expected a number from 0, got {number!r}" in ended.stderr


def test_publishing_to_nobody_who_listens_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/publish/"
    ended = run("publish", "test", "hello", "--url", url)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"host-sim: cannot publish to {url}: ")


@pytest.mark.wasm
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_with_0_also_while_a_client_is_held(number: signal.Signals) -> None:
    with serving() as process:
        printed = lines_until(process, "^ready in")
        edge = next(line.split()[1] for line in printed if line.startswith("  edge"))
        host, port = edge.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            received = client.recv(65536)
            process.send_signal(number)
            while data := client.recv(65536):
                received += data
        assert received.endswith(b"\r\n0\r\n\r\n")
        assert process.wait(30) == 0


@pytest.mark.wasm
def test_who_asks_while_it_compiles_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with serving("--json") as process:
        (listening,) = map(json.loads, lines_until(process, '"listening"'))
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(f"{listening['edge']}/stream", timeout=60)
        with told.value as answer:
            assert (answer.code, answer.headers["Retry-After"]) == (503, "1")
            assert answer.read().startswith(b"compiling the component")
        lines_until(process, '"ready"')
        with urllib.request.urlopen(f"{listening['edge']}/stream", timeout=60) as answer:
            assert answer.status == 200


@pytest.mark.wasm
def test_json_lines_tell_machines_where_and_what() -> None:
    with serving("--json") as process:
        listening, ready = map(json.loads, lines_until(process, '"ready"'))
        assert listening["event"] == "listening"
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{listening['edge']}/nothing?x")
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=30)
    assert ready["seconds"] >= 0
    entries = [json.loads(line) for line in logged.splitlines()]
    (entry,) = [entry for entry in entries if entry.get("target") == "/nothing?x"]
    assert (entry["status"], entry["handed_off_to"]) == (404, "self")
    assert entry["ms"] > 0


@pytest.mark.wasm
def test_publish_command_reaches_what_is_held_and_counts_keys() -> None:
    with serving("--publish-key", "secret") as process:
        printed = lines_until(process, "^ready in")
        url = next(line.split()[1] for line in printed if line.startswith("  publish"))
        for key, code, said in [
            ([], 1, "401"),
            (["--key", "x"], 1, "403"),
            (["--key", "secret"], 0, ""),
        ]:
            ended = run("publish", "test", "hello", "--url", url, *key)
            assert ended.returncode == code
            assert said in ended.stderr


@pytest.mark.wasm
@pytest.mark.parametrize("flags", [[], ["--compression"]])
async def test_proxy_command_serves_any_backend_and_compresses_if_told(flags: list[str]) -> None:
    """The backend is the service itself, which takes signatures of the local key."""
    async with Simulator(artifact("main"), manifest=MANIFEST) as edge:
        signed = ["--sig-iss", LOCAL_SIG_ISS, "--sig-key", LOCAL_SIG_KEY]
        command = [*HOST_SIM, "proxy", "--route", f"app={edge.url}", *signed, *flags]
        addresses = ["--addr", "127.0.0.1:0", "--publish-addr", "127.0.0.1:0"]
        process = await asyncio.create_subprocess_exec(
            *command, *addresses, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            printed = await process.stdout.readuntil(b"started\n")
            found = re.search(rb"fanout +http://(\S+)", printed)
            assert found is not None
            url = f"ws://{found[1].decode()}/ws"
            async with websockets.connect(url, proxy=None) as client:
                await client.send("x" * 1000)
                assert await client.recv() == "x" * 1000
                assert bool(client.protocol.extensions) == bool(flags)
        finally:
            process.terminate()
            await process.wait()
