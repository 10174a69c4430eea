from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import sha256
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


def test_a_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_bytes(b"head" + b"tar" * 1000 + b"tail")
    source = os.open(tmp_path / "kept", os.O_RDONLY)
    pread, out = os.pread, bytearray()
    monkeypatch.setattr(os, "pread", lambda fd, size, offset: pread(source, size, offset))
    monkeypatch.setattr(tarcopy, "write_all", lambda fd, data: out.extend(data))
    assert tarcopy.cut(offset=4, length=3000) == {"tar_bytes": 3000}
    assert bytes(out) == b"tar" * 1000
    with pytest.raises(InvalidParameter, match="too short"):
        tarcopy.cut(offset=4, length=4000)
    monkeypatch.undo()
    os.close(source)


def test_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_bytes(gzip.compress(b"tar" * 100_000))
    reader = tarcopy.FdReader
    with open(tmp_path / "kept", "rb") as file:
        monkeypatch.setattr(tarcopy, "FdReader", lambda fd: reader(file.fileno()))
        assert tarcopy.digest() == {"diff_id": sha256(b"tar" * 100_000)}
