from __future__ import annotations

import json
from pathlib import Path

import pytest

from pierhead.cli.build import outcome
from pierhead.cli.errors import CliError


def test_the_id() -> None:
    metadata = {"containerimage.digest": "d", "containerimage.config.digest": "c"}
    assert outcome.image_id({"metadata": metadata}) == "c"
    assert outcome.image_id({"metadata": {"containerimage.digest": "d"}}) == "d"
    assert outcome.image_id({"images": [{"id": "i"}]}) == "i"
    assert outcome.image_id({"digest": "x"}) == "x"
    assert outcome.image_id({}) == ""


def test_metadata(tmp_path: Path) -> None:
    value = outcome.metadata_of({"ref": "r", "metadata": {"b": {"z": 1, "a": 2}}}, [])
    outcome.write_metadata(str(tmp_path / "m"), value)
    text = (tmp_path / "m").read_text()
    assert json.loads(text) == {"b": {"a": 2, "z": 1}, "buildx.build.ref": "r"}
    assert text.index('"a"') < text.index('"z"') and text.startswith('{\n  "b"')
    assert outcome.metadata_of({}, [{"rule": "R"}]) == {"buildx.build.warnings": [{"rule": "R"}]}


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "id"
    outcome.remove_stale(str(path))
    outcome.replace_file(str(path), b"one")
    outcome.replace_file(str(path), b"2")
    assert path.read_bytes() == b"2" and len(list(tmp_path.iterdir())) == 1
    outcome.remove_stale(str(path))
    assert not path.exists()
    outcome.replace_file("/dev/null", b"x")
    with pytest.raises(CliError):
        outcome.replace_file(str(tmp_path / "no" / "x"), b"")
    with pytest.raises(CliError):
        outcome.remove_stale(str(tmp_path))
