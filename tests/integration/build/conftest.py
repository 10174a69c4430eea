"""A file service on a data root of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pierhead.build.files.service import FileService
from pierhead.engine.events import EventBus
from pierhead.engine.images.service import ImageService
from pierhead.linux import mounts
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import LayerSource
from pierhead.store.snapshots.choose import choose, open_snapshotter
from support.building import Bench
from support.layers import directory, item, layer_tar, memory_file


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    paths = Paths(tmp_path / "data", tmp_path / "run")
    paths.create()
    db = Database.open(paths.database)
    snapshots = open_snapshotter(choose("", paths, db), paths, db)
    blobs = BlobStore(paths)
    images = ImageService(paths=paths, db=db, blobs=blobs, snapshots=snapshots, events=EventBus(db))
    files = FileService(paths=paths, db=db, snapshots=snapshots, images=images)
    bench = Bench(files, snapshots, tmp_path)
    fd = memory_file(
        layer_tar(
            directory("etc"),
            item("etc/passwd", data="root:x:0:0::/:/bin/sh\napp:x:7:8::/:/bin/sh\n"),
            item("etc/group", data="root:x:0:\nstaff:x:50:\n"),
            directory("tmp", mode=0o1777),
            directory("srv", mode=0o750, owner=(7, 8)),
            item("srv/old", data="old"),
            item("www", "symlink", link="/srv"),
        )
    )
    os.lseek(fd, 0, os.SEEK_SET)
    layer = await snapshots.apply(LayerSource(fd), None, None)
    os.close(fd)
    bench.base = layer.chain_id
    yield bench
    await files.close()
    await snapshots.close()
    db.close()
    left = [entry.target for entry in mounts.mountinfo() if entry.target.startswith(str(tmp_path))]
    for target in reversed(left):
        mounts.unmount(target, lazy=True)
    assert left == [], "the test left mounts behind"
