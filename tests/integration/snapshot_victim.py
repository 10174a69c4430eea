"""A process that works on snapshots until it is killed; see ``test_snapshot_kills.py``.

``python snapshot_victim.py <driver> <root> <seed>`` in the root of the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import sys
from pathlib import Path

from contract import tars
from contract.conftest import MODES
from pierhead.errors import Conflict, NotFound
from pierhead.oci.digest import ChainId, sha256
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Incoming
from pierhead.store.snapshots.erofs import ErofsSnapshotter
from pierhead.store.snapshots.overlay import OverlaySnapshotter
from pierhead.store.snapshots.stacked import StackedSnapshotter


def open_snapshotter(driver: str, paths: Paths, database: Database) -> StackedSnapshotter:
    if driver == "overlay2":
        return OverlaySnapshotter(paths, database)
    return ErofsSnapshotter(paths, database, MODES[driver])


async def work(driver: str, root: Path, seed: int) -> None:
    chance = random.Random(seed)
    paths = Paths(root / "data", root / "exec")
    paths.create()
    database = Database.open(paths.database)
    blobs = BlobStore(paths)
    blobs.recover()
    snapshots = open_snapshotter(driver, paths, database)
    await snapshots.recover(set(snapshots._keys))
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        known = [layer.chain_id for layer in snapshots.layers()]
        parent = chance.choice([None, *known])
        step = chance.randrange(6)
        with contextlib.suppress(Conflict, NotFound):
            if step < 2:
                await add(snapshots, blobs, chance, parent)
            elif step == 2 and known:
                await snapshots.remove_layer(chance.choice(known))
            elif step == 3:
                await snapshots.prepare(f"{seed}-{number}", parent)
            elif step == 4 and snapshots._keys:
                key = chance.choice(list(snapshots._keys))
                target = root / "mnt" / key
                target.mkdir(parents=True, exist_ok=True)
                snapshots.mount(key, target)
                (target / "written").write_bytes(b"w" * 1000)
                snapshots.unmount(target)
                target.rmdir()
            elif snapshots._keys:
                await snapshots.remove(chance.choice(list(snapshots._keys)))


async def add(
    snapshots: StackedSnapshotter, blobs: BlobStore, chance: random.Random, parent: ChainId | None
) -> None:
    """A layer of one of a few contents, some of which speak of the layers below."""
    content = bytes([chance.randrange(4)]) * 300_000
    members = [tars.directory("d"), tars.member("d/f", data=content)]
    if chance.random() < 0.5:
        members.append(tars.member("implied/x", data=b"x"))
        members.append(tars.member(".wh.d") if chance.random() < 0.5 else tars.member("y"))
    data = tars.archive(*members)
    blob = gzip.compress(data, 1, mtime=0)
    partial = blobs.partial(sha256(blob))
    with tars.as_fd(blob[partial.held_bytes :]) as fd:
        staged = await snapshots.stage(Incoming(fd, sha256(data), partial, len(blob)))
    await staged.commit(parent)
    blobs.keep(partial)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
