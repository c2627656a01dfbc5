"""The format of `pushpin.conf` (GRIP §2.5)."""

from pathlib import Path

import pytest

from host_sim.errors import ConfigError
from host_sim.pushpin.conf import Conf


def conf(folder: Path, text: str) -> Conf:
    path = folder / "pushpin.conf"
    path.write_text(text)
    return Conf(path)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("viceroy", "viceroy"),
        (" a b ", "a b"),
        ('"a, b"', "a, b"),
        (r'"a \"b\" \\"', 'a "b" \\'),
        (r"a\tb", "a\tb"),
        ("base64:c2VjcmV0==", "base64:c2VjcmV0=="),
        ("50% of #1", "50% of #1"),
        ("", ""),
    ],
)
def test_value(tmp_path: Path, written: str, value: str) -> None:
    assert conf(tmp_path, f"[proxy]\nsig_iss={written}\n").text("proxy/sig_iss") == value


def test_comments_and_empty_lines_say_nothing(tmp_path: Path) -> None:
    read = conf(tmp_path, "# a\n\n[proxy]\n#key=1\n; key=2\nother=3\n")
    assert read.text("proxy/key", "none") == "none"
    assert read.ignored == ["proxy/other"]


def test_names_in_braces_are_replaced(tmp_path: Path) -> None:
    text = "[global]\nrundir=/run\nipc_prefix=p-\n[x]\nspec=ipc://{rundir}/{ipc_prefix}in\n"
    assert conf(tmp_path, text).text("x/spec") == "ipc:///run/p-in"


def test_a_name_in_braces_does_not_mean_itself(tmp_path: Path) -> None:
    assert conf(tmp_path, "[global]\nrundir={rundir}/x\n").text("global/rundir") == "{rundir}/x/x"


def test_own_values_go_before_included_ones(tmp_path: Path) -> None:
    (tmp_path / "base.conf").write_text("[proxy]\na=1\nb=1\n")
    read = conf(tmp_path, "[global]\ninclude=base.conf\n[proxy]\nb=2\n")
    assert (read.text("proxy/a"), read.text("proxy/b")) == ("1", "2")
    assert read.ignored == []


def test_included_keys_are_nobodys_fault(tmp_path: Path) -> None:
    (tmp_path / "base.conf").write_text("[proxy]\na=1\n")
    assert conf(tmp_path, "[global]\ninclude=base.conf\n").ignored == []


@pytest.mark.parametrize("name", ["internal.conf", "{libdir}/internal.conf"])
def test_the_file_of_the_library_is_where_libdir_says(tmp_path: Path, name: str) -> None:
    (tmp_path / "internal.conf").write_text("[proxy]\na=1\n")
    read = conf(tmp_path, f"[global]\nlibdir={tmp_path}\ninclude={name}\n")
    assert read.text("proxy/a") == "1"


def test_the_file_of_the_library_may_be_missing(tmp_path: Path) -> None:
    read = conf(tmp_path, "[global]\ninclude={libdir}/never-there.conf\n[proxy]\na=1\n")
    assert read.text("proxy/a") == "1"


def test_lists_switches_and_numbers(tmp_path: Path) -> None:
    read = conf(tmp_path, "[x]\nlist=1, 2,,3\non=true\noff=no\nnumber=12\n")
    assert read.parts("x/list") == ["1", "2", "3"]
    assert read.parts("x/none") == []
    assert (read.switch("x/on", default=False), read.switch("x/off", default=True)) == (True, False)
    assert read.switch("x/none", default=True)
    assert (read.number("x/number", 1), read.number("x/none", 1)) == (12, 1)


@pytest.mark.parametrize("text", ["key=1\n", "[a\n", "[a]\nnothing\n", "[a]\nx=\x00\n[\n"])
def test_what_is_no_such_file_is_a_configuration_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is not a pushpin"):
        conf(tmp_path, text)


def test_bytes_that_are_no_text_are_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "pushpin.conf"
    path.write_bytes(b"[a]\nb=\xff\n")
    with pytest.raises(ConfigError):
        Conf(path)


def test_files_that_are_missing_are_configuration_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        Conf(tmp_path / "none.conf")
    with pytest.raises(ConfigError, match=r"base\.conf: No such file"):
        conf(tmp_path, "[global]\ninclude=base.conf\n")


def test_a_bad_number_names_its_place(tmp_path: Path) -> None:
    read = conf(tmp_path, "[x]\nnumber=-1\n")
    with pytest.raises(ConfigError, match="x/number: expected a number, got '-1'"):
        read.number("x/number", 1)
