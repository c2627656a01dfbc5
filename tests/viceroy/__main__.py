"""Prints what differs between Viceroy and here.

`--show here` prints instead what one of them answers, to write cases by.
"""

import argparse
import json
import sys
import textwrap

from tests.viceroy.case import Case
from tests.viceroy.compare import Difference, Results, compare, differences
from tests.viceroy.expected import reason_of, unseen
from tests.viceroy.runtimes import ours, viceroy

MAKERS = {"viceroy": viceroy, "here": ours}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show(cases: list[Case], results: Results) -> None:
    """Print what one host answered."""
    for case in cases:
        for answer in results[case.name]:
            say(f"{case.name}: {answer.status} truncated={answer.truncated} {answer.headers}")
            for line in answer.log:
                say(f"    {line}")
            try:
                content = json.dumps(json.loads(answer.body), indent=1)
            except ValueError:
                content = repr(answer.body[:2000])
            say(textwrap.indent(content, "    "))


def table(found: list[Difference]) -> None:
    """Print the differences, with the reason of those that are intended."""
    for one in found:
        reason = reason_of(one.name)
        say(f"{'intended' if reason else 'DIFFERS '}  {one.name}")
        say(f"    Viceroy: {short(one.there)}")
        say(f"    here:    {short(one.here)}")
        if reason:
            say(f"    because  {reason}")


def short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 400 else text[:397] + "..."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.viceroy")
    parser.add_argument("--only", default="", help="cases with this in their names")
    parser.add_argument("--show", choices=MAKERS, help="print what this one answers")
    options = parser.parse_args()
    if options.show:
        cases, (results,) = compare(options.only, [MAKERS[options.show]])
        show(cases, results)
        return 0
    cases, (there, here) = compare(options.only)
    found = [one for case in cases for one in differences(case, there, here)]
    table(found)
    names = [one.name for one in found]
    stray = [name for name in names if reason_of(name) is None]
    gone = [] if options.only else unseen(names)
    for name in gone:
        say(f"GONE      {name}: no longer differs")
    say(f"{len(cases)} cases, {len(names) - len(stray)} intended differences, {len(stray)} others")
    return 1 if stray or gone else 0


if __name__ == "__main__":
    sys.exit(main())
