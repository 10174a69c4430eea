"""Paths of the archive calls (``docker cp``) and what the API tells of a file.

Light to import: ``files`` looks at a file itself, whatever is heavy is in ``files_worker``.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from datetime import UTC, datetime
from typing import Any, Final

from pierhead.errors import InvalidParameter, NotFound
from pierhead.linux.paths import final_path, resolve_in_root

_PATH: Final = os.O_PATH | os.O_CLOEXEC
_DIRECTORY: Final = _PATH | os.O_DIRECTORY
STAT_HEAD_BYTES: Final = 4
"""A worker's ``archive`` writes the stat before the tar: its length in this many bytes, then
JSON."""

# Go's os.FileMode, which the API shows
_GO_MODE: Final = (
    (stat.S_ISDIR, 1 << 31),
    (stat.S_ISLNK, 1 << 27),
    (stat.S_ISBLK, 1 << 26),
    (stat.S_ISCHR, 1 << 26 | 1 << 21),
    (stat.S_ISFIFO, 1 << 25),
    (stat.S_ISSOCK, 1 << 24),
)


def go_mode(mode: int) -> int:
    """A file's mode as Go's ``os.FileMode``."""
    result = mode & 0o777
    result |= sum(bits for is_kind, bits in _GO_MODE if is_kind(mode))
    result |= 1 << 23 if mode & stat.S_ISUID else 0
    result |= 1 << 22 if mode & stat.S_ISGID else 0
    result |= 1 << 20 if mode & stat.S_ISVTX else 0
    return result


def absolute(path: str) -> str:
    """A request's path from the root, cleaned; a final ``/`` or ``/.`` stays."""
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    if path.rstrip("/").endswith("/.") or path.rstrip("/") == ".":
        return cleaned.rstrip("/") + "/."
    if path.endswith("/") and cleaned != "/":
        return cleaned + "/"
    return cleaned


def base_name(path: str) -> str:
    """Go's filepath.Base of an absolute path: ``/a/b/`` → ``b``, ``/a/.`` → ``.``."""
    return path.rstrip("/").rpartition("/")[2] or "/"


def locate(root: int, path: str) -> int:
    """Open (O_PATH) what ``absolute(path)`` names; a final symlink itself.

    Raises ``OSError``.
    """
    directory, _, base = path.rpartition("/")
    if base in ("", "."):
        return resolve_in_root(root, directory or "/", flags=_DIRECTORY)
    parent = resolve_in_root(root, directory or "/", flags=_DIRECTORY)
    try:
        return os.open(base, _PATH | os.O_NOFOLLOW, dir_fd=parent)
    finally:
        os.close(parent)


def not_found(error: OSError, path: str, name: str) -> NotFound | InvalidParameter:
    """What the client is told when ``path`` could not be opened in the container ``name``."""
    if error.errno == errno.ENOTDIR and path.endswith("/"):
        return InvalidParameter(f"{path} in container {name}: not a directory")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"Could not find the file {path} in container {name}")
    return InvalidParameter(f"cannot access {path} in container {name}: {error.strerror}")


def stat_path(root: int, path: str) -> dict[str, Any]:
    """The API's ContainerPathStat of ``absolute(path)`` below ``root``. Raises ``OSError``."""
    fd = locate(root, path)
    try:
        info = os.fstat(fd)
        target = final_path(root, path) if stat.S_ISLNK(info.st_mode) else ""
    finally:
        os.close(fd)
    moment = datetime.fromtimestamp(info.st_mtime_ns // 1_000_000_000, UTC)
    fraction = f"{info.st_mtime_ns % 1_000_000_000:09d}".rstrip("0")
    return {
        "name": base_name(path),
        "size": info.st_size,
        "mode": go_mode(info.st_mode),
        "mtime": moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}Z" if fraction else "Z"),
        "linkTarget": target,
    }
