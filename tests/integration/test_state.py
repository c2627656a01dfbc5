"""`--state DIR`: what guests keep in KV stores outlives the simulator. Host contract §2.8."""

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from host_sim import Simulator
from host_sim.errors import StartError
from tests.support.sandbox import build_guest

pytestmark = pytest.mark.wasm

MANIFEST = """
[local_server.backends.self]
url = "http://127.0.0.1"
[[local_server.kv_stores.visits]]
key = "count"
data = "1"
metadata = "since the start"
"""

COUNT = """
store = kv_store.Store.open("visits")
entry = store.lookup("count")
count = read_all(entry.take_body()).decode()
options = kv_store.InsertOptions(False, entry.generation(), entry.metadata(99), None,
                                 kv_store.InsertMode.OVERWRITE, None)
store.insert("count", written(b"%d" % (int(count) + 1)), options)
answer(count)
"""


def headers() -> dict[str, str]:
    return {"X-Script": base64.b64encode(textwrap.dedent(COUNT).encode()).decode()}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "fastly.toml"
    path.write_text(MANIFEST)
    return path


async def counted(manifest: Path, state: Path | None) -> list[str]:
    """Run a simulator and return what two requests are told."""
    async with (
        Simulator(build_guest(), manifest=manifest, state=state) as edge,
        httpx.AsyncClient(base_url=edge.url, trust_env=False, timeout=30) as http,
    ):
        return [(await http.get("/", headers=headers())).json() for _ in range(2)]


async def test_a_state_outlives_the_simulator(manifest: Path, tmp_path: Path) -> None:
    assert await counted(manifest, tmp_path / "state") == ["1", "2"]
    assert await counted(manifest, tmp_path / "state") == ["3", "4"]
    assert await counted(manifest, tmp_path / "other") == ["1", "2"]


async def test_without_a_state_each_start_is_a_new_one(manifest: Path) -> None:
    assert await counted(manifest, None) == ["1", "2"]
    assert await counted(manifest, None) == ["1", "2"]


async def test_two_simulators_share_a_state(manifest: Path, tmp_path: Path) -> None:
    """Each sees at once what the other one does."""
    async with (
        Simulator(build_guest(), manifest=manifest, state=tmp_path / "state") as one,
        Simulator(build_guest(), manifest=manifest, state=tmp_path / "state") as other,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
    ):
        seen = [
            (await http.get(edge.url, headers=headers())).json()
            for edge in (one, other, other, one)
        ]
    assert seen == ["1", "2", "3", "4"]


async def test_a_state_that_cannot_be(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StartError, match="KV stores cannot be kept there: File exists"):
        await Simulator(build_guest(), manifest=manifest, state=tmp_path / "state").start()


def serve(manifest: Path, state: Path) -> subprocess.Popen[str]:
    ports = ["--addr", "127.0.0.1:0", "--proxy-port", "0", "--publish-port", "0"]
    command = [sys.executable, "-m", "host_sim", "serve", str(build_guest()), "-C", str(manifest)]
    return subprocess.Popen(
        [*command, *ports, "--json", "--state", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_the_command(manifest: Path, tmp_path: Path, ending: signal.Signals) -> None:
    """However it ends, what was answered for is kept."""
    for expected in ("1", "2"):
        process = serve(manifest, tmp_path / "state")
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["edge"]
        answer = httpx.get(url, headers=headers(), trust_env=False, timeout=60)
        assert answer.json() == expected
        process.send_signal(ending)
        process.communicate()


def test_the_command_says_in_one_line_what_is_wrong(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "kv.sqlite3").write_text(
        "no database, but long enough to be taken for one"
    )
    process = serve(manifest, tmp_path / "state")
    said, complaint = process.communicate()
    assert (process.returncode, said) == (1, "")
    assert complaint == (
        f"host-sim: --state {tmp_path / 'state'}: KV stores cannot be kept there: "
        "file is not a database\n"
    )
