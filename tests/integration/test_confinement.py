"""Mounts and jailed workers, which need a privileged kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.errors import Internal
from pierhead.linux import mounts, worker

pytestmark = pytest.mark.root


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Path]:
    for name in ("low1", "low2", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    (tmp_path / "low1" / "a").write_text("top")
    (tmp_path / "low2" / "a").write_text("bottom")
    (tmp_path / "low2" / "b").write_text("b")
    yield tmp_path
    mounts.unmount_below(tmp_path)


@pytest.mark.parametrize("classic", [False, True])
def test_overlay(layers: Path, classic: bool) -> None:
    arguments = (
        layers / "merged",
        [layers / "low1", layers / "low2"],
        layers / "upper",
        layers / "work",
    )
    if classic:
        mounts._mount_overlay_classic(*arguments, False)
    else:
        mounts.mount_overlay(*arguments)
    assert (layers / "merged" / "a").read_text() == "top"
    (layers / "merged" / "c").write_text("c")
    assert (layers / "upper" / "c").read_text() == "c"
    assert mounts.is_mountpoint(layers / "merged")
    assert mounts.unmount(layers / "merged")
    assert not mounts.unmount(layers / "merged")


def test_odd_names_and_many_layers(layers: Path) -> None:
    lower = []
    for number in range(120):
        folder = layers / ("odd,:\\ name" + "x" * 60) / str(number)
        folder.mkdir(parents=True)
        (folder / str(number)).touch()
        lower.append(folder)
    mounts.mount_overlay(layers / "merged", lower, layers / "upper", layers / "work")
    assert len(os.listdir(layers / "merged")) == 120


def test_a_read_only_overlay_without_an_upper(layers: Path) -> None:
    mounts.mount_overlay(
        layers / "merged", [layers / "low1", layers / "low2"], None, None, read_only=True
    )
    with pytest.raises(OSError, match="Read-only"):
        (layers / "merged" / "x").touch()


def test_a_failing_overlay_names_its_target(layers: Path) -> None:
    with pytest.raises(OSError, match="overlay") as caught:
        mounts.mount_overlay(layers / "merged", [layers / "nope"], None, None)
    assert caught.value.filename == str(layers / "merged")


def test_bind_read_only(layers: Path) -> None:
    mounts.bind(layers / "low1", layers / "merged", read_only=True, propagation="rprivate")
    with pytest.raises(OSError, match="Read-only"):
        (layers / "merged" / "x").touch()
    assert mounts.unmount_below(layers) == 1


async def test_a_jailed_worker_sees_only_its_jail(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to("/etc/passwd")
    found = await worker.call("linux.mounts:is_mountpoint", {"path": "/etc"}, jail=tmp_path)
    assert found is False
    with pytest.raises(FileNotFoundError):
        await worker.call("linux.mounts:mountinfo", {}, jail=tmp_path)


async def test_a_jailed_worker_has_lost_its_rights(tmp_path: Path) -> None:
    mask = await worker.call("linux.syscalls:permitted_capabilities", {}, jail=tmp_path)
    assert mask == sum(1 << number for number in (0, 1, 2, 3, 4, 21, 27, 31))


async def test_memory_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(Internal, match="MemoryError"):
        await worker.call(
            "linux.mounts:_unescape",
            {"text": "\\101" * 1_000_000},
            memory_limit_bytes=1 << 20,
        )
