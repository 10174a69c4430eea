from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.engine.containers.destinations import resolve_destination
from pierhead.errors import InvalidParameter


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "real" / "dir").mkdir(parents=True)
    (tmp_path / "out").symlink_to("/nowhere/yet")
    (tmp_path / "rel").symlink_to("real/dir")
    (tmp_path / "real" / "up").symlink_to("../../../../out")
    (tmp_path / "host").symlink_to("/etc")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("/data", "/data"),
        ("/a/./b/", "/a/b"),
        ("/out/sub", "/nowhere/yet/sub"),
        ("/rel/x", "/real/dir/x"),
        ("/real/up/x", "/nowhere/yet/x"),
        ("/host/passwd", "/etc/passwd"),
        ("/../../x", "/x"),
        ("/rel/../x", "/real/x"),
    ],
)
def test_resolves_inside(root: Path, given: str, found: str) -> None:
    assert resolve_destination(root, given) == found


def test_loops_end(root: Path) -> None:
    with pytest.raises(InvalidParameter, match="too many levels"):
        resolve_destination(root, "/loop/x")
