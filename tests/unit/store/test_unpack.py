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
from pierhead.store.unpack import Unpacker, remove_tree


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


def test_trees_are_removed_but_links_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/keep").touch()
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "tree/a/file").touch()
    (tmp_path / "tree/link").symlink_to("../outside")
    remove_tree(os.fsencode(tmp_path / "tree"))
    assert not (tmp_path / "tree").exists()
    assert (tmp_path / "outside/keep").exists()
