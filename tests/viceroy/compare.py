"""Runs all cases on both hosts and finds where the answers differ."""

import contextlib
import dataclasses
import json
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.sandbox import build_guest
from tests.viceroy.case import Case
from tests.viceroy.cases import all_cases
from tests.viceroy.manifest import Places, write_manifest
from tests.viceroy.origin import Origin
from tests.viceroy.runtimes import Answer, Runtime, ours, viceroy

__all__ = ["Difference", "Results", "compare", "differences", "run_all"]

VARYING = ((re.compile(r"[0-9a-f]{32}"), "<id>"),)
"""What is another each time, in any text."""

EDGE = 10000
"""The port shown in place of the host's own; those of the origins follow."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        name: of the case and the thing, `CASE.THING`.
        there: how it is on Viceroy.
        here: how it is on ours.
    """

    name: str
    there: Any
    here: Any


type Maker = Callable[[Path, Path, int], Runtime]
type Results = dict[str, tuple[Answer, ...]]


def run_all(runtimes: list[Runtime], folder: Path, cases: list[Case]) -> list[Results]:
    """Run cases on each host, which run at the same time and never see each other."""
    with contextlib.ExitStack() as stack:
        for runtime in runtimes:
            stack.enter_context(runtime.open(folder))
        return [{case.name: runtime.run(case) for case in cases} for runtime in runtimes]


@contextlib.contextmanager
def places(folder: Path) -> Iterator[Places]:
    """Run the origins, and write what the hosts are to know."""
    from tests.support.certificates import Authority

    authority = Authority()
    certificate = authority.issue_files("origin.test", folder)
    ca_file = folder / "ca.pem"
    ca_file.write_text(authority.pem)
    authority.issue_files("client.test", folder)

    def tls() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        context.load_verify_locations(ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    with Origin() as plain, Origin(tls) as secure, Origin() as proxy:
        yield write_manifest(folder, plain.port, secure.port, proxy.port)


def compare(
    only: str = "", makers: Sequence[Maker] = (viceroy, ours)
) -> tuple[list[Case], list[Results]]:
    """Run the cases whose name has `only` in it; return them and what each host answered."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with places(folder) as at:
            wasm = build_guest()
            runtimes = [make(wasm, at.manifest, at.proxy_port) for make in makers]
            cases = [case for case in all_cases() if only in case.name]
            results = run_all(runtimes, folder, cases)
            origins = {str(port): str(n) for n, port in enumerate(at.ports(), EDGE + 1)}
            for answers, runtime in zip(results, runtimes, strict=True):
                ports = origins | {str(runtime.port): str(EDGE)}
                for case, found in answers.items():
                    answers[case] = tuple(normalised(answer, ports) for answer in found)
            return cases, results


def normalised(answer: Answer, ports: dict[str, str]) -> Answer:
    """Return an answer without what is another each time."""

    def text(value: str) -> str:
        for pattern, name in VARYING:
            value = pattern.sub(name, value)
        return re.sub(r"\b\d{4,5}\b", lambda found: ports.get(found[0], found[0]), value)

    headers = tuple((name, text(value)) for name, value in answer.headers if name != "date")
    return dataclasses.replace(
        answer, headers=headers, body=text(answer.body), log=tuple(map(text, answer.log))
    )


def differences(case: Case, there: Results, here: Results) -> Iterator[Difference]:
    """Find what differs in the answers to one case."""
    for number, (one, other) in enumerate(zip(there[case.name], here[case.name], strict=True)):
        prefix = case.name + (f".{number + 1}" if len(case.asks) > 1 else "")
        both = (one, other)
        if one.body != other.body:
            both = _without_length(one), _without_length(other)
        for field in dataclasses.fields(Answer):
            values = getattr(both[0], field.name), getattr(both[1], field.name)
            if field.name == "body":
                yield from _in_content(prefix, *values)
            elif values[0] != values[1]:
                yield Difference(name=f"{prefix}.{field.name}", there=values[0], here=values[1])


def _without_length(answer: Answer) -> Answer:
    headers = tuple(field for field in answer.headers if field[0] != "content-length")
    return dataclasses.replace(answer, headers=headers)


def _in_content(prefix: str, one: str, other: str) -> Iterator[Difference]:
    """Compare what a guest noted, thing by thing; other content as a whole."""
    parsed = _parsed(one), _parsed(other)
    if parsed[0] is None or parsed[1] is None:
        if one != other:
            yield Difference(name=f"{prefix}.body", there=one, here=other)
        return
    for key in parsed[0] | parsed[1]:
        values = parsed[0].get(key, "<not noted>"), parsed[1].get(key, "<not noted>")
        if values[0] != values[1]:
            yield Difference(name=f"{prefix}.{key}", there=values[0], here=values[1])


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
