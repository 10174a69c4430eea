from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.image.source import blocks, open_archive


def test_blocks(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a" * 300_000)
    fd = open_archive(str(path))
    assert [len(block) for block in blocks(fd)] == [262144, 37856]
    os.close(fd)


def test_what_is_not_there() -> None:
    with pytest.raises(CliError, match=r"^open /nonexistent/x: no such file or directory$"):
        open_archive("/nonexistent/x")
