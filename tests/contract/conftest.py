"""A data root of its own for each test, and every snapshotter on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pierhead.linux import mounts
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter
from pierhead.store.snapshots.overlay import OverlaySnapshotter

SNAPSHOTTERS = {"overlay2": OverlaySnapshotter}


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    paths = Paths(tmp_path / "data", tmp_path / "exec")
    paths.create()
    yield paths
    left = [entry.target for entry in mounts.mountinfo() if entry.target.startswith(str(tmp_path))]
    for target in reversed(left):
        mounts.unmount(target, lazy=True)
    assert left == [], "the test left mounts behind"


@pytest.fixture
def database(paths: Paths) -> Iterator[Database]:
    database = Database.open(paths.database)
    yield database
    database.close()


@pytest.fixture(params=sorted(SNAPSHOTTERS))
async def snapshots(
    request: pytest.FixtureRequest, paths: Paths, database: Database
) -> AsyncIterator[Snapshotter]:
    snapshots: Snapshotter = SNAPSHOTTERS[request.param](paths, database)
    yield snapshots
    await snapshots.close()
