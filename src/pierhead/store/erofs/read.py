"""Lists an image without mounting it: for explore, diff, tools and tests. Read-only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.store.erofs.format import (
    BLOCK,
    BLOCK_BITS,
    CHUNKED,
    DIRENT,
    DIRENT_HEAD,
    INLINE,
    INODE,
    INODE_HEAD,
    MAGIC,
    PLAIN,
    SLOT,
    SUPER,
    SUPER_OFFSET,
    XATTR_ENTRY,
    XATTR_HEAD,
    XATTR_PREFIXES,
    xattr_bytes,
)

_PREFIXES: Final = dict(XATTR_PREFIXES)
_TYPES: Final = {
    stat.S_IFREG: tar.REGULAR,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHARDEV,
    stat.S_IFBLK: tar.BLOCKDEV,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFIFO: tar.FIFO,
}
_WINDOW: Final = 64 << 10
_NAMES_LIMIT: Final = 8_000_000


class Entry(NamedTuple):
    """One name in a layer.

    ``path`` is relative, b"" for the root, in no encoding. ``type`` is as in tar:
    b"0" file, b"2" symlink, b"3"/b"4" character/block device, b"5" directory, b"6" FIFO.
    A whiteout is a character device with ``rdev`` 0. Names of one file share ``inode``.
    """

    path: bytes
    type: bytes
    mode: int
    """Permission bits, 12 of them."""
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: bytes
    """A symlink's target."""
    offset: int | None
    """Where a regular file's content starts in the image file; None if in several pieces."""
    inode: int
    nlink: int
    rdev: int
    opaque: bool
    """A directory that hides what layers below have at its path."""


class Image:
    """An image file, by descriptor (not closed here). ``InvalidParameter`` if damaged."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = os.fstat(fd).st_size
        self._at = 0
        self._window = b""
        head = os.pread(fd, SUPER.size, SUPER_OFFSET)
        if len(head) < SUPER.size:
            raise InvalidParameter("not an EROFS image: too short")
        fields = SUPER.unpack(head)
        magic, bits, root_nid = fields[0], fields[3], fields[5]
        if magic != MAGIC or bits != BLOCK_BITS:
            raise InvalidParameter("not an EROFS image of ours")
        self._meta = fields[10] * BLOCK
        self.root_nid: int = root_nid
        self.inodes: int = fields[6]

    def entries(self) -> Iterator[Entry]:
        """All names, parents before their children, siblings together and sorted."""
        root = self.entry(b"", self.root_nid)
        yield root
        pending = [root]
        seen = {self.root_nid}
        names = 0
        while pending:
            directory = pending.pop()
            below = []
            for name, nid in self.names(directory.inode):
                if name in (b".", b".."):
                    continue
                names += 1
                if names > _NAMES_LIMIT:
                    raise InvalidParameter("damaged EROFS image: too many names")
                path = directory.path + b"/" + name if directory.path else name
                entry = self.entry(path, nid)
                if entry.type == tar.DIRECTORY:
                    if nid in seen:
                        raise InvalidParameter("damaged EROFS image: a directory in itself")
                    seen.add(nid)
                    below.append(entry)
                yield entry
            pending += reversed(below)

    def entry(self, path: bytes, nid: int) -> Entry:
        """The inode ``nid`` as the entry ``path``."""
        at = self._meta + nid * SLOT
        head = INODE_HEAD.unpack(self._read(at, INODE))
        layout, count, mode, _, size, start, _, uid, gid, seconds, nanoseconds, nlink = head
        type_ = _TYPES.get(stat.S_IFMT(mode))
        if type_ is None or layout not in (PLAIN, INLINE, CHUNKED):
            raise InvalidParameter(f"damaged EROFS image: inode {nid} is of no known kind")
        offset = None
        if type_ == tar.REGULAR and layout != CHUNKED:
            offset = start * BLOCK if layout == PLAIN else at + INODE + xattr_bytes(count)
        link = self._content(nid) if type_ == tar.SYMLINK else b""
        opaque = False
        if type_ == tar.DIRECTORY and count:
            opaque = dict(self.xattrs(nid)).get(b"trusted.overlay.opaque") == b"y"
        is_device = type_ in (tar.CHARDEV, tar.BLOCKDEV)
        return Entry(
            path, type_, stat.S_IMODE(mode), uid, gid, size,
            seconds * 1_000_000_000 + nanoseconds, link, offset, nid, nlink,
            start if is_device else 0, opaque,
        )  # fmt: skip

    def names(self, nid: int) -> Iterator[tuple[bytes, int]]:
        """(name, nid) of what is in the directory ``nid``, ``.`` and ``..`` included."""
        content = self._content(nid)
        for begin in range(0, len(content), BLOCK):
            block = content[begin : begin + BLOCK]
            first = DIRENT_HEAD.unpack_from(block)[1] if len(block) >= DIRENT else 0
            if first < DIRENT or first % DIRENT or first > len(block):
                raise InvalidParameter(f"damaged EROFS image: directory {nid}")
            heads = [DIRENT_HEAD.unpack_from(block, at) for at in range(0, first, DIRENT)]
            ends = [*(head[1] for head in heads[1:]), len(block)]
            for (child, offset, _), end in zip(heads, ends, strict=True):
                name = block[offset:end].partition(b"\0")[0]
                if not name or b"/" in name:
                    raise InvalidParameter(f"damaged EROFS image: directory {nid}")
                yield name, child

    def xattrs(self, nid: int) -> list[tuple[bytes, bytes]]:
        """The attributes of the inode ``nid``."""
        at = self._meta + nid * SLOT
        count = INODE_HEAD.unpack(self._read(at, INODE))[1]
        body = self._read(at + INODE, xattr_bytes(count))
        found = []
        position = XATTR_HEAD
        while position < len(body):
            length, index, value_length = XATTR_ENTRY.unpack_from(body, position)
            position += XATTR_ENTRY.size
            name = _PREFIXES.get(index, b"") + body[position : position + length]
            position += length
            found.append((name, body[position : position + value_length]))
            position += value_length
            position += -position % 4
        return found

    def _content(self, nid: int) -> bytes:
        """What is in a directory or a symlink."""
        at = self._meta + nid * SLOT
        layout, count, mode, _, size, start, *_ = INODE_HEAD.unpack(self._read(at, INODE))
        if stat.S_IFMT(mode) not in (stat.S_IFDIR, stat.S_IFLNK) or size > 1 << 31:
            raise InvalidParameter(f"damaged EROFS image: inode {nid}")
        if layout == INLINE:
            return self._read(at + INODE + xattr_bytes(count), size)
        return self._read(start * BLOCK, size)

    def _read(self, at: int, size: int) -> bytes:
        begin = at - self._at
        if 0 <= begin and begin + size <= len(self._window):
            return self._window[begin : begin + size]
        if at + size > self._end:
            raise InvalidParameter("damaged EROFS image: it points behind its end")
        if size > _WINDOW:
            data = os.pread(self._fd, size, at)
        else:
            self._at = at
            self._window = os.pread(self._fd, _WINDOW, at)
            data = self._window[:size]
        if len(data) < size:
            raise InvalidParameter("damaged EROFS image: it ends too early")
        return data


def entries(fd: int) -> Iterator[Entry]:
    """All names of the image ``fd`` (a layer file), parents before their children.

    Raises ``InvalidParameter`` if it isn't such an image or is damaged.
    """
    return Image(fd).entries()
