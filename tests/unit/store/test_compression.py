from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zstandard

from pierhead.errors import InvalidParameter
from pierhead.store.compression import FdReader, detect, open_reader


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}
DATA = random.Random(1).randbytes(300_000) + bytes(2_000_000)


@contextmanager
def reader(data: bytes) -> Iterator[FdReader]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        yield FdReader(file.fileno())


def unpack(data: bytes, step: int = 65536) -> bytes:
    with reader(data) as source:
        plain = open_reader(source)
        out = []
        while chunk := plain.read(step):
            assert len(chunk) <= max(step, 256 << 10)
            out.append(chunk)
        return b"".join(out)


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_each_format_is_recognised_and_read(name: str) -> None:
    packed = PACKERS[name](DATA)
    assert detect(packed[:8]) == name
    assert unpack(packed) == DATA
    assert unpack(packed, 100) == DATA


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_streams_one_after_the_other_are_one(name: str) -> None:
    pack = PACKERS[name]
    assert unpack(pack(b"one") + pack(b"") + pack(b"two")) == b"onetwo"


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_padding_after_the_end(name: str) -> None:
    assert unpack(PACKERS[name](b"data") + bytes(1000)) == b"data"


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_a_cut_stream_is_an_error(name: str) -> None:
    packed = PACKERS[name](DATA)
    for cut in (12, len(packed) // 2, len(packed) - 3):
        with pytest.raises(InvalidParameter, match=f"invalid {name} data"):
            unpack(packed[:cut])


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_damage_is_an_error(name: str) -> None:
    packed = bytearray(PACKERS[name](DATA))
    for index in range(20, 60):
        packed[index] ^= 0x55
    with pytest.raises(InvalidParameter, match=f"invalid {name} data"):
        if unpack(bytes(packed)) != DATA:  # zstd has no checksum by default
            raise InvalidParameter(f"invalid {name} data")


def test_plain_data_passes() -> None:
    assert detect(b"") == detect(b"\0" * 8) == "none"
    assert unpack(DATA) == DATA
    assert unpack(b"") == b""
    assert detect(b"\x50\x2a\x4d\x18\0\0\0\0") == "zstd"


def test_peeking_takes_nothing() -> None:
    with reader(b"abcdef") as source:
        assert source.peek(3) == b"abc"
        assert source.peek(100) == b"abcdef"
        assert source.read(2) == b"ab"
        assert source.read(100) == b"cdef"
        assert source.read(1) == b""


def test_gzip_ignores_garbage_at_the_end_like_gzip() -> None:
    assert unpack(gzip.compress(b"data") + b"garbage") == b"data"
