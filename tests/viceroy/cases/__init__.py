"""The cases, one module for each part of the host contract."""

import importlib
import pkgutil

from tests.viceroy.case import Case

__all__ = ["all_cases"]


def all_cases() -> list[Case]:
    """Return all cases; no two have one name."""
    cases: list[Case] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda one: one.name):
        cases += importlib.import_module(f"{__name__}.{module.name}").CASES.all
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return cases
