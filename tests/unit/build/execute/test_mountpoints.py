"""Mount points: made where missing, gone without a trace; in a plain directory, not mounted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.build.execute.mountpoints import MountPoints
from pierhead.errors import InvalidParameter

OLD_NS = 1_000_000_000 * 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As the upper directory of an overlay whose lower ones are empty."""
    root = tmp_path / "root"
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/file").write_text("x")
    (root / "run").symlink_to("/var/run")
    for path in ("var/lib", "var", ""):
        os.utime(root / path, ns=(OLD_NS, OLD_NS))
    return root


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_what_is_missing_is_made_and_taken_away(root: Path) -> None:
    before = names(root)
    points = MountPoints(root)
    assert points.make("/var/lib/a/b", directory=True) == "/var/lib/a/b"
    assert points.make("/run/secrets/x", directory=False) == "/var/run/secrets/x"
    assert points.make("/var/lib", directory=True) == "/var/lib"
    assert (root / "var/run/secrets/x").is_file() and (root / "var/lib/a/b").is_dir()
    points.undo(root)
    assert names(root) == before
    for path in ("var", "var/lib"):
        assert (root / path).stat().st_mtime_ns == OLD_NS


def test_what_the_step_used_stays(root: Path) -> None:
    points = MountPoints(root)
    points.make("/var/cache/x", directory=True)
    points.make("/file", directory=False)
    (root / "var/cache/kept").touch()
    (root / "file").write_text("filled")
    points.undo(root)
    assert names(root) == {"run", "var", "var/lib", "var/lib/file", "var/cache", "var/cache/kept",
                           "file"}  # fmt: skip
    assert (root / "var").stat().st_mtime_ns == OLD_NS


def test_directories_copied_up_for_a_mount_point_go_again(root: Path) -> None:
    (root / "var/lib/file").unlink()
    os.utime(root / "var/lib", ns=(OLD_NS, OLD_NS))
    points = MountPoints(root)
    points.make("/var/lib/a", directory=True)
    points.undo(root)
    assert names(root) == {"run"}  # empty, as the upper directory shows them: from below


def test_a_changed_time_is_the_step_s(root: Path) -> None:
    points = MountPoints(root)
    points.make("/var/lib/a", directory=True)
    os.utime(root / "var/lib", ns=(5, 5))
    points.undo(root)
    assert (root / "var/lib").stat().st_mtime_ns == 5


def test_links_that_the_step_put_lead_nowhere_outside(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "a").mkdir(parents=True)
    points = MountPoints(root)
    points.make("/srv/a", directory=True)
    (root / "srv/a").rmdir()
    (root / "srv").rmdir()
    (root / "srv").symlink_to(victim)
    points.undo(root)
    assert (victim / "a").is_dir()


def test_loops_of_links_are_refused(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    with pytest.raises(InvalidParameter, match="too many levels"):
        MountPoints(root).make("/loop/x", directory=True)
