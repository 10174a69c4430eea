"""Cache mounts: which directory a step gets, and when. Without root, on a plain directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pierhead.build.execute import mounts
from pierhead.build.execute.model import MountKind, Sharing, StepMount
from pierhead.build.execute.mounts import CacheMounts, cache_id
from pierhead.build.files.model import Source, SourceKind
from pierhead.oci.digest import ChainId
from pierhead.store.database import Database
from pierhead.store.paths import Paths


def cache(target: str = "/c", **more: Any) -> StepMount:
    return StepMount(kind=MountKind.CACHE, target=target, read_write=True, **more)


@pytest.fixture
async def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CacheMounts]:
    monkeypatch.setattr(mounts.os, "chown", lambda *_: None)
    paths = Paths(tmp_path / "data", tmp_path / "exec")
    paths.create()
    db = Database.open(paths.database)
    made = CacheMounts(paths, db)
    yield made
    await made.close()
    db.close()


def test_ids_tell_what_begins_differently() -> None:
    source = Source(kind=SourceKind.CHAIN, name="x", chain_id=ChainId("sha256:aa"))
    assert cache_id(cache("/root/.cache")) == "/root/.cache"
    assert cache_id(cache(id="pip", mode=0o755)) == "pip"
    assert cache_id(cache(id="pip", uid=1000, gid=5, mode=0o700)) == "pip;owner=1000:5;mode=700"
    assert cache_id(cache(id="x", source=source)) == "x;from=sha256:aa/"
    assert mounts._beginning("pip;owner=1000:5;mode=700#2") == (0o700, 1000, 5)


async def test_sharing(caches: CacheMounts) -> None:
    first = await caches.acquire(cache())
    second = await caches.acquire(cache())
    assert first.path == second.path and first.path.is_dir()
    assert first.path.stat().st_mode & 0o777 == 0o755
    private = await caches.acquire(cache(sharing=Sharing.PRIVATE))
    assert private.id == "/c#2" and private.path != first.path
    waiting = asyncio.ensure_future(caches.acquire(cache(sharing=Sharing.LOCKED)))
    first.release()
    await asyncio.sleep(0)
    assert not waiting.done()
    second.release()
    locked = await waiting
    later = asyncio.ensure_future(caches.acquire(cache()))
    await asyncio.sleep(0)
    assert not later.done()
    locked.release()
    (await later).release()
    private.release()
    assert (await caches.acquire(cache(sharing=Sharing.PRIVATE))).id == "/c"
    assert {one.id: (one.uses, one.in_use) for one in caches.list()} == {
        "/c": (4, True),
        "/c#2": (1, False),
    }


async def test_a_new_one_that_fails_is_gone(caches: CacheMounts) -> None:
    async def fill(path: Path) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await caches.acquire(cache(), fill)
    assert list(caches.list()) == []
    assert (await caches.acquire(cache())).path.is_dir()


async def test_they_are_there_after_a_restart_and_can_go(caches: CacheMounts) -> None:
    held = await caches.acquire(cache(id="x"))
    assert await caches.remove(["x"]) == 0  # in use
    held.release()
    again = CacheMounts(caches._paths, caches._db)
    assert [one.id for one in again.list()] == ["x"]
    (again._top / "stray").mkdir()
    await again.recover()
    assert [path.name for path in again._top.iterdir()] == [again._directory("x").name]
    await again.remove(["x", "y"])
    assert list(again.list()) == [] and list(again._top.iterdir()) == []
    await again.close()
