"""The same archives as for pulling readers, in chunks of any size."""

from __future__ import annotations

import io
import tarfile

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci.tar import Header
from pierhead.oci.tarfeed import END, TarFeed


def made(fmt: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt, pax_headers={"comment": "x"}) as archive:
        for name, data in (
            ("a", b"1"), ("empty", b""), ("n" * 300, b"x" * 2000), ("block", b"y" * 512),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "t" * 200
        archive.addfile(link)
    return out.getvalue()


def read(data: bytes, step: int) -> list[tuple[bytes, bytes, bytes]]:
    feed = TarFeed()
    found: list[tuple[bytes, bytes, bytes]] = []
    current: Header | None = None
    content = b""
    for start in range(0, len(data), step):
        for event in feed.feed(data[start : start + step]):
            if isinstance(event, Header):
                assert current is None
                current, content = event, b""
            elif event is END:
                assert current is not None
                found.append((current.name, current.linkname, content))
                current = None
            else:
                assert isinstance(event, memoryview)
                content += event
    feed.close()
    return found


@pytest.mark.parametrize("fmt", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("step", [1, 7, 511, 512, 513, 100_000])
def test_any_chunks(fmt: int, step: int) -> None:
    assert read(made(fmt), step) == [
        (b"a", b"", b"1"),
        (b"empty", b"", b""),
        (b"n" * 300, b"", b"x" * 2000),
        (b"block", b"", b"y" * 512),
        (b"link", b"t" * 200, b""),
    ]


def test_what_follows_the_end_mark_is_ignored() -> None:
    assert len(read(made(tarfile.GNU_FORMAT) + b"garbage" * 1000, 333)) == 5


def test_an_archive_without_an_end_mark_is_whole() -> None:
    data = made(tarfile.GNU_FORMAT).rstrip(b"\0")
    assert len(read(data + bytes(-len(data) % 512), 1000)) == 5
    assert read(b"", 1) == []


@pytest.mark.parametrize("length", [100, 600, 2000, 2200])
def test_cut_short(length: int) -> None:
    with pytest.raises(InvalidParameter, match="unexpected end"):
        read(made(tarfile.PAX_FORMAT)[:length], 64)


def test_broken_headers_and_large_extensions() -> None:
    with pytest.raises(InvalidParameter, match="invalid tar header"):
        read(b"garbage!" * 100, 64)
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2 << 20
    with pytest.raises(InvalidParameter, match="extension of 2097152 bytes"):
        read(info.tobuf(tarfile.GNU_FORMAT), 512)


def test_sparse_members_are_refused() -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.GNUTYPE_SPARSE
    with pytest.raises(InvalidParameter, match="sparse"):
        read(info.tobuf(tarfile.GNU_FORMAT), 512)
