from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pierhead.engine.volumes.local import LocalDriver
from pierhead.engine.volumes.model import VolumeRecord
from pierhead.store.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "data", tmp_path / "exec")
    made.create()
    return made


async def test_a_volume_comes_and_goes(paths: Paths) -> None:
    driver = LocalDriver(paths)
    driver.make("data")
    driver.make("data")
    assert driver.mountpoint("data").stat().st_mode & 0o777 == 0o755
    assert driver.is_empty("data")
    (driver.mountpoint("data") / "x").mkdir()
    assert not driver.is_empty("data")
    assert await driver.sizes([]) == {}
    driver.remove("data")
    assert not (paths.volumes / "data").exists()
    driver.remove("data")
    for _ in range(100):
        if not list(paths.tmp.iterdir()):
            break
        await asyncio.sleep(0.01)
    assert list(paths.tmp.iterdir()) == []


async def test_a_plain_volume_is_never_mounted(paths: Paths) -> None:
    driver = LocalDriver(paths)
    record = VolumeRecord(name="data", created_ns=1)
    driver.make("data")
    await driver.mount(record)
    driver.unmount(record)
