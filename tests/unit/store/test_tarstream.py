from __future__ import annotations

import io

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.tar import Header
from pierhead.store.tarstream import TarReader


class Slow:
    """Gives little at a time, as pipes do."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file = io.BytesIO(data)
        self._step = step

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._step))


def member(name: bytes, data: bytes = b"") -> bytes:
    header = tar.build_header(Header(name, tar.REGULAR, size=len(data)))
    return header + data + bytes(tar.padding(len(data)))


@pytest.mark.parametrize("step", [1, 7, 512, 100_000])
def test_data_may_be_read_partly_or_not_at_all(step: int) -> None:
    data = member(b"a", b"x" * 1000) + member(b"b", b"y" * 1000) + member(b"c", b"z") + bytes(1024)
    reader = TarReader(Slow(data, step))
    assert [header.name for header in reader] == [b"a", b"b", b"c"]
    reader = TarReader(Slow(data, step))
    first = reader.next()
    assert first is not None and reader.read_data(10) == b"x" * 10
    second = reader.next()
    assert second is not None and b"".join(reader.data()) == b"y" * 1000


def test_the_end() -> None:
    assert TarReader(io.BytesIO(b"")).next() is None
    assert TarReader(io.BytesIO(bytes(512))).next() is None
    assert TarReader(io.BytesIO(bytes(1024) + b"anything")).next() is None
    assert [h.name for h in TarReader(io.BytesIO(member(b"a")))] == [b"a"]
    with pytest.raises(InvalidParameter):
        TarReader(io.BytesIO(bytes(512) + member(b"a"))).next()


@pytest.mark.parametrize("cut", [100, 511, 600, 1500])
def test_a_cut_archive(cut: int) -> None:
    data = member(b"a", b"x" * 1000)
    with pytest.raises(InvalidParameter, match="unexpected end"):
        list(TarReader(io.BytesIO(data[:cut])))


def test_extensions_without_their_member() -> None:
    extension = tar.build_header(Header(b"x", tar.PAX, size=0))
    with pytest.raises(InvalidParameter, match="unexpected end"):
        TarReader(io.BytesIO(extension + bytes(1024))).next()


def test_global_headers_are_ignored() -> None:
    record = tar.pax_record(b"path", b"wrong")
    header = tar.build_header(Header(b"g", tar.PAX_GLOBAL, size=len(record)))
    data = header + record + bytes(tar.padding(len(record))) + member(b"right") + bytes(1024)
    assert [h.name for h in TarReader(io.BytesIO(data))] == [b"right"]
