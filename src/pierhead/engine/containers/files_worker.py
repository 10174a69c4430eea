"""Worker: a container's files seen from inside, read as a tar or filled from one.

Each function first enters the container's view: the root of a running container (through
``/proc/<pid>/root``, with all that is mounted there), or for a stopped one its mounted
snapshot with volumes and binds put over it in this worker's own mount namespace. Then
it is confined there; a symlink can lead nowhere else, and ``..`` ends at the root.

Rules for names are Docker's (``docker cp`` depends on them): a final ``/`` or ``/.`` in
a request is kept and means the directory that a symlink leads to.
"""

from __future__ import annotations

import errno
import json
import os
import posixpath
import stat
from pathlib import Path
from typing import Any, Final

from pierhead.engine.containers.file_paths import (
    STAT_HEAD_BYTES,
    base_name,
    locate,
    not_found,
    stat_path,
)
from pierhead.engine.containers.users import lookup_user, read_account_files
from pierhead.errors import Forbidden, InvalidParameter
from pierhead.linux import syscalls as sc
from pierhead.linux.paths import make_mount_point, resolve_in_root
from pierhead.oci import tar
from pierhead.oci.tar import Header
from pierhead.store.compression import FdReader, detect, open_reader
from pierhead.store.lower import set_xattr
from pierhead.store.pack import Packer
from pierhead.store.tarsource import write_all
from pierhead.store.tarstream import TarReader
from pierhead.store.unpack import remove_tree

_PATH: Final = os.O_PATH | os.O_CLOEXEC
_DIRECTORY: Final = _PATH | os.O_DIRECTORY
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


# -- entering ------------------------------------------------------------------------------


def enter(root: str, mounts: list[dict[str, Any]]) -> int:
    """Confine this process to the view; returns a descriptor of its root.

    ``mounts``: ``source``, ``target`` (in the container), ``read_only``, ``recursive``.
    """
    sc.unshare(sc.CLONE_NEWNS)
    sc.mount(None, "/", None, sc.MS_REC | sc.MS_PRIVATE)
    root_fd = os.open(root, _DIRECTORY)
    for mount in mounts:
        _bind(root_fd, **mount)
    os.close(root_fd)
    os.chdir(root)
    os.chroot(".")
    os.chdir("/")
    sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
    sc.keep_capabilities(sc.UNPACK_CAPABILITIES)
    os.umask(0)
    return os.open("/", _DIRECTORY)


def _bind(root: int, source: str, target: str, read_only: bool, recursive: bool) -> None:
    is_directory = os.path.isdir(source)
    fd = make_mount_point(root, target, is_directory=is_directory)
    try:
        place = f"/proc/self/fd/{fd}"
        sc.mount(source, place, None, sc.MS_BIND | (sc.MS_REC if recursive else 0))
    finally:
        os.close(fd)
    if read_only:
        fd = resolve_in_root(root, target, flags=_PATH)
        try:
            sc.mount(
                None,
                f"/proc/self/fd/{fd}",
                None,
                sc.MS_BIND | sc.MS_REMOUNT | sc.MS_RDONLY,
            )
        finally:
            os.close(fd)


# -- reading -------------------------------------------------------------------------------


def stat_only(*, root: str, mounts: list[dict[str, Any]], path: str, name: str) -> dict[str, Any]:
    """``stat_path`` in a view. Raises ``NotFound``."""
    try:
        return stat_path(enter(root, mounts), path)
    except OSError as error:
        raise not_found(error, path, name) from error


def archive(*, root: str, mounts: list[dict[str, Any]], path: str, name: str) -> None:
    """Write the stat and then the tar of ``path`` to fd 1. Raises ``NotFound``.

    Members begin with the requested path's last part; a symlink is a symlink, unless the
    path ends in ``/`` or ``/.``.
    """
    root_fd = enter(root, mounts)
    try:
        found = stat_path(root_fd, path)
        fd = locate(root_fd, path)
    except OSError as error:
        raise not_found(error, path, name) from error
    head = json.dumps(found).encode()
    write_all(1, len(head).to_bytes(STAT_HEAD_BYTES, "big") + head)
    info = os.fstat(fd)
    base = os.fsencode(base_name(path))
    packer = LivePacker(1, whiteouts=False)
    if stat.S_ISDIR(info.st_mode):
        os.fchdir(fd)
        packer.member(b".", base, info)
        packer.tree(b".", base if base != b"/" else b"")
    else:
        parent = resolve_in_root(root_fd, path.rpartition("/")[0] or "/", flags=_DIRECTORY)
        os.fchdir(parent)
        packer.member(base, base, info)
    packer.close()


class LivePacker(Packer):
    """Packs a tree that may change meanwhile: what goes is left out."""

    def _directory(self, directory: bytes, prefix: bytes) -> list[tuple[bytes, bytes]]:
        children = []
        try:
            with os.scandir(directory) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        for entry in found:
            name = prefix + b"/" + entry.name  # with the prefix "" of the root: "/bin"
            try:
                info = entry.stat(follow_symlinks=False)
                self.member(entry.path, name, info)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(info.st_mode):
                children.append((entry.path, name))
        return children


def export() -> None:
    """Write a tar of ``/`` to fd 1; runs with the root file system as its jail."""
    packer = ExportPacker(1, whiteouts=False)
    packer.tree(b".", b"")
    packer.close()


class ExportPacker(LivePacker):
    """Names relative to the root, as images have them."""

    def member(self, path: bytes, name: bytes, info: os.stat_result) -> None:
        super().member(path, name.lstrip(b"/"), info)


# -- writing -------------------------------------------------------------------------------


def extract(
    *,
    root: str,
    mounts: list[dict[str, Any]],
    path: str,
    name: str,
    read_only_rootfs: bool,
    no_overwrite_dir_non_dir: bool,
    owner: str | None,
) -> None:
    """Unpack the tar on fd 0, compressed or not, into the directory ``path``.

    ``owner``: everything gets this user of the container (name, id, with group), None for
    what the tar says. Raises ``NotFound``, ``InvalidParameter``, ``Forbidden``.
    """
    # Before we are inside: there need not be a /proc there, through which they are opened.
    accounts = read_account_files(Path(root)) if owner is not None else ("", "")
    root_fd = enter(root, mounts)
    try:
        fd = resolve_in_root(root_fd, path, flags=_PATH)
    except OSError as error:
        raise not_found(error, path, name) from error
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        raise InvalidParameter("extraction point is not a directory")
    _check_writable(fd, root_fd, read_only_rootfs)
    ids: tuple[int, int] | None = None
    if owner is not None:
        found = lookup_user(owner, *accounts)
        ids = (found.uid, found.gid)
    os.fchdir(fd)
    source = FdReader(0)
    reader = TarReader(open_reader(source, detect(source.peek(8))))
    extractor = Extractor(ids, strict=no_overwrite_dir_non_dir)
    for header in reader:
        try:
            extractor.add(header, reader)
        except OSError as error:
            if error.errno == errno.EROFS:  # further down, below another mount
                raise Forbidden("mounted volume is marked read-only") from error
            if error.errno in _FULL:
                raise
            raise InvalidParameter(f"cannot unpack {_show(header.name)}: {error.strerror}") from (
                error
            )
    extractor.finish()


def _check_writable(fd: int, root_fd: int, read_only_rootfs: bool) -> None:
    """Raises ``Forbidden`` in Docker's words for what is mounted read-only."""
    in_rootfs = os.fstat(fd).st_dev == os.fstat(root_fd).st_dev
    if _is_read_only(fd) and not (in_rootfs and _is_read_only(root_fd)):
        raise Forbidden("mounted volume is marked read-only")
    if in_rootfs and (read_only_rootfs or _is_read_only(root_fd)):
        raise Forbidden("container rootfs is marked read-only")


def _is_read_only(fd: int) -> bool:
    return bool(os.fstatvfs(fd).f_flag & os.ST_RDONLY)


class Extractor:
    """Writes members below the working directory, by moby's rules for ``docker cp``."""

    def __init__(self, owner: tuple[int, int] | None, *, strict: bool) -> None:
        """``strict``: a directory is not replaced by a file nor a file by a directory."""
        self._owner = owner
        self._strict = strict
        self._directory_times: list[tuple[bytes, int]] = []

    def add(self, header: Header, reader: TarReader) -> None:
        """One member. Raises ``InvalidParameter``, ``OSError``."""
        path = inside(header.name)
        if path == b".":
            return
        self._make_parents(path)
        self._clear(path, header)
        kind = header.type
        if kind == tar.DIRECTORY:
            if not os.path.isdir(path) or os.path.islink(path):
                os.mkdir(path, 0o700)
            self._directory_times.append((path, header.mtime_ns))
        elif kind in (tar.REGULAR, tar.GNU_SPARSE):
            self._file(path, header, reader)
        elif kind == tar.HARDLINK:
            os.link(inside(header.linkname), path, follow_symlinks=False)
            return
        elif kind == tar.SYMLINK:
            os.symlink(header.linkname, path)
        elif kind in (tar.CHARDEV, tar.BLOCKDEV):
            type_ = stat.S_IFCHR if kind == tar.CHARDEV else stat.S_IFBLK
            os.mknod(path, type_ | 0o600, os.makedev(header.devmajor, header.devminor))
        elif kind == tar.FIFO:
            os.mkfifo(path, 0o600)
        else:
            raise InvalidParameter(f"invalid tar: {_show(path)} has an unknown type")
        self._attributes(path, header)

    def finish(self) -> None:
        """Times of directories last: whatever is made in one changes them."""
        for path, mtime_ns in reversed(self._directory_times):
            try:
                os.utime(path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)
            except OSError:
                continue

    def _make_parents(self, path: bytes) -> None:
        parent = os.path.dirname(path)
        if parent and not os.path.isdir(parent):
            os.makedirs(parent, mode=0o755, exist_ok=True)

    def _clear(self, path: bytes, header: Header) -> None:
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return
        is_directory = stat.S_ISDIR(mode)
        wants_directory = header.type == tar.DIRECTORY
        if is_directory and wants_directory:
            return
        if self._strict and is_directory != wants_directory:
            old, new = (
                ("directory", "non-directory")
                if is_directory
                else (
                    "non-directory",
                    "directory",
                )
            )
            raise InvalidParameter(
                f'cannot overwrite {old} "{_show(path)}" with {new} "{_show(path)}"'
            )
        if is_directory:
            remove_tree(path)
        else:
            os.unlink(path)

    def _file(self, path: bytes, header: Header, reader: TarReader) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            if header.sparse is None:
                for chunk in reader.data():
                    write_all(fd, chunk)
                return
            for offset, length in header.sparse:
                os.lseek(fd, offset, os.SEEK_SET)
                while length:
                    piece = reader.read_data(min(length, 64 << 10))
                    write_all(fd, piece)
                    length -= len(piece)
            os.ftruncate(fd, header.real_size)
        finally:
            os.close(fd)

    def _attributes(self, path: bytes, header: Header) -> None:
        """Owner before mode: chown clears the set-id bits."""
        uid, gid = self._owner or (header.uid, header.gid)
        try:
            os.chown(path, uid, gid, follow_symlinks=False)
            if header.type != tar.SYMLINK:
                os.chmod(path, header.mode)
            for key, value in header.xattrs.items():
                set_xattr(path, key, value)
            if header.type != tar.DIRECTORY:
                times = (header.mtime_ns, header.mtime_ns)
                os.utime(path, ns=times, follow_symlinks=False)
        except (OverflowError, ValueError) as error:
            raise InvalidParameter(
                f"invalid tar: {_show(path)} has an impossible owner, mode or time"
            ) from error


def inside(name: bytes) -> bytes:
    """A member's name relative to the extraction point; raises when it would leave that."""
    cleaned = posixpath.normpath(name.lstrip(b"/") or b".")
    if cleaned == b".." or cleaned.startswith(b"../"):
        raise InvalidParameter(f'invalid tar: "{_show(name)}" is outside of the target directory')
    if b"\0" in cleaned:
        raise InvalidParameter("invalid tar: a name with a NUL")
    return cleaned


def _show(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
