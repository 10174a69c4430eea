from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.engine.volumes.populate import copy_up


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    root = tmp_path / "rootfs"
    (root / "full").mkdir(parents=True)
    (root / "full" / "file").write_text("x")
    (root / "empty").mkdir(mode=0o700)
    (root / "file").write_text("")
    (root / "link").symlink_to("/full")
    (root / "out").symlink_to("../../../../etc")
    return root


async def fill(rootfs: Path, destination: str) -> Path:
    volume = rootfs.parent / "volume"
    jail = rootfs.parent / "jail"
    volume.mkdir(exist_ok=True)
    jail.mkdir(exist_ok=True)
    await copy_up(rootfs, destination, volume, jail)
    return volume


@pytest.mark.root
async def test_content(rootfs: Path) -> None:
    assert os.listdir(await fill(rootfs, "/full")) == ["file"]


@pytest.mark.root
async def test_through_a_link_of_the_image(rootfs: Path) -> None:
    assert os.listdir(await fill(rootfs, "/link")) == ["file"]


async def test_no_escape(rootfs: Path) -> None:
    assert os.listdir(await fill(rootfs, "/out")) == []


async def test_an_empty_directory_gives_its_mode(rootfs: Path) -> None:
    assert (await fill(rootfs, "/empty")).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("destination", ["/missing", "/file"])
async def test_nothing_to_copy(rootfs: Path, destination: str) -> None:
    assert os.listdir(await fill(rootfs, destination)) == []


async def test_a_full_volume_is_left_alone(rootfs: Path) -> None:
    volume = rootfs.parent / "volume"
    volume.mkdir()
    (volume / "mine").write_text("")
    assert os.listdir(await fill(rootfs, "/full")) == ["mine"]
