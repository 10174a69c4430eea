"""Places to mount at in a step's file system, made where missing and taken away again.

No layer may have them: what the step found is what it leaves, times of directories
included. Making happens in the mounted snapshot before anything runs there; taking away
in its upper directory once it is no longer mounted, where whatever ran may have put
symlinks, so there every path is opened inside that directory only.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pierhead.engine.containers.destinations import resolve_destination
from pierhead.linux.paths import resolve_in_root

_OPAQUE: Final = "trusted.overlay.opaque"


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory that was there: as it was, and when it had got its new entry."""

    before: os.stat_result
    after_ns: int


class MountPoints:
    """Of one run in one root file system."""

    def __init__(self, rootfs: Path) -> None:
        self._rootfs = rootfs
        self._made: list[tuple[str, bool]] = []
        self._touched: dict[str, _Directory] = {}

    def make(self, target: str, *, directory: bool) -> str:
        """Have something to mount at; returns the path without symlinks.

        ``directory`` says what to make if nothing is there. ``InvalidParameter`` for a loop of
        links, ``OSError`` where a file is in the way.
        """
        resolved = resolve_destination(self._rootfs, target)
        if resolved == "/":
            return resolved
        parts = resolved.strip("/").split("/")
        if os.path.lexists(self._at(resolved)):
            return resolved
        for number in range(1, len(parts) + 1):
            path = "/" + "/".join(parts[:number])
            parent = "/" + "/".join(parts[: number - 1])
            if os.path.lexists(self._at(path)):
                continue
            self._remember(parts[: number - 1])
            is_directory = directory or number < len(parts)
            if is_directory:
                os.mkdir(self._at(path), 0o755)
                os.chmod(self._at(path), 0o755)
            else:
                os.close(os.open(self._at(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
            self._made.append((path, is_directory))
            known = self._touched.get(parent)
            if known is not None:
                after_ns = os.lstat(self._at(parent)).st_mtime_ns
                self._touched[parent] = _Directory(known.before, after_ns)
        return resolved

    def _at(self, path: str) -> str:
        return os.fspath(self._rootfs) + path

    def _remember(self, parts: list[str]) -> None:
        """Those above a new entry get into the upper directory with it."""
        made = {path for path, _ in self._made}
        for number in range(len(parts) + 1):
            path = "/" + "/".join(parts[:number])
            if path not in made and path not in self._touched:
                before = os.lstat(self._at(path))
                self._touched[path] = _Directory(before, before.st_mtime_ns)

    def undo(self, upper: Path) -> None:
        """Take away from ``upper``, mounted no more, what is still as it was made."""
        if not self._made:
            return
        root_fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path, is_directory in reversed(self._made):
                self._remove_made(root_fd, path, is_directory)
            for path in sorted(self._touched, key=_depth, reverse=True):
                self._restore(root_fd, path, self._touched[path])
        finally:
            os.close(root_fd)

    def _remove_made(self, root_fd: int, path: str, is_directory: bool) -> None:
        above, _, name = path.rpartition("/")
        with suppress(OSError):
            parent_fd = resolve_in_root(root_fd, above or "/", flags=os.O_RDONLY | os.O_DIRECTORY)
            try:
                before = os.fstat(parent_fd)
                if is_directory:
                    os.rmdir(name, dir_fd=parent_fd)
                else:
                    info = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
                    if not stat.S_ISREG(info.st_mode) or info.st_size:
                        return
                    os.unlink(name, dir_fd=parent_fd)
                os.utime(parent_fd, ns=(before.st_atime_ns, before.st_mtime_ns))
            finally:
                os.close(parent_fd)

    def _restore(self, root_fd: int, path: str, known: _Directory) -> None:
        """A directory from below: its old time, and out of the upper one if nothing is in it."""
        try:
            fd = resolve_in_root(root_fd, path, flags=os.O_RDONLY | os.O_DIRECTORY, follow=False)
        except OSError:
            return
        try:
            info = os.fstat(fd)
            if info.st_mtime_ns != known.after_ns:
                return  # the step itself has changed it
            os.utime(fd, ns=(info.st_atime_ns, known.before.st_mtime_ns))
            same = (info.st_mode, info.st_uid, info.st_gid) == (
                known.before.st_mode, known.before.st_uid, known.before.st_gid
            )  # fmt: skip
            if path == "/" or not same or _opaque(fd) or os.listdir(fd):
                return
        finally:
            os.close(fd)
        above, _, name = path.rpartition("/")
        with suppress(OSError):
            parent_fd = resolve_in_root(root_fd, above or "/", flags=os.O_RDONLY | os.O_DIRECTORY)
            try:
                before = os.fstat(parent_fd)
                os.rmdir(name, dir_fd=parent_fd)
                os.utime(parent_fd, ns=(before.st_atime_ns, before.st_mtime_ns))
            finally:
                os.close(parent_fd)


def _depth(path: str) -> int:
    return len([part for part in path.split("/") if part])


def _opaque(fd: int) -> bool:
    """Whether it hides what is below it: then it is not the one from below."""
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise
