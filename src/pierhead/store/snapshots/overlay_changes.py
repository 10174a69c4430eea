"""What an overlay upper directory changed against the layers below it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from pierhead.store.snapshots import Change, ChangeKind, Usage


def changes(upper: Path, lower: Sequence[Path]) -> list[Change]:
    """Compare ``upper`` with ``lower`` (topmost first); sorted by path.

    By Docker's rules: a directory that was only copied up on the way to a changed file is
    listed if it gained or lost an entry, not otherwise.
    """
    found: dict[str, ChangeKind] = {}
    _walk(os.fspath(upper), "", [os.fspath(path) for path in lower], found)
    return sorted(Change(path, kind) for path, kind in found.items())


def _walk(upper: str, path: str, lower: list[str], found: dict[str, ChangeKind]) -> None:
    stack = [(path, lower)]
    while stack:
        path, below = stack.pop()
        if path and _opaque(upper + path):
            for name in _merged_names(below, path):
                if not os.path.lexists(f"{upper}{path}/{name}"):
                    _note_deleted(f"{path}/{name}", found)
        for entry in os.scandir(upper + path):
            child = f"{path}/{entry.name}"
            info = entry.stat(follow_symlinks=False)
            before = _lstat(below, child)
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                if before is not None:
                    _note_deleted(child, found)
                continue
            if before is None:
                found[child] = ChangeKind.ADDED
                _note_parent(child, found)
            elif not (
                stat.S_ISDIR(info.st_mode)
                and stat.S_ISDIR(before.st_mode)
                and _same_directory(info, before)
                and not _opaque(upper + child)
            ):
                found.setdefault(child, ChangeKind.MODIFIED)
            if stat.S_ISDIR(info.st_mode):
                lowers = below if before is not None and stat.S_ISDIR(before.st_mode) else []
                stack.append((child, lowers))


def _same_directory(one: os.stat_result, other: os.stat_result) -> bool:
    return (
        one.st_mode == other.st_mode
        and one.st_uid == other.st_uid
        and one.st_gid == other.st_gid
        and one.st_mtime_ns == other.st_mtime_ns
    )


def _note_deleted(path: str, found: dict[str, ChangeKind]) -> None:
    found[path] = ChangeKind.DELETED
    _note_parent(path, found)


def _note_parent(path: str, found: dict[str, ChangeKind]) -> None:
    parent = path.rpartition("/")[0]
    if parent:
        found.setdefault(parent, ChangeKind.MODIFIED)


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
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
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
        try:
            entries = list(os.scandir(root + path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
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
        try:
            entries = list(os.scandir(stack.pop()))
        except FileNotFoundError:
            continue
        for entry in entries:
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
            if stat.S_ISREG(info.st_mode):
                size += info.st_size
    return Usage(size, inodes)
