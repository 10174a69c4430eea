from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.linux import paths


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("inside")
    (root / "abs").symlink_to("/etc/passwd")
    (root / "up").symlink_to("../../../../../../etc/passwd")
    return root


@pytest.mark.parametrize("path", ["/etc/passwd", "abs", "up", "/../../etc/passwd"])
def test_no_way_leads_out(root: Path, path: str) -> None:
    fd = paths.resolve_in_root(root, path, flags=os.O_RDONLY)
    with os.fdopen(fd) as file:
        assert file.read() == "inside"
    assert paths.real_path(root, path) == "/etc/passwd"


def test_missing_names_the_path(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nope"):
        paths.resolve_in_root(root, "nope")


def test_the_root_itself(root: Path) -> None:
    assert paths.real_path(root, "/") == "/"


def test_a_final_symlink_can_be_opened_itself(root: Path) -> None:
    fd = paths.resolve_in_root(root, "abs", follow=False)
    try:
        assert os.readlink("", dir_fd=fd) == "/etc/passwd"
    finally:
        os.close(fd)
