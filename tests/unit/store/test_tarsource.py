from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import zstandard

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import sha256
from pierhead.store.tarsource import Source, write_all

DATA = os.urandom(100_000) + bytes(5_000_000)


def source(root: Path, data: bytes, *, limit_bytes: int | None = None) -> tuple[Source, Path]:
    (root / "in").write_bytes(data)
    keep = root / "keep"
    return (
        Source(
            os.open(root / "in", os.O_RDONLY),
            os.open(keep, os.O_WRONLY | os.O_CREAT),
            limit_bytes,
        ),
        keep,
    )


def read_all(found: Source) -> bytes:
    parts = []
    while part := found.read(1):
        parts.append(part)
    found.finish()
    return b"".join(parts)


def test_a_plain_tar_is_hashed_and_kept_compressed(tmp_path: Path) -> None:
    found, keep = source(tmp_path, DATA)
    assert read_all(found) == DATA
    assert (found.diff_id, found.tar_bytes, found.keep_format) == (sha256(DATA), len(DATA), "zstd")
    kept = zstandard.ZstdDecompressor().decompressobj().decompress(keep.read_bytes())
    assert kept == DATA
    assert keep.stat().st_size < 200_000


def test_a_compressed_tar_is_kept_as_it_came(tmp_path: Path) -> None:
    packed = gzip.compress(DATA)
    found, keep = source(tmp_path, packed)
    assert read_all(found) == DATA
    assert (found.diff_id, found.keep_format) == (sha256(DATA), "gzip")
    assert keep.read_bytes() == packed


def test_what_is_not_read_is_hashed_all_the_same(tmp_path: Path) -> None:
    found, _ = source(tmp_path, DATA)
    found.read(1)
    found.finish()
    assert found.diff_id == sha256(DATA)


def test_errors_of_the_thread_reach_the_reader(tmp_path: Path) -> None:
    found, _ = source(tmp_path, gzip.compress(DATA)[:500])
    with pytest.raises(InvalidParameter, match="gzip"):
        read_all(found)
    assert found.read(1) == b""
    found, _ = source(tmp_path, DATA, limit_bytes=1000)
    with pytest.raises(InvalidParameter, match="room"):
        read_all(found)


def test_all_is_written(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    write_all(fd, b"x" * 100_000)
    write_all(fd, b"")
    os.close(fd)
    assert (tmp_path / "f").stat().st_size == 100_000
