from __future__ import annotations

import json
from pathlib import Path

from support.fake_cli import run


def test_all_names_are_forgotten(tmp_path: Path) -> None:
    config = {"auths": {"a.example": {}, "https://a.example": {}, "b.example": {}}}
    result = run("logout https://a.example", config=config, config_dir=str(tmp_path))
    assert result.out == "Removing login credentials for a.example\n"
    assert json.loads((tmp_path / "config.json").read_text()) == {"auths": {"b.example": {}}}


def test_default_and_failures(tmp_path: Path) -> None:
    result = run("logout", config_dir=str(tmp_path))
    assert result.out == "Removing login credentials for https://index.docker.io/v1/\n"
    assert list(tmp_path.iterdir()) == []
    result = run("logout", config={"credsStore": "nowhere"}, config_dir=str(tmp_path))
    assert result.code == 0
    assert result.err.startswith("WARNING: could not erase credentials:\nhttps://index")
