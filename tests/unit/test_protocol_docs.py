"""The limits that `docs/protocol.md` tells are those of the code."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<value>[\d,]+) \| `(?P<name>[\w.]+)` \|", re.MULTILINE)
ROWS = [match.groups() for match in ROW.finditer(PAGE.read_text())]


@pytest.mark.parametrize(("what", "value", "name"), ROWS, ids=[name for _, _, name in ROWS])
def test_limit_is_as_told(what: str, value: str, name: str) -> None:
    module, _, constant = name.rpartition(".")
    assert getattr(importlib.import_module(module), constant) == int(value.replace(",", "")), what


def test_there_are_limits() -> None:
    assert len(ROWS) > 40
