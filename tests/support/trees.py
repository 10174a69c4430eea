"""Describing a directory tree completely, so that two of them can be compared."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any


def describe(root: Path, *, times: bool = True, holes: bool = False) -> dict[bytes, dict[str, Any]]:
    """Every entry below ``root`` with all that a tar can say about it.

    Hard links are named by the first path of their group. ``holes``: disk blocks, too.
    """
    base = os.fsencode(root)
    found: dict[bytes, dict[str, Any]] = {}
    first: dict[tuple[int, int], bytes] = {}
    for directory, names, files in os.walk(base):
        names.sort()
        for name in sorted([*names, *files]):
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, base)
            info = os.lstat(path)
            entry: dict[str, Any] = {
                "mode": oct(info.st_mode),
                "owner": (info.st_uid, info.st_gid),
                "xattrs": {
                    key: os.getxattr(path, key, follow_symlinks=False)
                    for key in sorted(os.listxattr(path, follow_symlinks=False))
                },
            }
            if times:
                entry["mtime"] = info.st_mtime_ns
            if stat.S_ISREG(info.st_mode):
                entry["size"] = info.st_size
                entry["content"] = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
                if holes:
                    entry["blocks"] = info.st_blocks
            elif stat.S_ISLNK(info.st_mode):
                entry["target"] = os.readlink(path)
            elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
                entry["device"] = (os.major(info.st_rdev), os.minor(info.st_rdev))
            if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
                entry["links"] = first.setdefault((info.st_dev, info.st_ino), relative)
            found[relative] = entry
    return found
