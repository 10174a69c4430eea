"""The command line's quick answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pierhead import __version__
from pierhead.daemon.main import run


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
    assert run(["-h"]) == 0
    assert "Usage: pierd" in capsys.readouterr().out


def test_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"debug": true}')
    assert run(["--validate", f"--config-file={path}"]) == 0
    assert capsys.readouterr().out == "configuration OK\n"
    path.write_text('{"debug": 1, "x": 2}')
    assert run(["--validate", f"--config-file={path}"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and errors[-1] == "See 'pierd --help'."
