"""Parts that need no root; what they do together is tests/contract's."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.tar import Header
from pierhead.store.tarstream import TarReader
from pierhead.store.unpack import Lower, Unpacker, remove_tree, set_xattr, write_all


def add(unpacker: Unpacker, name: bytes, kind: bytes = tar.REGULAR, **fields: object) -> None:
    header = Header(name, kind, 0o644, uid=os.getuid(), gid=os.getgid(), **fields)  # type: ignore[arg-type]
    unpacker.add(header, TarReader(io.BytesIO(b"")))


def unpacker(root: Path, lower: list[int] | None = None, **options: int) -> Unpacker:
    return Unpacker(lower or [], root=os.fsencode(root) + b"/", **options)


def test_parents_are_resolved_without_the_kernel(tmp_path: Path) -> None:
    one = unpacker(tmp_path)
    add(one, b"real/x")
    add(one, b"link", tar.SYMLINK, linkname=b"/real")
    add(one, b"link/../link/y")
    add(one, b"up", tar.SYMLINK, linkname=b"../../../real")
    add(one, b"up/z")
    one.finish()
    assert sorted(os.listdir(tmp_path / "real")) == ["x", "y", "z"]


def test_entries_are_counted(tmp_path: Path) -> None:
    one = unpacker(tmp_path, entries_limit=2)
    add(one, b"a")
    add(one, b"b")
    with pytest.raises(InvalidParameter, match="more than 2 entries"):
        add(one, b"c")


def test_lower_layers_are_looked_up_from_the_top(tmp_path: Path) -> None:
    top, bottom = tmp_path / "top", tmp_path / "bottom"
    for layer in (top, bottom):
        (layer / "both").mkdir(parents=True)
    (bottom / "both/file").write_text("below")
    (bottom / "link").symlink_to("both")
    (top / "blocks").touch()
    (bottom / "blocks").mkdir()
    (bottom / "blocks/x").touch()
    fds = [os.open(layer, os.O_RDONLY) for layer in (top, bottom)]
    lower = Lower(fds)
    assert lower.exists(b"both/file")
    assert not lower.exists(b"both/none")
    assert not lower.exists(b"blocks/x"), "a file above hides a directory below"
    assert not lower.exists(b"link/file"), "links are never followed"
    assert lower.readlink(b"link") == b"both"
    for fd in fds:
        os.close(fd)


def test_overlay_attributes_are_dropped(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "f")
    (tmp_path / "f").touch()
    set_xattr(path, b"trusted.overlay.redirect", b"/x")
    set_xattr(path, b"user.overlay.opaque", b"y")
    assert os.listxattr(path) == []


def test_trees_are_removed_but_links_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/keep").touch()
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "tree/a/file").touch()
    (tmp_path / "tree/link").symlink_to("../outside")
    remove_tree(os.fsencode(tmp_path / "tree"))
    assert not (tmp_path / "tree").exists()
    assert (tmp_path / "outside/keep").exists()


def test_all_is_written(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    write_all(fd, b"x" * 100_000)
    write_all(fd, b"")
    os.close(fd)
    assert (tmp_path / "f").stat().st_size == 100_000
