"""Our headers against Python's tarfile, both ways, and against noise."""

from __future__ import annotations

import io
import random
import tarfile

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.tar import Header
from pierhead.store.tarstream import TarReader

NAMES = [
    b"short", b"dir/" + b"n" * 95, b"p" * 150 + b"/" + b"n" * 99, b"x" * 300,
    "naïve/名前".encode(), b"bad\xff" * 60, b"bad\xff",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_kind_survive(name: bytes) -> None:
    data = tar.build_header(Header(name, tar.SYMLINK, 0o777, linkname=name[::-1])) + bytes(1024)
    (ours,) = TarReader(io.BytesIO(data))
    assert (ours.name, ours.linkname) == (name, name[::-1])
    theirs = tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape").next()
    assert theirs is not None
    assert theirs.name.encode("utf-8", "surrogateescape") == name


def test_large_numbers_survive() -> None:
    header = Header(
        b"f", tar.REGULAR, 0o7777, 3_000_000, 4_000_000_000, 8**11 + 5, -86_400 * 10**9,
        xattrs={b"user.a": b"=\n\0", b"security.capability": b"\1\0"},
    )  # fmt: skip
    (found,) = list(_headers(tar.build_header(header)))
    assert (found.mode, found.uid, found.gid, found.size) == (
        0o7777, 3_000_000, 4_000_000_000, 8**11 + 5,
    )  # fmt: skip
    assert found.mtime_ns == header.mtime_ns
    assert found.xattrs == header.xattrs


def _headers(data: bytes):
    reader = TarReader(io.BytesIO(data))
    header = reader.next()
    assert header is not None
    yield header


@pytest.mark.parametrize("fmt", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_what_tarfile_writes_is_read(fmt: int) -> None:
    out = io.BytesIO()
    archive = tarfile.open(fileobj=out, mode="w", format=fmt)
    for index, kind in enumerate(
        [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
         tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE]
    ):  # fmt: skip
        info = tarfile.TarInfo(f"member{index}")
        info.type, info.mode, info.uid, info.gid = kind, 0o640, index, 100
        info.linkname = "target" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
        info.devmajor, info.devminor, info.mtime = 3, 4, 1_600_000_000
        data = b"x" * index * 100 if info.isreg() else b""
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    archive.close()
    reader = TarReader(io.BytesIO(out.getvalue()))
    found = [(h.name, h.type, h.uid, h.linkname, b"".join(reader.data())) for h in reader]
    assert [item[1] for item in found] == [b"0", b"5", b"2", b"1", b"3", b"4", b"6", b"0", b"0"]
    assert found[7][4] == b"x" * 700
    assert found[2][3] == b"target"


def test_pax_records_count_their_own_length() -> None:
    for size in range(1, 2000):
        record = tar.pax_record(b"k", b"v" * size)
        assert int(record.partition(b" ")[0]) == len(record)
        assert tar.parse_pax(record) == {b"k": b"v" * size}


@pytest.mark.parametrize(
    "data",
    [b"5 a=b\n", b"x a=b\n", b"6 a=b", b"999999 a=b\n", b"4 a\n", b"0 a=b\n", b"-6 a=b\n",
     b"99999999999999999999999 a=b\n", b"5 =b\n\n"],
)  # fmt: skip
def test_bad_pax_records_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameter):
        tar.parse_pax(data)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [(b"1", 10**9), (b"1.5", 1_500_000_000), (b"1.123456789999", 1_123_456_789), (b"-1", -(10**9)),
     (b"0", 0)],
)  # fmt: skip
def test_times(text: bytes, nanoseconds: int) -> None:
    assert tar.parse_time(text) == nanoseconds


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b"0000644\0", 0o644), (b"    644 ", 0o644), (b"\0" * 8, 0), (b"\x80\0\0\0\0\0\1\0", 256),
     (b"\xff" * 8, -1), (b"\xff" * 7 + b"\xfe", -2)],
)  # fmt: skip
def test_numbers(raw: bytes, value: int) -> None:
    assert tar.number(raw) == value


def test_sparse_maps_are_checked() -> None:
    header = Header(b"f", tar.REGULAR, size=100, real_size=1000)
    for bad in ([(10, 10), (5, 10)], [(990, 20)], [(0, -1)], [(0, 101)]):
        header.sparse = bad
        with pytest.raises(InvalidParameter):
            tar.check_sparse(header)
    header.sparse = [(0, 50), (900, 50)]
    tar.check_sparse(header)


def test_noise_raises_nothing_else() -> None:
    """Mutated archives are read or refused; never another error, never endless."""
    out = io.BytesIO()
    archive = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)
    for name in ("a", "b" * 150, "ü"):
        info = tarfile.TarInfo(name)
        info.size = 700
        info.pax_headers = {"SCHILY.xattr.user.a": "b", "mtime": "1.5"}
        archive.addfile(info, io.BytesIO(bytes(700)))
    archive.close()
    good = out.getvalue()
    source = random.Random(1)
    for _ in range(1500):
        data = bytearray(good)
        for _ in range(source.randint(1, 6)):
            data[source.randrange(len(data))] = source.choice(b"\0\xff 0179=\nLxgSKX")
        if source.random() < 0.5:  # repair a checksum so that the noise gets further
            at = source.randrange(len(data) // 512) * 512
            data[at + 148 : at + 156] = b"        "
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
        reader = TarReader(io.BytesIO(bytes(data[: source.randrange(len(data))])))
        try:
            for _header in reader:
                for _chunk in reader.data():
                    pass
        except InvalidParameter:
            pass


def test_what_stands_before_a_member() -> None:
    extensions = tar.Extensions()
    assert not extensions.begun and not extensions
    assert not extensions.begin(tar.Header(b"x", tar.REGULAR))
    record = b"22 path=from the pax\n"
    for kind, body in (
        (tar.GNU_LONGNAME, b"long name\0"),
        (tar.GNU_LONGLINK, b"long link\0padding"),
        (tar.PAX, record.replace(b"22", b"%d" % len(record))),
    ):
        header = tar.Header(b"@", kind, size=len(body))
        assert extensions.begin(header) and extensions.begun
        extensions.add(header, body)
    member = tar.Header(b"short", tar.SYMLINK, size=7)
    extensions.finish(member)
    assert (member.name, member.linkname, member.size) == (b"from the pax", b"long link", 0)
    with pytest.raises(InvalidParameter, match="an extension of 1048577 bytes"):
        extensions.begin(tar.Header(b"@", tar.PAX, size=tar.EXTENSION_LIMIT + 1))
