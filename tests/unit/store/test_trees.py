from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pierhead.store.trees import copy_tree, disk_usage


def test_disk_usage_counts_links_once(tmp_path: Path) -> None:
    (tmp_path / "v" / "sub").mkdir(parents=True)
    (tmp_path / "v" / "file").write_bytes(b"x" * 1000)
    os.link(tmp_path / "v" / "file", tmp_path / "v" / "sub" / "again")
    (tmp_path / "v" / "link").symlink_to("/")
    (tmp_path / "v" / "sub" / "other").write_bytes(b"y" * 10)
    size = 1010 + len("/")
    assert disk_usage({"a": str(tmp_path / "v"), "b": str(tmp_path / "none")}) == {"a": size}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "file").write_text("content")
    (root / "deep" / "er" / "file").chmod(0o4711)
    os.link(root / "deep" / "er" / "file", root / "hard")
    (root / "link").symlink_to("deep/nowhere")
    os.mkfifo(root / "pipe", 0o600)
    with open(root / "sparse", "wb") as file:
        file.truncate(10 << 20)
        file.seek(5 << 20)
        file.write(b"middle")
    os.utime(root / "deep", ns=(1_000_000_000, 2_000_000_000))
    root.chmod(0o750)
    return root


def test_copy_keeps_everything(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target)]
    assert copy_tree(*fds) == 7
    assert (target / "deep" / "er" / "file").read_text() == "content"
    assert stat.S_IMODE((target / "deep" / "er" / "file").stat().st_mode) == 0o4711
    assert (target / "hard").stat().st_ino == (target / "deep" / "er" / "file").stat().st_ino
    assert os.readlink(target / "link") == "deep/nowhere"
    assert stat.S_ISFIFO((target / "pipe").stat().st_mode)
    sparse = (target / "sparse").stat()
    assert sparse.st_size == 10 << 20 and sparse.st_blocks * 512 < 1 << 20
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (target / "deep").stat().st_mtime_ns == 2_000_000_000
    assert stat.S_IMODE(target.stat().st_mode) == 0o750


@pytest.mark.root
def test_copy_keeps_owners_attributes_and_devices(source: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chown(source / "deep", 12, 34)
    os.setxattr(source / "deep" / "er" / "file", "trusted.mark", b"yes")
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    target = tmp_path / "target"
    target.mkdir()
    fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target)]
    copy_tree(*fds)
    assert ((target / "deep").stat().st_uid, (target / "deep").stat().st_gid) == (12, 34)
    assert os.getxattr(target / "deep" / "er" / "file", "trusted.mark") == b"yes"
    assert (target / "null").stat().st_rdev == os.makedev(1, 3)
