from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pierhead.engine.containers.files_worker import (
    Extractor,
    LivePacker,
    absolute,
    base_name,
    go_mode,
    inside,
    locate,
    stat_path,
)
from pierhead.errors import InvalidParameter
from pierhead.store.compression import FdReader
from pierhead.store.tarstream import TarReader


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


@pytest.mark.parametrize(
    ("name", "expected"),
    [(b"a/b", b"a/b"), (b"/a", b"a"), (b"./a/../b/", b"b"), (b"./", b"."), (b"/", b".")],
)
def test_inside(name: bytes, expected: bytes) -> None:
    assert inside(name) == expected


@pytest.mark.parametrize("name", [b"..", b"../a", b"a/../../b", b"a\0b"])
def test_outside(name: bytes) -> None:
    with pytest.raises(InvalidParameter):
        inside(name)


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


@contextmanager
def working_in(directory: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def unpack(directory: Path, tar: bytes, *, strict: bool = False) -> None:
    """What ``extract`` does once it is confined, here in ``directory``, as the one who tests."""
    read, write = os.pipe()
    assert len(tar) < 60_000
    os.write(write, tar)
    os.close(write)
    try:
        with working_in(directory):
            extractor = Extractor((os.getuid(), os.getgid()), strict=strict)
            reader = TarReader(FdReader(read))
            for header in reader:
                extractor.add(header, reader)
            extractor.finish()
    finally:
        os.close(read)


def archive(*entries: tuple[str, bytes, str | bytes]) -> bytes:
    """(name, type, content or link target)"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = kind, 0o751, 1000
            if isinstance(content, str):
                entry.linkname = content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


FILE, DIR, SYM, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def test_unpacking(tmp_path: Path) -> None:
    unpack(
        tmp_path,
        archive(
            ("./", DIR, ""),
            ("d/", DIR, ""),
            ("d/f", FILE, b"text"),
            ("h", HARD, "d/f"),
            ("s", SYM, "../anywhere"),
            ("p", tarfile.FIFOTYPE, ""),
            ("new/parent/f", FILE, b""),
        ),
    )
    file = tmp_path / "d" / "f"
    assert file.read_text() == "text" and file.stat().st_mode & 0o7777 == 0o751
    assert file.stat().st_mtime == (tmp_path / "d").stat().st_mtime == 1000
    assert (tmp_path / "h").stat().st_ino == file.stat().st_ino
    assert os.readlink(tmp_path / "s") == "../anywhere"
    assert stat.S_ISFIFO((tmp_path / "p").stat().st_mode)
    assert (tmp_path / "new" / "parent" / "f").exists()


def test_files_are_replaced_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "f").symlink_to(victim)
    unpack(tmp_path / "t", archive(("f", FILE, b"theirs")))
    assert victim.read_text() == "mine" and not (tmp_path / "t" / "f").is_symlink()


def test_a_directory_gives_way_unless_strict(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "f").write_text("")
    with pytest.raises(InvalidParameter) as caught:
        unpack(tmp_path, archive(("x", FILE, b"")), strict=True)
    assert caught.value.message == 'cannot overwrite directory "x" with non-directory "x"'
    with pytest.raises(InvalidParameter) as caught:
        unpack(tmp_path, archive(("f", DIR, "")), strict=True)
    assert caught.value.message == 'cannot overwrite non-directory "f" with directory "f"'
    unpack(tmp_path, archive(("x", FILE, b"now"), ("f", DIR, "")))
    assert (tmp_path / "x").read_text() == "now" and (tmp_path / "f").is_dir()


def test_an_existing_directory_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine").write_text("")
    unpack(tmp_path, archive(("d", DIR, ""), ("d/new", FILE, b"")), strict=True)
    assert sorted(os.listdir(tmp_path / "d")) == ["mine", "new"]


def test_nothing_gets_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    for name in ("../escaped", "a/../../escaped"):
        with pytest.raises(InvalidParameter, match="outside of the target directory"):
            unpack(tmp_path / "t", archive((name, FILE, b"")))
    with pytest.raises(InvalidParameter):
        unpack(tmp_path / "t", archive(("h", HARD, "../secret")))
    assert os.listdir(tmp_path) == ["t"]


def test_packing_a_tree(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    read, write = os.pipe()
    with working_in(tmp_path):
        packer = LivePacker(write, whiteouts=False)
        packer.tree(b".", b"base")
        packer.tree(b"missing", b"gone")
        packer.close()
    os.close(write)
    with os.fdopen(read, "rb") as file, tarfile.open(fileobj=io.BytesIO(file.read())) as tar:
        assert tar.getnames() == ["base/d", "base/d/f"]
