from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.cli.paths import absolute


def test_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("/a/./b/../c//") == "/a/c"
    assert absolute("x") == f"{tmp_path}/x"
    assert absolute("../..//x/.") == f"{tmp_path.parent.parent}/x"
    assert absolute("/../..") == "/"
