from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.linux import syscalls as sc


def test_errors_carry_number_and_path() -> None:
    with pytest.raises(OSError, match="/does/not/exist") as caught:
        sc.umount2("/does/not/exist")
    assert caught.value.errno in (1, 2)  # EPERM comes first for others than root
    with pytest.raises(FileNotFoundError, match="nope"):
        sc.openat2(sc.AT_FDCWD, "nope", os.O_RDONLY)


def test_openat2_gives_a_descriptor_that_children_do_not_inherit(tmp_path: Path) -> None:
    fd = sc.openat2(sc.AT_FDCWD, tmp_path, os.O_PATH, resolve=sc.RESOLVE_NO_SYMLINKS)
    try:
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_a_symlink_is_refused_when_asked(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match="link"):
        sc.openat2(sc.AT_FDCWD, tmp_path / "link", os.O_RDONLY, resolve=sc.RESOLVE_NO_SYMLINKS)


def test_capabilities_are_the_kernel_s() -> None:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("CapPrm:"))
    assert sc.permitted_capabilities() == int(line.split()[1], 16)


def test_a_process_that_is_gone() -> None:
    with pytest.raises(OSError, match="process"):
        sc.pidfd_open(2**22 + 1)
