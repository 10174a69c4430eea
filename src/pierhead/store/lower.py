"""The layers below the one being unpacked, seen through directory descriptors.

Part of the unpacking worker: its root is the new layer, these descriptors lead outside of
it. So they are walked one component at a time, and no link is ever followed.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Final, cast

from pierhead.errors import InvalidParameter
from pierhead.oci import layer

OPAQUE: Final = "trusted.overlay.opaque"
_DROPPED_XATTRS: Final = (b"trusted.overlay.", b"user.overlay.")


class Lower:
    """Read-only view of the layers below, through their directory descriptors."""

    def __init__(self, fds: list[int]) -> None:
        self._fds = fds

    def _locate(self, path: bytes) -> tuple[int, bytes, os.stat_result] | None:
        """(open parent descriptor, base name, lstat) in the topmost layer that has ``path``."""
        parts = path.split(b"/")
        for fd in self._fds:
            found = self._walk(fd, parts)
            if found is None:
                continue
            if found == "hidden":
                return None
            return cast("tuple[int, bytes, os.stat_result]", found)
        return None

    def _walk(self, root: int, parts: list[bytes]) -> Any:
        """The place in one layer; "hidden" if this layer hides it from lower ones, else None."""
        current = os.dup(root)
        opaque = False
        try:
            for index, part in enumerate(parts):
                try:
                    info = os.stat(part, dir_fd=current, follow_symlinks=False)
                except FileNotFoundError:
                    return "hidden" if opaque else None
                if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                    return "hidden"
                if index == len(parts) - 1:
                    result = (current, part, info)
                    current = -1
                    return result
                if not stat.S_ISDIR(info.st_mode):
                    return "hidden"
                child = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
                os.close(current)
                current = child
                try:
                    opaque = opaque or os.getxattr(child, OPAQUE) == b"y"
                except OSError:
                    pass
            return None
        finally:
            if current >= 0:
                os.close(current)

    def exists(self, path: bytes) -> bool:
        return self.lstat(path) is not None

    def lstat(self, path: bytes) -> os.stat_result | None:
        found = self._locate(path)
        if found is None:
            return None
        os.close(found[0])
        return found[2]

    def readlink(self, path: bytes) -> bytes:
        found = self._locate(path)
        if found is None:
            return b""
        try:
            return os.readlink(found[1], dir_fd=found[0])
        finally:
            os.close(found[0])

    def xattrs(self, path: bytes) -> list[tuple[bytes, bytes]]:
        found = self._locate(path)
        if found is None:
            return []
        parent, base, _ = found
        fd = os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        try:
            return [(os.fsencode(name), os.getxattr(fd, name)) for name in os.listxattr(fd)]
        except OSError:
            return []
        finally:
            os.close(fd)
            os.close(parent)

    def open(self, path: bytes) -> int | None:
        """A descriptor of the regular file ``path``, for the caller to close."""
        found = self._locate(path)
        if found is None:
            return None
        parent, base, info = found
        try:
            if not stat.S_ISREG(info.st_mode):
                return None
            return os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)

    def copy_up(self, path: bytes, target: bytes) -> bool:
        """Copy the file (or symlink) ``path`` from below to ``target``; False if it isn't there."""
        found = self._locate(path)
        if found is None:
            return False
        parent, base, info = found
        try:
            if stat.S_ISLNK(info.st_mode):
                os.symlink(os.readlink(base, dir_fd=parent), target)
            elif stat.S_ISREG(info.st_mode):
                self._copy_file(parent, base, target)
            else:
                return False
            os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
            if stat.S_ISREG(info.st_mode):
                os.chmod(target, stat.S_IMODE(info.st_mode))
            for name, value in self.xattrs(path) if stat.S_ISREG(info.st_mode) else ():
                set_xattr(target, name, value)
            times = (info.st_mtime_ns, info.st_mtime_ns)
            os.utime(target, ns=times, follow_symlinks=False)
            return True
        finally:
            os.close(parent)

    def _copy_file(self, parent: int, base: bytes, target: bytes) -> None:
        source = os.open(base, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                while os.sendfile(fd, source, None, 1 << 30):
                    pass
            finally:
                os.close(fd)
        finally:
            os.close(source)


def set_xattr(path: bytes, name: bytes, value: bytes) -> None:
    """Set an attribute that a layer brings, as far as the file system takes it.

    overlayfs's own ones are dropped: they would make it look elsewhere.
    """
    if name.startswith(_DROPPED_XATTRS):
        return
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return  # e.g. user.* on a symlink, security.selinux without SELinux
        raise InvalidParameter(
            f"invalid layer: extended attribute {layer.show(name)} of {layer.show(path)} "
            f"can't be set: {error.strerror}"
        ) from error
    except ValueError as error:
        raise InvalidParameter(f"invalid layer: bad extended attribute: {error}") from error
