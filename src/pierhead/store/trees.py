"""Functions for jailed workers: how big file trees are, and copying one into another.

They work on directory descriptors and never follow a symlink, so a tree that is changed
meanwhile can mislead them about itself only. Imports are few: this runs in a worker
whose start is on somebody's way.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

_COPY_BYTES: Final = 1 << 30
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def disk_usage(roots: dict[str, str]) -> dict[str, int]:
    """Bytes in the files below each root (key → path), hard links counted once."""
    result = {}
    for key, path in roots.items():
        try:
            fd = os.open(path, _DIRECTORY)
        except OSError:
            continue
        result[key] = _usage(fd, os.fstat(fd).st_dev, set())
    return result


def _usage(fd: int, device: int, seen: set[int]) -> int:
    """Size of the tree at ``fd``, which is closed; other file systems are left out."""
    total = 0
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    info = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(info.st_mode):
                        child = os.open(entry.name, _DIRECTORY, dir_fd=fd)
                        if os.fstat(child).st_dev == device:
                            total += _usage(child, device, seen)
                        else:
                            os.close(child)
                        continue
                except OSError:
                    continue  # gone meanwhile
                if info.st_nlink > 1:
                    if info.st_ino in seen:
                        continue
                    seen.add(info.st_ino)
                total += info.st_size
    finally:
        os.close(fd)
    return total


def copy_tree(source_fd: int, target_fd: int) -> int:
    """Copy what is in one directory, and its own attributes, to another; returns the files.

    Owner, mode, times, xattrs, hard links, symlinks, devices and holes are kept. Both
    descriptors are inherited and closed.
    """
    count = _copy_children(source_fd, target_fd, {}, os.fstat(source_fd).st_dev)
    _copy_attributes(source_fd, target_fd)
    os.close(source_fd)
    os.close(target_fd)
    return count


def _copy_children(
    source: int, target: int, links: dict[tuple[int, int], str], device: int, base: str = ""
) -> int:
    count = 0
    for name in os.listdir(source):
        info = os.stat(name, dir_fd=source, follow_symlinks=False)
        here = f"{base}{name}"
        kind = stat.S_IFMT(info.st_mode)
        count += 1
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=target)
            child_source = os.open(name, _DIRECTORY, dir_fd=source)
            child_target = os.open(name, _DIRECTORY, dir_fd=target)
            try:
                count += _copy_children(child_source, child_target, links, device, here + "/")
                _copy_attributes(child_source, child_target)
            finally:
                os.close(child_source)
                os.close(child_target)
            continue
        key = (info.st_dev, info.st_ino)
        if info.st_nlink > 1 and key in links and _link(links[key], name, target, base):
            continue
        if kind == stat.S_IFREG:
            _copy_file(name, source, target)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, info.st_uid, info.st_gid, dir_fd=target, follow_symlinks=False)
            _set_times(info, name, target)
        else:
            os.mknod(name, info.st_mode, info.st_rdev, dir_fd=target)
            os.chown(name, info.st_uid, info.st_gid, dir_fd=target, follow_symlinks=False)
            os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=target)
            _set_times(info, name, target)
        if info.st_nlink > 1:
            links[key] = here
    return count


def _link(first: str, name: str, target: int, base: str) -> bool:
    """Hard-link ``name`` to the file copied first, a path from the top of the tree."""
    up = "../" * base.count("/")
    try:
        os.link(up + first, name, src_dir_fd=target, dst_dir_fd=target, follow_symlinks=False)
    except OSError:
        return False
    return True


def _set_times(info: os.stat_result, name: str, target: int) -> None:
    os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_file(name: str, source: int, target: int) -> None:
    reading = os.open(name, _FILE, dir_fd=source)
    try:
        writing = os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target
        )
        try:
            _copy_data(reading, writing, os.fstat(reading).st_size)
            _copy_attributes(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _copy_data(reading: int, writing: int, size: int) -> None:
    """Copy, leaving holes where the source has them."""
    os.ftruncate(writing, size)
    offset = 0
    while offset < size:
        try:
            start = os.lseek(reading, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                return
            raise
        end = os.lseek(reading, start, os.SEEK_HOLE)
        while start < end:
            os.lseek(writing, start, os.SEEK_SET)
            sent = os.sendfile(writing, reading, start, min(end - start, _COPY_BYTES))
            if sent == 0:
                return
            start += sent
        offset = end


def _copy_attributes(reading: int, writing: int) -> None:
    """Owner before mode: chown clears the set-id bits."""
    info = os.fstat(reading)
    os.fchown(writing, info.st_uid, info.st_gid)
    os.fchmod(writing, stat.S_IMODE(info.st_mode))
    for name in os.listxattr(reading):
        if name.startswith("trusted.overlay."):
            continue
        try:
            os.setxattr(writing, name, os.getxattr(reading, name))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.EINVAL):
                raise
    os.utime(writing, ns=(info.st_atime_ns, info.st_mtime_ns))
