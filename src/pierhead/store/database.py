"""SQLite in WAL mode: one writer, small synchronous statements, checkpoints off the loop.

``synchronous=NORMAL``: a commit is a write to the WAL without fsync. That survives
any death of the process (what is in the page cache is the kernel's) and a power cut
can lose the last moments but never corrupt. A statement costs tens of microseconds,
less than handing it to a thread would, so it runs where it is called. A checkpoint
does fsync: it is switched off for the writer and runs in a thread, see ``checkpoint``.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pierhead.errors import Internal
from pierhead.store.schema import MIGRATIONS

Row = tuple[Any, ...]


class Database:
    """The one connection that writes. Not thread-safe: use it from the event loop's thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._depth = 0

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open or make the database at ``path`` and bring its schema up to date.

        Raises ``Internal`` if a newer Pierhead wrote it: downgrading is not supported.
        """
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-1024")
        database = cls(path, connection)
        database._migrate()
        return database

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise Internal(
                f"{self._path} has schema version {version}, this pierd knows up to "
                f"{len(MIGRATIONS)}: start the newer pierd that wrote it"
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            # executescript commits first, so the transaction must be in the script itself.
            self._connection.executescript(
                f"BEGIN IMMEDIATE;{script};PRAGMA user_version={number};COMMIT;"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside are kept together or not at all. Nests (the outermost commits).

        Never await inside: another task's statements would join the transaction.
        """
        if self._depth == 0:
            self._connection.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._connection.execute("COMMIT")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement, return how many rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        with self.transaction():
            self._connection.executemany(sql, rows)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query, return all its rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Run a query, return its first row or None."""
        found: Row | None = self._connection.execute(sql, parameters).fetchone()
        return found

    async def checkpoint(self) -> None:
        """Move the WAL into the database file, in a thread with a connection of its own."""
        await asyncio.to_thread(self._checkpoint)

    def _checkpoint(self) -> None:
        other = sqlite3.connect(self._path, isolation_level=None, timeout=5)
        try:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            other.close()

    def close(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
