"""Archives come from containers, so from whoever runs in them."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.container.copy_paths import renamer
from pierhead.cli.container.unpack import Stream, UnpackError, extract

Entry = tuple[str, bytes | str, dict[str, Any]]


def tar(*entries: Entry) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        for name, content, fields in entries:
            member = tarfile.TarInfo(name)
            member.mtime = 1_500_000_000
            if isinstance(content, bytes):
                member.size = len(content)
            else:
                member.type = getattr(tarfile, content)
            for key, value in fields.items():
                setattr(member, key, value)
            file.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return data.getvalue()


def unpack(target: Path, *entries: Entry, change: tuple[str, str] | None = None) -> Stream:
    data = tar(*entries)
    pieces = [data[start : start + 700] for start in range(0, len(data), 700)]
    stream = Stream(iter(pieces))
    extract(stream, str(target), renamer(change))
    return stream


def test_a_tree(tmp_path: Path) -> None:
    stream = unpack(
        tmp_path,
        ("d/", "DIRTYPE", {"mode": 0o500}),
        ("d/f", b"x" * 1000, {"mode": 0o4640}),
        ("d/hard", "LNKTYPE", {"linkname": "d/f"}),
        ("d/link", "SYMTYPE", {"linkname": "/d/f"}),
        ("d/pipe", "FIFOTYPE", {"mode": 0o600}),
    )
    d = tmp_path / "d"
    assert (d / "f").read_bytes() == b"x" * 1000
    assert (d / "f").stat().st_mode & 0o7777 == 0o4640
    assert (d / "f").stat().st_ino == (d / "hard").stat().st_ino
    assert os.readlink(d / "link") == "/d/f"
    assert d.stat().st_mode & 0o7777 == 0o500
    assert (d.stat().st_mtime, (d / "f").stat().st_mtime) == (1_500_000_000, 1_500_000_000)
    assert stream.count == len(tar()) or stream.count > 5 * 512


def test_a_new_name(tmp_path: Path) -> None:
    unpack(
        tmp_path,
        ("a", "DIRTYPE", {"mode": 0o755}),
        ("a/a", b"1", {}),
        ("a/h", "LNKTYPE", {"linkname": "a/a"}),
        change=("a", "b"),
    )
    assert sorted(os.listdir(tmp_path / "b")) == ["a", "h"]


def test_files_are_replaced_and_links_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("safe")
    target = tmp_path / "t"
    target.mkdir()
    (target / "f").symlink_to(outside)
    unpack(target, ("f", b"new", {}))
    assert outside.read_text() == "safe"
    assert (target / "f").read_text() == "new"


@pytest.mark.parametrize(
    "entries",
    [
        [("../x", b"1", {})],
        [("a/../../x", b"1", {})],
        [("l", "SYMTYPE", {"linkname": "../../x"})],
        [("h", "LNKTYPE", {"linkname": "../outside"})],
        [("l", "SYMTYPE", {"linkname": ".."}), ("l/x", b"1", {})],
    ],
)
def test_nothing_leaves_the_target(tmp_path: Path, entries: list[Entry]) -> None:
    (tmp_path / "outside").write_text("safe")
    target = tmp_path / "t"
    target.mkdir()
    with pytest.raises(UnpackError, match="invalid"):
        unpack(target, *entries)
    assert sorted(os.listdir(tmp_path)) == ["outside", "t"]


def test_a_link_that_was_there_before_does_not_lead_out(tmp_path: Path) -> None:
    target = tmp_path / "t"
    target.mkdir()
    (target / "up").symlink_to(tmp_path)
    with pytest.raises(UnpackError, match="leaves the target"):
        unpack(target, ("up/x", b"1", {}))


def test_kinds_do_not_replace_each_other(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    with pytest.raises(UnpackError, match="cannot overwrite directory"):
        unpack(tmp_path, ("d", b"1", {}))
    with pytest.raises(UnpackError, match="cannot overwrite non-directory"):
        unpack(tmp_path, ("f", "DIRTYPE", {"mode": 0o755}))


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UnpackError, match="invalid archive"):
        extract(Stream(iter([b"no tar" * 200])), str(tmp_path), renamer(None))
