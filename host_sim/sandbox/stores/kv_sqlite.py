"""KV stores on disk, in one SQLite file: what guests keep is there after the next start.

Several simulators may use one file at the same time. In this process all threads share a
connection; calls that do not make the guest wait are done on a thread of their own, one after the
other. A store takes its first contents from the manifest when it is new in the file, never again.
"""

import concurrent.futures
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from host_sim.errors import StartError
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.data import KvItem
from host_sim.sandbox.stores.kv import LIST_LIMIT, Entry, KvStore, check_key, last_key, merged, page

__all__ = ["FILE", "SqliteStores"]

FILE = "kv.sqlite3"
"""Name of the file in the folder of the state."""

VERSION = 1
"""Of the tables; a file with another one is left alone."""

BUSY_S = 5.0
"""How long a call waits for those of other processes."""

_log = logging.getLogger("host_sim.sandbox")

_TABLES = """
CREATE TABLE stores (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE entries (
    store INTEGER NOT NULL REFERENCES stores,
    key BLOB NOT NULL,
    data BLOB NOT NULL,
    metadata TEXT,
    generation INTEGER NOT NULL,
    expires REAL,
    PRIMARY KEY (store, key)
);
CREATE TABLE generations (last INTEGER NOT NULL);
INSERT INTO generations VALUES (0);
"""
# Keys are bytes, because functions on text stop at a NUL, which a key may have.

_ALIVE = "(expires IS NULL OR expires > :now)"
_FIND = (
    f"SELECT data, metadata, generation FROM entries "  # noqa: S608 - a constant
    f"WHERE store = :store AND key = :key AND {_ALIVE}"
)


class _Database:
    """One connection, used by one thread at a time."""

    def __init__(self, file: Path, now: Callable[[], float]) -> None:
        """Open a file, or make it.

        Raises:
            sqlite3.Error: it cannot be used.
        """
        self.now = now
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            file, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        _patiently(lambda: self._connection.execute("PRAGMA journal_mode = WAL"))
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise sqlite3.DatabaseError(f"{FILE} was written by another version of host-sim")
        (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"{FILE} is damaged: {' '.join(found.split())}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do several things as one, alone of all processes."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # some errors have ended it
                    self._connection.execute("ROLLBACK")
                raise

    def read(self, query: str, **values: object) -> list[Any]:
        """Return the rows of a query."""
        with self._lock:
            return self._connection.execute(query, {"now": self.now(), **values}).fetchall()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()


def _patiently(call: Callable[[], object]) -> None:
    """Repeat a call that does not wait for other processes itself."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            call()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell the guest of an error of the database, which the log explains."""
    try:
        yield
    except sqlite3.Error as error:
        _log.error("KV stores on disk: %s", error)
        raise WitError("internal-error") from error


class _SqliteStore(KvStore):
    """A store in a file."""

    def __init__(self, database: _Database, store: int) -> None:
        self._database = database
        self._store = store

    def lookup(self, key: str) -> Entry | None:
        check_key(key)
        with _told():
            rows = self._database.read(_FIND, store=self._store, key=key.encode())
        return Entry(*rows[0]) if rows else None

    def insert(self, key: str, data: bytes, options: dict[str, Any]) -> None:
        check_key(key)
        lifetime_s = options["time-to-live-sec"]
        with _told(), self._database.transaction() as connection:
            now = self._database.now()
            found = self._alive(connection, key, now)
            data = merged(found, data, options)
            _put(
                connection,
                self._store,
                key,
                KvItem(data, options["metadata"]),
                None if lifetime_s is None else now + lifetime_s,
            )

    def delete(self, key: str) -> bool:
        check_key(key)
        with _told(), self._database.transaction() as connection:
            found = self._alive(connection, key, self._database.now())
            connection.execute(
                "DELETE FROM entries WHERE store = ? AND key = ?", (self._store, key.encode())
            )
        return found is not None

    def list(self, options: dict[str, Any]) -> dict[str, Any]:
        with _told():
            rows = self._database.read(
                f"SELECT key FROM entries WHERE store = :store AND {_ALIVE} "  # noqa: S608
                "AND key > :last AND key >= :prefix AND substr(key, 1, length(:prefix)) = :prefix "
                "ORDER BY key LIMIT :count",
                store=self._store,
                last=last_key(options).encode(),
                prefix=(options["prefix"] or "").encode(),
                count=(options["limit"] or LIST_LIMIT) + 1,
            )
        return page([key.decode() for (key,) in rows], options)

    def _alive(self, connection: sqlite3.Connection, key: str, now: float) -> Entry | None:
        values = {"store": self._store, "key": key.encode(), "now": now}
        row = connection.execute(_FIND, values).fetchone()
        return None if row is None else Entry(*row)


def _put(
    connection: sqlite3.Connection, store: int, key: str, item: KvItem, expires: float | None
) -> None:
    """Store a value as a new generation, whatever is there."""
    connection.execute("UPDATE generations SET last = last + 1")
    (generation,) = connection.execute("SELECT last FROM generations").fetchone()
    connection.execute(
        "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)",
        (store, key.encode(), item.data, item.metadata or None, generation, expires),
    )


class SqliteStores:
    """`KvStores` in a folder."""

    def __init__(
        self,
        folder: Path,
        contents: Mapping[str, Mapping[str, KvItem]],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the folder, or make it; `now` is the clock that values expire by.

        Raises:
            StartError: it cannot be used.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = _Database(folder / FILE, now)
            try:
                self._stores = self._fill(contents)
            except BaseException:
                self._database.close()
                raise
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise StartError(
                f"--state {folder}: KV stores cannot be kept there: {reason}"
            ) from error
        self._worker = concurrent.futures.ThreadPoolExecutor(1, "host-sim-kv")

    def _fill(self, contents: Mapping[str, Mapping[str, KvItem]]) -> dict[str, KvStore]:
        stores: dict[str, KvStore] = {}
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM entries WHERE expires <= ?", (self._database.now(),))
            for name, items in contents.items():
                new = connection.execute("INSERT OR IGNORE INTO stores (name) VALUES (?)", (name,))
                query = "SELECT id FROM stores WHERE name = ?"
                (store,) = connection.execute(query, (name,)).fetchone()
                if new.rowcount:
                    for key, item in items.items():
                        _put(connection, store, key, item, None)
                stores[name] = _SqliteStore(self._database, store)
        return stores

    def get(self, name: str) -> KvStore | None:
        """Return a store, None if the manifest has none of that name."""
        return self._stores.get(name)

    def start[Result](self, call: Callable[[], Result]) -> concurrent.futures.Future[Result]:
        """Call a method of a store on the worker.

        Raises:
            RuntimeError: the stores are closed.
        """
        return self._worker.submit(call)

    def close(self) -> None:
        """Finish what was started, and close the file."""
        self._worker.shutdown()
        self._database.close()
