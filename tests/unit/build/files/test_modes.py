"""--chmod; symbolic modes are compared with chmod(1) itself."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from pierhead.build.files import modes
from pierhead.errors import InvalidParameter

SYMBOLIC = [
    "u=rwX,go=rX", "a+x", "+x", "u+s,g-w", "o=", "g=u", "u=rw,g=u,o=g", "a-rwx", "+t", "o+t",
    "ug+st", "g-s", "u=rwxs", "a=r,u+w", "u+x-w", "go-rwx", "=rx",
]  # fmt: skip


def apply(text: str, mode: int) -> int:
    chmod = modes.parse(text)
    assert chmod is not None
    return chmod.apply(mode)


@pytest.mark.parametrize("text", SYMBOLIC)
@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o4711, 0o100, 0o2775])
@pytest.mark.parametrize("is_dir", [False, True])
def test_symbolic_modes_are_chmods(tmp_path: Path, text: str, mode: int, is_dir: bool) -> None:
    path = tmp_path / "f"
    path.mkdir() if is_dir else path.touch()
    path.chmod(mode)
    before = path.stat().st_mode
    subprocess.run(["sh", "-c", 'umask 0; exec chmod -- "$1" "$2"', "sh", text, path], check=True)
    assert oct(apply(text, before)) == oct(os.lstat(path).st_mode)


def test_octal_modes() -> None:
    assert apply("755", stat.S_IFREG | 0o600) == stat.S_IFREG | 0o755
    assert apply("4711", stat.S_IFDIR | 0o700) == stat.S_IFDIR | 0o4711
    assert apply("0", stat.S_IFLNK | 0o777) == stat.S_IFLNK | 0o777
    assert modes.parse("") is None


@pytest.mark.parametrize("text", ["999", "10000", "rwx", "u~x", "u=rwx,", "x+u", "u+z"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid chmod parameter"):
        modes.parse(text)
