"""Workers that look into a mounted tree, which is their "/"."""

from __future__ import annotations

import os
from typing import Any

from pierhead.build.files import collect
from pierhead.build.files.disktree import DiskTree
from pierhead.build.files.entries import encode
from pierhead.build.files.tree import children, find
from pierhead.errors import InvalidParameter, TooLarge
from pierhead.store.tarsource import write_all

_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def _tree() -> DiskTree:
    return DiskTree(os.open("/", _ROOT))


def select(
    *, sources: list[str], parents: bool, exclude: list[str], keep_owner: bool
) -> dict[str, Any]:
    """Digest what ``sources`` mean. Returns what ``service._Found`` is made of."""
    tree = _tree()
    parts = collect.collect(tree, sources, parents=parents, exclude=exclude)
    hexes, files, size = collect.digest(parts, keep_owner=keep_owner, content=tree.content)
    is_dir = len(parts) == 1 and parts[0].is_dir
    return {
        "digest": hexes, "files": files, "bytes": size, "roots": len(parts), "is_dir": is_dir,
    }  # fmt: skip


def stat(*, path: str) -> dict[str, Any]:
    """Write the encoded entry of ``path`` to fd 1, a final symlink not followed."""
    entry = find(_tree(), path.encode("utf-8", "surrogateescape"), follow=False)
    write_all(1, encode([entry]))
    return {}


def listdir(*, path: str) -> dict[str, Any]:
    """Write the encoded children of ``path`` to fd 1."""
    write_all(1, encode(children(_tree(), path.encode("utf-8", "surrogateescape"))))
    return {}


def read(*, path: str, limit_bytes: int) -> dict[str, Any]:
    """Write the bytes of the file ``path`` to fd 1, symlinks followed inside."""
    tree = _tree()
    entry = find(tree, path.encode("utf-8", "surrogateescape"))
    if not entry.is_file:
        raise InvalidParameter(f"{path}: not a regular file")
    if entry.size > limit_bytes:
        raise TooLarge(f"{path}: {entry.size} bytes are more than {limit_bytes}")
    fd = tree.open(entry.path)
    try:
        while chunk := os.read(fd, 1 << 20):
            write_all(1, chunk)
    finally:
        os.close(fd)
    return {}
