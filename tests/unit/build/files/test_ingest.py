"""Context tars, kind and hostile."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import tarfile
from typing import Any

import pytest

from pierhead.build.files.entries import Entry
from pierhead.build.files.ingest import unpack_tar
from pierhead.build.files.tree import Tree
from pierhead.errors import InvalidParameter
from support.layers import directory, item, layer_tar


class Chunks:
    """A reader of odd pieces."""

    def __init__(self, data: bytes, size: int = 7000) -> None:
        self._data = io.BytesIO(data)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, self._size))


def take(data: bytes, **limits: Any) -> tuple[dict[bytes, Entry], int]:
    """Entries by path, and the pack's descriptor."""
    fd = os.memfd_create("pack")
    arguments = {"limit_bytes": 1 << 24} | limits
    entries, _ = unpack_tar(Chunks(data), fd, **arguments)
    return {entry.path: entry for entry in entries}, fd


def content(entry: Entry, fd: int) -> bytes:
    return os.pread(fd, entry.size, entry.offset)


def test_contents_lie_where_the_entries_say() -> None:
    data = layer_tar(
        directory("./d", mode=0o700),
        item("./d/big", data=b"x" * 50_000, owner=(5, 6)),
        item("d/empty"),
        item("d/l", "symlink", link="../../etc/passwd"),
        item("h", "hardlink", link="d/big"),
        item("pipe", "fifo"),
        item("null", "char", device=(1, 3)),
    )
    entries, fd = take(data, base=1000, pack=4)
    big = entries[b"d/big"]
    assert content(big, fd) == b"x" * 50_000
    assert big.digest == hashlib.sha256(b"x" * 50_000).digest()
    assert (big.uid, big.gid, big.pack) == (5, 6, 4)
    assert entries[b"h"].offset == big.offset
    assert entries[b"h"].inode == big.inode != 0
    assert entries[b"h"].digest == big.digest
    assert entries[b"d/l"].link == b"../../etc/passwd"
    assert entries[b"null"].device == (1, 3)
    assert entries[b"d/empty"].digest == hashlib.sha256().digest()


def test_the_last_of_a_name_counts() -> None:
    entries, fd = take(layer_tar(item("a", data="old"), item("a", data="newer")))
    assert content(entries[b"a"], fd) == b"newer"


def test_sparse_files_are_blown_up() -> None:
    head = tarfile.TarInfo("s")
    head.size = 512
    head.pax_headers = {
        "GNU.sparse.map": "100,3,9000,4", "GNU.sparse.size": "10000",
        "GNU.sparse.name": "s",
    }  # fmt: skip
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        head.size = 7
        archive.addfile(head, io.BytesIO(b"abcdefg"))
        archive.addfile(tarfile.TarInfo("after"))
    entries, fd = take(out.getvalue())
    expected = bytes(100) + b"abc" + bytes(8897) + b"defg" + bytes(996)
    assert content(entries[b"s"], fd) == expected
    assert entries[b"s"].digest == hashlib.sha256(expected).digest()
    with pytest.raises(InvalidParameter, match="too large for the disk"):
        take(out.getvalue(), limit_bytes=11_000)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([item("../x")], "leads out of it"),
        ([item("a/../../x")], "leads out of it"),
        ([item("x", "hardlink", link="/etc/passwd")], "hard link to '/etc/passwd', which isn't"),
        ([item("x", "hardlink", link="../../etc/passwd")], "leads out of it"),
        ([item("n" * 300)], "too long"),
        ([item("l", "symlink", link="/etc"), item("l/passwd")], "which is no directory"),
    ],
)
def test_hostile_members(members: list[Any], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        Tree(take(layer_tar(*members))[0].values())


def test_limits() -> None:
    data = layer_tar(*(item(f"f{number}", data="x") for number in range(20)))
    with pytest.raises(InvalidParameter, match="more than 10 files"):
        take(data, entries_limit=10)
    with pytest.raises(InvalidParameter, match="too large for the disk"):
        take(data, limit_bytes=5000)


def test_a_cut_tar_is_an_error() -> None:
    data = layer_tar(item("a", data=b"x" * 5000))
    with pytest.raises(InvalidParameter):
        take(data[:3000])


def test_garbage_never_does_more_than_fail() -> None:
    """Fuzzed: bits flipped, pieces cut out."""
    source = random.Random(4)
    good = layer_tar(
        directory("d"), item("d/a", data=b"a" * 700), item("h", "hardlink", link="d/a"),
        item("d/" + "l" * 150, data="long"), item("s", "symlink", link="x" * 120),
        item("x", data="1", pax={"SCHILY.xattr.user.k": "v"}), format=tarfile.PAX_FORMAT,
    )  # fmt: skip
    for _ in range(300):
        data = bytearray(good)
        for _ in range(source.randrange(1, 6)):
            place = source.randrange(len(data))
            if source.random() < 0.3:
                del data[place : place + source.randrange(600)]
            elif data:
                data[min(place, len(data) - 1)] = source.randrange(256)
        try:
            entries, fd = take(bytes(data))
            Tree(entries.values())
            os.close(fd)
        except InvalidParameter:
            pass


def test_compression_is_somebody_elses() -> None:
    with pytest.raises(InvalidParameter):
        take(gzip.compress(layer_tar(item("a"))))


def test_the_last_file_may_lack_its_padding_and_the_tar_its_end() -> None:
    """As ``docker build -f -`` sends it."""
    data = layer_tar(item("a", data="1"), item("b", data="last"))
    entries, fd = take(data[: 3 * 512 + 4])
    assert content(entries[b"b"], fd) == b"last"
    assert entries[b"b"].digest == hashlib.sha256(b"last").digest()
    with pytest.raises(InvalidParameter):
        take(data[: 3 * 512 + 3])
