from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pierhead.linux.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify


async def test_callbacks_get_what_they_asked_for(tmp_path: Path) -> None:
    inotify = Inotify()
    created: list[str] = []
    moved: list[str] = []
    first = inotify.watch(tmp_path, IN_CREATE, lambda mask, name: created.append(name))
    second = inotify.watch(tmp_path, IN_MOVED_TO, lambda mask, name: moved.append(name))
    (tmp_path / "a").write_text("")
    (tmp_path / "a").rename(tmp_path / "b")
    await asyncio.sleep(0.05)
    assert (created, moved) == (["a"], ["b"])
    first.close()
    (tmp_path / "c").write_text("")
    (tmp_path / "c").rename(tmp_path / "d")
    await asyncio.sleep(0.05)
    assert (created, moved) == (["a"], ["b", "d"])
    second.close()
    second.close()  # harmless
    inotify.close()


async def test_a_file(tmp_path: Path) -> None:
    inotify = Inotify()
    file = tmp_path / "log"
    file.write_text("")
    changed = asyncio.Event()
    inotify.watch(file, IN_MODIFY, lambda mask, name: changed.set())
    file.write_text("x")
    await asyncio.wait_for(changed.wait(), 5)
    file.unlink()  # the kernel drops the watch by itself
    await asyncio.sleep(0.05)
    inotify.close()


async def test_nothing_to_watch(tmp_path: Path) -> None:
    inotify = Inotify()
    with pytest.raises(FileNotFoundError, match="missing"):
        inotify.watch(tmp_path / "missing", IN_MODIFY, lambda mask, name: None)
    inotify.close()
