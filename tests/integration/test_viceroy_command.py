"""The command in the place of `viceroy` and a real one: the same words and exit codes.

Host contract §5.1. Skipped without Viceroy.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import viceroy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(viceroy.missing(), reason="Viceroy is not installed"),
]

ROOT = Path(__file__).resolve().parents[2]
OURS = [
    sys.executable,
    "-c",
    "import sys; from host_sim.viceroy.command import main; sys.exit(main())",
]
FILES = {
    "text.wasm": "no wasm at all",
    "broken.wat": "(component (import))",
    "some.wat": "(module)",
    "not-toml.toml": "x = \n",
    "newer.toml": "manifest_version = 4\n",
    "words.toml": 'manifest_version = "three"\n',
    "no-url.toml": '[local_server.backends]\no = { uri = "x" }\n',
    "odd-key.toml": '[local_server.backends]\no = { url = "http://h", x = 1 }\n',
    "no-format.toml": "[local_server.config_stores.c]\n",
}


def run(program: list[str], arguments: list[str], folder: Path) -> tuple[int, str, str]:
    """Return exit code, output and errors, less the times and what parsers alone say."""
    done = subprocess.run(
        [*program, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    texts = []
    for text in (done.stdout, done.stderr):
        plain = re.sub(r"^\d{4}-\S+Z ", "", text, flags=re.MULTILINE)
        plain = re.sub(r"(error parsing `fastly.toml`:).*", r"\1", plain, flags=re.DOTALL)
        plain = re.sub(r"(invalid value '\w+' for '--[^']*').*", r"\1", plain, flags=re.DOTALL)
        texts.append(re.sub(r"^(  tip:.*\n\n|Usage:.*)", "", plain, flags=re.MULTILINE))
    return done.returncode, texts[0], texts[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        [],
        ["none.wasm"],
        ["serve", "-v", "none.wasm"],
        ["serve", "text.wasm"],
        ["serve", "broken.wat"],
        ["serve", "--nonsense", "some.wat"],
        ["serve", "some.wat", "--addr", "nonsense"],
        ["serve", "some.wat", "--addr", "127.0.0.1:99999"],
        ["some.wat", "--local-pushpin-proxy-port", "x"],
        ["some.wat", "--unknown-import-behavior", "x"],
        *(["serve", "-v", "some.wat", "-C", name] for name in ("none.toml", *list(FILES)[3:])),
    ],
    ids=" ".join,
)
def test_what_keeps_it_from_starting(arguments: list[str], tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    assert run(OURS, arguments, tmp_path) == run(["viceroy"], arguments, tmp_path)
