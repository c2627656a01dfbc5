"""The format of Pushpin's `routes` file: on each line a condition and the targets of a request.

    *,id=NAME,path_beg=/a,replace_beg=/b 127.0.0.1:8000,over_http,ssl,host=example.com

Lines that cannot be used are left out, as Pushpin does; what is not obeyed is told.
Source: GRIP §2.5; compute-host §5.3; the comments of the file itself.
"""

import dataclasses
import re
from collections.abc import Iterable

from host_sim.fanout.routes import Route

__all__ = ["parse_routes"]

_TOKEN = re.compile(r'"((?:[^"\\]|\\["\\])*)"|([^",#\s]+)|([\s,#])|(.)')
_ESCAPED = re.compile(r"\\(.)")
_ADDRESS = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+)):(\d{1,5})")

_CONDITIONS = frozenset({"id", "path_beg", "path_rem", "replace_beg"})
_TARGETS = frozenset({"over_http", "ssl", "host", "insecure"})


class _UnusableError(ValueError):
    """Why a line cannot be used."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Section:
    """A value and the properties behind it; the value is empty where there are only properties."""

    value: str
    properties: dict[str, str]


def parse_routes(lines: Iterable[str]) -> tuple[list[Route], list[str]]:
    """Return the routes of a file, and what of it is not obeyed: `line N: …`."""
    routes: list[Route] = []
    notes: list[str] = []
    conditions: set[tuple[str | None, str]] = set()
    for number, line in enumerate(lines, 1):
        try:
            sections = _sections(line)
            if not sections:
                continue
            route, said = _route(sections)
            condition = (route.for_host, route.for_path)
            if not route.named_only and condition in conditions:
                raise _UnusableError("skipped, the same condition has been there before")
            if any(route.name == other.name for other in routes):
                raise _UnusableError(f"skipped, {route.name!r} has been there before")
        except _UnusableError as error:
            said = [str(error)]
        else:
            routes.append(route)
            if not route.named_only:
                conditions.add(condition)
        notes += (f"line {number}: {text}" for text in said)
    return routes, notes


def _sections(line: str) -> list[_Section]:
    """Return condition and targets of a line, none for an empty one."""
    sections: list[list[str]] = []
    inside = False
    for token in _TOKEN.finditer(line):
        quoted, plain, mark, stray = token.groups()
        if stray is not None:
            raise _UnusableError("skipped, a quotation mark is missing")
        if mark == "#":
            break
        if mark is not None and mark != ",":
            inside = False
            continue
        if not inside:
            sections.append([""])
            inside = True
        if mark == ",":
            sections[-1].append("")
        else:
            sections[-1][-1] += plain or _ESCAPED.sub(r"\1", quoted)
    return [_section(parts) for parts in sections]


def _section(parts: list[str]) -> _Section:
    value = "" if "=" in parts[0] else parts[0]
    properties = parts if "=" in parts[0] else parts[1:]
    pairs = (text.partition("=") for text in properties)
    return _Section(value, {name: given for name, _, given in pairs})


def _route(sections: list[_Section]) -> tuple[Route, list[str]]:
    """Return the route of a line and what of the line is not obeyed."""
    condition, *targets = sections
    if not targets:
        raise _UnusableError("skipped, expected a condition and a target")
    target = targets[0]
    given, how = condition.properties, target.properties
    if not condition.value and not given.get("id"):
        raise _UnusableError("skipped, expected a host or an id as condition")
    said = [f"only the first of {len(targets)} targets is used"] if len(targets) > 1 else []
    said += (f"{name!r} is not obeyed" for name in given if name not in _CONDITIONS)
    said += (f"{name!r} is not obeyed" for name in how if name not in _TARGETS)

    for_host = None if condition.value in ("", "*") else condition.value.lower()
    for_path = given.get("path_beg", "")
    cut, prefix = given.get("path_rem", "0"), ""
    if "replace_beg" in given:
        cut, prefix = str(len(for_path)), given["replace_beg"]
    scheme, host, port = _place(target)
    if scheme != "test" and "over_http" not in how:
        said.append("WebSockets go over HTTP, also without 'over_http'")
    route = Route(
        name=given.get("id") or f"{for_host or '*'}{for_path}",
        scheme=scheme,
        host=host,
        port=port,
        cut=int(cut) if cut.isascii() and cut.isdigit() else 0,
        prefix=prefix,
        for_host=for_host,
        for_path=for_path,
        host_header=how.get("host") or None,
        named_only=not condition.value,
        insecure="insecure" in how,
    )
    return route, said


def _place(target: _Section) -> tuple[str, str, int]:
    """Return scheme, host and port of a target."""
    if target.value == "test":
        return "test", "", 0
    found = _ADDRESS.fullmatch(target.value)
    if found is None or not 0 < int(found[3]) < 65536:
        raise _UnusableError(f"skipped, expected HOST:PORT or test, got {target.value!r}")
    scheme = "https" if "ssl" in target.properties else "http"
    return scheme, found[1] or found[2], int(found[3])
