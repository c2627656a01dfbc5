"""Loading components: what fits and what does not, and the cache of compiled ones."""

import asyncio
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime

from host_sim.errors import StartError
from host_sim.messages import Failed, Request, Responded, Response
from host_sim.sandbox.data import BackendFacts, HostData
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.loading.engine import load, make_engine
from host_sim.sandbox.loading.linker import choose_border
from host_sim.sandbox.loading.pooling import SEATS
from tests.support.sandbox import Scripted, Upstream, build_guest, response
from tests.support.tiny import HANDLER, tiny

pytestmark = pytest.mark.wasm


@pytest.fixture
def component(tmp_path: Path) -> Callable[..., Path]:
    """Write a component that has nothing but what these tests are about."""

    def write(imports: str = "", exports: str = HANDLER, function: str = "new") -> Path:
        path = tmp_path / "tiny.wasm"
        path.write_bytes(wasmtime.wat2wasm(tiny(imports, exports, function)))
        return path

    return write


async def refused(path: Path, folder: Path) -> str:
    """Return why a file cannot be loaded."""
    with pytest.raises(StartError) as caught:
        await load(path, folder=folder)
    text = str(caught.value)
    assert "\n" not in text
    return text


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "is missing: run `make build`" in await refused(tmp_path / "main.wasm", tmp_path / "c")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not WebAssembly"),
        (b"\x7fELF....", "is not WebAssembly"),
        (b"\0asm\x01\0\0\0", "is a core WebAssembly module, expected a component"),
        (b"\0asm\x0d\0\x01\0\xff\xff", "cannot be compiled: "),
        (b"(component (import))", "cannot be compiled: "),
        (b"(module)", "cannot be compiled: "),
        (b"(component \xff)", "cannot be compiled: "),
    ],
)
async def test_a_file_that_is_no_component(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "main.wasm"
    path.write_bytes(content)
    text = await refused(path, tmp_path / "cache")
    assert reason in text
    assert str(path) in text
    assert "cache" not in os.listdir(tmp_path) or os.listdir(tmp_path / "cache") == []  # noqa: PTH208


async def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    assert "cannot read" in await refused(tmp_path, tmp_path / "cache")


async def test_a_component_that_handles_no_requests(
    component: Callable[..., Path], tmp_path: Path
) -> None:
    path = component(exports="")
    assert "does not export fastly:compute/http-incoming" in await refused(path, tmp_path / "c")


async def test_imports_that_nobody_has_are_named(
    component: Callable[..., Path], tmp_path: Path
) -> None:
    path = component(imports='(import "acme:store/b" (instance)) (import "acme:store/a" (func))')
    text = await refused(path, tmp_path / "cache")
    assert "imports what this host does not have: acme:store/a, acme:store/b" in text


async def test_every_function_that_nobody_has_is_named(
    component: Callable[..., Path], tmp_path: Path
) -> None:
    """Host contract §2.0, unknown imports: in one line, those of the platform and of WASI too."""
    imports = """
        (import "wasi:keyvalue/store@0.2.0" (instance (export "open" (func)) (export "get" (func))))
        (import "wasi:cli/exit@0.2.0" (instance (export "exit" (func (param "status" (result))))))
    """
    text = await refused(component(imports, function="brand-new"), tmp_path / "cache")
    assert text == (
        "the component imports what this host does not have: http-body/brand-new, "
        "wasi:keyvalue/store/get, wasi:keyvalue/store/open "
        "(--unknown-import-behavior trap lets it start)"
    )


async def test_a_component_that_wants_something_else_of_wasi(
    component: Callable[..., Path], tmp_path: Path
) -> None:
    """It is told each time; what is compiled of it is not kept, for a kept one is not tried."""
    path = component(
        imports='(import "wasi:cli/exit@0.2.0" (instance (export "exit" (func (param "x" u8)))))'
    )
    for _ in range(2):
        assert "the component cannot be instantiated: " in await refused(path, tmp_path / "cache")
        assert not list((tmp_path / "cache").glob("*.cwasm"))


async def test_a_component_as_text(tmp_path: Path) -> None:
    """Host contract §5.1: wasm or wat text."""
    path = tmp_path / "tiny.wat"
    path.write_text(";; a comment" + tiny())
    for cached in (False, True):
        loaded = await load(path, folder=tmp_path / "cache")
        assert loaded.cached == cached
        loaded.ticker.close()


@pytest.mark.parametrize("border", ["direct", "public"])
@pytest.mark.parametrize(
    ("function", "imports", "reason"),
    [
        ("new", "", None),
        ("brand-new", "", "http-body/brand-new"),
        ("new", '(import "acme:store/a" (instance (export "t" (type (sub resource)))))', None),
        (
            "brand-new",
            '(import "acme:store/a" (func)) (import "acme:store/b" (instance))',
            "http-body/brand-new",
        ),
    ],
)
async def test_a_function_that_nobody_has_can_end_the_guest_that_calls_it(
    component: Callable[..., Path],
    tmp_path: Path,
    border: str,
    function: str,
    imports: str,
    reason: str | None,
) -> None:
    """Host contract §2.0, unknown imports: with `trap` the component starts, and fails by name."""
    sandboxes = Sandboxes(upstream=Upstream())
    await sandboxes.load(
        component(imports, function=function),
        folder=tmp_path / "cache",
        border=border,
        trap_unknown=True,
    )
    outcome = await Scripted(sandboxes, Upstream()).run("")
    if reason is None:
        assert isinstance(outcome, Responded)
    else:
        assert isinstance(outcome, Failed)
        assert outcome.reason == f"the guest called {reason}, which this host does not have"
    await sandboxes.close()


async def test_a_component_is_compiled_once(
    component: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second load maps what the first one compiled; the folder is the user's alone."""
    caplog.set_level("INFO", "host_sim.sandbox")
    path, folder = component(), tmp_path / "cache"
    first = await load(path, folder=folder)
    second = await load(path, folder=folder)
    assert (first.cached, second.cached) == (False, True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    [file] = folder.iterdir()
    assert file.suffix == ".cwasm"
    assert [message for message in caplog.messages if "compiling" in message] == [
        f"compiling {path}, which takes some seconds and is done once"
    ]
    for loaded in (first, second):
        loaded.ticker.close()


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
async def test_a_file_that_cannot_be_used_is_compiled_again(
    component: Callable[..., Path], tmp_path: Path, damage: bytes | None
) -> None:
    """Empty, foreign or cut short, as a full disk leaves it."""
    path, folder = component(), tmp_path / "cache"
    (await load(path, folder=folder)).ticker.close()
    [file] = folder.iterdir()
    good = file.read_bytes()
    file.unlink()  # another file then: the first one may still be mapped
    file.write_bytes(good[: len(good) // 2] if damage is None else damage)
    again = await load(path, folder=folder)
    again.ticker.close()
    assert not again.cached
    assert len(file.read_bytes()) == len(good)
    assert [file] == list(folder.iterdir())


async def test_another_component_has_another_file(
    component: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    for imports in ("", '(import "wasi:io/error@0.2.0" (instance))'):
        (await load(component(imports), folder=folder)).ticker.close()
    assert len(list(folder.iterdir())) == 2


async def test_a_cache_folder_that_cannot_be_made_costs_only_time(
    component: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    path = component()
    for _ in range(2):
        loaded = await load(path, folder=tmp_path / "file" / "cache")
        loaded.ticker.close()
        assert not loaded.cached
    assert "compiled components are not kept" in caplog.text


async def test_loading_can_be_given_up(tmp_path: Path) -> None:
    """The compiler is a process of its own, and ends with the task that wants it."""
    task = asyncio.create_task(load(build_guest(), folder=tmp_path / "cache"))

    def compilers() -> str:
        command = ["ps", "-o", "args=", "--ppid", str(os.getpid())]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout

    async with asyncio.timeout(30):
        while "loading.compile" not in await asyncio.to_thread(compilers):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "loading.compile" not in compilers()
    assert not list((tmp_path / "cache").glob("*.cwasm"))


async def test_guests_that_have_no_room_in_the_pool_run_elsewhere() -> None:
    """All of them wait until the last one has come."""
    opened = asyncio.Event()
    upstream = Upstream()

    async def answer(_: Request) -> Response:
        if len(upstream.requests) == 3 * SEATS:
            opened.set()
        await opened.wait()
        return response(b"there")

    upstream.backends["origin"] = answer
    sandboxes = Sandboxes(
        upstream=upstream, data=HostData(backends={"origin": BackendFacts(url="http://h")})
    )
    loaded = await sandboxes.load(build_guest(), pool=True)
    assert loaded.beside(SEATS - 1) is loaded
    elsewhere = loaded.beside(SEATS)
    assert elsewhere.engine is not loaded.engine
    assert loaded.beside(3 * SEATS) is elsewhere
    script = "answer(read_all(http_req.send(http_req.Request.new(), http_body.new(), origin)[1]))"
    guests = [Scripted(sandboxes, upstream) for _ in range(3 * SEATS)]
    said = await asyncio.gather(
        *(guest.bytes(f"origin = backend.Backend.open('origin')\n{script}") for guest in guests)
    )
    assert said == [b"there"] * len(guests)
    await sandboxes.close()


async def test_a_component_that_is_too_large_for_the_pool_has_none(
    component: Callable[..., Path], tmp_path: Path
) -> None:
    memories = "(core module $x (memory 1))" + "(core instance (instantiate $x))" * 5
    sandboxes = Sandboxes(upstream=Upstream())
    path = component(exports=memories + HANDLER)
    loaded = await sandboxes.load(path, folder=tmp_path / "cache", pool=True)
    assert loaded.beside(1_000) is loaded
    assert isinstance(await Scripted(sandboxes, Upstream()).run(""), Responded)
    await sandboxes.close()


async def test_requests_wait_for_the_component() -> None:
    """The server can listen while the component is compiled."""
    sandboxes = Sandboxes(upstream=Upstream())
    guest = Scripted(sandboxes, Upstream())
    early = asyncio.create_task(guest.run("answer(b'')"))
    await asyncio.sleep(0)
    await sandboxes.load(build_guest())
    assert isinstance(await early, Responded)
    await sandboxes.close()


async def test_requests_need_not_wait_for_the_compiler(tmp_path: Path) -> None:
    """They do for all else, as it takes no time that anybody would notice."""
    for compiled in (False, True):
        sandboxes = Sandboxes(upstream=Upstream(), wait=False)
        guest = Scripted(sandboxes, Upstream())
        early = asyncio.create_task(guest.run("answer(b'')"))
        await asyncio.sleep(0)
        loading = asyncio.create_task(sandboxes.load(build_guest(), folder=tmp_path / "cache"))
        outcome = await early
        assert isinstance(outcome, Responded)
        assert outcome.response.status == (200 if compiled else 503)
        assert outcome.response.headers.get("retry-after") == (None if compiled else "1")
        assert loading.done() is compiled
        await loading
        outcome = await guest.run("answer(b'')")
        assert isinstance(outcome, Responded)
        assert outcome.response.status == 200
        await sandboxes.close()


async def test_requests_fail_when_the_component_cannot_be_loaded(tmp_path: Path) -> None:
    sandboxes = Sandboxes(upstream=Upstream())
    guest = Scripted(sandboxes, Upstream())
    early = asyncio.create_task(guest.run(""))
    await asyncio.sleep(0)
    with pytest.raises(StartError):
        await sandboxes.load(tmp_path / "none.wasm")
    outcome = await early
    assert isinstance(outcome, Failed)
    assert "is missing" in outcome.reason
    await sandboxes.close()


def test_the_fast_border_is_chosen() -> None:
    """With every version of wasmtime that the project allows."""
    assert choose_border(make_engine()).name == "direct"


def test_the_slow_border_is_chosen_for_unknown_versions(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a word about it; values still cross unharmed."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99.0.0")
    assert choose_border(make_engine()).name == "public"
    assert caplog.messages == ["this version of wasmtime-py is not known: host calls are slow"]
