"""One writer: transactions, migrations, checkpoints."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pierhead.errors import Internal
from pierhead.store.database import Database


def put(db: Database, key: str) -> None:
    db.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (key, b"x"))


def count(db: Database) -> int:
    row = db.row("SELECT count(*) FROM meta")
    assert row is not None
    return int(row[0])


def test_all_or_nothing_and_nesting(tmp_path: Path) -> None:
    db = Database.open(tmp_path / "state.db")
    with pytest.raises(ZeroDivisionError), db.transaction():
        put(db, "a")
        with db.transaction():
            put(db, "b")
        raise ZeroDivisionError
    assert count(db) == 0
    with db.transaction():
        put(db, "a")
        with db.transaction():
            put(db, "b")
    assert count(db) == 2


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    db = Database.open(tmp_path / "state.db")
    put(db, "a")
    # No close: as after kill -9.
    assert count(Database.open(tmp_path / "state.db")) == 1


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Database.open(tmp_path / "state.db").close()
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute("PRAGMA user_version = 999")
    with pytest.raises(Internal, match="schema version 999"):
        Database.open(tmp_path / "state.db")


async def test_checkpoint_empties_the_log(tmp_path: Path) -> None:
    db = Database.open(tmp_path / "state.db")
    for number in range(500):
        put(db, str(number))
    wal = tmp_path / "state.db-wal"
    before = wal.stat().st_size
    await db.checkpoint()
    put(db, "one more")
    assert wal.stat().st_size <= before  # written from the start again
    assert count(db) == 501
    db.close()
