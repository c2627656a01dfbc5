"""Nothing of the platform is left out: what it declares is here, and a test calls it.

The list is `tests/guests/newest/functions.txt`: each function of Viceroy's newest WIT, with the
module of tests in this folder that calls it. `conftest.py` holds each module to that.
"""

from pathlib import Path

import pytest

from host_sim.sandbox.hostcalls import find
from host_sim.sandbox.loading.engine import load
from tests.support.artifacts import artifact
from tests.support.inventory import (
    NEWEST,
    Declarations,
    imported,
    listed,
    newest_known,
    refused,
)
from tests.support.sandbox import build_guest

pytestmark = pytest.mark.wasm

HERE = Path(__file__).parent


async def imports_of(path: Path) -> set[str]:
    """Return the functions of the platform that a component imports."""
    loaded = await load(path)
    loaded.ticker.close()
    return set(imported(loaded.engine, loaded.linked.component))


async def test_the_list_has_all_that_an_artifact_imports() -> None:
    """The SDK's build imports all of its world, whatever the service uses."""
    functions = await imports_of(artifact("main"))
    assert len(functions) == 249
    assert functions <= listed().keys()


async def test_the_guests_import_all_of_the_list() -> None:
    functions = {name: await imports_of(build_guest(name)) for name in ("scripted", "newest")}
    assert functions["scripted"] | functions["newest"] == listed().keys()


@pytest.mark.skipif(newest_known() is None, reason="no source of Viceroy is on this machine")
def test_the_list_and_our_slice_are_as_viceroy_has_it() -> None:
    """Names, and in `newest.wit` signatures and types as well."""
    path = newest_known()
    assert path is not None
    theirs = Declarations(path.read_text())
    assert theirs.functions.keys() - {"http-incoming/handle"} == listed().keys()
    ours = Declarations((NEWEST / "newest.wit").read_text())
    assert ours.functions.items() <= theirs.functions.items()
    assert ours.types.items() <= theirs.types.items()


@pytest.mark.parametrize("key", listed())
def test_the_host_has_the_function(key: str) -> None:
    assert find(key) is not None


def test_a_test_calls_each_function_or_its_refusal_has_a_reason() -> None:
    """`docs/host.md`, "What is refused, and why", is the list of refusals."""
    excused = {key for keys in refused().values() for key in keys}
    lost = {
        key: module
        for key, module in listed().items()
        if key not in excused and not (HERE / f"{module}.py").exists()
    }
    assert not lost


def test_refusals_are_of_functions_that_exist() -> None:
    assert not [row for row, keys in refused().items() if not keys]
