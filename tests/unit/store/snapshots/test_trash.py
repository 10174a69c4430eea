from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pierhead.store.snapshots.trash import Trash, remove_few


async def test_what_is_thrown_is_gone_at_once_and_deleted_later(tmp_path: Path) -> None:
    bin_ = tmp_path / "trash"
    bin_.mkdir()
    trash = Trash(bin_)
    for index in range(5):
        (tmp_path / f"d{index}/deep/er").mkdir(parents=True)
        assert trash.throw(tmp_path / f"d{index}")
        assert not (tmp_path / f"d{index}").exists()
    assert not trash.throw(tmp_path / "missing")
    assert len(os.listdir(bin_)) == 5
    await trash.close()
    assert os.listdir(bin_) == []


async def test_more_may_come_while_it_runs(tmp_path: Path) -> None:
    bin_ = tmp_path / "trash"
    bin_.mkdir()
    trash = Trash(bin_)
    for index in range(30):
        (tmp_path / f"{index}").mkdir()
        trash.throw(tmp_path / f"{index}")
        await asyncio.sleep(0.003)
    await trash.close()
    assert os.listdir(bin_) == []


def test_without_a_loop_it_waits_for_the_next_start(tmp_path: Path) -> None:
    bin_ = tmp_path / "trash"
    bin_.mkdir()
    (tmp_path / "d").mkdir()
    Trash(bin_).throw(tmp_path / "d")
    assert len(os.listdir(bin_)) == 1

    async def start() -> None:
        trash = Trash(bin_)
        trash.sweep()
        await trash.close()

    asyncio.run(start())
    assert os.listdir(bin_) == []


def test_a_small_tree_goes_without_a_child(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "f").touch()
    (tree / "l").symlink_to("/etc")
    assert remove_few(str(tree), budget=4)
    assert not tree.exists()
    assert os.path.isdir("/etc")


def test_a_bigger_one_is_left(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    (tree / "a").mkdir(parents=True)
    for number in range(5):
        (tree / "a" / str(number)).touch()
    assert not remove_few(str(tree), budget=3)
    assert tree.exists()
