from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from pierhead.store import tarcopy


def test_what_was_kept_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_bytes(gzip.compress(b"tar" * 100_000))
    source = os.open(tmp_path / "kept", os.O_RDONLY)
    target = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    reader, write = tarcopy.FdReader, tarcopy.write_all
    monkeypatch.setattr(tarcopy, "FdReader", lambda fd: reader(source))
    monkeypatch.setattr(tarcopy, "write_all", lambda fd, data: write(target, data))
    assert tarcopy.expand() == {"tar_bytes": 300_000}
    os.close(source)
    os.close(target)
    assert (tmp_path / "out").read_bytes() == b"tar" * 100_000
