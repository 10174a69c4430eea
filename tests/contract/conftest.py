"""A data root of its own for each test, and every snapshotter on it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from pierhead.linux import mounts
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots.choose import probe
from pierhead.store.snapshots.erofs import ErofsSnapshotter
from pierhead.store.snapshots.mode import ErofsMode
from pierhead.store.snapshots.overlay import OverlaySnapshotter
from pierhead.store.snapshots.stacked import StackedSnapshotter

Make = Callable[[Paths, Database], StackedSnapshotter]

MODES = {
    "erofs": ErofsMode(loop=False, detached=True),
    # as on Linux 6.1 to 6.11
    "erofs-loop": ErofsMode(loop=True, detached=False),
}
SNAPSHOTTERS = ("overlay2", *MODES)


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


@pytest.fixture(params=SNAPSHOTTERS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a snapshotter of the kind under test."""
    name = request.param
    if name not in MODES:
        return OverlaySnapshotter
    mode = MODES[name]
    paths = Paths(tmp_path / "probe", tmp_path / "probe-exec")
    paths.create()
    can, why = probe(paths)
    if can is None or (can.loop and not mode.loop) or (mode.detached and not can.detached):
        pytest.skip(f"this kernel can't: {why or can}")
    if mode.loop and not os.path.exists("/dev/loop-control"):
        pytest.skip("this kernel has no loop devices")
    return lambda paths, database: ErofsSnapshotter(paths, database, mode)


@pytest.fixture
async def snapshots(
    make: Make, paths: Paths, database: Database
) -> AsyncIterator[StackedSnapshotter]:
    snapshots = make(paths, database)
    yield snapshots
    await snapshots.close()
