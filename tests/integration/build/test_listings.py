"""Contexts that clients list: what is asked for, what is kept, what a client that leaves leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pierhead import tasks
from pierhead.build.files import kept, listdoor
from pierhead.build.files.service import FileService
from pierhead.build.model import FileStat, Wanted
from pierhead.errors import InvalidParameter, NotFound
from support.building import Bench, ListClient, listed

pytestmark = pytest.mark.root

FILE, SOCKET = 0o100644, 0o140755


async def test_only_changed_files_are_asked_for(bench: Bench, tmp_path: Path) -> None:
    root = tmp_path / "context"
    (root / "d").mkdir(parents=True)
    (root / "a").write_text("first")
    (root / "d/b").write_bytes(b"b" * 200_000)
    (root / "empty").touch()
    (root / "l").symlink_to("d/b")
    one, asked = await listed(bench, root)
    assert sorted(asked) == [b"a", b"d/b"]
    layer = await bench.copy(one, ".", to="/x/")
    assert bench.read(layer, "x/d/b") == b"b" * 200_000
    (root / "a").write_text("other, longer")
    two, asked = await listed(bench, root)
    assert asked == [b"a"]
    changed = await bench.copy(two, ".", to="/x/")
    assert bench.read(changed, "x/a") == b"other, longer"
    assert bench.read(changed, "x/d/b") == b"b" * 200_000
    three, asked = await listed(bench, root)
    assert asked == []
    assert await bench.copy(three, ".", to="/x/") == changed
    await bench.files.release(one)
    assert await bench.files.read(two, "l", 1 << 20) == b"b" * 200_000


async def take(bench: Bench, client: Any, key: str = "key") -> Any:
    source, transfer = await bench.files.context(
        client, "context", Wanted(shared_key=key), progress=lambda *_: None
    )
    return source, transfer


async def test_what_came_before_a_client_left_is_not_asked_again(
    bench: Bench, tmp_path: Path
) -> None:
    root = tmp_path / "context"
    root.mkdir()
    for number in range(100):
        (root / f"f{number:02}").write_bytes(b"%d" % number * 1000)

    class Leaving(ListClient):
        async def content(self, path: bytes) -> AsyncIterator[bytes]:
            if len(self.asked) == 60:
                raise ConnectionResetError("gone")
            async for chunk in super().content(path):
                yield chunk

    first = Leaving(root)
    with pytest.raises(ConnectionResetError):
        await take(bench, first)
    source, asked = await listed(bench, root)
    assert 0 < len(asked) <= 45
    assert await bench.files.read(source, "f07", 10_000) == b"7" * 1000


def opened_below(root: Path) -> list[str]:
    """What this process has open there."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [path for path in found if path.startswith(str(root))]


async def test_a_stopped_transfer_leaves_nothing_open(bench: Bench, tmp_path: Path) -> None:
    root = tmp_path / "context"
    root.mkdir()
    (root / "f").write_text("x")

    class Stuck(ListClient):
        async def content(self, path: bytes) -> AsyncIterator[bytes]:
            self.asked.append(path)
            await asyncio.Event().wait()
            yield b""

    client = Stuck(root)
    task = tasks.spawn(take(bench, client), name="transfer")
    while not client.asked:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await bench.files._lists.close()
    assert opened_below(bench.files._root) == []
    assert not any(bench.files._lists._users.values())


async def test_hard_links_have_one_content(bench: Bench) -> None:
    class Linked:
        asked: list[bytes] = []

        async def context_tar(self) -> None:
            return None

        async def local(self, name: str, wanted: Wanted) -> AsyncIterator[Any]:
            yield self

        async def files(self) -> AsyncIterator[FileStat]:
            yield FileStat(path=b"a", mode=FILE, size=3)
            yield FileStat(path=b"b", mode=FILE, size=3, link=b"a", hard_link=True)
            yield FileStat(path=b"sock", mode=SOCKET)

        async def content(self, path: bytes) -> AsyncIterator[bytes]:
            self.asked.append(path)
            yield b"abc"

    client = Linked()
    source, transfer = await take(bench, client)
    assert client.asked == [b"a"]
    assert transfer.ignored == 1
    layer = await bench.copy(source, ".", to="/x/")
    assert bench.tree(layer)["x/b"]["links"] == b"x/a"
    await take(bench, client)
    assert client.asked == [b"a"]


@pytest.mark.parametrize(
    "files",
    [
        [FileStat(path=b"../x", mode=FILE)],
        [FileStat(path=b"x", mode=FILE, size=-5)],
        [FileStat(path=b"x", mode=0o120777, link=b"/etc"), FileStat(path=b"x/passwd", mode=FILE)],
        [FileStat(path=b"x", mode=FILE, size=1 << 60)],
    ],
)
async def test_hostile_listings(bench: Bench, files: list[FileStat]) -> None:
    class Hostile:
        async def context_tar(self) -> None:
            return None

        async def local(self, name: str, wanted: Wanted) -> AsyncIterator[Any]:
            yield self

        async def files(self) -> AsyncIterator[FileStat]:
            for each in files:
                yield each

        async def content(self, path: bytes) -> AsyncIterator[bytes]:
            yield b""

    with pytest.raises(InvalidParameter):
        await take(bench, Hostile())


async def test_an_unknown_source(bench: Bench) -> None:
    class Without:
        async def context_tar(self) -> None:
            return None

        async def local(self, name: str, wanted: Wanted) -> AsyncIterator[Any]:
            for nothing in ():
                yield nothing

    with pytest.raises(NotFound, match="no source"):
        await take(bench, Without())


async def test_segments_are_compacted_and_lost_ones_asked_for(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "SEGMENTS_LIMIT", 2)
    root = tmp_path / "context"
    root.mkdir()
    for number in range(5):
        (root / f"f{number}").write_text(f"content {number}")
        await listed(bench, root)
    directory = bench.files._lists._root / kept.key_of("context", "key")
    lock = bench.files._lists._locks.setdefault(directory.name, asyncio.Lock())
    await bench.files._lists._settle(directory, lock)
    known = kept.load(directory)
    assert len(known.segments) <= 2
    assert known.synced == set(known.segments)
    source, asked = await listed(bench, root)
    assert asked == []
    assert await bench.files.read(source, "f0", 100) == b"content 0"
    for number in known.segments:
        (directory / str(number)).unlink()
    again, asked = await listed(bench, root)
    assert len(asked) == 5
    assert await bench.files.read(again, "f3", 100) == b"content 3"


async def test_kept_contexts_are_bounded(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "context"
    root.mkdir()
    (root / "f").write_bytes(b"x" * 1000)
    for key in ("one", "two"):
        source, _ = await listed(bench, root, key)
        await bench.files.release(source)
    assert [each.size_bytes for each in bench.files.usage()] == [1000, 1000]
    assert await bench.files._lists.bound(1500) == 1000
    assert len(bench.files.usage()) == 1
    _, asked = await listed(bench, root, "one")
    assert asked == [b"f"]
    assert listdoor.LIMIT_BYTES > 1 << 30


async def test_what_a_kill_left_is_removed_at_the_start(bench: Bench, tmp_path: Path) -> None:
    root = tmp_path / "context"
    root.mkdir()
    (root / "f").write_text("kept")
    source, _ = await listed(bench, root)
    await bench.files.release(source)
    await bench.files._lists.close()
    builds = bench.files._root
    directory = builds / "packs" / kept.key_of("context", "key")
    for left in (builds / "packs/unknown", builds / "http/unknown", builds / "tmp/git-1-1"):
        left.mkdir(parents=True)
        (left / "1").touch()
    (directory / "17").write_text("half a segment")
    again = FileService(
        paths=bench.files._paths, db=bench.files._db,
        snapshots=bench.snapshots, images=bench.files._images,
    )  # fmt: skip
    await again.recover()
    assert [path.name for path in (builds / "packs").iterdir()] == [directory.name]
    assert not (directory / "17").exists()
    assert list((builds / "http").iterdir()) == list((builds / "tmp").iterdir()) == []
    assert [each.size_bytes for each in again.usage()] == [4]
    await again.close()
