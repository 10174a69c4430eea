from __future__ import annotations

from pathlib import Path

from support.fake_cli import run

from .conftest import Keep


def test_those_that_are_there_go_and_the_others_are_named(keep: Keep, tmp_path: Path) -> None:
    keep("a:1", "x:1")
    keep("b:1", "x:1")
    result = run("manifest rm a:1 none:1 b:1", config_dir=str(tmp_path))
    assert result.code == 1 and not result.out
    assert result.err == "No such manifest: docker.io/library/none:1\n"
    assert not list((tmp_path / "manifests").iterdir())
