"""Migrations run one after another on an empty database."""

from __future__ import annotations

from pathlib import Path

from pierhead.store.database import Database
from pierhead.store.schema import MIGRATIONS


def test_the_drawing_names_every_table(tmp_path: Path) -> None:
    db = Database.open(tmp_path / "state.db")
    tables = {row[0] for row in db.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    import pierhead.store.schema as schema

    drawn = schema.__doc__ or ""
    for table in tables:
        assert f"\n    {table} " in drawn, table
    assert db.row("PRAGMA user_version") == (len(MIGRATIONS),)
