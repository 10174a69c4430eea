"""The layers below for ``tree``: looked up in their mounted or unpacked directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from pierhead.errors import InvalidParameter
from pierhead.oci.layer import PATH_LIMIT
from pierhead.store.erofs.tree import NAME_LIMIT, Found
from pierhead.store.lower import Lower

_KINDS = (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK)


class LowerLayers:
    """Implements ``tree.Below``. ``bring(fd, length)`` copies content, returns its first block."""

    def __init__(self, fds: list[int], bring: Callable[[int, int], int]) -> None:
        self._lower = Lower(fds)
        self._bring = bring

    def exists(self, path: bytes) -> bool:
        return _possible(path) and self._lower.exists(path)

    def find(self, path: bytes) -> Found | None:
        info = self._lower.lstat(path) if _possible(path) else None
        if info is None or stat.S_IFMT(info.st_mode) not in _KINDS:
            return None
        is_link = stat.S_ISLNK(info.st_mode)
        return Found(
            mode=info.st_mode,
            uid=info.st_uid,
            gid=info.st_gid,
            mtime_ns=info.st_mtime_ns,
            size=info.st_size,
            xattrs=[] if is_link else self._lower.xattrs(path),
            link=self._lower.readlink(path) if is_link else b"",
        )

    def copy(self, path: bytes) -> int:
        fd = self._lower.open(path)
        if fd is None:
            raise InvalidParameter("invalid layer: a file below is gone")
        try:
            return self._bring(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)


def _possible(path: bytes) -> bool:
    """False for what the kernel would refuse as too long."""
    return len(path) <= PATH_LIMIT and max(map(len, path.split(b"/"))) <= NAME_LIMIT
