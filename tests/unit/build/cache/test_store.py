"""Cache records: kept, found, leased, dropped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pierhead.build.cache.store import CacheStore, Record
from pierhead.engine.images.content import Content
from pierhead.oci.digest import ChainId
from pierhead.store.database import Database
from pierhead.store.snapshots import Snapshotter

CHAIN = ChainId("sha256:" + "c" * 64)


class Snapshots:
    def __init__(self) -> None:
        self.chains = {CHAIN}

    def layer(self, chain_id: ChainId) -> object | None:
        return object() if chain_id in self.chains else None


class World:
    def __init__(self, path: Path) -> None:
        self.db = Database.open(path / "state.db")
        self.snapshots = Snapshots()
        self.content = Content(self.db, cast(Any, SimpleNamespace()))
        self.store = self.open()

    def open(self) -> CacheStore:
        index = cast(Any, SimpleNamespace(lease=self.content.lease))
        return CacheStore(self.db, index, cast(Snapshotter, self.snapshots))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def record(key: str = "sha256:1", **fields: Any) -> Record:
    fields.setdefault("chain_id", CHAIN)
    return Record(key=key, size_bytes=7, created_ns=1, used_ns=1, uses=1, **fields)


def test_records_outlive_the_process_and_hold_their_chains(world: World) -> None:
    world.store.put(record(text="RUN x", place="p", parts={"op": "run"}, shown="file:1"))
    again = world.open()
    world.content.held_chains.clear()
    again.load()
    found = again.get("sha256:1")
    assert found is not None
    assert (found.text, found.parts, found.uses, found.shown) == (
        "RUN x",
        {"op": "run"},
        2,
        "file:1",
    )
    assert world.content.held_chains == {CHAIN: 1}
    assert again.similar("RUN x", "") is found
    assert again.similar("RUN y", "p") is found
    assert again.similar("RUN y", "q") is None


def test_uses_are_written_later(world: World) -> None:
    world.store.put(record())
    world.store.get("sha256:1")
    assert world.db.row("SELECT uses FROM build_cache") == (1,)
    world.store.flush()
    assert world.db.row("SELECT uses FROM build_cache") == (2,)


def test_a_record_without_its_layer_is_none(world: World) -> None:
    world.store.put(record())
    world.snapshots.chains.clear()
    assert world.store.get("sha256:1") is None
    assert world.db.row("SELECT COUNT(*) FROM build_cache") == (0,)
    assert not world.content.held_chains


def test_what_lost_its_layer_while_nobody_looked_goes_at_start(world: World) -> None:
    world.store.put(record())
    world.store.put(record("sha256:2", chain_id=None))
    world.snapshots.chains.clear()
    again = world.open()
    again.load()
    assert list(again.records) == ["sha256:2"]


def test_a_new_result_takes_the_place_of_an_old_one(world: World) -> None:
    other = ChainId("sha256:" + "d" * 64)
    world.snapshots.chains.add(other)
    world.store.put(record())
    world.store.put(record(chain_id=other))
    assert world.content.held_chains == {other: 1}
    world.store.drop([world.store.records["sha256:1"]])
    assert not world.content.held_chains
    assert world.store.get("sha256:1") is None
