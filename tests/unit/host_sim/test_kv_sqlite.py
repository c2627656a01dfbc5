"""KV stores on disk: what can be wrong with the file, expiry, threads, several processes."""

import concurrent.futures
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from host_sim.errors import StartError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.data import KvItem
from host_sim.sandbox.stores import kv, kv_sqlite
from host_sim.sandbox.stores.kv import KvStore, KvStores, MemoryStores
from host_sim.sandbox.stores.kv_sqlite import FILE, SqliteStores

CONTENTS = {"s": {"first": KvItem(b"1", "m")}}


def options(mode: str = "overwrite", **given: Any) -> dict[str, Any]:
    """Return the options of an insert."""
    return {
        "mode": mode,
        "if-generation-match": given.get("generation"),
        "metadata": given.get("metadata"),
        "time-to-live-sec": given.get("lifetime"),
    }


def listing(**given: Any) -> dict[str, Any]:
    return {"prefix": None, "limit": None, "cursor": None, **given}


def store(stores: KvStores, name: str = "s") -> KvStore:
    found = stores.get(name)
    assert found is not None
    return found


def refused(folder: Path) -> str:
    """Return why there can be no state in a folder."""
    with pytest.raises(StartError) as caught:
        SqliteStores(folder, CONTENTS)
    text = str(caught.value)
    assert text.startswith(f"--state {folder}: KV stores cannot be kept there: ")
    assert "\n" not in text
    return text


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert refused(tmp_path / "state").endswith(": File exists")
    assert refused(tmp_path / "state" / "below").endswith(": Not a directory")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("no database" * 100)
    assert "not a database" in refused(tmp_path)
    assert (tmp_path / FILE).read_text() == "no database" * 100  # it may be somebody's


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert "unable to open database file" in refused(tmp_path)


def test_a_file_of_another_version(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "was written by another version" in refused(tmp_path)


def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE stores (x)")
    connection.close()
    assert "already exists" in refused(tmp_path)


def test_a_damaged_file(tmp_path: Path) -> None:
    stores = SqliteStores(tmp_path, CONTENTS)
    for number in range(100):
        store(stores).insert(f"key{number}", b"x" * 1000, options())
    stores.close()
    content = bytearray((tmp_path / FILE).read_bytes())
    content[8192:40960] = b"\xff" * (40960 - 8192)
    (tmp_path / FILE).write_bytes(content)
    assert "malformed" in (text := refused(tmp_path)) or "damaged" in text


def test_damage_that_comes_later_is_an_error_of_the_call(tmp_path: Path) -> None:
    stores = SqliteStores(tmp_path, CONTENTS)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("DROP TABLE entries")
    connection.close()
    for call in (
        lambda: store(stores).lookup("k"),
        lambda: store(stores).insert("k", b"", options()),
        lambda: store(stores).delete("k"),
        lambda: store(stores).list(listing()),
    ):
        with pytest.raises(WitError, match="internal-error"):
            call()
    stores.close()


def test_a_manifest_fills_new_stores_only(tmp_path: Path) -> None:
    stores = SqliteStores(tmp_path / "made" / "on the way", CONTENTS)
    store(stores).delete("first")
    stores.close()
    more = {**CONTENTS, "t": {"k": KvItem(b"v")}}
    stores = SqliteStores(tmp_path / "made" / "on the way", more)
    assert store(stores).list(listing())["data"] == []
    assert store(stores, "t").list(listing())["data"] == ["k"]
    assert stores.get("u") is None
    stores.close()


def test_values_expire_while_nobody_runs(tmp_path: Path) -> None:
    clock = [100.0]
    stores = SqliteStores(tmp_path, CONTENTS, lambda: clock[0])
    store(stores).insert("short", b"", options(lifetime=10))
    store(stores).insert("long", b"", options(lifetime=11))
    clock[0] = 109.9
    assert store(stores).list(listing())["data"] == ["first", "long", "short"]
    stores.close()
    clock[0] = 110.0
    stores = SqliteStores(tmp_path, CONTENTS, lambda: clock[0])
    assert store(stores).list(listing())["data"] == ["first", "long"]
    clock[0] = 111.0
    assert store(stores).lookup("long") is None
    assert store(stores).delete("long") is False
    store(stores).insert("long", b"", options("add"))
    stores.close()


def test_a_lock_that_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_sqlite, "BUSY_S", 0.01)
    stores = SqliteStores(tmp_path, CONTENTS)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(WitError, match="internal-error"):
        store(stores).insert("k", b"", options())
    assert store(stores).lookup("first") is not None  # who reads does not wait
    other.execute("ROLLBACK")
    other.close()
    store(stores).insert("k", b"", options())
    stores.close()


def test_what_is_closed_is_an_error_of_the_call(tmp_path: Path) -> None:
    stores = SqliteStores(tmp_path, CONTENTS)
    kept = store(stores)
    stores.close()
    with pytest.raises(WitError, match="internal-error"):
        kept.lookup("first")
    with pytest.raises(RuntimeError):
        stores.start(lambda: kept.lookup("first"))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_values_that_are_too_large(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv, "MAX_VALUE", 4)
    stores: KvStores = (
        MemoryStores(CONTENTS) if kind == "memory" else SqliteStores(tmp_path, CONTENTS)
    )
    store(stores).insert("k", b"1234", options())
    for data, mode in ((b"12345", "overwrite"), (b"5", "append"), (b"0", "prepend")):
        with pytest.raises(WitError, match="payload-too-large"):
            store(stores).insert("k", data, options(mode))
    found = store(stores).lookup("k")
    assert found is not None
    assert found.data == b"1234"
    stores.close()


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_threads_do_not_disturb_each_other(kind: str, tmp_path: Path) -> None:
    stores: KvStores = (
        MemoryStores({"s": {}}) if kind == "memory" else SqliteStores(tmp_path, {"s": {}})
    )
    shared, added = store(stores), []
    begin = threading.Barrier(4)

    def work(letter: bytes) -> None:
        begin.wait()
        for number in range(25):
            shared.insert("all", letter, options("append"))
            try:
                shared.insert(f"k{number}", letter, options("add"))
                added.append(number)
            except WitError:
                pass

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (b"a", b"b", b"c", b"d")))
    found = shared.lookup("all")
    assert found is not None
    assert sorted(found.data) == sorted(b"abcd" * 25)
    assert sorted(added) == list(range(25))
    stores.close()


WRITER = """
import sys
from pathlib import Path
from tests.unit.host_sim.test_kv_sqlite import CONTENTS, SqliteStores, options, store

stores = SqliteStores(Path(sys.argv[1]), CONTENTS)
print("open", flush=True)
for number in range(int(sys.argv[3])):
    store(stores).insert("all", sys.argv[2].encode(), options("append"))
    store(stores).insert(f"{sys.argv[2]}{number}", b"x" * 5000, options("add"))
stores.close()
"""


def writer(folder: Path, letter: str, count: int) -> subprocess.Popen[str]:
    """Start a process that writes."""
    command = [sys.executable, "-c", WRITER, str(folder), letter, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_keep_one_state(tmp_path: Path) -> None:
    """They make the file, fill it once and write, all at the same time."""
    processes = [writer(tmp_path, letter, 40) for letter in "abc"]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    stores = SqliteStores(tmp_path, CONTENTS)
    found = store(stores).lookup("all")
    assert found is not None
    assert sorted(found.data) == sorted(b"abc" * 40)
    keys = store(stores).list(listing())["data"]
    assert len(keys) == 3 * 40 + 2
    generations = {entry.generation for key in keys if (entry := store(stores).lookup(key))}
    assert len(generations) == len(keys)
    stores.close()


def test_a_process_that_is_killed_leaves_nothing_half_done(tmp_path: Path) -> None:
    process = writer(tmp_path, "z", 100_000)
    assert process.stdout is not None
    process.stdout.readline()
    stores = SqliteStores(tmp_path, CONTENTS)
    while store(stores).lookup("z20") is None:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stores.close()
    stores = SqliteStores(tmp_path, CONTENTS)
    found = store(stores).lookup("all")
    assert found is not None
    written = len(store(stores).list(listing(prefix="z", limit=1 << 20))["data"])
    assert len(found.data) in (written, written + 1)
    store(stores).insert("all", b"", options())
    stores.close()
