from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.engine.volumes.model import VolumeRecord
from pierhead.engine.volumes.registry import VolumeRegistry
from pierhead.errors import NotFound
from pierhead.store.database import Database


def test_records_survive_and_go(tmp_path: Path) -> None:
    db = Database.open(tmp_path / "state.db")
    registry = VolumeRegistry(db)
    registry.put(VolumeRecord(name="data", created_ns=1, labels={"a": "b"}))
    registry.put(VolumeRecord(name="data", created_ns=1, labels={"a": "c"}))
    again = VolumeRegistry(db)
    assert again.get("data").labels == {"a": "c"} and again.find("nope") is None
    again.delete("data")
    again.delete("data")
    assert list(VolumeRegistry(db)) == []
    with pytest.raises(NotFound, match="get data: no such volume"):
        again.get("data")


def test_users(tmp_path: Path) -> None:
    registry = VolumeRegistry(Database.open(tmp_path / "state.db"))
    registry.use("data", "c1")
    registry.use("data", "c2")
    registry.use("data", "c2")
    registry.unuse("data", "c2")
    registry.unuse("other", "c2")
    assert registry.users("data") == {"c1"}
    registry.unuse("data", "c1")
    assert registry.users("data") == set()
