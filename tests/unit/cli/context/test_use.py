from __future__ import annotations

import json
from pathlib import Path

from support.fake_cli import run


def test_use(tmp_path: Path) -> None:
    result = run("context use default", config_dir=str(tmp_path))
    assert (result.out, result.err) == ("default\n", 'Current context is now "default"\n')
    assert list(tmp_path.iterdir()) == []
    run("context use default", config={"currentContext": "x", "a": 1}, config_dir=str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text()) == {"a": 1}
    assert run("context use other", config_dir=str(tmp_path)).code == 1
    result = run("context use")
    assert (result.code, result.err) == (1, "accepts 1 arg(s), received 0\n")
