"""Volumes with a device, mounted while somebody uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pierhead.engine.config import ContainerConfig, HostConfig
from pierhead.engine.containers.model import ContainerRecord, MountRecord
from pierhead.engine.events import EventBus
from pierhead.engine.settings import Settings
from pierhead.engine.volumes.service import VolumeService
from pierhead.errors import InvalidParameter
from pierhead.linux import mounts
from pierhead.store.database import Database
from pierhead.store.paths import Paths

pytestmark = pytest.mark.root


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "data", tmp_path / "exec")
    made.create()
    return made


def start(paths: Paths) -> VolumeService:
    db = Database.open(paths.database)
    return VolumeService(db=db, paths=paths, settings=Settings(), events=EventBus(db))


@pytest.fixture
async def volumes(paths: Paths) -> AsyncIterator[VolumeService]:
    yield start(paths)
    mounts.unmount_below(paths.volumes)


async def plan(volumes: VolumeService, container: str, bind: str) -> list[MountRecord]:
    host = HostConfig(binds=[bind])
    return await volumes.plan(container, ContainerConfig(), host, (), lambda ref: [])


async def test_mounted_while_it_is_used(volumes: VolumeService, paths: Paths) -> None:
    await volumes.create("data", opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    place = paths.volumes / "data" / "_data"
    one, two = await plan(volumes, "c1", "data:/d"), await plan(volumes, "c2", "data:/d")
    assert volumes.needs_mount(one) and not mounts.is_mountpoint(place)
    await volumes.mount("c1", one)
    await volumes.mount("c2", two)
    assert mounts.is_mountpoint(place)
    await volumes.stopped("c1", one)
    assert mounts.is_mountpoint(place), "the other one needs it"
    await volumes.stopped("c2", two)
    assert not mounts.is_mountpoint(place)


async def test_a_directory_of_the_host(
    volumes: VolumeService, paths: Paths, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "file").write_text("x")
    options = {"type": "none", "device": str(tmp_path / "src"), "o": "bind"}
    await volumes.create("data", opts=options)
    one = await plan(volumes, "c1", "data:/d")
    await volumes.mount("c1", one)
    assert (paths.volumes / "data" / "_data" / "file").read_text() == "x"
    await volumes.release("c1", one, remove_anonymous=True)
    await volumes.remove("data")
    assert (tmp_path / "src" / "file").exists(), "a volume's device is not its content"


async def test_a_device_that_is_not_there(volumes: VolumeService) -> None:
    options = {"type": "none", "device": "/no/such/thing", "o": "bind"}
    await volumes.create("data", opts=options)
    one = await plan(volumes, "c1", "data:/d")
    with pytest.raises(InvalidParameter) as caught:
        await volumes.mount("c1", one)
    assert "failed to mount local volume: mount /no/such/thing:" in caught.value.message
    assert "no such file or directory" in caught.value.message


async def test_copy_up_into_a_device(volumes: VolumeService, paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    options = {"type": "none", "device": str(tmp_path / "src"), "o": "bind"}
    await volumes.create("data", opts=options)
    rootfs = tmp_path / "rootfs"
    (rootfs / "d").mkdir(parents=True)
    (rootfs / "d" / "seed").write_text("x")
    one = await plan(volumes, "c1", "data:/d")
    assert volumes.needs_populate(one)
    await volumes.populate(one, rootfs)
    assert (tmp_path / "src" / "seed").exists()
    assert not mounts.is_mountpoint(paths.volumes / "data" / "_data")


async def test_recovery_unmounts_what_nobody_needs(volumes: VolumeService, paths: Paths) -> None:
    await volumes.create("data", opts={"type": "tmpfs", "device": "tmpfs"})
    one = await plan(volumes, "c1", "data:/d")
    await volumes.mount("c1", one)
    record = ContainerRecord(
        id="c1",
        name="c1",
        created_ns=1,
        image_id="",
        image_ref="",
        chain_id=None,
        path="",
        args=[],
        config=ContainerConfig(),
        host_config=HostConfig(),
        networks={},
        mounts=one,
    )
    place = paths.volumes / "data" / "_data"
    again = start(paths)
    await again.recover([record], ["c1"])
    assert mounts.is_mountpoint(place), "its container runs"
    await start(paths).recover([record], [])
    assert not mounts.is_mountpoint(place)


async def test_recovery_completes_what_a_kill_interrupted(
    volumes: VolumeService, paths: Paths
) -> None:
    await volumes.create("kept")
    (paths.volumes / "kept" / "_data").rmdir()
    (paths.volumes / "gone" / "_data").mkdir(parents=True)
    await start(paths).recover([], [])
    assert (paths.volumes / "kept" / "_data").is_dir()
    assert not (paths.volumes / "gone").exists()
