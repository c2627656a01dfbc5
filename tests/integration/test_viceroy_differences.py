"""The same guest on a real Viceroy and here: what differs is what is meant to.

`python -m tests.viceroy` prints the differences. Skipped without Viceroy.
"""

import fnmatch

import pytest

from tests.support import viceroy
from tests.viceroy.cases import all_cases
from tests.viceroy.compare import compare, differences
from tests.viceroy.expected import EXPECTED, reason_of, unseen


def test_each_intended_difference_names_a_case() -> None:
    names = {case.name for case in all_cases()}
    for pattern, why in EXPECTED.items():
        assert why
        case = pattern.rpartition(".")[0] or pattern
        assert fnmatch.filter(names, case) or fnmatch.filter(names, pattern), pattern


@pytest.mark.wasm
@pytest.mark.slow
@pytest.mark.skipif(viceroy.missing(), reason="Viceroy is not installed")
def test_what_differs_is_what_is_intended() -> None:
    cases, (there, here) = compare()
    found = [one for case in cases for one in differences(case, there, here)]
    names = [one.name for one in found]
    assert [one for one in found if reason_of(one.name) is None] == []
    assert unseen(names) == [], "no longer differs"
