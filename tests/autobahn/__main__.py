"""Runs the Autobahn fuzzing client against the proxy, before a backend that echoes.

    python -m tests.autobahn [--python2 PYTHON] [--cases '1.*' ...] [--compression]

The suite needs Python 2.7; it is installed from PyPI into a folder of its own the first time. Exit
status 1 if a case failed, its close code was wrong, or more than the four cases of 6.4 that depend
on where TCP splits a frame are non-strict. Source: RFC 6455.
"""

import argparse
import asyncio
import collections
import json
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from grip.signature import Key
from grip.ws_over_http.context import WebSocketContext
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.signer import Signer
from host_sim.http1.server import serve
from host_sim.messages import Downstream, Request
from host_sim.proxy import GripProxy, ProxySettings

SUITE = "autobahntestsuite==25.10.1"
HOME = Path.home() / ".cache" / "host-sim" / SUITE.replace("==", "-")
# `addsitedir` reads the .pth files that make namespace packages, which PYTHONPATH would not.
PROGRAM = (
    f"import site; site.addsitedir({str(HOME)!r}); import autobahntestsuite.wstest as w; w.run()"
)
DEFAULT_CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
GOOD = {"OK", "INFORMATIONAL"}
MAX_BODY_BYTES = 1_000_000


async def echo(request: Request, downstream: Downstream) -> None:
    """Answer a request of the proxy: accept, and send every message back."""
    body = await request.body.whole(MAX_BODY_BYTES)
    assert body is not None
    context = WebSocketContext.from_request(request.headers, body)
    if context.opening:
        context.accept()
    for message in context.receive():
        context.send(message)
    status, headers, answer = context.to_response()
    downstream.send_head(status, "OK", headers, len(answer))
    downstream.write(answer)
    downstream.finish()


def install(python2: str) -> None:
    """Install the suite unless it is there."""
    if not (HOME / "autobahntestsuite").exists():
        say(f"installing {SUITE} into {HOME}")
        command = [python2, "-m", "pip", "install", "--quiet", "--target", str(HOME), SUITE]
        subprocess.run(command, check=True)


async def fuzz(python2: str, cases: Sequence[str], report: Path, *, compression: bool) -> None:
    """Run the cases against a proxy on free ports; the suite writes its report."""
    backend = await serve(echo, "127.0.0.1", 0)
    route = Route.parse(f"echo=http://127.0.0.1:{backend.address[1]}")
    settings = ProxySettings(
        routes=Routes([route]),
        sign=Signer(Key.secret(secrets.token_hex()), "autobahn"),
        address=("127.0.0.1", 0),
        publish_address=("127.0.0.1", 0),
        compression=compression,
    )
    async with GripProxy(settings) as proxy:
        spec = report / "spec.json"
        spec.write_text(
            json.dumps(
                {
                    "outdir": str(report),
                    "servers": [{"agent": "proxy", "url": f"ws://127.0.0.1:{proxy.address[1]}"}],
                    "cases": list(cases),
                    "exclude-cases": [],
                    "exclude-agent-cases": {},
                }
            )
        )
        process = await asyncio.create_subprocess_exec(
            *(python2, "-c", PROGRAM, "-m", "fuzzingclient", "-s", str(spec)),
            cwd=report,
            stdout=asyncio.subprocess.DEVNULL,
        )
        if await process.wait() != 0:
            raise SystemExit(f"the fuzzing client ended with {process.returncode}")
    await backend.close(1.0)


def judge(report: Path) -> bool:
    """Say what the report says; true if it is good."""
    results: dict[str, dict[str, str]] = json.loads((report / "index.json").read_text())["proxy"]
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    good = True
    for case, result in sorted(results.items(), key=lambda item: _number(item[0])):
        behavior, close = result["behavior"], result["behaviorClose"]
        table[case.split(".")[0]][behavior] += 1
        split = behavior == "NON-STRICT" and case.startswith("6.4.")
        if (behavior not in GOOD and not split) or close not in GOOD:
            say(f"case {case}: {behavior}, close: {close}")
            good = False
    for group, counts in table.items():
        say(f"{group + '.*':>5}  " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    total = sum(table.values(), collections.Counter())
    say("  all  " + ", ".join(f"{count} {name}" for name, count in total.items()))
    return good


def _number(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.autobahn")
    parser.add_argument("--python2", default="python2.7", help="interpreter for the suite")
    parser.add_argument("--cases", nargs="+", default=DEFAULT_CASES, help="patterns of cases")
    parser.add_argument("--compression", action="store_true", help="accept it, for cases 12 and 13")
    parser.add_argument("--report", type=Path, default=HOME / "report", help="where it is written")
    options = parser.parse_args()
    install(options.python2)
    options.report.mkdir(parents=True, exist_ok=True)
    asyncio.run(
        fuzz(
            options.python2,
            options.cases,
            options.report.absolute(),
            compression=options.compression,
        )
    )
    sys.exit(0 if judge(options.report) else 1)


if __name__ == "__main__":
    main()
