# ruff: noqa: T201 - a command line tool
"""Check any GRIP proxy against scenarios of how Pushpin behaves. See README.md."""

import argparse
import asyncio
import sys
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.conformance.gripkit.loader import SCENARIOS, ScenarioError, load_scenarios, select
from tests.conformance.gripkit.matchers import SigningKey
from tests.conformance.gripkit.model import Settings
from tests.conformance.gripkit.origin import Origin
from tests.conformance.gripkit.report import print_outcome, print_summary, write_junit
from tests.conformance.gripkit.runner import run_scenarios

DEFAULT_SIG_KEY = "conformance-key-0123456789-0123456789"


def parse_arguments() -> argparse.Namespace:
    """Return the command line arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proxy", default="http://127.0.0.1:7999", help="URL of the proxy")
    parser.add_argument(
        "--publish", default="http://127.0.0.1:5561/publish/", help="URL of its publish endpoint"
    )
    parser.add_argument(
        "--origin-port", type=int, default=8000, help="port of the origin it forwards to"
    )
    parser.add_argument("--sig-key", default=DEFAULT_SIG_KEY, help="HS256 key of Grip-Sig")
    parser.add_argument(
        "--sig-public-key", type=Path, help="PEM file with the ES256 public key of Grip-Sig instead"
    )
    parser.add_argument("--sig-iss", default="conformance", help="issuer in Grip-Sig")
    parser.add_argument("--scenarios", type=Path, default=SCENARIOS, help="directory")
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN", help="glob on scenario ids"
    )
    parser.add_argument(
        "--skip-tag", action="append", default=[], metavar="TAG", help="for example slow or quirk"
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios and exit")
    parser.add_argument("--jobs", type=int, default=16, help="scenarios to run side by side")
    parser.add_argument(
        "--patience", type=float, default=20, help="seconds to wait for anything expected"
    )
    parser.add_argument(
        "--trace", action="store_true", help="tell what happened in scenarios that fail"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write JUnit XML")
    return parser.parse_args()


def main() -> int:
    """Run the scenarios and return the exit status."""
    arguments = parse_arguments()
    try:
        scenarios = select(load_scenarios(arguments.scenarios), arguments.only, arguments.skip_tag)
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return 2
    if not scenarios:
        print("no scenario matches", file=sys.stderr)
        return 2
    if arguments.list:
        for scenario in scenarios:
            print(f"{scenario.id}: {scenario.about}")
        return 0

    if arguments.sig_public_key is None:
        signing_key = SigningKey(arguments.sig_key, "HS256", arguments.sig_iss)
    else:
        signing_key = SigningKey(arguments.sig_public_key.read_text(), "ES256", arguments.sig_iss)
    settings = Settings(
        urlsplit(arguments.proxy), urlsplit(arguments.publish), signing_key, arguments.patience
    )
    outcomes = asyncio.run(
        run_scenarios(
            scenarios,
            settings,
            Origin(arguments.origin_port),
            arguments.jobs,
            partial(print_outcome, trace=arguments.trace),
        )
    )
    print_summary(outcomes)
    if arguments.junit is not None:
        write_junit(outcomes, arguments.junit)
    return 1 if any(outcome.problem is not None for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
