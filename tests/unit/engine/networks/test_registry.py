from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.engine.networks.model import IPAM, IPAMConfig, NetworkRecord
from pierhead.engine.networks.registry import NetworkRegistry
from pierhead.errors import Conflict, InvalidParameter, NotFound
from pierhead.store.database import Database


def record(name: str, id_: str, subnet: str = "10.0.0.0/24") -> NetworkRecord:
    ipam = IPAM(config=[IPAMConfig(subnet=subnet)])
    return NetworkRecord(id=id_ * 32, name=name, created_ns=1, ipam=ipam)


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "state.db")


def test_by_id_name_and_prefix(db: Database) -> None:
    registry = NetworkRegistry(db)
    registry.insert(record("web", "ab"))
    registry.insert(record("ab", "cd"))
    assert registry.get("ab" * 32).name == "web"
    assert registry.get("ab").name == "ab", "a name wins over a prefix"
    assert registry.get("aba").name == "web"
    for missing in ("nope", ""):
        with pytest.raises(NotFound, match=f"network {missing} not found"):
            registry.get(missing)


def test_an_ambiguous_prefix(db: Database) -> None:
    registry = NetworkRegistry(db)
    registry.insert(record("x", "ab"))
    registry.insert(record("y", "ac"))
    with pytest.raises(InvalidParameter, match="ambiguous"):
        registry.get("a")


def test_records_survive(db: Database) -> None:
    NetworkRegistry(db).insert(record("web", "ab", "10.9.0.0/16"))
    again = NetworkRegistry(db)
    assert [str(subnet) for subnet in again.subnets()] == ["10.9.0.0/16"]
    again.delete(again.get("web"))
    again.delete(record("web", "ab"))
    assert list(NetworkRegistry(db)) == []


def test_a_name_is_taken_once(db: Database) -> None:
    registry = NetworkRegistry(db)
    registry.insert(record("web", "ab"))
    with pytest.raises(Conflict, match="network with name web already exists"):
        registry.insert(record("web", "cd"))


def test_replace(db: Database) -> None:
    registry = NetworkRegistry(db)
    registry.insert(record("bridge", "ab"))
    registry.replace(record("bridge", "ab", "10.7.0.0/24"))
    assert str(NetworkRegistry(db).get("bridge").subnet) == "10.7.0.0/24"
