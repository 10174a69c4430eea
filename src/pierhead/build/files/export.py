"""Worker: the tree that is its "/" as one tar, sorted, for ``local`` and ``tar`` outputs."""

from __future__ import annotations

import os
import stat
from typing import Any

from pierhead.build.files.disktree import DiskTree
from pierhead.build.files.layout import Member
from pierhead.build.files.tree import find, walk
from pierhead.build.files.write import mounted, write_tar
from pierhead.errors import InvalidParameter


def tree(*, root: str, epoch_s: int | None, prefix: str, end: bool) -> dict[str, Any]:
    """Write all below ``root`` to fd 1. Returns ``members`` and ``bytes``.

    Names stand below ``prefix``; no mtime is later than ``epoch_s``; without ``end`` the
    tar isn't ended.
    """
    disk = DiskTree(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    top = find(disk, root.encode("utf-8", "surrogateescape"))
    if not top.is_dir:
        raise InvalidParameter(f"{root}: not a directory")
    latest = None if epoch_s is None else epoch_s * 1_000_000_000
    before = prefix.strip("/").encode("utf-8", "surrogateescape")
    before = before + b"/" if before else b""
    cut = len(top.path) + 1 if top.path else 0
    members = []
    if before:
        parts = before.rstrip(b"/").split(b"/")
        for number in range(1, len(parts) + 1):
            entry = top.moved(b"")
            entry.mode, entry.xattrs = stat.S_IFDIR | 0o755, {}
            members.append(Member(b"/".join(parts[:number]), entry, -1))
    members += [Member(before + entry.path[cut:], entry, 0) for entry in walk(disk, top.path)]
    if latest is not None:
        for member in members:
            member.entry.mtime_ns = min(member.entry.mtime_ns, latest)
    return write_tar(members, [mounted(disk)], end=end)
