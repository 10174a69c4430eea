"""Workers that see the image's files as "/": they write the tar of a COPY's or ADD's layer.

Contents come from packs (descriptors), or from a mounted tree (a directory's descriptor).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pierhead.build.files import collect, headers, modes, owners
from pierhead.build.files.collect import Part
from pierhead.build.files.disktree import DiskTree
from pierhead.build.files.entries import Entry
from pierhead.build.files.ingest import unpack_tar
from pierhead.build.files.layout import Layout, Member
from pierhead.build.files.tree import resolve
from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.tar import Header
from pierhead.store.compression import FdReader, detect, open_reader
from pierhead.store.tarsource import write_all

_BATCH: Final = 256 << 10
_STEP: Final = 1 << 30
_PIECES: Final = 1000
"""writev(2) takes 1,024 at a time."""
_ZEROS: Final = bytes(tar.BLOCK)
_ROOT: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_TYPES: Final = {
    stat.S_IFREG: tar.REGULAR,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHARDEV,
    stat.S_IFBLK: tar.BLOCKDEV,
    stat.S_IFIFO: tar.FIFO,
}


class Input(msgspec.Struct, array_like=True):
    """What one selection means: parts of packs, or paths of a mounted tree."""

    parts: list[Part] = []
    packs: dict[int, int] = {}
    """Pack number to descriptor."""
    root_fd: int = -1
    sources: list[str] = []


class Plan(msgspec.Struct, array_like=True):
    """A ``CopyRequest``, as far as the layer depends on it."""

    inputs: list[Input]
    destination: str
    chown: str = ""
    chmod: str = ""
    unpack: bool = False
    link: bool = False
    parents: bool = False
    exclude: list[str] = []
    keep_owner: bool = False
    epoch_s: int | None = None
    scratch_fd: int = -1
    """An empty file for what archives hold."""
    limit_bytes: int = 0
    classic: bool = False


encode_plan = msgspec.msgpack.Encoder().encode
_decode_plan = msgspec.msgpack.Decoder(Plan).decode


def layer(*, plan_fd: int) -> dict[str, Any]:
    """Write the layer's tar to fd 1. Returns ``members`` and ``bytes`` (of the tar)."""
    plan = _decode_plan(read_all(plan_fd))
    base = DiskTree(os.open("/", _ROOT))
    layout = Layout(
        None if plan.link else base,
        owner=owners.parse(plan.chown, None if plan.link else reader(base)),
        keep_owner=plan.keep_owner,
        chmod=modes.parse(plan.chmod),
        epoch_s=plan.epoch_s,
        classic=plan.classic,
    )
    contents = _place(plan, layout)
    return write_tar(layout.members(), contents)


def directory(*, path: str, epoch_s: int | None, uid: int, gid: int, owner: str) -> dict[str, Any]:
    """Write the layer that makes ``path`` to fd 1; ``members`` 0 and nothing if it is there.

    What is made has the mtime of the directory that it is made in.
    """
    base = DiskTree(os.open("/", _ROOT))
    target = resolve(base, path.encode("utf-8", "surrogateescape"))
    above = target
    while (there := base.lstat(above)) is None:
        above = above.rpartition(b"/")[0]
    layout = Layout(
        base,
        owner=owners.parse(owner, reader(base)) or ((uid, gid) if uid or gid else None),
        epoch_s=epoch_s,
        newest_ns=there.mtime_ns,
    )
    layout.mkdir(target)
    if layout.is_empty:
        return {"members": 0, "bytes": 0}
    return write_tar(layout.members(), [])


def reader(tree: DiskTree) -> owners.Lookup:
    """Reads a small file of the image, symlinks followed inside."""

    def read(path: str) -> bytes | None:
        place = resolve(tree, path.encode())
        entry = tree.lstat(place)
        if entry is None or not entry.is_file:
            return None
        fd = tree.open(place)
        try:
            return os.read(fd, owners.FILE_LIMIT)
        finally:
            os.close(fd)

    return read


def read_all(fd: int) -> bytes:
    """The whole of a memory file."""
    size = os.fstat(fd).st_size
    data = os.pread(fd, size, 0)
    while len(data) < size:
        data += os.pread(fd, size - len(data), len(data))
    return data


# Where contents are

Content = Callable[[Entry], tuple[int, int, bool]]
"""(descriptor, offset, whether to close it) of a file's bytes."""


def _packed(packs: dict[int, int]) -> Content:
    return lambda entry: (packs[entry.pack], entry.offset, False)


def mounted(tree: DiskTree) -> Content:
    return lambda entry: (tree.open(tree.paths[entry.offset]), 0, True)


def _place(plan: Plan, layout: Layout) -> list[Content]:
    contents: list[Content] = []
    scratch_end = 0
    room = plan.limit_bytes
    for given in plan.inputs:
        parts = given.parts
        if given.root_fd >= 0:
            tree = DiskTree(given.root_fd)
            parts = collect.collect(tree, given.sources, parents=plan.parents, exclude=plan.exclude)
            contents.append(mounted(tree))
        else:
            contents.append(_packed(given.packs))
        origin = len(contents) - 1
        for part in parts:
            if plan.unpack and not part.is_dir and part.entries[0].is_file:
                found = _archive(contents[origin], part.entries[0], plan, scratch_end, room)
                if found is not None:
                    entries, end = found
                    room -= end - scratch_end
                    scratch_end = end
                    contents.append(_packed({0: plan.scratch_fd}))
                    layout.add_archive(entries, plan.destination, len(contents) - 1)
                    continue
            layout.add(part, plan.destination, origin)
    return contents


def _archive(
    content: Content, entry: Entry, plan: Plan, base: int, room: int
) -> tuple[list[Entry], int] | None:
    """What the archive ``entry`` holds, its contents in the scratch file; ``None``: it is none.

    As Docker: whatever decompresses to something that begins with a tar header.
    """
    fd, offset, close = content(entry)
    try:
        if not _is_archive(fd, offset, entry.size):
            return None
        return unpack_tar(
            open_reader(_Extent(fd, offset, entry.size)),
            plan.scratch_fd,
            limit_bytes=room,
            base=base,
            what="archive",
            hashed=False,
        )
    finally:
        if close:
            os.close(fd)


def _is_archive(fd: int, offset: int, size: int) -> bool:
    source = _Extent(fd, offset, size)
    try:
        plain = open_reader(source, detect(source.peek(8)))
        block = b""
        while len(block) < tar.BLOCK:
            chunk = plain.read(tar.BLOCK - len(block))
            if not chunk:
                return False
            block += chunk
        if block == tar.ZERO_BLOCK:
            return False
        tar.parse_header(block)
    except (InvalidParameter, MemoryError):
        return False
    return True


class _Extent(FdReader):
    """Part of a file."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        super().__init__(fd)
        self._at = offset
        self._left = size
        self._file = fd

    def peek(self, size: int) -> bytes:
        return os.pread(self._file, min(size, self._left), self._at)

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._file, min(size, self._left), self._at)
        self._at += len(data)
        self._left -= len(data)
        return data


# The tar


def write_tar(
    members: list[Member], contents: list[Content], *, end: bool = True
) -> dict[str, Any]:
    """Write ``members`` to fd 1, sorted as they are. Names of one file become hard links."""
    out = _Out()
    first: dict[tuple[int, int], bytes] = {}
    for path, entry, origin in members:
        kind = _TYPES.get(stat.S_IFMT(entry.mode))
        if kind is None:
            continue
        header = Header(
            path or b".", kind, stat.S_IMODE(entry.mode), entry.uid, entry.gid, 0,
            max(entry.mtime_ns, 0), entry.link, *entry.device, dict(entry.xattrs),
        )  # fmt: skip
        if kind == tar.REGULAR and origin >= 0:
            if entry.inode:
                name = first.setdefault((origin, entry.inode), path)
                if name != path:
                    header.type, header.linkname, header.xattrs = tar.HARDLINK, name, {}
                    out.put(headers.build(header))
                    continue
            header.size = entry.size
            out.put(headers.build(header))
            if entry.size:
                out.copy(contents[origin](entry), entry.size)
        else:
            out.put(headers.build(header))
    return {"members": len(members), "bytes": out.close(end)}


class _Out:
    """Gathers small pieces; large ones go from file to pipe without passing through here."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._size = 0
        self._total = 0

    def put(self, data: bytes) -> None:
        if not data:
            return
        self._pending.append(data)
        self._size += len(data)
        if self._size >= _BATCH or len(self._pending) >= _PIECES:
            self.flush()

    def copy(self, content: tuple[int, int, bool], size: int) -> None:
        fd, offset, close = content
        try:
            if size <= _BATCH // 4:
                data = os.pread(fd, size, offset)
                if len(data) != size:
                    raise InvalidParameter("the source's content is cut short")
                self.put(data)
                self.put(_ZEROS[: tar.padding(size)])
                return
            self.flush()
            left = size
            while left:
                sent = os.sendfile(1, fd, offset, min(left, _STEP))
                if not sent:
                    raise InvalidParameter("the source's content is cut short")
                offset += sent
                left -= sent
            self._total += size
            self.put(_ZEROS[: tar.padding(size)])
        finally:
            if close:
                os.close(fd)

    def flush(self) -> None:
        if self._pending:
            written = os.writev(1, self._pending)
            if written < self._size:
                write_all(1, b"".join(self._pending)[written:])
            self._total += self._size
            self._pending, self._size = [], 0

    def close(self, end: bool) -> int:
        if end:
            self.put(bytes(2 * tar.BLOCK))
        self.flush()
        return self._total
