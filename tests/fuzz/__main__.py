# ruff: noqa: T201 - a command line tool
"""Fuzzes one target with atheris, guided by coverage.

    python -m tests.fuzz TARGET [--seconds N] [--corpus FOLDER] [-- OPTIONS OF LIBFUZZER]

atheris (PyPI) has to be installed in the environment of `python`; it is needed for nothing else.
The process ends with an error at the first input that a target does not stand, which takes longer
than ten seconds, or more than half a gigabyte.
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Run one target until the time is up."""
    atheris = importlib.import_module("atheris")  # neither required nor typed

    with atheris.instrument_imports(include=["grip", "host_sim.fanout.frames"]):
        from tests.fuzz.targets import SEEDS, TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)d)")
    parser.add_argument("--corpus", type=Path, help="where inputs that found something are kept")
    parser.add_argument("options", nargs="*", help="options of libFuzzer, for example -runs=1000")
    arguments = parser.parse_args()

    corpus = arguments.corpus or Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[arguments.target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    print(f"{arguments.target}: corpus in {corpus}")
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={arguments.seconds}",
            "-timeout=10",
            "-rss_limit_mb=512",
            "-print_final_stats=1",
            *arguments.options,
            str(corpus),
        ],
        TARGETS[arguments.target],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
