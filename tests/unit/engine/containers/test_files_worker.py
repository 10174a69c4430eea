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
    inside,
)
from pierhead.errors import InvalidParameter
from pierhead.store.compression import FdReader
from pierhead.store.tarstream import TarReader


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
