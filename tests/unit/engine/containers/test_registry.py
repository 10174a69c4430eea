from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.engine.config import ContainerConfig, HostConfig
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.model import ContainerRecord, ContainerStatus, Phase
from pierhead.engine.containers.registry import Registry
from pierhead.errors import Conflict, InvalidParameter, NotFound
from pierhead.store.database import Database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database.open(tmp_path / "state.db")
    yield db
    db.close()


def container(container_id: str, name: str, created_ns: int = 1) -> Container:
    record = ContainerRecord(
        id=container_id.ljust(64, "0"),
        name=name,
        created_ns=created_ns,
        image_id="sha256:1",
        image_ref="busybox",
        chain_id=None,
        path="sh",
        args=[],
        config=ContainerConfig(image="busybox"),
        host_config=HostConfig(),
        networks={},
    )
    return Container(record, ContainerStatus())


def add(registry: Registry, made: Container) -> Container:
    registry.reserve(made.name, made.id)
    registry.insert(made)
    return made


async def test_look_up(db: Database) -> None:
    registry = Registry(db)
    first = add(registry, container("abc1", "one"))
    second = add(registry, container("abd2", "two", 2))
    assert registry.get(first.id) is registry.get("one") is registry.get("/one") is first
    assert registry.get("abd") is second
    assert registry.all() == [second, first]
    with pytest.raises(NotFound, match="No such container: nope"):
        registry.get("nope")
    with pytest.raises(NotFound):
        registry.get("")
    with pytest.raises(InvalidParameter, match="multiple IDs found with provided prefix: ab"):
        registry.get("ab")


async def test_a_name_wins_over_a_prefix(db: Database) -> None:
    registry = Registry(db)
    add(registry, container("abc1", "one"))
    named = add(registry, container("ffff", "abc"))
    assert registry.get("abc") is named


async def test_names_are_taken_once(db: Database) -> None:
    registry = Registry(db)
    made = add(registry, container("abc1", "one"))
    with pytest.raises(Conflict) as caught:
        registry.reserve("one", "other")
    assert caught.value.message == (
        f'Conflict. The container name "/one" is already in use by container "{made.id}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    registry.delete(made)
    registry.reserve("one", "other")
    with pytest.raises(NotFound):
        registry.get("one")  # reserved, not there yet


async def test_everything_is_there_after_a_restart(db: Database) -> None:
    registry = Registry(db)
    made = add(registry, container("abc1", "one"))
    made.status.phase = Phase.EXITED
    made.status.exit_code = 7
    registry.save_status(made)
    again = Registry(db)
    again.load()
    found = again.get("one")
    assert found.record == made.record and found.status == made.status
    again.delete(found)
    third = Registry(db)
    third.load()
    assert third.all() == []


async def test_an_unreadable_row_does_not_stop_the_others(db: Database) -> None:
    registry = Registry(db)
    add(registry, container("abc1", "one"))
    add(registry, container("abd2", "two"))
    db.execute("UPDATE containers SET record = ? WHERE name = 'one'", (b"{",))
    again = Registry(db)
    again.load()
    assert [c.name for c in again.all()] == ["two"]
