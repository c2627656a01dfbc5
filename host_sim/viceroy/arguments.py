"""The command line of Viceroy: `[serve] [flags] WASM`, `run [flags] WASM [args]`, `adapt WASM`.

Wrong usage ends with code 2 and a line that begins with `error:`, as there. Source: compute-host
§5.1.
"""

import argparse
import dataclasses
import ipaddress
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from host_sim.messages import Address
from host_sim.version import program

__all__ = ["VICEROY_VERSION", "Arguments", "parse"]

VICEROY_VERSION: Final = "0.22.0"
"""The Viceroy that is followed; tools compare it with `viceroy_version` of a manifest."""

_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})", re.ASCII)
_PROFILE = re.compile(r"jitdump|perfmap|vtune|guest(,[^,]*(,\d+(s|ms|us|μs|ns)?)?)?")
_USAGE: Final = {
    "serve": "viceroy [serve] [OPTIONS] <INPUT>",
    "run": "viceroy run [OPTIONS] <INPUT> [WASM_ARGS]...",
    "adapt": "viceroy adapt [OPTIONS] <INPUT>",
}
_WEBSOCKETS = "--enable-local-websocket-passthrough"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What the command line says.

    Attributes:
        command: `serve`, `run` or `adapt`.
        wasm: the file to run; it is there, and WebAssembly or its text.
        address: where to listen.
        manifest: the `fastly.toml`, None for none.
        log_stdout, log_stderr: whether a stream of the guest is a log endpoint.
        proxy_port: of the GRIP proxy to hand clients off to, None for our own.
        websockets: whether guests may hand off to a backend.
        trap_unknown: whether imports nobody knows are an error only when they are called.
        verbosity: how often `-v` was given.
        without_effect: flags that are accepted and do nothing here.
    """

    command: str
    wasm: Path
    address: Address = ("127.0.0.1", 7676)
    manifest: Path | None = None
    log_stdout: bool = False
    log_stderr: bool = False
    proxy_port: int | None = None
    websockets: bool = True
    trap_unknown: bool = False
    verbosity: int = 0
    without_effect: tuple[str, ...] = ()


def parse(argv: Sequence[str] | None = None) -> Arguments:
    """Return what `argv` says (default: `sys.argv`).

    Raises:
        SystemExit: with 2 for wrong usage, with 0 after `--help` and `--version`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = words[0] if words and words[0] in _USAGE else "serve"
    if words and words[0] == "help":
        words = ["--help"]
    words = words[1:] if words[:1] == [command] else words
    # Without a value it does not take the next argument for one.
    words = [f"{word}=true" if word == _WEBSOCKETS else word for word in words]
    given = _parser(command).parse_args(words)
    flags = vars(given)
    ignored = (name for name in flags if name.startswith("--") and flags[name])
    known = {field.name for field in dataclasses.fields(Arguments)}
    kept = {name: value for name, value in flags.items() if name in known and value is not None}
    return Arguments(command=command, without_effect=tuple(ignored), **kept)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as Viceroy's does."""

    def error(self, message: str) -> NoReturn:
        """End with 2."""
        if message.startswith("unrecognized arguments: "):
            word = message.removeprefix("unrecognized arguments: ").split()[0]
            message = f"unexpected argument '{word}' found"
        elif message.startswith("the following arguments are required: "):
            message = "the following required arguments were not provided:\n  <INPUT>"
        elif lacking := re.fullmatch(r"argument (\S+?)[,:].* expected one argument", message):
            message = f"a value is required for '{lacking[1]}' but none was supplied"
        value = re.fullmatch(r"argument [^:]+: (invalid value .+)", message, re.DOTALL)
        usage = f"\n\nUsage: {self.usage}" if value is None else ""
        message = message if value is None else value[1]
        self.exit(2, f"error: {message}{usage}\n\nFor more information, try '--help'.\n")


def _parser(command: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="viceroy",
        usage=_USAGE[command],
        description=f"{program()} in the place of Viceroy: runs a Compute service.",
        epilog="Commands: serve (the default), run, adapt.",
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("wasm", type=_wasm, metavar="INPUT", help="the WebAssembly to run")
    parser.add_argument("-v", action="count", default=0, dest="verbosity", help="log more")
    parser.add_argument("-h", "--help", action="help", help="print this")
    version = f"viceroy {VICEROY_VERSION}"
    parser.add_argument("-V", "--version", action="version", version=version, help="print it")
    if command == "adapt":
        parser.add_argument("-o", "--output", metavar="OUTPUT")
        return parser
    if command == "serve":
        parser.add_argument(
            "--addr", type=_address, dest="address", metavar="IP:PORT", help="where to listen"
        )
    else:
        parser.add_argument("wasm_args", nargs=argparse.REMAINDER, metavar="WASM_ARGS")
    parser.add_argument("-C", "--config", type=Path, dest="manifest", metavar="FILE")
    for stream in ("stdout", "stderr"):
        parser.add_argument(f"--log-{stream}", action="store_true", help="it is a log endpoint")
    parser.add_argument("--local-pushpin-proxy-port", type=_port, dest="proxy_port", metavar="PORT")
    parser.add_argument(_WEBSOCKETS, type=_boolean, dest="websockets", metavar="BOOL")
    parser.add_argument(
        "--unknown-import-behavior",
        type=_unknown_imports,
        dest="trap_unknown",
        metavar="link-error|trap",
    )
    _accept(parser)
    return parser


def _accept(parser: argparse.ArgumentParser) -> None:
    """Add the flags that do nothing here; each is stored under its own name."""
    for flag, check in (("--profile", _profile), ("--experimental_modules", _module)):
        parser.add_argument(flag, type=check, dest=flag, help="accepted, without effect")
    for flags in (
        *(("-g", "--debug-info"), ("--debug",), ("--adapt",)),
        *(("--wasm-exceptions",), ("--wasm-gc",), ("--wasm-cm-gc",)),
    ):
        said = "accepted, without effect"
        parser.add_argument(*flags, action="store_true", dest=flags[-1], help=said)


def _invalid(value: str, option: str, reason: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"invalid value '{value}' for '{option}': {reason}")


def _wasm(text: str) -> Path:
    path = Path(text)
    try:
        with path.open("rb") as file:
            content = file.read(4)
            if content != b"\0asm":
                content += file.read()
    except OSError as error:
        reason = f"{error.strerror} (os error {error.errno})"
        raise _invalid(text, "<INPUT>", reason) from error
    if content != b"\0asm":
        import wasmtime

        try:
            wasmtime.wat2wasm(content)
        except wasmtime.WasmtimeError:
            raise _invalid(text, "<INPUT>", "Expected a valid Wasm file") from None
    return path


def _address(text: str) -> Address:
    found = _ADDRESS.fullmatch(text)
    try:
        if found is None or int(found["port"]) > 65535:
            raise ValueError
        ip = ipaddress.IPv6Address if found["v6"] else ipaddress.IPv4Address
        host = ip(found["v6"] or found["v4"])
    except ValueError:
        reason = "invalid socket address syntax"
        raise _invalid(text, "--addr <SOCKET_ADDR>", reason) from None
    return str(host), int(found["port"])


def _port(text: str) -> int:
    reason = "" if text.isascii() and text.isdigit() else "invalid digit found in string"
    if not reason and int(text) > 65535:
        reason = f"{text} is not in 0..=65535"
    if reason:
        raise _invalid(text, "--local-pushpin-proxy-port <LOCAL_PUSHPIN_PROXY_PORT>", reason)
    return int(text)


def _boolean(text: str) -> bool:
    return _one_of(text, f"{_WEBSOCKETS}[=<BOOL>]", "true", "false") == "true"


def _unknown_imports(text: str) -> bool:
    option = "--unknown-import-behavior <UNKNOWN_IMPORT_BEHAVIOR>"
    return _one_of(text, option, "link-error", "trap") == "trap"


def _profile(text: str) -> str:
    if not _PROFILE.fullmatch(text):
        reason = "expected perfmap, jitdump, vtune or guest[,path[,period]]"
        raise _invalid(text, "--profile <STRATEGY>", reason)
    return text


def _module(text: str) -> str:
    return _one_of(text, "--experimental_modules <EXPERIMENTAL_MODULES>", "wasi-nn")


def _one_of(text: str, option: str, *values: str) -> str:
    if text not in values:
        possible = f"\n  [possible values: {', '.join(values)}]"
        raise argparse.ArgumentTypeError(f"invalid value '{text}' for '{option}'{possible}")
    return text
