"""Paths of a container resolved as the container would, never leaving its root."""

from __future__ import annotations

import os
from pathlib import Path

from pierhead.linux import syscalls as sc


def resolve_in_root(
    root: int | Path, path: str, *, flags: int = os.O_PATH, mode: int = 0, follow: bool = True
) -> int:
    """Open ``path`` below ``root`` (a directory or its descriptor) and return the descriptor.

    Symlinks, absolute ones too, and ``..`` stay inside (openat2 RESOLVE_IN_ROOT); magic
    links of /proc are refused. ``follow`` False opens a final symlink itself. Raises
    ``OSError`` (ENOENT, ENOTDIR, ELOOP...) with the path.
    """
    if not follow:
        flags |= os.O_NOFOLLOW
    resolve = sc.RESOLVE_IN_ROOT | sc.RESOLVE_NO_MAGICLINKS
    if isinstance(root, int):
        return sc.openat2(root, path, flags, mode=mode, resolve=resolve)
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return sc.openat2(root_fd, path, flags, mode=mode, resolve=resolve)
    finally:
        os.close(root_fd)


def real_path(root: Path, path: str) -> str:
    """Where ``path`` ends up inside ``root``, as an absolute path of the container."""
    fd = resolve_in_root(root, path)
    try:
        full = os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
    base = os.path.realpath(root)
    return full[len(base) :] or "/"
