"""What a machine can check so that reviews need not: surface, shape and words of every module."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for package in ("grip", "guest", "host_sim") for path in (ROOT / package).rglob("*.py")
)
TEXTS = [
    path
    for pattern in ("*.md", "*.toml", "*.sh", "Makefile", ".ci/run", "docs/*.md", "bench/*")
    for path in ROOT.glob(pattern)
    if path.is_file()
]
MAX_LINES = 450


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_module_is_one_idea_in_bearable_length(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES, f"{name_of(path)} is due to be split"
    assert ast.get_docstring(ast.parse(text)), f"{name_of(path)} does not say what it is"


# The guest's modules need the generated bindings; host functions are found by what decorates them;
# a `__main__` runs when it is imported.
EXPORTING = [
    path
    for path in SOURCES
    if not {"guest", "hostcalls"} & {*path.parts} and path.name != "__main__.py"
]


@pytest.mark.parametrize("path", EXPORTING, ids=name_of)
def test_public_names_are_listed_and_exist(path: Path) -> None:
    module = importlib.import_module(name_of(path))
    tree = ast.parse(path.read_text())
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    }
    names = getattr(module, "__all__", None)
    if names is None:
        assert not defined, f"{name_of(path)} defines {sorted(defined)} without __all__"
        return
    assert all(hasattr(module, name) for name in names)
    assert len(set(names)) == len(names)
    assert defined <= set(names), f"{name_of(path)}: not in __all__: {sorted(defined - set(names))}"


@pytest.mark.parametrize("path", SOURCES + TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_path_of_a_machine_is_named(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"/(root|work|home/\w+|Users/\w+)/", text)


def test_paths_named_in_the_documents_exist() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    ours = re.compile(r"`((?:grip|guest|host_sim|tests|docs|wit|bench)/[\w./-]*)`")
    missing = [
        f"{document.name}: {name}"
        for document in documents
        for name in ours.findall(document.read_text())
        if not (ROOT / name).exists()
    ]
    assert not missing
