"""Worker: pack a directory tree as a tar, for commit, export and the diff of a snapshot.

Runs with the tree as its root (``linux.worker`` jail) and writes to fd 1. Members are
sorted by name, so equal trees give equal tars.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Final

from pierhead.oci import layer, tar
from pierhead.oci.tar import Header
from pierhead.store.lower import OPAQUE
from pierhead.store.tarsource import write_all

_HIDDEN_XATTRS: Final = ("trusted.overlay.", "user.overlay.", "security.selinux")
_COPY_STEP: Final = 4 << 20
_SENT_BYTES: Final = 128 << 10
"""Files from this size on are sent by the kernel; smaller ones are collected."""


def pack_upper(epoch_s: int | None = None) -> dict[str, Any]:
    """Pack the overlay upper directory ``/`` as an OCI layer; whiteouts become ``.wh.`` files.

    No time is later than ``epoch_s`` (seconds). Returns ``tar_bytes``.
    """
    packer = Packer(1, whiteouts=True, epoch_s=epoch_s)
    packer.tree(b"/", b"")
    return {"tar_bytes": packer.close()}


def pack_tree() -> dict[str, Any]:
    """Pack ``/`` as it is, without whiteouts. Returns ``tar_bytes``."""
    packer = Packer(1, whiteouts=False)
    packer.tree(b"/", b"")
    return {"tar_bytes": packer.close()}


class Packer:
    """Writes members to a descriptor; small ones are collected into larger writes."""

    def __init__(self, fd: int, *, whiteouts: bool, epoch_s: int | None = None) -> None:
        self._latest_ns = None if epoch_s is None else epoch_s * 1_000_000_000
        self._fd = fd
        self._whiteouts = whiteouts
        self._links: dict[tuple[int, int], bytes] = {}
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self.written = 0

    def tree(self, root: bytes, prefix: bytes) -> None:
        """All that is below ``root``; names in the tar start with ``prefix``."""
        stack = [(root, prefix)]
        while stack:
            directory, name = stack.pop()
            children = self._directory(directory, name)
            stack.extend(reversed(children))

    def _directory(self, directory: bytes, prefix: bytes) -> list[tuple[bytes, bytes]]:
        children = []
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name = prefix + b"/" + entry.name if prefix else entry.name
            info = entry.stat(follow_symlinks=False)
            self.member(entry.path, name, info)
            if stat.S_ISDIR(info.st_mode):
                children.append((entry.path, name))
        return children

    def member(self, path: bytes, name: bytes, info: os.stat_result) -> None:
        """One file, with its data."""
        mode = info.st_mode
        if self._whiteouts and stat.S_ISCHR(mode) and info.st_rdev == 0:
            above, _, base = name.rpartition(b"/")
            self._empty(b"/".join(filter(None, (above, layer.WHITEOUT_PREFIX + base))))
            return
        header = Header(
            name=name,
            type=tar.REGULAR,
            mode=stat.S_IMODE(mode),
            uid=info.st_uid,
            gid=info.st_gid,
            mtime_ns=info.st_mtime_ns
            if self._latest_ns is None
            else min(info.st_mtime_ns, self._latest_ns),
        )
        if info.st_nlink > 1 and not stat.S_ISDIR(mode) and not stat.S_ISSOCK(mode):
            first = self._links.setdefault((info.st_dev, info.st_ino), name)
            if first != name:
                header.type, header.linkname = tar.HARDLINK, first
                self._put(tar.build_header(header))
                return
        if stat.S_ISREG(mode):
            header.xattrs = read_xattrs(path)
            self._file(path, header)
            return
        if stat.S_ISDIR(mode):
            header.type = tar.DIRECTORY
        elif stat.S_ISLNK(mode):
            header.type, header.linkname = tar.SYMLINK, os.readlink(path)
        elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            header.type = tar.CHARDEV if stat.S_ISCHR(mode) else tar.BLOCKDEV
            header.devmajor, header.devminor = os.major(info.st_rdev), os.minor(info.st_rdev)
        elif stat.S_ISFIFO(mode):
            header.type = tar.FIFO
        else:
            return  # sockets mean nothing in an image; Docker leaves them out too
        header.xattrs = read_xattrs(path)
        self._put(tar.build_header(header))
        if self._whiteouts and header.type == tar.DIRECTORY and is_opaque(path):
            self._empty(name + b"/" + layer.OPAQUE_MARK)

    def _empty(self, name: bytes) -> None:
        self._put(tar.build_header(Header(name=name, type=tar.REGULAR, mode=0o600)))

    def _file(self, path: bytes, header: Header) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return  # gone since it was listed: the tree may be in use
        try:
            header.size = os.fstat(fd).st_size
            self._put(tar.build_header(header))
            left = header.size
            if left >= _SENT_BYTES:
                left -= self._send(fd, left)
            while left:
                data = os.read(fd, min(left, _COPY_STEP))
                if not data:  # shrunk while we read: the header's promise must be kept
                    data = bytes(min(left, _COPY_STEP))
                left -= len(data)
                self._put(data)
            self._put(bytes(tar.padding(header.size)))
        finally:
            os.close(fd)

    def _send(self, fd: int, length: int) -> int:
        """Have the kernel copy ``length`` bytes (a pipe gets the pages); how many it did."""
        self._flush()
        sent = 0
        while sent < length:
            try:
                count = os.sendfile(self._fd, fd, sent, length - sent)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):
                    raise
                count = 0  # from or to something that can't
            if not count:
                os.lseek(fd, sent, os.SEEK_SET)
                break
            sent += count
        self.written += sent
        return sent

    def _put(self, data: bytes) -> None:
        if not data:
            return
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > 256 << 10:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._pending)
        write_all(self._fd, data)
        self.written += len(data)
        self._pending, self._pending_bytes = [], 0

    def close(self) -> int:
        """Write the end mark; return the tar's length."""
        self._put(bytes(2 * tar.BLOCK))
        self._flush()
        return self.written


def read_xattrs(path: bytes) -> dict[bytes, bytes]:
    """Extended attributes that belong to the content."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {
            os.fsencode(name): os.getxattr(path, name, follow_symlinks=False)
            for name in names
            if not name.startswith(_HIDDEN_XATTRS)
        }
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA, errno.ENOENT):
            return {}
        raise


def is_opaque(path: bytes) -> bool:
    """Whether overlayfs hides what is below this directory."""
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False
