from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.engine.containers.file_paths import (
    absolute,
    base_name,
    go_mode,
    locate,
    not_found,
    stat_path,
)
from pierhead.errors import InvalidParameter, NotFound


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("etc", "/etc"),
        ("/etc/", "/etc/"),
        ("/etc/.", "/etc/."),
        ("/etc/./", "/etc/."),
        ("//a//b/..", "/a"),
        ("/", "/"),
        (".", "/."),
        ("../../x", "/x"),
        ("/..", "/"),
    ],
)
def test_absolute(path: str, expected: str) -> None:
    assert absolute(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"), [("/a/b", "b"), ("/a/b/", "b"), ("/a/.", "."), ("/", "/")]
)
def test_base_name(path: str, expected: str) -> None:
    assert base_name(path) == expected


def test_go_mode() -> None:
    assert go_mode(stat.S_IFREG | 0o4755) == 0o755 | 1 << 23
    assert go_mode(stat.S_IFDIR | 0o1777) == 0o777 | 1 << 31 | 1 << 20
    assert go_mode(stat.S_IFLNK | 0o777) == 0o777 | 1 << 27
    assert go_mode(stat.S_IFCHR | 0o600) == 0o600 | 1 << 26 | 1 << 21


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    base = tmp_path / "root"
    (base / "dir" / "sub").mkdir(parents=True)
    (base / "dir" / "file").write_text("12345")
    os.utime(base / "dir" / "file", ns=(0, 1_600_000_000_500_000_000))
    (base / "to-dir").symlink_to("/dir")
    (base / "to-file").symlink_to("to-dir/file")
    (base / "out").symlink_to("../../../../etc/passwd")
    (base / "loop").symlink_to("loop")
    fd = os.open(base, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_stat(root: int) -> None:
    assert stat_path(root, "/dir/file") == {
        "name": "file",
        "size": 5,
        "mode": go_mode(os.stat("dir/file", dir_fd=root).st_mode),
        "mtime": "2020-09-13T12:26:40.5Z",
        "linkTarget": "",
    }


def test_stat_of_links(root: int) -> None:
    got = stat_path(root, "/to-file")
    assert got["mode"] & 1 << 27 and got["linkTarget"] == "/dir/file"
    assert stat_path(root, "/out")["linkTarget"] == "/etc/passwd", "as the container sees it"
    assert stat_path(root, "/to-dir/")["mode"] & 1 << 31, "a final slash follows"
    assert stat_path(root, "/to-dir/.")["name"] == "."
    with pytest.raises(OSError):
        stat_path(root, "/loop")


@pytest.mark.parametrize("path", ["/missing", "/dir/file/", "/missing/x", "/out/"])
def test_not_there(root: int, path: str) -> None:
    with pytest.raises(OSError):
        locate(root, path)


def test_what_the_client_is_told() -> None:
    missing = not_found(OSError(errno.ENOENT, "x"), "/a", "box")
    assert isinstance(missing, NotFound)
    assert missing.message == "Could not find the file /a in container box"
    assert isinstance(not_found(OSError(errno.ENOTDIR, "x"), "/file/a", "box"), NotFound)
    file = not_found(OSError(errno.ENOTDIR, "x"), "/file/", "box")
    assert isinstance(file, InvalidParameter) and "not a directory" in file.message
