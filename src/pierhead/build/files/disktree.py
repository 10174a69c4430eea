"""A mounted tree (of layers, read-only) as a ``FileTree``: only for jailed workers.

Paths come resolved from ``tree.resolve``, so no directory in them is a symlink; the mount
can't change. Both together keep a lookup inside.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from pierhead.build.files.entries import Entry, content_xattrs

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_NO_XATTRS = (errno.ENOTSUP, errno.ENODATA, errno.ENOENT, errno.EPERM)


class DiskTree:
    """Implements ``FileTree``; also opens what it found."""

    def __init__(self, root_fd: int) -> None:
        self._root = root_fd
        self._known: dict[bytes, Entry | None] = {}
        self.paths: list[bytes] = []
        """Where files lie, by ``Entry.offset``."""

    def lstat(self, path: bytes) -> Entry | None:
        if path not in self._known:
            self._known[path] = self._look(path)
        return self._known[path]

    def _look(self, path: bytes) -> Entry | None:
        try:
            info = os.stat(path or b".", dir_fd=self._root, follow_symlinks=False)
            link = os.readlink(path, dir_fd=self._root) if stat.S_ISLNK(info.st_mode) else b""
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise
        is_file = stat.S_ISREG(info.st_mode)
        if is_file:
            self.paths.append(path)
        is_device = stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)
        return Entry(
            path,
            info.st_mode,
            info.st_uid,
            info.st_gid,
            info.st_size if is_file else 0,
            info.st_mtime_ns,
            link,
            offset=len(self.paths) - 1 if is_file else 0,
            inode=info.st_ino if is_file and info.st_nlink > 1 else 0,
            device=(os.major(info.st_rdev), os.minor(info.st_rdev)) if is_device else (0, 0),
            xattrs=self._xattrs(path) if not link else {},
        )

    def _xattrs(self, path: bytes) -> dict[bytes, bytes]:
        place = b"/proc/self/fd/%d/%s" % (self._root, path)
        try:
            names = os.listxattr(place, follow_symlinks=False)
            if not names:
                return {}
            return content_xattrs(
                {
                    os.fsencode(name): os.getxattr(place, name, follow_symlinks=False)
                    for name in names
                }
            )
        except OSError as error:
            if error.errno in _NO_XATTRS:
                return {}
            raise

    def names(self, path: bytes) -> list[bytes]:
        fd = os.open(path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._root)
        try:
            return sorted(os.fsencode(name) for name in os.listdir(fd))
        finally:
            os.close(fd)

    def open(self, path: bytes) -> int:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root)

    def content(self, entry: Entry) -> bytes:
        """sha256 of a file's bytes."""
        hasher = hashlib.sha256()
        fd = self.open(self.paths[entry.offset])
        try:
            while chunk := os.read(fd, 1 << 20):
                hasher.update(chunk)
        finally:
            os.close(fd)
        return hasher.digest()
