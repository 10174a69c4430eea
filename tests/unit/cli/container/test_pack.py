from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from pierhead.cli.container.copy_paths import renamer
from pierhead.cli.container.pack import archive


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "a").write_bytes(b"x" * 700)
    os.utime(top / "a", ns=(0, 1_500_000_000_123_456_789))
    os.chmod(top / "a", 0o4750)
    os.link(top / "a", top / "hard")
    (top / "link").symlink_to("sub")
    (top / "sub" / "ü").write_text("deep")
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(top / "socket"))
    return tmp_path


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        return {member.name: member for member in file}


def test_a_directory(tree: Path) -> None:
    data = b"".join(archive(f"{tree}/", "top", renamer(None)))
    found = members(data)
    assert list(found) == [
        "top",
        "top/a",
        "top/hard",
        "top/link",
        "top/pipe",
        "top/sub",
        "top/sub/ü",
    ]
    assert found["top/a"].mode == 0o4750
    assert found["top/a"].mtime == pytest.approx(1_500_000_000.123456789, abs=1e-6)
    assert (found["top/hard"].islnk(), found["top/hard"].linkname) == (True, "top/a")
    assert (found["top/link"].issym(), found["top/link"].linkname) == (True, "sub")
    assert found["top/pipe"].isfifo()
    assert (found["top/a"].uid, found["top/a"].uname) == (os.getuid(), "")
    assert len(data) % 512 == 0


def test_only_the_content(tree: Path) -> None:
    found = members(b"".join(archive(f"{tree}/top/", ".", renamer((".", "new")))))
    assert {"new", "new/a", "new/sub/ü"} <= set(found)
    assert found["new/hard"].linkname == "new/a"


def test_another_name(tree: Path) -> None:
    found = members(b"".join(archive(f"{tree}/", "top", renamer(None), rebase="other")))
    assert {"other", "other/a"} <= set(found)


def test_a_file_that_shrinks_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x" * 1000)
    blocks = archive(f"{tmp_path}/", "f", renamer(None))
    head = next(blocks)
    file.write_bytes(b"y" * 10)
    data = head + b"".join(blocks)
    with tarfile.open(fileobj=io.BytesIO(data)) as archived:
        content = archived.extractfile("f")
        assert content is not None
        assert content.read() == b"y" * 10 + b"\0" * 990


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(archive(f"{tmp_path}/", "none", renamer(None)))
