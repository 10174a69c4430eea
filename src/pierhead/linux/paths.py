"""Paths of a container resolved as the container would, never leaving its root."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from pierhead.linux import syscalls as sc

_LINKS_LIMIT: Final = 40  # as the kernel's


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


def final_path(root_fd: int, path: str) -> str:
    """Where ``path`` leads inside ``root_fd`` once every symlink is followed, missing or not.

    Walked one component at a time: what isn't there yet (the target of a dangling link, say)
    is named all the same. Raises ``OSError`` ELOOP.
    """
    pending = [part for part in path.split("/") if part]
    resolved: list[str] = []
    links = 0
    while pending:
        part = pending.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            resolved = resolved[:-1]
            continue
        try:
            fd = resolve_in_root(
                root_fd, "/" + "/".join([*resolved, part]), flags=os.O_PATH, follow=False
            )
        except OSError:
            resolved.append(part)
            continue
        try:
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                resolved.append(part)
                continue
            text = os.readlink("", dir_fd=fd)
        finally:
            os.close(fd)
        links += 1
        if links > _LINKS_LIMIT:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if text.startswith("/"):
            resolved = []
        pending[:0] = text.split("/")
    return "/" + "/".join(resolved)


def make_mount_point(root_fd: int, path: str, *, is_directory: bool) -> int:
    """Open (O_PATH) what ``path`` names inside ``root_fd``, made if it isn't there.

    Missing directories are made with mode 755, where a dangling symlink points too.
    """
    try:
        return resolve_in_root(root_fd, path)
    except FileNotFoundError:
        pass
    parts = [part for part in final_path(root_fd, path).split("/") if part]
    for number, part in enumerate(parts):
        above = resolve_in_root(
            root_fd, "/" + "/".join(parts[:number]), flags=os.O_PATH | os.O_DIRECTORY
        )
        try:
            if number < len(parts) - 1 or is_directory:
                os.mkdir(part, 0o755, dir_fd=above)
            else:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                os.close(os.open(part, flags, 0o644, dir_fd=above))
        except FileExistsError:
            pass
        finally:
            os.close(above)
    return resolve_in_root(root_fd, path)
