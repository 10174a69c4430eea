"""What every snapshotter must do (the contract in ``store/snapshots/__init__.py``)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import hashlib
import os
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract import tars
from contract.conftest import Make
from pierhead.errors import Conflict, InvalidParameter, NotFound, Unavailable
from pierhead.oci import tar
from pierhead.oci.digest import ChainId, DiffId, chain_ids, sha256
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import (
    Change,
    ChangeKind,
    Incoming,
    Layer,
    LayerSource,
    Snapshotter,
    Truncated,
)
from pierhead.store.snapshots.stacked import EMPTY_DIFF_ID, EMPTY_TAR_BYTES
from support.trees import describe

pytestmark = pytest.mark.root


async def apply(
    snapshots: Snapshotter,
    data: bytes,
    parent: ChainId | None = None,
    diff_id: DiffId | None = None,
) -> Layer:
    with tars.as_fd(data) as fd:
        return await snapshots.apply(LayerSource(fd, len(data)), parent, diff_id)


@contextmanager
def mounted(snapshots: Snapshotter, chain_id: ChainId | None, directory: Path):
    target = directory / "view"
    target.mkdir(exist_ok=True)
    snapshots.mount_readonly(chain_id, target)
    try:
        yield target
    finally:
        snapshots.unmount(target)


@pytest.fixture
async def base(snapshots: Snapshotter) -> AsyncIterator[Layer]:
    """A little root file system."""
    yield await apply(
        snapshots,
        tars.archive(
            tars.directory("etc"),
            tars.member("etc/passwd", data=b"root:x:0:0\n"),
            tars.directory("tmp", mode=0o1777),
            tars.directory("usr"),
            tars.directory("usr/lib", mode=0o750, uid=7, gid=8),
            tars.member("usr/lib/a", data=b"a" * 5000),
            tars.symlink("lib", "usr/lib"),
            tars.directory("gone"),
            tars.member("gone/x", data=b"x"),
        ),
    )


async def test_a_directory_lists_the_inode_numbers_that_stat_tells(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    """CPython's own tests expect it, and so does whoever walks a tree by inode numbers."""
    await snapshots.prepare("c", base.chain_id)
    view = tmp_path / "view"
    view.mkdir()
    snapshots.mount("c", view)
    try:
        (view / "usr" / "new").touch()
        for directory in (view, view / "usr", view / "etc"):
            for entry in os.scandir(directory):
                assert entry.inode() == entry.stat(follow_symlinks=False).st_ino, entry.path
    finally:
        snapshots.unmount(view)
        await snapshots.remove("c")


# Applying


async def test_a_layer_is_named_by_what_it_holds(snapshots: Snapshotter) -> None:
    data = tars.archive(tars.member("a", data=b"hello"))
    layer = await apply(snapshots, data)
    assert layer.diff_id == sha256(data)
    assert layer.chain_id == layer.diff_id
    assert (layer.size_bytes, layer.tar_bytes, layer.parent) == (5, len(data), None)
    assert snapshots.layer(layer.chain_id) == layer
    upper = await apply(snapshots, data, parent=layer.chain_id)
    assert upper.chain_id == chain_ids([layer.diff_id, layer.diff_id])[1]
    assert await apply(snapshots, data) == layer
    assert len(snapshots.layers()) == 2


async def test_the_diff_id_must_match_and_nothing_stays_if_not(
    snapshots: Snapshotter, paths: Paths
) -> None:
    wrong = DiffId("sha256:" + "0" * 64)
    with pytest.raises(InvalidParameter, match="invalid diffID for layer"):
        await apply(snapshots, tars.archive(tars.member("a")), diff_id=wrong)
    assert snapshots.layers() == []
    await snapshots.close()
    assert leftovers(paths) == []


def leftovers(paths: Paths) -> list[str]:
    """Layer directories, finished or not."""
    return sorted(
        name
        for driver in os.listdir(paths.snapshots)
        for name in os.listdir(paths.snapshots / driver / "layers")
    )


async def test_trailing_bytes_count_for_the_digest(snapshots: Snapshotter) -> None:
    data = tars.archive(tars.member("a")) + bytes(8192) + b"trailing"
    assert (await apply(snapshots, data)).diff_id == sha256(data)


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd"])
async def test_compressed_tars_give_the_same_layer(snapshots: Snapshotter, tool: str) -> None:
    data = tars.archive(tars.member("big", data=os.urandom(1 << 20) + bytes(1 << 20)))
    packed = subprocess.run([tool, "-c"], input=data, capture_output=True, check=True).stdout
    layer = await apply(snapshots, packed)
    assert layer.diff_id == sha256(data)
    assert await tar_of(snapshots, layer.chain_id) == data


async def tar_of(snapshots: Snapshotter, chain_id: ChainId) -> bytes:
    with tempfile.TemporaryFile() as file:
        size = await snapshots.layer_tar(chain_id, file.fileno())
        file.seek(0)
        data = file.read()
    assert size == len(data)
    return data


async def test_several_gzip_members_are_one_stream(snapshots: Snapshotter) -> None:
    data = tars.archive(tars.member("a", data=os.urandom(300_000)))
    packed = gzip.compress(data[:1000]) + gzip.compress(data[1000:]) + bytes(100)
    assert (await apply(snapshots, packed)).diff_id == sha256(data)


async def test_the_tar_comes_back_byte_for_byte(snapshots: Snapshotter) -> None:
    data = tars.archive(*(tars.member(f"f{i}", data=os.urandom(3000)) for i in range(300)))
    layer = await apply(snapshots, data)
    back = await tar_of(snapshots, layer.chain_id)
    assert hashlib.sha256(back).hexdigest() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=posix"], ["--format=ustar"]])
async def test_the_content_is_what_gnu_tar_unpacks(
    snapshots: Snapshotter, tmp_path: Path, options: list[str]
) -> None:
    source = rich_tree(tmp_path / "source", long_names="--format=ustar" not in options)
    data = pack(source, options)
    layer = await apply(snapshots, data)
    expected = unpack(data, tmp_path / "expected")
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert describe(view) == describe(expected)


@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=posix", "--sparse-version=0.0"],
        ["--format=posix", "--sparse-version=0.1"],
        ["--format=posix", "--sparse-version=1.0"],
    ],
)
async def test_sparse_files_stay_sparse(
    snapshots: Snapshotter, tmp_path: Path, options: list[str]
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "sparse", "wb") as file:
        for index in range(40):
            file.seek(index * (1 << 20) + 4096)
            file.write(b"data %d" % index)
        file.truncate(64 << 20)
    (source / "hole").touch()
    os.truncate(source / "hole", 8 << 20)
    data = pack(source, ["--sparse", *options])
    layer = await apply(snapshots, data)
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert describe(view, times=False) == describe(source, times=False)
        assert occupied(view / "sparse") < 2 << 20
        assert occupied(view / "hole") == 0


def occupied(path: Path) -> int:
    """Bytes of a file that are no hole. (EROFS counts holes in ``st_blocks``.)"""
    total = end = 0
    with open(path, "rb") as file:
        while True:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return total
                raise
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            total += end - start


def rich_tree(root: Path, *, long_names: bool) -> Path:
    """One of everything."""
    root.mkdir()
    (root / "plain").write_bytes(os.urandom(70_000))
    (root / "empty").touch()
    (root / "setuid").write_text("s")
    os.chown(root / "setuid", 1000, 1001)
    os.chmod(root / "setuid", 0o6751)
    (root / "dir").mkdir(mode=0o700)
    os.chmod(root / "dir", 0o2775)
    (root / "dir/inner").write_text("inner")
    os.link(root / "plain", root / "dir/hard")
    os.link(root / "plain", root / "hard2")
    (root / "link").symlink_to("dir/inner")
    (root / "dangling").symlink_to("/nowhere/at/all")
    os.link(root / "link", root / "hardlink-to-symlink", follow_symlinks=False)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o660, os.makedev(7, 200))
    os.mkfifo(root / "fifo", 0o640)
    os.chown(root / "big-ids", 3_000_000, 4_000_000) if (root / "big-ids").exists() else None
    name = os.fsencode(root) + b"/b\xffd-\xc3\xa9"
    with open(name, "wb") as file:
        file.write(b"not UTF-8")
    if long_names:
        deep = root
        for index in range(8):
            deep = deep / f"{index}-{'d' * 60}"
            deep.mkdir()
        (deep / ("f" * 200)).write_text("deep")
        (root / "long-link").symlink_to("t" * 300)
        (root / "naïve-ünïcode-名前").write_text("u")
        os.chown(root / "empty", 3_000_000, 4_000_000)
    for path in (root / "dir", root / "plain", root / "link"):
        os.utime(path, (1_600_000_000, 1_500_000_000), follow_symlinks=False)
    return root


def pack(source: Path, options: list[str]) -> bytes:
    command = ["tar", "--numeric-owner", *options, "-C", str(source), "-cf", "-", "."]
    return subprocess.run(command, capture_output=True, check=True).stdout


def unpack(data: bytes, target: Path) -> Path:
    target.mkdir()
    subprocess.run(
        ["tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", "-", "-C", target],
        input=data,
        check=True,
    )
    return target


async def test_extended_attributes(snapshots: Snapshotter, tmp_path: Path) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    data = tars.archive(
        tars.member(
            "ping",
            data=b"x",
            mode=0o755,
            xattrs={b"security.capability": capability, b"user.\xc3\xa9": b"\x00\n=\xff"},
        ),
        tars.directory("d", xattrs={b"user.dir": b"1", b"trusted.overlay.opaque": b"y"}),
        tars.member("redirected", xattrs={b"trusted.overlay.redirect": b"/etc/shadow"}),
    )
    layer = await apply(snapshots, data)
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert os.getxattr(view / "ping", "security.capability") == capability
        assert os.getxattr(view / "ping", "user.é") == b"\x00\n=\xff"
        assert os.listxattr(view / "d") == ["user.dir"]
        assert os.listxattr(view / "redirected") == []


async def test_the_last_of_equal_names_counts(snapshots: Snapshotter, tmp_path: Path) -> None:
    layer = await apply(
        snapshots,
        tars.archive(
            tars.member("a", data=b"first"),
            tars.member("./a", data=b"second"),
            tars.directory("d", mode=0o700),
            tars.member("d/x"),
            tars.directory("d", mode=0o711),
            tars.directory("e"),
            tars.member("e/y"),
            tars.symlink("e", "d"),
            tars.member("f"),
            tars.directory("f"),
        ),
    )
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert (view / "a").read_bytes() == b"second"
        assert stat.S_IMODE((view / "d").stat().st_mode) == 0o711
        assert os.listdir(view / "d") == ["x"]
        assert os.readlink(view / "e") == "d"
        assert (view / "f").is_dir()


# Whiteouts


async def test_whiteouts_hide_what_is_below(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    layer = await apply(
        snapshots,
        tars.archive(tars.member(".wh.gone"), tars.member("etc/.wh.passwd")),
        base.chain_id,
    )
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert sorted(os.listdir(view)) == ["etc", "lib", "tmp", "usr"]
        assert os.listdir(view / "etc") == []


async def test_a_whiteout_of_nothing_leaves_nothing(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    layer = await apply(
        snapshots,
        tars.archive(tars.member(".wh.never"), tars.directory("new"), tars.member("new/.wh.never")),
        base.chain_id,
    )
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert "never" not in os.listdir(view)
        assert os.listdir(view / "new") == []
    alone = await apply(snapshots, tars.archive(tars.member(".wh.x"), tars.member("y")))
    with mounted(snapshots, alone.chain_id, tmp_path) as view:
        assert os.listdir(view) == ["y"]


@pytest.mark.parametrize("mark_first", [True, False])
async def test_an_opaque_directory_shows_only_its_own(
    snapshots: Snapshotter, base: Layer, tmp_path: Path, mark_first: bool
) -> None:
    mark, own = tars.member("etc/.wh..wh..opq"), tars.member("etc/own")
    members = [mark, own] if mark_first else [own, mark]
    layer = await apply(snapshots, tars.archive(tars.directory("etc"), *members), base.chain_id)
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert os.listdir(view / "etc") == ["own"]


@pytest.mark.parametrize("whiteout_first", [True, False])
async def test_a_directory_made_anew_hides_the_old_one(
    snapshots: Snapshotter, base: Layer, tmp_path: Path, whiteout_first: bool
) -> None:
    anew = tars.directory("gone") + tars.member("gone/new")
    whiteout = tars.member(".wh.gone")
    data = whiteout + anew if whiteout_first else anew + whiteout
    layer = await apply(snapshots, tars.archive(data), base.chain_id)
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert os.listdir(view / "gone") == ["new"]


async def test_a_whiteout_and_a_file_of_the_same_name(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    layer = await apply(
        snapshots,
        tars.archive(
            tars.member("etc/.wh.passwd"),
            tars.member("etc/passwd", data=b"new"),
            tars.member("gone/.wh.x"),
            tars.member("gone/x/implicit"),
        ),
        base.chain_id,
    )
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert (view / "etc/passwd").read_bytes() == b"new"
        assert (view / "gone/x/implicit").exists()


# Parents that the tar does not list


async def test_unlisted_parents_keep_their_attributes(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    layer = await apply(
        snapshots, tars.archive(tars.member("tmp/x"), tars.member("usr/lib/b")), base.chain_id
    )
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert stat.S_IMODE((view / "tmp").stat().st_mode) == 0o1777
        info = (view / "usr/lib").stat()
        assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o750, 7, 8)
        assert info.st_mtime_ns == tars.MTIME_NS
        assert sorted(os.listdir(view / "usr/lib")) == ["a", "b"]


async def test_a_parent_that_is_a_link_below_is_followed(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    layer = await apply(snapshots, tars.archive(tars.member("lib/b")), base.chain_id)
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert (view / "lib").is_symlink()
        assert sorted(os.listdir(view / "usr/lib")) == ["a", "b"]


async def test_a_hard_link_into_a_lower_layer_copies_the_file_up(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    layer = await apply(snapshots, tars.archive(tars.hardlink("copy", "usr/lib/a")), base.chain_id)
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert (view / "copy").read_bytes() == b"a" * 5000
        assert (view / "copy").stat().st_nlink == 2


# Hostile tars


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([tars.member("../escape")], "points outside of the root"),
        ([tars.member("a/../../escape")], "points outside of the root"),
        ([tars.hardlink("a", "../../../etc/passwd")], "points outside of the root"),
        ([tars.hardlink("a", "missing")], "does not exist"),
        ([tars.directory("d"), tars.hardlink("a", "d")], "no file"),
        ([tars.member(".wh.")], "invalid whiteout name"),
        ([tars.member(".wh...")], "invalid whiteout name"),
        ([tars.member("a", b"Q")], "unknown type"),
        ([tars.symlink("a", "")], "links to nothing"),
        ([tars.symlink("a", "b"), tars.symlink("b", "a"), tars.member("a/x")], "too many links"),
        ([tars.member("x" * 5000)], "too long"),
        ([tars.member("x" * 300)], "name too long|too long"),
        ([tars.member(".")], "root is not a directory"),
        ([tars.member("a", data=b"x" * 1000)[:700]], "unexpected end"),
        ([b"\xff" * 512], "invalid tar header"),
        ([tars.member("a")[:200]], "unexpected end"),
    ],
)
async def test_what_is_refused_leaves_nothing(
    snapshots: Snapshotter, paths: Paths, members: list[bytes], message: str
) -> None:
    data = b"".join(members)
    if not message.startswith("unexpected"):
        data += bytes(1024)
    with pytest.raises(InvalidParameter, match=f"(?i){message}"):
        await apply(snapshots, data)
    assert snapshots.layers() == []
    await snapshots.close()
    assert leftovers(paths) == []


async def test_links_never_lead_outside(snapshots: Snapshotter, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("whole")
    up = "../" * 40
    data = tars.archive(
        tars.symlink("abs", str(outside)),
        tars.member("abs/made", data=b"inside"),
        tars.symlink("rel", up + str(outside).lstrip("/")),
        tars.member("rel/victim", data=b"inside"),
        tars.symlink("magic", "/proc/self/root"),
        tars.member("magic/x"),
        tars.symlink("file", str(outside / "victim")),
        tars.member("file", data=b"replaced, not followed"),
        tars.symlink("late", "/"),
        tars.hardlink("late/etc-link", "late"),
        tars.member("/absolute", data=b"a"),
    )
    layer = await apply(snapshots, data)
    assert os.listdir(outside) == ["victim"]
    assert (outside / "victim").read_text() == "whole"
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        inside = view / str(outside).lstrip("/")
        assert (inside / "made").read_bytes() == b"inside"
        assert (inside / "victim").read_bytes() == b"inside"
        assert not (view / "file").is_symlink()
        assert (view / "absolute").read_bytes() == b"a"
        assert (view / "magic").is_symlink()
        assert (view / "proc/self/root/x").exists()


async def test_a_bomb_is_stopped_by_the_room_there_is(
    snapshots: Snapshotter, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(snapshots), "_room", lambda self: 10 << 20)
    head = tar.build_header(tars.Header(b"zeros", tar.REGULAR, 0o644, size=1 << 34))
    bomb = gzip.compress(head + bytes(64 << 20), 9)
    with pytest.raises(InvalidParameter, match="room"):
        await apply(snapshots, bomb)
    await snapshots.close()
    assert leftovers(paths) == []


async def test_extensions_without_end_are_refused(snapshots: Snapshotter) -> None:
    head = tars.Header(b"x", tar.PAX, 0o644, size=1 << 30)
    with pytest.raises(InvalidParameter, match="extension of 1073741824 bytes"):
        await apply(snapshots, tar.build_header(head) + bytes(4096))


async def test_a_huge_hole_costs_nothing(snapshots: Snapshotter, tmp_path: Path) -> None:
    records = (
        tar.pax_record(b"GNU.sparse.major", b"1")
        + tar.pax_record(b"GNU.sparse.minor", b"0")
        + tar.pax_record(b"GNU.sparse.realsize", str(1 << 42).encode())
        + tar.pax_record(b"GNU.sparse.name", b"hole")
    )
    body = b"0\n".ljust(512, b"\0")
    data = tars.member("PaxHeaders/hole", tar.PAX, records) + tars.member("hole", data=body)
    layer = await apply(snapshots, tars.archive(data))
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert (view / "hole").stat().st_size == 1 << 42
        assert occupied(view / "hole") == 0


async def test_deep_paths_do_not_break_the_stack(snapshots: Snapshotter) -> None:
    deep = "/".join("d" for _ in range(1800))
    layer = await apply(snapshots, tars.archive(tars.member(deep + "/f", data=b"x")))
    assert layer.size_bytes == 1
    assert await snapshots.remove_layer(layer.chain_id) == 1
    await snapshots.close()


# Layers as parents


async def test_an_unknown_parent_is_not_found(snapshots: Snapshotter) -> None:
    with pytest.raises(NotFound):
        await apply(snapshots, tars.archive(), ChainId("sha256:" + "1" * 64))


async def test_many_layers_stack(snapshots: Snapshotter, tmp_path: Path) -> None:
    parent: ChainId | None = None
    for index in range(60):
        data = tars.archive(tars.member("last", data=b"%d" % index), tars.member(f"f{index}"))
        parent = (await apply(snapshots, data, parent)).chain_id
    with mounted(snapshots, parent, tmp_path) as view:
        assert (view / "last").read_bytes() == b"59"
        assert len(os.listdir(view)) == 61


async def test_equal_layers_in_one_stack(snapshots: Snapshotter, tmp_path: Path) -> None:
    data = tars.archive(tars.member("same", data=b"1"))
    first = await apply(snapshots, data)
    second = await apply(snapshots, tars.archive(tars.member(".wh.same")), first.chain_id)
    third = await apply(snapshots, data, second.chain_id)
    with mounted(snapshots, third.chain_id, tmp_path) as view:
        assert (view / "same").read_bytes() == b"1"


async def test_a_layer_in_use_stays(snapshots: Snapshotter, base: Layer) -> None:
    upper = await apply(snapshots, tars.archive(tars.member("x")), base.chain_id)
    with pytest.raises(Conflict):
        await snapshots.remove_layer(base.chain_id)
    await snapshots.prepare("key", upper.chain_id)
    with pytest.raises(Conflict):
        await snapshots.remove_layer(upper.chain_id)
    released: list[ChainId] = []
    snapshots.on_removed = released.append
    await snapshots.remove("key")
    assert released == [upper.chain_id]
    assert await snapshots.remove_layer(upper.chain_id) == 0
    assert await snapshots.remove_layer(base.chain_id) == base.size_bytes
    assert snapshots.layers() == []
    with pytest.raises(NotFound):
        await snapshots.remove_layer(base.chain_id)


# Snapshots


@pytest.fixture
async def work(snapshots: Snapshotter, base: Layer, tmp_path: Path) -> AsyncIterator[Path]:
    """A mounted snapshot ``key`` on ``base``."""
    await snapshots.prepare("key", base.chain_id)
    target = tmp_path / "rootfs"
    target.mkdir()
    snapshots.mount("key", target)
    yield target
    snapshots.unmount(target)


async def test_a_fresh_snapshot_has_mount_points_and_no_changes(
    snapshots: Snapshotter, work: Path
) -> None:
    for name in ("dev/pts", "dev/shm", "proc", "sys"):
        assert (work / name).is_dir()
    for name in (".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf"):
        assert (work / name).read_bytes() == b""
    assert os.readlink(work / "etc/mtab") == "/proc/mounts"
    assert await snapshots.changes("key") == []
    assert (await snapshots.usage("key")).size_bytes == 0


async def test_changes_are_listed_as_docker_lists_them(snapshots: Snapshotter, work: Path) -> None:
    (work / "etc/new").write_text("n")
    with open(work / "etc/passwd", "a") as file:
        file.write("more")
    (work / "gone/x").unlink()
    (work / "made").mkdir()
    (work / "made/inner").write_text("i")
    (work / "tmp/passing").touch()
    (work / "tmp/passing").unlink()
    os.rename(work / "usr/lib/a", work / "usr/lib/b")
    assert await snapshots.changes("key") == [
        Change("/etc", ChangeKind.MODIFIED),
        Change("/etc/new", ChangeKind.ADDED),
        Change("/etc/passwd", ChangeKind.MODIFIED),
        Change("/gone", ChangeKind.MODIFIED),
        Change("/gone/x", ChangeKind.DELETED),
        Change("/made", ChangeKind.ADDED),
        Change("/made/inner", ChangeKind.ADDED),
        Change("/usr", ChangeKind.MODIFIED),
        Change("/usr/lib", ChangeKind.MODIFIED),
        Change("/usr/lib/a", ChangeKind.DELETED),
        Change("/usr/lib/b", ChangeKind.ADDED),
    ]
    usage = await snapshots.usage("key")
    assert usage.size_bytes == 1 + len("root:x:0:0\nmore") + 1 + 5000


async def test_a_directory_removed_and_made_again(snapshots: Snapshotter, work: Path) -> None:
    subprocess.run(["rm", "-r", work / "gone"], check=True)
    (work / "gone").mkdir()
    (work / "gone/y").touch()
    found = await snapshots.changes("key")
    assert Change("/gone/x", ChangeKind.DELETED) in found
    assert Change("/gone/y", ChangeKind.ADDED) in found


async def test_a_diff_applied_on_the_same_layer_gives_the_same_tree(
    snapshots: Snapshotter, base: Layer, work: Path, tmp_path: Path
) -> None:
    subprocess.run(["rm", "-r", work / "gone"], check=True)
    (work / "gone").mkdir()
    (work / "gone/y").write_text("y")
    (work / "etc/passwd").unlink()
    rich_tree(work / "rich", long_names=True)
    os.setxattr(work / "rich/plain", "user.note", b"v")
    with tempfile.TemporaryFile() as file:
        await snapshots.diff("key", file.fileno())
        file.seek(0)
        layer = await apply(snapshots, file.read(), base.chain_id)
    init = {b".dockerenv", b"proc", b"sys", b"dev"}
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        have, want = describe(view, times=False), describe(work, times=False)
        want = {
            name: entry
            for name, entry in want.items()
            if name.split(b"/")[0] not in init
            and name not in (b"etc/hosts", b"etc/hostname", b"etc/resolv.conf", b"etc/mtab")
        }
        assert have == want


async def test_equal_changes_give_equal_diffs(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    digests = set()
    for key in ("one", "two"):
        await snapshots.prepare(key, base.chain_id)
        target = tmp_path / key
        target.mkdir()
        snapshots.mount(key, target)
        names = [f"n{i}" for i in range(30)]
        for name in names if key == "one" else reversed(names):
            (target / name).write_text(name)
            os.utime(target / name, (1, 1))
        snapshots.unmount(target)
        with tempfile.TemporaryFile() as file:
            await snapshots.diff(key, file.fileno())
            file.seek(0)
            digests.add(sha256(file.read()))
    assert len(digests) == 1


async def test_an_empty_diff_is_an_empty_tar(snapshots: Snapshotter, base: Layer) -> None:
    await snapshots.prepare("key", base.chain_id)
    with tempfile.TemporaryFile() as file:
        await snapshots.diff("key", file.fileno())
        file.seek(0)
        assert file.read() == bytes(1024)


async def test_snapshots_without_layers_and_twice_the_same_key(
    snapshots: Snapshotter, tmp_path: Path
) -> None:
    await snapshots.prepare("empty", None)
    with pytest.raises(Conflict):
        await snapshots.prepare("empty", None)
    target = tmp_path / "empty"
    target.mkdir()
    snapshots.mount("empty", target)
    (target / "x").touch()
    snapshots.unmount(target)
    assert await snapshots.changes("empty") == [Change("/x", ChangeKind.ADDED)]
    await snapshots.remove("empty")
    await snapshots.remove("empty")
    with pytest.raises(NotFound):
        await snapshots.usage("empty")
    with pytest.raises(NotFound):
        snapshots.mount("empty", target)


async def test_the_root_keeps_the_image_s_attributes(
    snapshots: Snapshotter, tmp_path: Path
) -> None:
    layer = await apply(
        snapshots, tars.archive(tars.directory("./", mode=0o711, uid=5), tars.member("x"))
    )
    await snapshots.prepare("key", layer.chain_id)
    target = tmp_path / "rootfs"
    target.mkdir()
    snapshots.mount("key", target)
    info = target.stat()
    snapshots.unmount(target)
    assert (stat.S_IMODE(info.st_mode), info.st_uid) == (0o711, 5)


async def test_graph_data_names_the_directories(snapshots: Snapshotter, base: Layer) -> None:
    await snapshots.prepare("key", base.chain_id)
    data = snapshots.graph_data("key")
    assert {"LowerDir", "UpperDir", "WorkDir", "MergedDir"} <= set(data)
    assert Path(data["UpperDir"]).is_dir()
    assert set(snapshots.layer_graph_data(None)) == set()
    assert "UpperDir" in snapshots.layer_graph_data(base.chain_id)


async def test_unmounting_what_is_not_mounted(snapshots: Snapshotter, tmp_path: Path) -> None:
    snapshots.unmount(tmp_path / "missing")
    snapshots.unmount(tmp_path)


# Death and recovery


async def test_everything_recorded_is_there_after_a_restart(
    snapshots: Snapshotter,
    base: Layer,
    make: Make,
    paths: Paths,
    database: Database,
    tmp_path: Path,
) -> None:
    await snapshots.prepare("live", base.chain_id)
    await snapshots.prepare("dead", base.chain_id)
    again: Snapshotter = make(paths, database)
    await again.recover({"live"})
    assert again.layers() == [base]
    target = tmp_path / "rootfs"
    target.mkdir()
    again.mount("live", target)
    assert (target / "etc/passwd").exists()
    again.unmount(target)
    with pytest.raises(NotFound):
        await again.usage("dead")
    await again.close()


async def test_a_file_system_that_cannot_is_refused_at_start(
    snapshots: Snapshotter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("pierhead.linux.mounts.mount_overlay", refuse)
    with pytest.raises(Unavailable, match="put --data-root on ext4, xfs or btrfs"):
        await snapshots.recover(set())


async def test_mount_points_are_open_whatever_the_umask(make: Make, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        other = Paths(tmp_path / "closed", tmp_path / "closed-exec")
        other.create()
        again: Snapshotter = make(other, Database.open(other.database))
        layer = await apply(again, tars.archive(tars.member("implicit/x")))
        await again.prepare("key", layer.chain_id)
        target = tmp_path / "rootfs"
        target.mkdir()
        again.mount("key", target)
        modes = {
            name: stat.S_IMODE((target / name).stat().st_mode)
            for name in (".", "dev", "dev/pts", "etc", "etc/hosts", "proc", "implicit")
        }
        again.unmount(target)
        await again.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o755}, modes


async def test_half_made_things_go_at_the_next_start(
    snapshots: Snapshotter, base: Layer, make: Make, paths: Paths, database: Database
) -> None:
    root = paths.snapshots / snapshots.driver
    (root / "layers/.new-0123/diff").mkdir(parents=True)
    (root / "layers/.new-0123/diff/half").write_text("half")
    (root / ("layers/" + "f" * 32) / "diff").mkdir(parents=True)
    (root / "containers/unknown/diff").mkdir(parents=True)
    (root / "trash/old/deep").mkdir(parents=True)
    before = set(leftovers(paths))
    again: Snapshotter = make(paths, database)
    await again.recover(set())
    await again.close()
    assert len(set(leftovers(paths))) == len(before) - 2
    assert os.listdir(root / "containers") == []
    assert os.listdir(root / "trash") == []


# Layers in two steps


class Feed:
    """A pipe that a thread fills, and a blob store to keep what comes."""

    def __init__(self, data: bytes) -> None:
        self.fd, self._in = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._fill, args=(data,))
        self._thread.start()

    def _fill(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError), open(self._in, "wb") as file:
            file.write(data)

    def close(self) -> None:
        os.close(self.fd)
        self._thread.join()


@contextmanager
def fed(data: bytes):
    feed = Feed(data)
    try:
        yield feed.fd
    finally:
        feed.close()


@pytest.fixture
def blobs(paths: Paths) -> BlobStore:
    return BlobStore(paths)


LAYER = tars.archive(
    tars.directory("etc"),
    tars.member("etc/big", data=os.urandom(400_000)),
    tars.member("etc/.wh.passwd"),
)


@pytest.mark.parametrize("tool", ["gzip", "zstd", None])
@pytest.mark.parametrize("keep_first", [True, False])
async def test_a_staged_layer_keeps_its_blob(
    snapshots: Snapshotter,
    blobs: BlobStore,
    base: Layer,
    tmp_path: Path,
    tool: str | None,
    keep_first: bool,
) -> None:
    blob = compress(LAYER, tool)
    partial = blobs.partial(sha256(blob))
    with fed(blob) as fd:
        staged = await snapshots.stage(Incoming(fd, sha256(LAYER), partial, len(blob)))
    assert staged.blob_digest == sha256(blob)
    assert staged.blob_bytes == len(blob)
    assert staged.compression == (tool or "none")
    assert staged.diff_id in (None, sha256(LAYER))
    if keep_first:
        blobs.keep(partial)
    layer = await staged.commit(base.chain_id)
    if not keep_first:
        blobs.keep(partial)
    await staged.discard()
    assert layer.diff_id == sha256(LAYER)
    assert blobs.read(sha256(blob)) == blob
    assert await tar_of(snapshots, layer.chain_id) == LAYER
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert os.listdir(view / "etc") == ["big"]


def compress(data: bytes, tool: str | None) -> bytes:
    if tool is None:
        return data
    return subprocess.run([tool, "-c"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("tool", ["gzip", None])
async def test_a_staged_layer_without_a_partial(
    snapshots: Snapshotter, base: Layer, paths: Paths, tool: str | None
) -> None:
    blob = compress(LAYER, tool)
    with fed(blob) as fd:
        staged = await snapshots.stage(Incoming(fd))
    assert staged.blob_digest == sha256(blob)
    layer = await staged.commit(base.chain_id)
    assert layer.diff_id == sha256(LAYER)
    assert await tar_of(snapshots, layer.chain_id) == LAYER
    assert os.listdir(paths.ingest) == []
    # and once more, on nothing and on itself
    for parent in (None, layer.chain_id, base.chain_id):
        with fed(blob) as fd:
            staged = await snapshots.stage(Incoming(fd, sha256(LAYER)))
        again = await staged.commit(parent)
        assert (again == layer) == (parent == base.chain_id)
        assert await tar_of(snapshots, again.chain_id) == LAYER
    await snapshots.close()
    assert len(leftovers(paths)) == 4


async def test_a_broken_blob_goes_on_where_it_broke(
    snapshots: Snapshotter, blobs: BlobStore, paths: Paths
) -> None:
    blob = compress(LAYER, "gzip")
    partial = blobs.partial(sha256(blob))
    position = 0
    for end in (1000, 1000, 200_000, len(blob) - 1):
        with fed(blob[position:end]) as fd, pytest.raises(Truncated):
            await snapshots.stage(Incoming(fd, None, partial, len(blob)))
        position = partial.held_bytes
        assert position == end
    with fed(blob[position:]) as fd:
        staged = await snapshots.stage(Incoming(fd, None, partial, len(blob)))
    layer = await staged.commit(None)
    assert layer.diff_id == sha256(LAYER)
    await snapshots.close()
    assert len(leftovers(paths)) == 1
    # all of it held: nothing more to come
    with fed(b"") as fd:
        staged = await snapshots.stage(Incoming(fd, None, partial, len(blob)))
    assert staged.blob_digest == sha256(blob)
    await staged.discard()
    assert partial.held_bytes == len(blob)


@pytest.mark.parametrize("fault", ["other bytes", "too long", "held garbage", "no tar"])
async def test_a_lying_blob_leaves_nothing(
    snapshots: Snapshotter, blobs: BlobStore, paths: Paths, fault: str
) -> None:
    blob = compress(LAYER if fault != "no tar" else b"no tar" * 1000, "gzip")
    partial = blobs.partial(sha256(blob))
    sent, length = blob, len(blob)
    if fault == "other bytes":
        sent = compress(LAYER[:-512] + b"x" * 512, "gzip")
        length = len(sent)
    elif fault == "too long":
        sent = blob + b"more"
    elif fault == "held garbage":
        partial.path.write_bytes(b"g" * 1000)
        sent = blob[1000:]
    with fed(sent) as fd, pytest.raises(InvalidParameter):
        staged = await snapshots.stage(Incoming(fd, None, partial, length))
        await staged.commit(None)
    assert partial.held_bytes == 0
    assert snapshots.layers() == []
    await snapshots.close()
    assert leftovers(paths) == []
    assert os.listdir(paths.ingest) == []


async def test_a_cancelled_stage_keeps_what_came(
    snapshots: Snapshotter, blobs: BlobStore, paths: Paths
) -> None:
    blob = compress(LAYER, "gzip")
    partial = blobs.partial(sha256(blob))
    read_fd, write_fd = os.pipe()
    task = asyncio.ensure_future(snapshots.stage(Incoming(read_fd, None, partial, len(blob))))
    half = len(blob) // 2
    await asyncio.to_thread(os.write, write_fd, blob[:half])
    while partial.held_bytes < half:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.close(read_fd)
    os.close(write_fd)
    assert partial.held_bytes == half
    await snapshots.close()
    assert leftovers(paths) == []


async def test_layers_are_staged_side_by_side(snapshots: Snapshotter) -> None:
    datas = [tars.archive(tars.member(f"f{i}", data=os.urandom(100_000))) for i in range(4)]
    feeds = [Feed(compress(data, "gzip")) for data in datas]
    stages = [
        snapshots.stage(Incoming(feed.fd, sha256(d))) for feed, d in zip(feeds, datas, strict=True)
    ]
    staged = await asyncio.gather(*stages)
    parent: ChainId | None = None
    for one in staged:
        parent = (await one.commit(parent)).chain_id
    assert parent == chain_ids([sha256(data) for data in datas])[-1]
    for feed in feeds:
        feed.close()


async def test_discarded_or_of_another_diff_id(
    snapshots: Snapshotter, blobs: BlobStore, paths: Paths
) -> None:
    blob = compress(LAYER, "gzip")
    partial = blobs.partial(sha256(blob))
    with fed(blob) as fd:
        staged = await snapshots.stage(Incoming(fd, None, partial))
    await staged.discard()
    await staged.discard()
    assert partial.held_bytes == len(blob)
    wrong = DiffId("sha256:" + "0" * 64)
    with fed(b"") as fd, pytest.raises(InvalidParameter, match="invalid diffID for layer"):
        staged = await snapshots.stage(Incoming(fd, wrong, partial))
        await staged.commit(None)
    await snapshots.close()
    assert leftovers(paths) == []


# Damage


def damage(snapshots: Snapshotter, layer: Layer, where: str) -> Path:
    """Spoil what the layer's tar lies in."""
    file = snapshots.layer_file(layer.chain_id)
    if where == "missing":
        file.path.unlink()
        return file.path
    size = file.path.stat().st_size
    offset = {"tar": file.offset + 600, "end": size - 8}[where]
    with open(file.path, "r+b") as out:
        out.seek(offset)
        byte = out.read(1)
        out.seek(offset)
        out.write(bytes([byte[0] ^ 1]))
    return file.path


async def test_a_whole_layer_is_found_whole(snapshots: Snapshotter, base: Layer) -> None:
    with fed(compress(LAYER, "gzip")) as fd:
        staged = await snapshots.stage(Incoming(fd))
    layer = await staged.commit(base.chain_id)
    assert await snapshots.verify(base.chain_id) == []
    assert await snapshots.verify(layer.chain_id) == []


@pytest.mark.parametrize("where", ["tar", "end", "missing"])
@pytest.mark.parametrize("on_base", [True, False])
async def test_damage_is_found_and_repaired(
    snapshots: Snapshotter, base: Layer, tmp_path: Path, where: str, on_base: bool
) -> None:
    blob = compress(LAYER, "gzip")
    with fed(blob) as fd:
        staged = await snapshots.stage(Incoming(fd))
    layer = await staged.commit(base.chain_id if on_base else None)
    await snapshots.prepare("key", layer.chain_id)
    target = tmp_path / "rootfs"
    target.mkdir()
    snapshots.mount("key", target)
    try:
        damage(snapshots, layer, where)
        faults = await snapshots.verify(layer.chain_id)
        assert len(faults) == 1
        assert "missing" in faults[0] or "damaged" in faults[0]
        with fed(blob) as fd:
            staged = await snapshots.stage(Incoming(fd))
        assert await staged.replace(layer.chain_id) == layer
        assert await snapshots.verify(layer.chain_id) == []
        assert await tar_of(snapshots, layer.chain_id) == LAYER
        assert "big" in os.listdir(target / "etc"), "what runs keeps what it had"
    finally:
        snapshots.unmount(target)
    with mounted(snapshots, layer.chain_id, tmp_path) as view:
        assert os.listdir(view / "etc") == ["big"]
        assert hashlib.sha256((view / "etc/big").read_bytes()).digest()
    await snapshots.remove("key")
    await snapshots.remove_layer(layer.chain_id)


async def test_another_layer_does_not_repair(snapshots: Snapshotter, base: Layer) -> None:
    with fed(LAYER) as fd:
        staged = await snapshots.stage(Incoming(fd))
    with pytest.raises(InvalidParameter, match="invalid diffID for layer"):
        await staged.replace(base.chain_id)
    assert await snapshots.verify(base.chain_id) == []


# Where one tar stands on several parents


async def test_a_tar_that_is_here_needs_no_bytes_again(
    snapshots: Snapshotter, base: Layer, tmp_path: Path
) -> None:
    other = await apply(snapshots, tars.archive(tars.directory("etc"), tars.member("etc/other")))
    for data in (LAYER, tars.archive(tars.directory("x"), tars.member("x/y", data=b"z" * 9000))):
        diff_id = sha256(data)
        assert await snapshots.adopt(diff_id, base.chain_id) is None
        layer = await apply(snapshots, data, base.chain_id)
        assert await snapshots.adopt(diff_id, base.chain_id) == layer
        adopted = await snapshots.adopt(diff_id, other.chain_id)
        if adopted is None:
            assert snapshots.driver == "overlay2"
            adopted = await apply(snapshots, data, other.chain_id)
        assert adopted == await apply(snapshots, data, other.chain_id)
        assert adopted.chain_id == chain_ids([other.diff_id, diff_id])[1]
        assert await tar_of(snapshots, adopted.chain_id) == data
        assert await snapshots.verify(adopted.chain_id) == []
        with mounted(snapshots, adopted.chain_id, tmp_path) as view:
            assert sorted(os.listdir(view / "etc")) in (["big", "other"], ["other"])
        with mounted(snapshots, layer.chain_id, tmp_path) as view:
            assert "other" not in os.listdir(view / "etc")
        await snapshots.remove_layer(layer.chain_id)
        with mounted(snapshots, adopted.chain_id, tmp_path) as view:
            assert len(os.listdir(view)) in (1, 2)
        assert await snapshots.verify(adopted.chain_id) == []


async def test_a_layer_that_changes_nothing(snapshots: Snapshotter, base: Layer) -> None:
    data = bytes(EMPTY_TAR_BYTES)
    assert sha256(data) == EMPTY_DIFF_ID
    parent: ChainId | None = base.chain_id
    for _ in range(2):
        layer = await snapshots.adopt(EMPTY_DIFF_ID, parent)
        if layer is None:  # the first of its kind
            layer = await apply(snapshots, data, parent)
        assert (layer.parent, layer.size_bytes, layer.tar_bytes) == (parent, 0, len(data))
        assert await tar_of(snapshots, layer.chain_id) == data
        assert await snapshots.verify(layer.chain_id) == []
        parent = layer.chain_id


async def test_the_layer_s_file(snapshots: Snapshotter, base: Layer) -> None:
    file = snapshots.layer_file(base.chain_id)
    with open(file.path, "rb") as source:
        source.seek(file.offset)
        data = source.read() if file.length is None else source.read(file.length)
    tar = await tar_of(snapshots, base.chain_id)
    if file.compression == "none":
        assert data == tar
        assert snapshots.layer_tar_range(base.chain_id) == (file.path, file.offset, len(tar))
    else:
        assert data.startswith(b"\x28\xb5\x2f\xfd"), "an uncompressed tar is kept as zstd"
        assert snapshots.layer_tar_range(base.chain_id) is None


# Leaks


async def test_no_descriptor_and_no_mount_is_left(
    make: Make, paths: Paths, database: Database, tmp_path: Path
) -> None:
    snapshots = make(paths, database)
    # whatever is opened once (the worker's template, the event loop's own) comes first
    warm = await apply(snapshots, tars.archive(tars.member("warm")))
    await tar_of(snapshots, warm.chain_id)
    await snapshots.close()
    before = descriptors()
    snapshots = make(paths, database)
    await snapshots.recover(set())
    parent: ChainId | None = None
    target = tmp_path / "rootfs"
    target.mkdir()
    for index in range(5):
        data = tars.archive(tars.directory("d"), tars.member(f"d/{index}", data=b"x" * 5000))
        parent = (await apply(snapshots, data, parent)).chain_id
        wrong = tars.archive(tars.member("x"))[:700]
        with pytest.raises(InvalidParameter):
            await apply(snapshots, wrong, parent)
        await snapshots.prepare(f"key{index}", parent)
        snapshots.mount(f"key{index}", target)
        assert len(await snapshots.changes(f"key{index}")) == 0
        snapshots.unmount(target)
        with mounted(snapshots, parent, tmp_path):
            pass
    for index in range(5):
        await snapshots.remove(f"key{index}")
    while parent is not None:
        layer = snapshots.layer(parent)
        assert layer is not None
        await snapshots.remove_layer(parent)
        parent = layer.parent
    await snapshots.close()
    deadline = time.monotonic() + 30
    while descriptors() - before and time.monotonic() < deadline:
        await asyncio.sleep(0.05)  # threads close the last ones
    assert descriptors() - before == set()
    assert loops_on(tmp_path) == []


def descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
    return {entry for entry in found if not entry.endswith("/fd")}


def loops_on(root: Path) -> list[str]:
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            found.append(backing.read_text().strip())
    return [path for path in found if path.startswith(str(root))]


async def test_a_removed_layer_frees_its_space_at_once(
    snapshots: Snapshotter, paths: Paths, tmp_path: Path
) -> None:
    layer = await apply(snapshots, tars.archive(tars.member("f", data=os.urandom(3 << 20))))
    await snapshots.prepare("key", layer.chain_id)
    target = tmp_path / "rootfs"
    target.mkdir()
    snapshots.mount("key", target)
    (target / "f").read_bytes()
    snapshots.unmount(target)
    await snapshots.remove("key")
    await snapshots.remove_layer(layer.chain_id)
    await snapshots.close()
    # nothing of ours has the deleted file open or mounted any more
    held = [entry for entry in descriptors() if str(paths.snapshots) in entry]
    assert held == []
