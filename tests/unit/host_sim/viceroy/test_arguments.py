"""The command line of Viceroy (compute-host §5.1, §5.2); how it refuses: `test_viceroy_command`."""

from pathlib import Path

import pytest

from host_sim.viceroy.arguments import Arguments, parse


@pytest.fixture(autouse=True)
def wasm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.wasm").write_bytes(b"\0asm\x0d\0\x01\0")
    Path("a.wat").write_text(";; text\n(component)")
    return Path("a.wasm")


@pytest.mark.parametrize("words", [["a.wasm"], ["serve", "a.wasm"]])
def test_defaults(wasm: Path, words: list[str]) -> None:
    arguments = parse(words)
    assert arguments == Arguments(command="serve", wasm=wasm)
    assert arguments.address == ("127.0.0.1", 7676)
    assert arguments.websockets
    assert arguments.verbosity == 0


def test_text_is_accepted() -> None:
    assert parse(["a.wat"]).wasm == Path("a.wat")


def test_as_the_cli_calls_it(wasm: Path) -> None:
    words = "-v -C /p/fastly.toml --addr 127.0.0.1:1 a.wasm --profile=guest,DIR --debug "
    words += "--local-pushpin-proxy-port=7677 --enable-local-websocket-passthrough=false"
    assert parse(words.split()) == Arguments(
        command="serve",
        wasm=wasm,
        address=("127.0.0.1", 1),
        manifest=Path("/p/fastly.toml"),
        proxy_port=7677,
        websockets=False,
        verbosity=1,
        without_effect=("--profile", "--debug"),
    )


def test_as_the_sdk_calls_it(wasm: Path) -> None:
    words = ["serve", "a.wasm", "--addr", "127.0.0.1:8080", "-v", "-C", "x.toml"]
    assert parse(words) == Arguments(
        command="serve",
        wasm=wasm,
        address=("127.0.0.1", 8080),
        manifest=Path("x.toml"),
        verbosity=1,
    )


@pytest.mark.parametrize(
    ("words", "verbosity"), [("-vv", 2), ("-v -v", 2), ("-vvv", 3), ("-vvvv", 4)]
)
def test_verbosity(words: str, verbosity: int) -> None:
    assert parse([*words.split(), "a.wasm"]).verbosity == verbosity


@pytest.mark.parametrize(
    ("text", "address"),
    [("[::1]:80", ("::1", 80)), ("0.0.0.0:0", ("0.0.0.0", 0)), ("[::]:65535", ("::", 65535))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse(["a.wasm", "--addr", text]).address == address
    assert parse([f"--addr={text}", "a.wasm"]).address == address


def test_a_flag_without_its_value_does_not_take_the_next_word(wasm: Path) -> None:
    arguments = parse(["--enable-local-websocket-passthrough", "a.wasm"])
    assert (arguments.websockets, arguments.wasm) == (True, wasm)


@pytest.mark.parametrize(("given", "trap"), [("trap", True), ("link-error", False)])
def test_unknown_imports(given: str, trap: bool) -> None:
    assert parse(["a.wasm", "--unknown-import-behavior", given]).trap_unknown == trap


@pytest.mark.parametrize(
    "given", ["jitdump", "perfmap", "vtune", "guest", "guest,dir", "guest,dir,5", "guest,d,9μs"]
)
def test_profiles_are_accepted(given: str) -> None:
    assert parse(["a.wasm", "--profile", given]).without_effect == ("--profile",)


def test_the_words_after_a_program_to_run_are_its_own(wasm: Path) -> None:
    arguments = parse(["run", "-v", "--", "a.wasm", "--addr", "x", "-C"])
    assert (arguments.command, arguments.wasm, arguments.verbosity) == ("run", wasm, 1)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["serve", "--help"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 0
    assert "host-sim" in capsys.readouterr().out
