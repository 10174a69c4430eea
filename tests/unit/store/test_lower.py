from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.errors import InvalidParameter
from pierhead.store.lower import Lower, set_xattr


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


def test_an_attribute_that_cannot_be_is_named(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "f")
    (tmp_path / "f").touch()
    with pytest.raises(InvalidParameter, match="extended attribute"):
        set_xattr(path, b"user." + b"x" * 300, b"")
    set_xattr(path, b"no-namespace", b"ignored")
    assert os.listxattr(path) == []


def test_files_are_copied_up(tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer/f").write_bytes(b"x" * 100_000)
    os.chmod(tmp_path / "layer/f", 0o640)
    os.utime(tmp_path / "layer/f", (5, 5))
    (tmp_path / "layer/l").symlink_to("f")
    (tmp_path / "layer/d").mkdir()
    fd = os.open(tmp_path / "layer", os.O_RDONLY)
    lower = Lower([fd])
    for name in ("f", "l"):
        assert lower.copy_up(name.encode(), os.fsencode(tmp_path / name))
    assert not lower.copy_up(b"d", os.fsencode(tmp_path / "d"))
    assert not lower.copy_up(b"none", os.fsencode(tmp_path / "none"))
    os.close(fd)
    info = (tmp_path / "f").stat()
    assert (info.st_size, info.st_mode & 0o777, info.st_mtime) == (100_000, 0o640, 5)
    assert os.readlink(tmp_path / "l") == "f"
