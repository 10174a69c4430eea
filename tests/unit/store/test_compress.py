from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import random
import zlib
from pathlib import Path
from typing import Any

import pytest

from pierhead.errors import InvalidParameter
from pierhead.linux import worker
from pierhead.store.compress import BLOCK_BYTES


def sample(size: int) -> bytes:
    """Text-like, so that it compresses and its blocks differ."""
    source = random.Random(5)
    words = [source.randbytes(source.randint(3, 9)).hex().encode() for _ in range(500)]
    out = bytearray()
    while len(out) < size:
        out += source.choice(words) + b" "
    return bytes(out[:size])


async def compress(path: Path, out: Path, **args: Any) -> dict[str, Any]:
    source = os.open(path, os.O_RDONLY)
    target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        result: dict[str, Any] = await worker.call(
            "store.compress:compress", args, stdin=source, stdout=target, site_packages=True
        )
        return result
    finally:
        os.close(source)
        os.close(target)


@pytest.mark.parametrize(
    "size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 12345]
)
async def test_it_is_one_gzip_member_of_the_same_bytes(tmp_path: Path, size: int) -> None:
    data = sample(size)
    (tmp_path / "tar").write_bytes(data)
    result = await compress(tmp_path / "tar", tmp_path / "gz")
    packed = (tmp_path / "gz").read_bytes()
    decoder = zlib.decompressobj(31)
    assert decoder.decompress(packed) + decoder.flush() == data
    assert decoder.eof and not decoder.unused_data
    assert result == {
        "digest": "sha256:" + hashlib.sha256(packed).hexdigest(),
        "size_bytes": len(packed),
        "diff_id": "sha256:" + hashlib.sha256(data).hexdigest(),
        "tar_bytes": size,
    }


async def test_how_many_processors_there_are_makes_no_difference(tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(sample(5 * BLOCK_BYTES + 7))
    one = await compress(tmp_path / "tar", tmp_path / "1", threads=1)
    many = await compress(tmp_path / "tar", tmp_path / "4", threads=4)
    assert one == many


async def test_blocks_know_what_was_before_them(tmp_path: Path) -> None:
    """The window goes over the blocks' borders: it costs little against one stream."""
    data = sample(4 * BLOCK_BYTES)
    (tmp_path / "tar").write_bytes(data)
    result = await compress(tmp_path / "tar", tmp_path / "gz")
    assert result["size_bytes"] < len(gzip.compress(data, 6)) * 1.25


async def test_a_part_of_a_file(tmp_path: Path) -> None:
    data = sample(2 * BLOCK_BYTES)
    (tmp_path / "layer").write_bytes(b"x" * 4096 + data + b"y" * 100)
    result = await compress(tmp_path / "layer", tmp_path / "gz", offset=4096, length=len(data))
    assert gzip.decompress((tmp_path / "gz").read_bytes()) == data
    assert result["tar_bytes"] == len(data)
    with pytest.raises(InvalidParameter, match="ends after"):
        await compress(tmp_path / "layer", tmp_path / "gz", offset=4096, length=len(data) + 101)


async def test_from_a_pipe(tmp_path: Path) -> None:
    data = sample(BLOCK_BYTES + 500_000)
    read_fd, write_fd = os.pipe()
    target = os.open(tmp_path / "gz", os.O_WRONLY | os.O_CREAT)

    def feed() -> None:
        with open(write_fd, "wb") as pipe:
            pipe.write(data)

    feeding = asyncio.to_thread(feed)
    calling = worker.call(
        "store.compress:compress", {}, stdin=read_fd, stdout=target, site_packages=True
    )
    try:
        _, result = await asyncio.gather(feeding, calling)
    finally:
        os.close(read_fd)
        os.close(target)
    assert gzip.decompress((tmp_path / "gz").read_bytes()) == data
    assert result["tar_bytes"] == len(data)
