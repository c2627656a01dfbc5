"""The command `host-sim`: its arguments and exit codes; what a command does is in `commands`.

Exit codes: 0 stopped as asked, 1 could not start or publish (one line says why), 2 wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from host_sim.errors import HostSimError
from host_sim.version import program

__all__ = ["main"]

PROXY_ADDRESS = "127.0.0.1:7999"
PUBLISH_ADDRESS = "127.0.0.1:5561"
FORMATS = ("http-response", "http-stream", "ws-message")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: `sys.argv`) and return the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "proxy" and arguments.config is None:
        wanted = {f"--{name.replace('_', '-')}": name for name in ("route", "sig_iss", "sig_key")}
        missing = [flag for flag, name in wanted.items() if getattr(arguments, name) is None]
        if missing:
            parser.error(f"proxy: expected {', '.join(missing)}, or --config")
    from host_sim import commands

    try:
        commands.COMMANDS[arguments.command](arguments)
    except HostSimError as error:
        print(f"host-sim: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="host-sim",
        description="A local Fastly Compute with Fanout: runs the artifact that is deployed.",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=program(),
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="run a component with everything around it"))
    _add_proxy(commands.add_parser("proxy", help="run the GRIP proxy alone, before any backend"))
    _add_publish(commands.add_parser("publish", help="publish a message to a running simulator"))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a Compute component: edge, GRIP proxy, publish endpoint, backend self."
    )
    parser.add_argument(
        "wasm",
        nargs="?",
        type=Path,
        default=Path("bin/main.wasm"),
        metavar="WASM",
        help="the component to run (default: %(default)s)",
    )
    parser.add_argument(
        "-C",
        "--config",
        type=Path,
        metavar="FILE",
        help="the manifest (default: fastly.toml, if there is one)",
    )
    _add_addresses(parser, "--addr", "127.0.0.1:7676", "where the edge listens")
    _add_port(parser, "--proxy-port", 7677, "port of the GRIP proxy")
    _add_port(parser, "--publish-port", 5561, "port of the publish endpoint")
    parser.add_argument(
        "--fanout",
        metavar="PROXY",
        help="the GRIP proxy behind the edge, in place of the built-in one: 'pushpin' starts a "
        "Pushpin that is installed, http://HOST:PORT uses one that runs (with its own ports, "
        "key and issuer)",
    )
    parser.add_argument(
        "--fanout-publish",
        metavar="URL",
        help="publish endpoint of a proxy given as URL (default: port 5561 of the same host)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="keep KV stores in this folder; a store that is new there starts as the manifest "
        "says (default: in memory, lost at the end)",
    )
    parser.add_argument(
        "--request-timeout",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long the guest may work on one request (default: %(default)g)",
    )
    parser.add_argument(
        "--reuse",
        type=_count,
        default=5,
        metavar="N",
        help="how many more requests a sandbox may have that asks for the next one; 0: every "
        "request gets a fresh sandbox (default: %(default)d)",
    )
    parser.add_argument(
        "--unknown-import-behavior",
        choices=("link-error", "trap"),
        default="link-error",
        help="what becomes of a component that imports functions nobody here has: it does not "
        "start, or the guest that calls one ends (default: %(default)s)",
    )
    parser.add_argument(
        "--sig-iss", default="viceroy", metavar="ISS", help="issuer in Grip-Sig (default: viceroy)"
    )
    parser.add_argument(
        "--sig-key",
        metavar="KEY",
        help="key of Grip-Sig: a secret, or a PEM file for ES256 "
        "(default: the public development key of the Fastly CLI)",
    )
    _add_common(parser)


def _add_proxy(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run the GRIP proxy in front of HTTP backends of your own; no wasm."
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a pushpin.conf, which may give all that follows; the command line wins",
    )
    _add_addresses(parser, "--addr", None, "where clients connect", PROXY_ADDRESS)
    _add_addresses(parser, "--publish-addr", None, "where publishers connect", PUBLISH_ADDRESS)
    parser.add_argument(
        "--route",
        action="append",
        metavar="NAME=URL",
        help="a backend, http://HOST:PORT[/prefix]; repeatable, the first is the default",
    )
    parser.add_argument("--sig-iss", metavar="ISS", help="issuer in Grip-Sig")
    parser.add_argument(
        "--sig-key",
        metavar="KEY",
        help="key of Grip-Sig: a secret, or a PEM file for ES256",
    )
    parser.add_argument(
        "--compression",
        action="store_true",
        help="let WebSocket clients have permessage-deflate (RFC 7692)",
    )
    _add_common(parser)


def _add_publish(parser: argparse.ArgumentParser) -> None:
    parser.description = "Publish one message to everybody on a channel, whatever their transport."
    parser.add_argument("channel", metavar="CHANNEL")
    parser.add_argument("text", metavar="TEXT", help="the message; - reads it from standard input")
    parser.add_argument(
        "--url",
        default="http://127.0.0.1:5561/publish/",
        metavar="URL",
        help="the publish endpoint (default: %(default)s)",
    )
    parser.add_argument("--key", metavar="KEY", help="sent as a bearer token")
    parser.add_argument(
        "--format",
        action="append",
        choices=FORMATS,
        dest="formats",
        help="publish this format only; repeatable (default: all three)",
    )
    parser.add_argument(
        "--sse", action="store_true", help="make the stream format a server-sent event"
    )
    parser.add_argument("--id", metavar="ID", help="id of the item within its channel")
    parser.add_argument("--prev-id", metavar="ID", help="id of the item before it")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--publish-key",
        metavar="KEY",
        help="refuse publishers that do not present this key (default: everybody may publish)",
    )
    parser.add_argument("--json", action="store_true", help="print and log JSON lines")
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="also log second calls and ends of holds; twice: everything",
    )


def _add_addresses(
    parser: argparse.ArgumentParser, flag: str, default: str | None, what: str, said: str = ""
) -> None:
    parser.add_argument(
        flag,
        type=_address,
        default=default,
        metavar="HOST:PORT",
        help=f"{what} (default: {default or said}; port 0 takes a free one)",
    )


def _add_port(parser: argparse.ArgumentParser, flag: str, default: int, what: str) -> None:
    parser.add_argument(
        flag, type=_port, default=default, metavar="PORT", help=f"{what} (default: {default})"
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number from 0, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return port


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, got {text!r}")
    return host.removeprefix("[").removesuffix("]"), _port(port)
