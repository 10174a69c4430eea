"""Worker: unpack one layer tar into the directory that is this process's root.

Runs in a jail (``linux.worker``): chrooted into the new layer's directory, in a mount
namespace of its own, without most capabilities. Besides the tar it is given directory
descriptors of the layers below, topmost first, which it walks one component at a time
without following links; so nothing outside of the layer can be reached by any name.

What a layer means beyond a plain tar:

- ``.wh.x`` becomes overlayfs's whiteout (character device 0:0); one that hides nothing
  below is dropped, since overlayfs would show it. ``.wh..wh..opq`` makes the directory
  opaque. Both speak of the layers below only, wherever they stand in the tar.
- A parent directory that the tar doesn't list takes owner, mode and times from below;
  where it is a symlink below, the member goes where the link points.
- A hard link to a file of a layer below brings a copy of that file up first.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Final

from pierhead.errors import InvalidParameter
from pierhead.oci import layer, tar
from pierhead.oci.tar import Header
from pierhead.store.lower import OPAQUE, Lower, set_xattr
from pierhead.store.tarsource import Source, write_all
from pierhead.store.tarstream import TarReader

ENTRIES_LIMIT: Final = 4_000_000
LINKS_LIMIT: Final = 40
_READ_STEP: Final = 64 << 10


def unpack(
    *,
    lower_fds: list[int],
    keep_fd: int | None = None,
    limit_bytes: int | None = None,
    entries_limit: int = ENTRIES_LIMIT,
) -> dict[str, Any]:
    """Unpack the tar on fd 0, compressed or not, into ``/``.

    ``keep_fd``: where to keep the tar (as it came if it is compressed, else as zstd).
    ``limit_bytes``: content beyond it is refused. Returns ``diff_id``, ``tar_bytes``,
    ``size_bytes`` (content), ``entries``, ``keep_format``. Raises ``InvalidParameter``
    for whatever is wrong with the tar.
    """
    source = Source(0, keep_fd, limit_bytes)
    unpacker = Unpacker(lower_fds, limit_bytes=limit_bytes, entries_limit=entries_limit)
    try:
        reader = TarReader(source)
        for header in reader:
            unpacker.add(header, reader)
        unpacker.finish()
        source.finish()
    except MemoryError as error:
        raise InvalidParameter("invalid layer: unpacking it takes too much memory") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
            raise
        raise InvalidParameter(f"invalid layer: {error.strerror}: {_where(error)}") from error
    finally:
        source.close()
    return {
        "diff_id": source.diff_id,
        "tar_bytes": source.tar_bytes,
        "size_bytes": unpacker.size_bytes,
        "entries": unpacker.entries,
        "keep_format": source.keep_format,
    }


def _where(error: OSError) -> str:
    name = error.filename
    return layer.show(name if isinstance(name, bytes) else str(name or "").encode())


class Unpacker:
    """Applies members to the file system under ``/`` of this process."""

    def __init__(
        self, lower_fds: list[int], *, limit_bytes: int | None = None,
        entries_limit: int = ENTRIES_LIMIT, root: bytes = b"/",
    ) -> None:  # fmt: skip
        self._root = root
        self._lower = Lower(lower_fds)
        self._limit = limit_bytes
        self._entries_limit = entries_limit
        self.entries = 0
        self.size_bytes = 0
        self._parents: dict[bytes, bytes] = {b"": b""}  # asked → real path, both relative
        self._dir_times: dict[bytes, int] = {}
        self._whiteouts: set[bytes] = set()
        os.umask(0)

    def add(self, header: Header, reader: TarReader) -> None:
        """Apply one member."""
        self.entries += 1
        if self.entries > self._entries_limit:
            raise InvalidParameter(f"invalid layer: more than {self._entries_limit} entries")
        name = layer.clean_name(header.name)
        if not name:
            if header.type != tar.DIRECTORY:
                raise InvalidParameter("invalid layer: the root is not a directory")
            self._metadata(b"", header)
            return
        directory, _, base = name.rpartition(b"/")
        if base.startswith(layer.WHITEOUT_PREFIX):
            self._whiteout(directory, base)
            return
        parent = self._parent(directory)
        path = parent + b"/" + base if parent else base
        kind = header.type
        if kind == tar.HARDLINK:
            self._hardlink(path, header)
            return
        was_whiteout = path in self._whiteouts
        if self._clear(path, keep_directory=kind == tar.DIRECTORY):
            self._make(path, header, reader)
        if was_whiteout:
            self._whiteouts.discard(path)
            if kind == tar.DIRECTORY:
                os.setxattr(self._at(path), OPAQUE, b"y", follow_symlinks=False)
        self._metadata(path, header)

    def finish(self) -> None:
        """Directory times last: whatever is created in one changes them."""
        for path, mtime_ns in self._dir_times.items():
            try:
                os.utime(self._at(path), ns=(mtime_ns, mtime_ns), follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue

    def _at(self, path: bytes) -> bytes:
        return self._root + path

    def _clear(self, path: bytes, *, keep_directory: bool) -> bool:
        """Make room for a new file; False if the directory that is there may stay."""
        full = self._at(path)
        try:
            mode = os.lstat(full).st_mode
        except FileNotFoundError:
            return True
        if stat.S_ISDIR(mode):
            if keep_directory:
                return False
            remove_tree(full)
            prefix = path + b"/"
            for known in [known for known in self._dir_times if known.startswith(prefix)]:
                del self._dir_times[known]
            self._dir_times.pop(path, None)
        else:
            os.unlink(full)
        if len(self._parents) > 1:
            self._parents = {b"": b""}
        return True

    def _make(self, path: bytes, header: Header, reader: TarReader) -> None:
        full = self._at(path)
        kind = header.type
        if kind == tar.REGULAR or kind == tar.GNU_SPARSE:
            self._file(full, header, reader)
        elif kind == tar.DIRECTORY:
            os.mkdir(full, 0o755)
        elif kind == tar.SYMLINK:
            if not header.linkname:
                raise InvalidParameter(f"invalid layer: {layer.show(path)} links to nothing")
            os.symlink(header.linkname, full)
            self.size_bytes += len(header.linkname)  # as Docker counts
        elif kind == tar.CHARDEV or kind == tar.BLOCKDEV:
            type_ = stat.S_IFCHR if kind == tar.CHARDEV else stat.S_IFBLK
            device = os.makedev(header.devmajor & 0xFFFFFFFF, header.devminor & 0xFFFFFFFF)
            os.mknod(full, type_ | 0o600, device)
        elif kind == tar.FIFO:
            os.mkfifo(full, 0o600)
        else:
            raise InvalidParameter(
                f"invalid layer: {layer.show(path)} has the unknown type {layer.show(kind)}"
            )

    def _file(self, full: bytes, header: Header, reader: TarReader) -> None:
        fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            self.size_bytes += header.real_size if header.sparse is None else header.size
            if header.sparse is None:
                for chunk in reader.data():
                    write_all(fd, chunk)
                return
            for offset, length in header.sparse:
                os.lseek(fd, offset, os.SEEK_SET)
                while length:
                    piece = reader.read_data(min(length, _READ_STEP))
                    write_all(fd, piece)
                    length -= len(piece)
            os.ftruncate(fd, header.real_size)
        finally:
            os.close(fd)

    def _metadata(self, path: bytes, header: Header) -> None:
        """Owner before mode (chown takes setuid away), attributes after both, times last."""
        full = self._at(path)
        kind = header.type
        try:
            os.chown(full, header.uid, header.gid, follow_symlinks=False)
        except (OverflowError, ValueError) as error:
            raise InvalidParameter(
                f"invalid layer: {layer.show(path)} has an impossible owner "
                f"{header.uid}:{header.gid}"
            ) from error
        if kind != tar.SYMLINK:
            os.chmod(full, header.mode)
        for name, value in header.xattrs.items():
            set_xattr(full, name, value)
        if kind == tar.DIRECTORY:
            self._dir_times.pop(path, None)
            self._dir_times[path] = header.mtime_ns
        else:
            try:
                os.utime(full, ns=(header.mtime_ns, header.mtime_ns), follow_symlinks=False)
            except OverflowError as error:
                raise InvalidParameter(
                    f"invalid layer: {layer.show(path)} has an impossible time"
                ) from error

    def _hardlink(self, path: bytes, header: Header) -> None:
        target = layer.clean_name(header.linkname)
        directory, _, base = target.rpartition(b"/")
        parent = self._parent(directory)
        source = parent + b"/" + base if parent else base
        if source == path:
            return
        try:
            is_there = not stat.S_ISDIR(os.lstat(self._at(source)).st_mode)
            if not is_there or source in self._whiteouts:
                raise InvalidParameter(
                    f"invalid layer: hard link {layer.show(path)} to {layer.show(target)}, "
                    "which is no file"
                )
        except (FileNotFoundError, NotADirectoryError):
            if not base or not self._lower.copy_up(source, self._at(source)):
                raise InvalidParameter(
                    f"invalid layer: hard link {layer.show(path)} to {layer.show(target)}, "
                    "which does not exist"
                ) from None
        self._clear(path, keep_directory=False)
        self._whiteouts.discard(path)
        os.link(self._at(source), self._at(path), follow_symlinks=False)

    def _whiteout(self, directory: bytes, base: bytes) -> None:
        if base == layer.OPAQUE_MARK:
            parent = self._parent(directory)
            os.setxattr(self._at(parent), OPAQUE, b"y", follow_symlinks=False)
            return
        if base.startswith(layer.META_PREFIX):
            return
        target = layer.whiteout_target(base)
        if target is None:
            return
        parent = self._parent(directory)
        path = parent + b"/" + target if parent else target
        full = self._at(path)
        try:
            mode = os.lstat(full).st_mode
        except FileNotFoundError:
            if self._lower.exists(path):
                os.mknod(full, stat.S_IFCHR, 0)
                self._whiteouts.add(path)
            return
        # This layer already brought a new one: it stays and hides what was below.
        if stat.S_ISDIR(mode):
            os.setxattr(full, OPAQUE, b"y", follow_symlinks=False)

    def _parent(self, asked: bytes) -> bytes:
        """The real directory for ``asked`` (relative), made if need be; links are resolved here.

        No component is ever left to the kernel to follow.
        """
        known = self._parents.get(asked)
        if known is not None:
            return known
        above, _, base = asked.rpartition(b"/")
        start = self._parents.get(above)
        if start is None:
            current, pending = b"", asked.split(b"/")[::-1]
        else:
            current, pending = start, [base]
        links = 0
        while pending:
            part = pending.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":  # stops at the root, as for a process that lives in there
                current = current.rpartition(b"/")[0]
                continue
            path = current + b"/" + part if current else part
            target = self._directory(path)
            if target is None:
                current = path
                continue
            links += 1
            if links > LINKS_LIMIT:
                raise InvalidParameter(f"invalid layer: too many links in {layer.show(asked)}")
            if target.startswith(b"/"):
                current = b""
            pending.extend(target.split(b"/")[::-1])
        self._parents[asked] = current
        return current

    def _directory(self, path: bytes) -> bytes | None:
        """Make sure that ``path``, whose parent is real, is a directory; or tell where it links."""
        full = self._at(path)
        hidden = path in self._whiteouts
        try:
            mode: int | None = os.lstat(full).st_mode
        except FileNotFoundError:
            mode = None
        if mode is not None and stat.S_ISDIR(mode):
            return None
        if mode is not None and stat.S_ISLNK(mode):
            return os.readlink(full)
        below = self._lower.lstat(path) if mode is None else None
        if below is not None and stat.S_ISLNK(below.st_mode):
            return self._lower.readlink(path)
        if mode is not None:
            os.unlink(full)  # a whiteout of ours, or as with Docker a file that gives way
            self._whiteouts.discard(path)
        os.mkdir(full, 0o755)
        if hidden:
            os.setxattr(full, OPAQUE, b"y", follow_symlinks=False)
        if below is not None and stat.S_ISDIR(below.st_mode):
            os.chown(full, below.st_uid, below.st_gid)
            os.chmod(full, stat.S_IMODE(below.st_mode))
            for name, value in self._lower.xattrs(path):
                set_xattr(full, name, value)
            self._dir_times[path] = below.st_mtime_ns
        return None


def remove_tree(path: bytes) -> None:
    """Remove a directory with all in it, without recursion in Python's stack and without links."""
    for directory, names, files, fd in os.fwalk(path, topdown=False, follow_symlinks=False):
        del directory
        for name in files:
            os.unlink(name, dir_fd=fd)
        for name in names:
            try:
                os.rmdir(name, dir_fd=fd)
            except NotADirectoryError:
                os.unlink(name, dir_fd=fd)
    os.rmdir(path)
