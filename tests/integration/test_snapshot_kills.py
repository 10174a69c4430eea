"""``kill -9`` at any moment of a snapshotter's work leaves nothing that recovery doesn't clean."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.conftest import SNAPSHOTTERS
from integration.snapshot_victim import open_snapshotter
from pierhead.linux import mounts
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import choose

pytestmark = pytest.mark.root

TESTS = Path(__file__).parents[1]
ROUNDS = 8


def run_and_kill(driver: str, root: Path, seed: int, after_s: float) -> None:
    """Let the victim work for a moment, kill it, and wait until its workers are dead, too."""
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"}
    victim = subprocess.Popen(
        [sys.executable, str(TESTS / "integration/snapshot_victim.py"), driver, root, str(seed)],
        env=environment,
        stdout=subprocess.PIPE,
    )
    try:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"ready\n"
        time.sleep(after_s)  # the moment is what is tried here
        assert victim.poll() is None, "it ended by itself"
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    # whatever it started holds its standard output
    assert victim.stdout.read() == b""
    victim.stdout.close()


def loops(root: Path) -> list[str]:
    """Loop devices on files below ``root``."""
    found = []
    for name in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = name.read_text().strip()
        except OSError:
            continue  # it went while we looked
        if backing.startswith(str(root)):
            found.append(backing)
    return found


def wait_until_empty(look, what: str) -> None:
    deadline = time.monotonic() + 60
    while left := look():
        assert time.monotonic() < deadline, f"{what}: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize("driver", SNAPSHOTTERS)
async def test_nothing_is_left_and_nothing_is_lost(driver: str, tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "exec")
    paths.create()
    if driver != "overlay2":
        mode, why = choose.probe(paths)
        if mode is None or (mode.loop and driver == "erofs"):
            pytest.skip(why or "from the file itself this kernel can't")
    chance = random.Random()
    survived = 0
    for seed in range(ROUNDS):
        run_and_kill(driver, tmp_path, seed, chance.uniform(0.02, 1.0))
        # what a container's mount outlives is the container's
        mounts.unmount_below(tmp_path / "mnt")
        database = Database.open(paths.database)
        try:
            BlobStore(paths).recover()
            snapshots = open_snapshotter(driver, paths, database)
            await snapshots.recover(set(snapshots._keys))
            layers = snapshots.layers()
            survived += len(layers)
            for layer in layers:
                assert await snapshots.verify(layer.chain_id) == []
                target = tmp_path / "view"
                target.mkdir(exist_ok=True)
                snapshots.mount_readonly(layer.chain_id, target)
                try:
                    assert os.listdir(target)
                finally:
                    snapshots.unmount(target)
            await snapshots.close()
            root = paths.snapshots / snapshots.driver
            assert sorted(os.listdir(root / "layers")) == sorted(
                snapshots._layer_dir(layer.chain_id).name for layer in layers
            )
            assert sorted(os.listdir(root / "containers")) == sorted(snapshots._keys)
            assert os.listdir(root / "trash") == []
            assert [n for n in os.listdir(paths.ingest) if not n.endswith(".partial")] == []
        finally:
            database.close()
    assert survived, "no layer was ever finished: the test tests nothing"
    left = [m.target for m in mounts.mountinfo() if m.target.startswith(str(tmp_path))]
    assert left == []
    wait_until_empty(lambda: loops(tmp_path), "loop devices are left")
