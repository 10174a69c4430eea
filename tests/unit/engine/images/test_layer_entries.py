from __future__ import annotations

import hashlib
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pierhead.engine.images.layer_entries import LayerFile, digests, entries
from pierhead.errors import InvalidParameter
from support.layers import MTIME, directory, item, layer_tar, memory_file, packed, plain

FORMS = pytest.mark.parametrize("form", [plain, packed, lambda data: plain(data, 4096)])
FORMATS = pytest.mark.parametrize(
    "format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT]
)
Form = Callable[[bytes], LayerFile]

MEMBERS = (
    directory("./"),
    directory("etc/", mode=0o750, owner=(1, 2)),
    item("etc/passwd", data="root\n", mode=0o4755, mtime=0),
    item("etc/big", data=b"b" * 70_000),
    item("etc/link", "symlink", link="../x/./y"),
    item("etc/hard", "hardlink", link="./etc/passwd"),
    item("dev/null", "char", device=(1, 3), mode=0o666),
    item("run/fifo", "fifo"),
    item("empty"),
)


@FORMS
@FORMATS
def test_members(form: Form, format: int) -> None:
    layer = form(layer_tar(*MEMBERS, format=format))
    found = list(entries(layer.open()))
    assert [(entry.path, entry.type) for entry in found] == [
        (b"", "directory"),
        (b"etc", "directory"),
        (b"etc/passwd", "file"),
        (b"etc/big", "file"),
        (b"etc/link", "symlink"),
        (b"etc/hard", "hardlink"),
        (b"dev/null", "char"),
        (b"run/fifo", "fifo"),
        (b"empty", "file"),
    ]
    root, etc, passwd, big, link, hard, null, _, empty = found
    assert (root.mode, root.mtime) == (0o755, MTIME)
    assert (etc.mode, etc.uid, etc.gid) == (0o750, 1, 2)
    assert (passwd.mode, passwd.size, passwd.mtime) == (0o4755, 5, 0)
    assert (big.size, big.stored) == (70_000, 70_000)
    assert (link.link, hard.link) == (b"../x/./y", b"etc/passwd")
    assert null.device == (1, 3)
    assert empty.size == 0
    source = layer.open()
    assert source.at(passwd.offset, 5) == b"root\n"
    assert source.at(big.offset, 70_000) == b"b" * 70_000


@FORMS
def test_long_and_odd_names(form: Form) -> None:
    long = "d/" + "n" * 200
    members = (
        item(long, data="1"),
        item("s", "symlink", link="t" * 180),
        item("\udcff\udc80", data="2"),
        item("a\nb"),
        item("h", "hardlink", link=long),
    )
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        if format == tarfile.PAX_FORMAT:
            members = tuple(member for member in members if "\udcff" not in member[0])
        found = {
            entry.path: entry for entry in entries(form(layer_tar(*members, format=format)).open())
        }
        assert found[long.encode()].size == 1
        assert found[b"s"].link == b"t" * 180
        assert found[b"h"].link == long.encode()
        assert b"a\nb" in found
        if format == tarfile.GNU_FORMAT:
            assert found[b"\xff\x80"].size == 1


@FORMS
def test_pax_records(form: Form) -> None:
    pax = {"SCHILY.xattr.user.a": "1", "mtime": "12.5", "uid": "3000000"}
    data = layer_tar(item("x", data="123", pax=pax), item("y"), format=tarfile.PAX_FORMAT)
    x, y = entries(form(data).open())
    assert (x.path, x.size, x.uid, x.mtime) == (b"x", 3, 3_000_000, 12)
    assert x.xattrs == ((b"user.a", b"1"),)
    assert y.path == b"y" and not y.xattrs


@pytest.mark.parametrize("format", ["gnu", "pax"])
@FORMS
def test_sparse(form: Form, format: str, tmp_path: Path) -> None:
    with open(tmp_path / "holes", "wb") as file:
        for at in range(30):  # more pieces than fit the first header
            file.seek(at << 20)
            file.write(b"data" * 1024)
        file.truncate(40 << 20)
    (tmp_path / "after").write_bytes(b"end")
    subprocess.run(
        ["tar", "--sparse", f"--format={format}", "-cf", "t.tar", "holes", "after"],
        cwd=tmp_path,
        check=True,
    )
    found = list(entries(form((tmp_path / "t.tar").read_bytes()).open()))
    assert [(entry.path, entry.size) for entry in found] == [(b"holes", 40 << 20), (b"after", 3)]
    assert 30 * 4096 <= found[0].stored < 1 << 20


@FORMS
def test_global_headers_are_passed_over(form: Form, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    subprocess.run(
        ["tar", "--format=posix", "--pax-option=globexthdr.name=g,comment=x", "-cf", "t.tar", "a"],
        cwd=tmp_path,
        check=True,
    )
    assert [e.path for e in entries(form((tmp_path / "t.tar").read_bytes()).open())] == [b"a"]


@FORMS
def test_digests(form: Form) -> None:
    layer = form(layer_tar(item("a", data=b"a" * 3_000_000), item("b", data="bb")))
    a, b = entries(layer.open())
    wanted = [(b.offset, b.stored), (a.offset, a.stored)]
    assert digests(layer, wanted) == {
        (a.offset, a.stored): hashlib.sha256(b"a" * 3_000_000).digest(),
        (b.offset, b.stored): hashlib.sha256(b"bb").digest(),
    }


@FORMS
def test_a_cut_tar(form: Form) -> None:
    data = layer_tar(item("a" * 150, data="1"), item("b"))
    with pytest.raises(InvalidParameter):
        list(entries(form(data[:512]).open()))
    whole = layer_tar(item("a", data="1"))
    cut = form(whole[:512])
    (entry,) = entries(cut.open())
    with pytest.raises(InvalidParameter):
        digests(cut, [(entry.offset, 1)])


def test_rubbish() -> None:
    with pytest.raises(InvalidParameter):
        list(entries(plain(b"\xff" * 2048).open()))
    assert list(entries(plain(b"").open())) == []
    assert list(entries(plain(bytes(1024)).open())) == []


def test_a_stream_goes_forward_only() -> None:
    source = packed(layer_tar(item("a", data=b"x" * 5_000_000))).open()
    source.at(4_000_000, 100)
    with pytest.raises(ValueError, match="go back"):
        source.at(0, 1)


def test_a_layer_file_is_plain_fields() -> None:
    fd = memory_file(b"")
    assert LayerFile(*[fd, 0, 0, False]) == (fd, 0, 0, False)
