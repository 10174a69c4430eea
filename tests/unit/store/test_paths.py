from __future__ import annotations

import stat
from pathlib import Path

from pierhead.store.paths import Paths


def test_directories_are_made_closed_and_twice_is_fine(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "exec")
    paths.create()
    paths.create()
    assert stat.S_IMODE(paths.data_root.stat().st_mode) & 0o007 == 0
    for path in (paths.ingest, paths.tmp, paths.exits, paths.runtime_root):
        assert path.is_dir() and stat.S_IMODE(path.stat().st_mode) == 0o700
    assert paths.rootfs("x").parent == paths.bundle("x")
    assert paths.exec_dir("c", "e").is_relative_to(paths.bundle("c"))
