from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pierhead.linux import mounts
from pierhead.store.snapshots import layer_mounts
from pierhead.store.snapshots.layer_mounts import LayerMounts


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were mounted, in order; a mount is just a descriptor here."""
    seen: list[Path] = []

    def mount(path: Path, *, loop: bool) -> int:
        seen.append(path)
        return os.open(path, os.O_RDONLY)

    monkeypatch.setattr(mounts, "detached_image", mount)
    return seen


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.touch()
    return paths


def now(work: Callable[[], None]) -> None:
    work()


@pytest.fixture
def held() -> LayerMounts:
    return LayerMounts(loop=False, attach_at=None, close=now)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_each_is_mounted_once_and_stays_when_idle(
    held: LayerMounts, opened: list[Path], files: list[Path]
) -> None:
    before = descriptors()
    first = held.pin(files)
    second = held.pin(files[1:])
    assert opened == files
    assert second == first[1:]
    held.unpin(first)
    held.unpin(second)
    held.unpin(held.pin(files))
    assert opened == files
    assert descriptors() == before + 3
    held.close()
    assert descriptors() == before


def test_equal_files_are_one_mount_and_once_in_a_stack(
    held: LayerMounts, opened: list[Path], files: list[Path], tmp_path: Path
) -> None:
    before = descriptors()
    twin = tmp_path / "twin"
    os.link(files[0], twin)
    pinned = held.pin([twin, files[1], files[0]])
    assert [mount.pins for mount in pinned] == [1, 1]
    assert opened == [twin, files[1]]
    held.unpin(pinned)
    held.forget(twin)
    held.unpin(held.pin([files[0]]))
    assert opened == [twin, files[1]], "the other name still has it"
    held.forget(files[0])
    held.forget(files[1])
    assert descriptors() == before


def test_a_forgotten_one_goes_with_its_last_user(
    held: LayerMounts, opened: list[Path], files: list[Path]
) -> None:
    before = descriptors()
    pinned = held.pin(files[:1])
    held.forget(files[0])
    assert descriptors() == before + 1
    other = held.pin(files[:1])
    assert opened == files[:1] * 2, "the old mount isn't given out again"
    held.unpin(pinned)
    assert descriptors() == before + 1
    held.unpin(other)
    held.close()
    assert descriptors() == before


def test_idle_ones_are_bounded_and_the_oldest_goes_first(
    held: LayerMounts, opened: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_mounts, "IDLE_LIMIT", 2)
    before = descriptors()
    paths = [tmp_path / str(number) for number in range(5)]
    for path in paths:
        path.touch()
        held.unpin(held.pin([path]))
    assert descriptors() == before + 2
    held.unpin(held.pin(paths[3:]))
    assert opened == paths
    held.unpin(held.pin(paths[:1]))
    assert opened == [*paths, paths[0]]
    held.close()
    assert descriptors() == before


def test_one_that_fails_lets_go_of_the_others(
    held: LayerMounts, opened: list[Path], files: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        held.pin([*files, tmp_path / "missing"])
    assert all(mount.pins == 0 for mount in held._by_file.values())
    held.close()
