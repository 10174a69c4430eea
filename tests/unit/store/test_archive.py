"""The worker's function, run here with its root turned into a temporary directory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.digest import sha256
from pierhead.oci.tar import Header
from pierhead.store import archive


def member(name: str, data: bytes = b"", kind: bytes = tar.REGULAR, link: str = "") -> bytes:
    header = Header(name.encode(), kind, size=len(data), linkname=link.encode())
    return tar.build_header(header) + data + bytes(tar.padding(len(data)))


def split(data: bytes, target: Path, **options: Any) -> dict[str, Any]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return archive.split(fd=file.fileno(), directory=str(target), **options)


def test_members_become_numbers(tmp_path: Path) -> None:
    data = (
        member("dir/", kind=tar.DIRECTORY)
        + member("./dir/a", b"aa")
        + member("dir/link", kind=tar.SYMLINK, link="../other/b")
        + member("hard", kind=tar.HARDLINK, link="dir/a")
        + member("y/../x", b"x")
        + member("dir/a", b"again")
        + bytes(1024)
    )
    found = split(data, tmp_path)
    assert found["files"] == {
        "dir/a": [5, 5, sha256(b"again")],
        "x": [4, 1, sha256(b"x")],
    }
    assert found["links"] == {"dir/link": "other/b", "hard": "dir/a"}
    assert (tmp_path / "5").read_bytes() == b"again"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (member("../x"), "outside"),
        (member("a/b", kind=tar.SYMLINK, link="../../x"), "outside"),
        (member("a", b"x" * 600)[:700], "unexpected end"),
        (b"garbage", "unexpected end"),
        (b"garbage" * 100, "invalid tar header"),
    ],
)
def test_bad_archives(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        split(data, tmp_path)


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidParameter, match="room"):
        split(member("a", b"x" * 100) + bytes(1024), tmp_path, limit_bytes=99)
    monkeypatch.setattr(archive, "MEMBERS_LIMIT", 2)
    with pytest.raises(InvalidParameter, match="more than 2 members"):
        split(member("b") + member("c") + member("d"), tmp_path)
