"""Layers staged in this very process: fd 0 is lent to the worker function."""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard

from contract import tars
from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.digest import sha256
from pierhead.store import stage
from pierhead.store.erofs import read
from pierhead.store.erofs.index import TAR_OFFSET

LAYER = tars.archive(
    tars.directory("etc", mode=0o755),
    tars.member("etc/passwd", data=b"root:x:0:0\n", mode=0o644),
    tars.member("etc/big", data=b"0123456789abcdef" * 5000, uid=1000, gid=70000),
    tars.symlink("etc/mtab", "/proc/mounts"),
    tars.directory("tmp", mode=0o1777),
    tars.member("!odd name\\", data=b""),
)


@contextmanager
def standard_input(data: bytes, folder: Path) -> Iterator[None]:
    (folder / "input").write_bytes(data)
    before = os.dup(0)
    given = os.open(folder / "input", os.O_RDONLY)
    os.dup2(given, 0)
    os.close(given)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def take(data: bytes, folder: Path, **options: Any) -> dict[str, Any]:
    with standard_input(data, folder), opened(folder / "layer") as fd:
        os.ftruncate(fd, 0)
        with opened(folder / "blob") as blob:
            return stage.stage(tar_fd=fd, blob_fd=blob, **options)


def listed(folder: Path) -> dict[bytes, read.Entry]:
    with opened(folder / "layer") as fd:
        return {entry.path: entry for entry in read.entries(fd)}


def test_all_that_the_tar_says_is_in_the_index(tmp_path: Path) -> None:
    result = take(LAYER, tmp_path)
    assert (result["diff_id"], result["tar_bytes"]) == (sha256(LAYER), len(LAYER))
    assert (result["indexed"], result["needs_lower"]) == (True, False)
    content = (tmp_path / "layer").read_bytes()
    assert content[TAR_OFFSET : TAR_OFFSET + len(LAYER)] == LAYER
    assert len(content) == result["file_bytes"]
    found = listed(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(LAYER)) as archive:
        members = archive.getmembers()
    assert len(found) == len(members) + 1
    for member in members:
        entry = found[member.name.encode()]
        assert (entry.mode, entry.uid, entry.gid) == (member.mode, member.uid, member.gid)
        assert entry.mtime_ns == int(member.mtime) * 1_000_000_000
        assert entry.link == member.linkname.encode()
        if member.isreg() and member.size:
            assert entry.size == member.size
            assert entry.offset == TAR_OFFSET + member.offset_data


@pytest.mark.parametrize(
    ("name", "compress"),
    [("gzip", gzip.compress), ("zstd", zstandard.compress), ("none", bytes)],
)
def test_the_blob_is_kept_as_it_came(tmp_path: Path, name: str, compress: Any) -> None:
    blob = compress(LAYER)
    result = take(blob, tmp_path, blob_bytes=len(blob))
    assert (tmp_path / "blob").read_bytes() == blob
    assert result["compression"] == name
    assert (result["blob_digest"], result["blob_bytes"]) == (sha256(blob), len(blob))
    assert result["diff_id"] == sha256(LAYER)


@pytest.mark.parametrize("cut", [0, 1, 200, -1])
def test_a_broken_blob_is_gone_on_with(tmp_path: Path, cut: int) -> None:
    blob = gzip.compress(LAYER)
    result = take(blob[:cut], tmp_path, blob_bytes=len(blob))
    held = len(blob[:cut])
    assert result == {"truncated": True, "blob_bytes": held}
    result = take(blob[cut:] if cut else blob, tmp_path, held_bytes=held, blob_bytes=len(blob))
    assert (result["blob_digest"], result["diff_id"]) == (sha256(blob), sha256(LAYER))
    assert (tmp_path / "blob").read_bytes() == blob


def test_more_than_announced(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="longer than its 10 bytes"):
        take(LAYER, tmp_path, blob_bytes=10)


def test_a_bomb_ends_at_the_limit(tmp_path: Path) -> None:
    bomb = gzip.compress(tars.archive(tars.member("zeros", data=bytes(4 << 20))))
    with pytest.raises(InvalidParameter, match="room for"):
        take(bomb, tmp_path, limit_bytes=1 << 20)
    assert (tmp_path / "layer").stat().st_size < 3 << 20


def test_too_many_entries(tmp_path: Path) -> None:
    many = tars.archive(*(tars.member(f"f{number}") for number in range(20)))
    with pytest.raises(InvalidParameter, match="more than 10"):
        take(many, tmp_path, entries_limit=10)


def test_what_speaks_of_layers_below_waits_for_them(tmp_path: Path) -> None:
    result = take(tars.archive(tars.member("opt/x/.wh.gone"), tars.member("a")), tmp_path)
    assert (result["indexed"], result["needs_lower"]) == (False, True)
    below = tmp_path / "below"
    (below / "opt" / "x").mkdir(parents=True)
    (below / "opt" / "x" / "gone").touch()
    os.chmod(below / "opt" / "x", 0o750)
    root = os.open(below, os.O_RDONLY | os.O_DIRECTORY)
    with opened(tmp_path / "layer") as fd:
        stage.index(
            tar_fd=fd, tar_bytes=result["tar_bytes"], diff_id=result["diff_id"], lower_fds=[root]
        )
    os.close(root)
    found = listed(tmp_path)
    assert found[b"opt/x"].mode == 0o750
    assert (found[b"opt/x/gone"].type, found[b"opt/x/gone"].rdev) == (tar.CHARDEV, 0)


def test_verifying_finds_one_flipped_bit(tmp_path: Path) -> None:
    result = take(LAYER, tmp_path)

    def verified() -> dict[str, Any]:
        with standard_input((tmp_path / "layer").read_bytes(), tmp_path):
            return stage.verify(tar_bytes=len(LAYER))

    whole = {"diff_id": result["diff_id"], "index_digest": result["index_digest"]}
    assert verified() == whole
    for at, changed in ((TAR_OFFSET + 600, "diff_id"), (-200, "index_digest")):
        content = bytearray((tmp_path / "layer").read_bytes())
        content[at] ^= 4
        (tmp_path / "layer").write_bytes(content)
        assert verified()[changed] != whole[changed]


def test_broken_tars_are_refused_or_taken_never_worse(tmp_path: Path) -> None:
    dice = random.Random(7)
    refused = 0
    for _ in range(150):
        broken = bytearray(LAYER)
        for _ in range(dice.randint(1, 6)):
            broken[dice.randrange(len(broken) // 8)] = dice.randrange(256)
        try:
            result = take(bytes(broken), tmp_path)
        except InvalidParameter:
            refused += 1
            continue
        if result["indexed"]:
            assert len(listed(tmp_path)) == result["entries"] + 1 or listed(tmp_path)
    assert refused > 50
