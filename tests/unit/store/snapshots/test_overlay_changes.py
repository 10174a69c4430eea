"""Without an overlay: directories laid out as overlayfs would have left them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pierhead.store.snapshots import Change, ChangeKind
from pierhead.store.snapshots.overlay_changes import changes, usage


def test_added_modified_and_the_way_there(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    (lower / "etc/deep").mkdir(parents=True)
    (lower / "etc/deep/file").write_text("old")
    (lower / "etc/same").write_text("same")
    shutil.copytree(lower, upper)
    os.utime(upper / "etc", (1, 1))
    (upper / "etc/deep/file").write_text("newer")
    (upper / "etc/new").write_text("n")
    assert changes(upper, [lower]) == [
        Change("/etc", ChangeKind.MODIFIED),
        Change("/etc/deep", ChangeKind.MODIFIED),
        Change("/etc/deep/file", ChangeKind.MODIFIED),
        Change("/etc/new", ChangeKind.ADDED),
    ]


def test_a_directory_that_was_only_passed_is_no_change(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    (lower / "tmp").mkdir(parents=True)
    shutil.copytree(lower, upper)
    os.utime(upper / "tmp", (5, 5))
    assert changes(upper, [lower]) == []
    (upper / "tmp").chmod(0o700)
    assert changes(upper, [lower]) == [Change("/tmp", ChangeKind.MODIFIED)]


def test_a_file_that_became_a_directory(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    lower.mkdir()
    (lower / "x").write_text("file")
    (upper / "x").mkdir(parents=True)
    (upper / "x/y").touch()
    assert changes(upper, [lower]) == [
        Change("/x", ChangeKind.MODIFIED),
        Change("/x/y", ChangeKind.ADDED),
    ]


def test_the_topmost_layer_counts(tmp_path: Path) -> None:
    upper, top, bottom = (tmp_path / name for name in ("upper", "top", "bottom"))
    for layer in (upper, top, bottom):
        layer.mkdir()
    (bottom / "d").mkdir()
    (bottom / "d/f").touch()
    (top / "d").touch()
    (upper / "d").mkdir()
    (upper / "d/f").touch()
    assert changes(upper, [top, bottom]) == [
        Change("/d", ChangeKind.MODIFIED),
        Change("/d/f", ChangeKind.ADDED),
    ]


def test_usage_counts_hard_links_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/link").symlink_to("12345")
    assert usage(tmp_path) == (105, 3)
    assert usage(tmp_path / "missing") == (0, 0)
