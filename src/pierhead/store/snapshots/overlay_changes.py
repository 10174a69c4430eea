"""What an overlay upper directory changed against the layers below it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from pierhead.store.snapshots import Change, ChangeKind, Usage


def changes(upper: Path, lower: Sequence[Path]) -> list[Change]:
    """Compare ``upper`` with ``lower`` (topmost first); sorted by path.

    By Docker's rules: the directories on the way to a change are listed as modified; a
    directory by itself counts as modified only if its owner or mode is another one.
    """
    found: dict[str, ChangeKind] = {}
    root = os.fspath(upper)
    stack: list[tuple[str, Sequence[str]]] = [("", [os.fspath(path) for path in lower])]
    while stack:
        path, below = stack.pop()
        if path and _opaque(root + path):
            for name in _merged_names(below, path):
                if not os.path.lexists(f"{root}{path}/{name}"):
                    _note(f"{path}/{name}", ChangeKind.DELETED, found)
        for entry in _entries(root + path):
            child = f"{path}/{entry.name}"
            try:
                info = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # the container is at work
            before = _lstat(below, child)
            if _is_whiteout(info):
                if before is not None:
                    _note(child, ChangeKind.DELETED, found)
                continue
            if before is None:
                _note(child, ChangeKind.ADDED, found)
            elif _differs(info, before):
                _note(child, ChangeKind.MODIFIED, found)
            if stat.S_ISDIR(info.st_mode):
                both = before is not None and stat.S_ISDIR(before.st_mode)
                stack.append((child, below if both else []))
    return sorted(Change(path, kind) for path, kind in found.items())


def _note(path: str, kind: ChangeKind, found: dict[str, ChangeKind]) -> None:
    found[path] = kind
    parent = path.rpartition("/")[0]
    while parent and parent not in found:
        found[parent] = ChangeKind.MODIFIED
        parent = parent.rpartition("/")[0]


def _differs(one: os.stat_result, other: os.stat_result) -> bool:
    if (one.st_mode, one.st_uid, one.st_gid) != (other.st_mode, other.st_uid, other.st_gid):
        return True
    if stat.S_ISDIR(one.st_mode):
        return False
    return (one.st_size, one.st_mtime_ns, one.st_rdev) != (
        other.st_size,
        other.st_mtime_ns,
        other.st_rdev,
    )


def _is_whiteout(info: os.stat_result) -> bool:
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _opaque(path: str) -> bool:
    try:
        return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


def _lstat(lower: Sequence[str], path: str) -> os.stat_result | None:
    """``path`` as the stack of layers shows it, links not followed anywhere."""
    for root in lower:
        current = root
        hidden = False
        parts = path.split("/")[1:]
        info: os.stat_result | None = None
        for index, part in enumerate(parts):
            current = f"{current}/{part}"
            try:
                info = os.lstat(current)
            except (FileNotFoundError, NotADirectoryError):
                info = None
                break
            if _is_whiteout(info):
                return None
            if index < len(parts) - 1:
                if not stat.S_ISDIR(info.st_mode):
                    return None
                hidden = hidden or _opaque(current)
        if info is not None:
            return info
        if hidden:
            return None
    return None


def _merged_names(lower: Sequence[str], path: str) -> set[str]:
    names: set[str] = set()
    gone: set[str] = set()
    for root in lower:
        for entry in _entries(root + path):
            if _is_whiteout(entry.stat(follow_symlinks=False)):
                gone.add(entry.name)
            elif entry.name not in gone:
                names.add(entry.name)
        if _opaque(root + path):
            break
    return names


def usage(upper: Path) -> Usage:
    """Bytes and inodes of a tree; a file with several names counts once."""
    seen: set[int] = set()
    size = inodes = 0
    stack = [os.fspath(upper)]
    while stack:
        for entry in _entries(stack.pop()):
            try:
                info = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(info.st_mode):
                stack.append(entry.path)
            elif info.st_nlink > 1:
                if info.st_ino in seen:
                    continue
                seen.add(info.st_ino)
            inodes += 1
            if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
                size += info.st_size
    return Usage(size, inodes)
