"""What a layer's members add up to: the rules of layers, applied to a tree in memory.

The same rules as ``store.unpack`` has for a directory on disk:

- ``.wh.x`` becomes overlayfs's whiteout (character device 0:0) if a layer below has ``x``.
  ``.wh..wh..opq`` makes the directory opaque. Both speak of the layers below only, wherever
  they stand in the tar.
- A parent directory that the tar doesn't list takes owner, mode and times from below;
  where it is a symlink below, the member goes where the link points.
- A hard link to a file of a layer below brings a copy of that file.
- Of several members of one name the last one counts; directories keep their content.

Inodes are packed as they come: a file costs 64 bytes and its name. A name's value in
``Directory.children`` is a ``Directory`` or a number: ``slot << 4 | odd << 3 | file type``,
where ``slot`` counts 32 bytes in ``Tree.plain`` or, if ``odd``, in ``Tree.odd``.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable
from typing import Final, Protocol

from pierhead.errors import InvalidParameter
from pierhead.oci import layer, tar
from pierhead.oci.tar import Header
from pierhead.store.erofs import attributes, sparse
from pierhead.store.erofs.format import (
    BLOCK,
    BLOCKS_LIMIT,
    CHUNKED,
    FT_BLOCK,
    FT_CHAR,
    FT_FIFO,
    FT_FILE,
    FT_SYMLINK,
    INLINE,
    INODE,
    INODE_HEAD,
    PLAIN,
    SLOT,
    device_number,
    xattr_body,
    xattr_bytes,
    xattr_count,
)

LINKS_LIMIT: Final = 40
NAME_LIMIT: Final = 255
SIZE_LIMIT: Final = (16 << 40) - 4096
"""As large as a file can be on ext4; only a sparse one gets there."""
STEPS_LIMIT: Final = 30_000_000
_CACHE_BYTES: Final = 8 << 20
_ODD_LIMIT: Final = 512 << 20
_ODD_PLENTY: Final = 16 << 20
"""Path components looked at in all: names made to be slow get no further."""
_ID_LIMIT: Final = 0xFFFFFFFF
_TIME_LIMIT: Final = 1 << 63
_OFFSET_LIMIT: Final = BLOCKS_LIMIT * BLOCK - (1 << 20)
_NO_NAMES: Final = frozenset((b"", b".", b".."))
_WORDS: Final = struct.Struct("<HHHHQ")

_DEVICES: Final = {
    tar.CHARDEV: (stat.S_IFCHR, FT_CHAR),
    tar.BLOCKDEV: (stat.S_IFBLK, FT_BLOCK),
    tar.FIFO: (stat.S_IFIFO, FT_FIFO),
}


class Below(Protocol):
    """The layers below, as far as they are known. Paths are relative and without links."""

    def exists(self, path: bytes) -> bool: ...

    def find(self, path: bytes) -> Found | None:
        """What is at ``path``, if it's a directory, a file or a symlink."""
        ...

    def copy(self, path: bytes) -> int:
        """Bring the content of the file ``path`` up; the block where it starts then."""
        ...


class Found:
    """A file, directory or symlink of a layer below."""

    __slots__ = ("gid", "link", "mode", "mtime_ns", "size", "uid", "xattrs")

    def __init__(
        self, mode: int, uid: int, gid: int, mtime_ns: int, size: int,
        xattrs: list[tuple[bytes, bytes]], link: bytes,
    ) -> None:  # fmt: skip
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime_ns = mtime_ns
        self.size = size
        self.xattrs = xattrs
        self.link = link


class Directory:
    """A directory. What isn't set here belongs to ``index``."""

    nid: int
    names: list[bytes]
    cuts: list[int] | None
    start: int
    size: int
    parent: Directory

    __slots__ = (
        "children", "cuts", "gid", "length", "mode", "mtime_ns", "names", "nid", "opaque",
        "parent", "size", "start", "uid", "xattrs",
    )  # fmt: skip

    def __init__(
        self, length: int, mtime_ns: int, mode: int = 0o755, uid: int = 0, gid: int = 0
    ) -> None:
        self.children: dict[bytes, Directory | int] = {}
        self.length = length  # of its path
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime_ns = mtime_ns
        self.xattrs: dict[bytes, bytes] | None = None
        self.opaque = False


class Tree:
    """Takes members in the order of the tar. Raises ``InvalidParameter`` for impossible ones.

    Without ``below`` nothing is assumed to stand below, and ``needs_below`` tells whether
    that made a difference; unless ``lowest`` says that it is so.
    """

    def __init__(
        self, *, tar_offset: int, entries_limit: int, below: Below | None = None,
        lowest: bool = False,
    ) -> None:  # fmt: skip
        self.root = Directory(0, 0)
        self.plain = bytearray()
        """Inodes of files and devices without anything behind them, 64 bytes each."""
        self.odd = bytearray()
        """Inodes with attributes, a link's target or a chunk map behind them. The writer puts
        it at a block's start, so that positions in here tell where blocks end."""
        self.odd_count = 0
        self.targets: dict[int, bytes] = {}
        """Link targets too long to stand in their inode's block, by the number of the inode."""
        self.pieces: list[sparse.Piece] = []
        """Content of sparse files that has to be copied."""
        self.chunked = False
        """There are sparse files."""
        self.multiple: set[int] = set()
        """Inodes with more than one name, maybe."""
        self.needs_below = False
        self.entries = 0
        self.size_bytes = 0
        self._below = below
        self._lowest = lowest
        self._shift = tar_offset
        self._limit = entries_limit
        self._steps = 0
        self._parents = {b"": (self.root, b"")}
        """Where a path leads to: the directory and its real path."""
        self._whiteout = -1
        self._links_below: set[bytes] = set()
        self._cached_bytes = 0
        self._sparse_pieces = 0

    # Members

    def add_plain(
        self, name: bytes, kind: bytes, mode: int, uid: int, gid: int, size: int, seconds: int,
        link: bytes, offset: int,
    ) -> None:  # fmt: skip
        """A file, directory or symlink without extensions: see ``scan.Plain``."""
        if name[:2] == b"./":
            name = name[2:]
        if kind == b"5" and name[-1:] == b"/":
            name = name[:-1]
        directory, _, base = name.rpartition(b"/")
        known = self._parents.get(directory)
        if (
            known is not None
            and base not in known[0].children
            and base[:4] != b".wh."
            and base not in _NO_NAMES
            and known[0].length + len(base) < layer.PATH_LIMIT
            and len(base) <= NAME_LIMIT
            and 0 <= uid < _ID_LIMIT
            and 0 <= gid < _ID_LIMIT
            and self.entries < self._limit
            and -_TIME_LIMIT <= seconds < _TIME_LIMIT
            and offset < _OFFSET_LIMIT
            and not self._links_below
        ):
            # Nearly always: a new name in a known directory, and nothing odd about it.
            parent = known[0]
            if kind == b"0":
                self.entries += 1
                self.size_bytes += size
                plain = self.plain
                parent.children[base] = len(plain) >> 1 | FT_FILE
                plain += INODE_HEAD.pack(
                    PLAIN, 0, 0o100000 | mode, 0, size, offset + self._shift >> 9, 0,
                    uid, gid, seconds, 0, 1,
                )  # fmt: skip
                return
            if kind == b"5":
                self.entries += 1
                parent.children[base] = made = Directory(
                    parent.length + 1 + len(base) if parent.length else len(base),
                    seconds * 1_000_000_000, mode, uid, gid,
                )  # fmt: skip
                place = known[1]
                self._remember(name, made, place + b"/" + base if place else base)
                return
            if 0 < len(link) <= BLOCK - INODE:
                self.entries += 1
                self.size_bytes += len(link)  # as Docker counts
                head = INODE_HEAD.pack(
                    INLINE, 0, 0o120777, 0, len(link), 0, 0, uid, gid, seconds, 0, 1
                )
                parent.children[base] = self._place(head + link, FT_SYMLINK)
                return
        name = layer.clean_name(name)
        directory, _, base = name.rpartition(b"/")
        header = Header(name, kind, mode, uid, gid, size, seconds * 1_000_000_000, link)
        header.real_size = size
        self._add(header, name, directory, base, offset)

    def add(self, header: Header, offset: int) -> None:
        """Any member; ``offset`` is where its content starts in the tar."""
        name = layer.clean_name(header.name)
        directory, _, base = name.rpartition(b"/")
        self._add(header, name, directory, base, offset)

    def _add(self, header: Header, name: bytes, directory: bytes, base: bytes, offset: int) -> None:
        self._count()
        kind = header.type
        if not name:
            if kind != tar.DIRECTORY:
                raise InvalidParameter("invalid layer: the root is not a directory")
            self._describe(self.root, name, header)
            return
        if base[:4] == layer.WHITEOUT_PREFIX:
            self._add_whiteout(directory, base, header.mtime_ns)
            return
        parent, place = self._parent(directory, header.mtime_ns)
        path = place + b"/" + base if place else base
        if len(base) > NAME_LIMIT or len(path) > layer.PATH_LIMIT:
            raise _too_long(name)
        if kind == tar.HARDLINK:
            self._add_link(parent, path, base, header)
            return
        old = parent.children.get(base)
        if kind == tar.DIRECTORY:
            if type(old) is not Directory:
                new = Directory(len(path), 0)
                new.opaque = old is not None and old == self._whiteout
                self._put(parent, base, new)
                old = new
            self._describe(old, path, header)
            return
        self._put(parent, base, self._inode(path, header, offset))

    def _count(self) -> None:
        self.entries += 1
        if self.entries > self._limit:
            raise InvalidParameter(f"invalid layer: more than {self._limit} entries")

    def _put(self, parent: Directory, base: bytes, child: Directory | int) -> None:
        """Make ``child`` what ``base`` names; what had the name before is gone."""
        old = parent.children.get(base)
        parent.children[base] = child
        if old is None:
            if self._links_below:
                self._forget()  # ways through links below may end here now
                self._links_below.clear()
        elif type(old) is not int or old & 7 == FT_SYMLINK:
            self._forget()

    def _forget(self) -> None:
        """Paths resolved before may lead elsewhere now."""
        self._parents = {b"": (self.root, b"")}
        self._cached_bytes = 0

    def _describe(self, directory: Directory, path: bytes, header: Header) -> None:
        _check_owner(path, header.uid, header.gid)
        _check_time(path, header.mtime_ns)
        directory.mode = header.mode
        directory.uid = header.uid
        directory.gid = header.gid
        directory.mtime_ns = header.mtime_ns
        if header.xattrs:
            self._set_attributes(directory, path, header.xattrs.items())

    def _set_attributes(
        self, directory: Directory, path: bytes, xattrs: Iterable[tuple[bytes, bytes]]
    ) -> None:
        mode, kept = attributes.settle(path, stat.S_IFDIR | directory.mode, xattrs)
        directory.mode = stat.S_IMODE(mode)
        if kept:
            directory.xattrs = (directory.xattrs or {}) | dict(kept)
            xattr_body(directory.xattrs.items())  # refuses too many

    # Inodes

    def _inode(self, path: bytes, header: Header, offset: int) -> int:
        kind = header.type
        if kind == tar.REGULAR or kind == tar.GNU_SPARSE:
            if header.sparse is not None:
                return self._sparse(path, header, offset)
            self.size_bytes += header.real_size
            start = offset + self._shift >> 9
            return self._write(path, header, stat.S_IFREG, FT_FILE, header.real_size, start)
        if kind == tar.SYMLINK:
            if not header.linkname:
                raise InvalidParameter(f"invalid layer: {layer.show(path)} links to nothing")
            self.size_bytes += len(header.linkname)  # as Docker counts
            return self._symlink(path, header)
        if kind in _DEVICES:
            type_, file_type = _DEVICES[kind]
            try:
                rdev = device_number(header.devmajor, header.devminor)
            except ValueError as error:
                raise InvalidParameter(f"invalid layer: {layer.show(path)}: {error}") from error
            return self._write(path, header, type_, file_type, 0, 0 if kind == tar.FIFO else rdev)
        raise InvalidParameter(
            f"invalid layer: {layer.show(path)} has the unknown type {layer.show(kind)}"
        )

    def _write(
        self, path: bytes, header: Header, type_: int, file_type: int, size: int, start: int
    ) -> int:
        """An inode with nothing behind it but attributes."""
        head, body = self._head(path, header, type_, PLAIN, size, start)
        if not body:
            self.plain += head
            return (len(self.plain) - INODE) // SLOT << 4 | file_type
        return self._place(head + body, file_type)

    def _head(
        self, path: bytes, header: Header, type_: int, format_: int, size: int, start: int
    ) -> tuple[bytes, bytes]:
        """(inode, attributes)."""
        _check_owner(path, header.uid, header.gid)
        _check_time(path, header.mtime_ns)
        mode = type_ | (0o777 if type_ == stat.S_IFLNK else header.mode)
        body = b""
        if header.xattrs:
            mode, kept = attributes.settle(path, mode, header.xattrs.items())
            body = xattr_body(kept)
        if start > BLOCKS_LIMIT:
            raise InvalidParameter("invalid layer: more than 2 TiB")
        seconds, nanoseconds = divmod(header.mtime_ns, 1_000_000_000)
        head = INODE_HEAD.pack(
            format_, xattr_count(body), mode, 0, size, start, 0, header.uid, header.gid,
            seconds, nanoseconds, 1,
        )  # fmt: skip
        return head, body

    def _place(self, data: bytes, file_type: int) -> int:
        """Put an inode with what follows it into ``odd``, not across a block if it fits in one."""
        odd = self.odd
        if len(odd) > _ODD_LIMIT:
            raise InvalidParameter("invalid layer: its attributes and links take too much room")
        room = -len(odd) % BLOCK
        if len(data) > room and len(data) <= BLOCK:
            odd += bytes(room)
        self.odd_count += 1
        slot = len(odd) // SLOT
        odd += data
        odd += bytes(-len(data) % SLOT)
        return slot << 4 | 8 | file_type

    def _symlink(self, path: bytes, header: Header) -> int:
        target = header.linkname
        if len(target) > layer.PATH_LIMIT:
            raise _too_long(target)
        head, body = self._head(path, header, stat.S_IFLNK, INLINE, len(target), 0)
        if INODE + len(body) + len(target) <= BLOCK:
            return self._place(head + body + target, FT_SYMLINK)
        ref = self._place(bytes((PLAIN,)) + head[1:] + body, FT_SYMLINK)
        self.targets[ref] = target
        return ref

    def _target(self, ref: int) -> bytes:
        """Where a symlink of this layer points."""
        long = self.targets.get(ref)
        if long is not None:
            return long
        at = (ref >> 4) * SLOT
        _, count, _, _, size = _WORDS.unpack_from(self.odd, at)
        at += INODE + xattr_bytes(count)
        return bytes(self.odd[at : at + size])

    def _sparse(self, path: bytes, header: Header, offset: int) -> int:
        if header.real_size > SIZE_LIMIT:
            raise InvalidParameter(
                f"invalid layer: {layer.show(path)} has {header.real_size} bytes, too large"
            )
        self.size_bytes += header.size
        pieces = [piece for piece in header.sparse or () if piece[1]]
        self._sparse_pieces += len(pieces)
        if self._sparse_pieces > tar.SPARSE_ENTRIES_LIMIT:
            raise InvalidParameter("invalid layer: its sparse files have too many pieces")
        bits = sparse.chunk_bits(
            header.real_size, len(pieces), generous=len(self.odd) < _ODD_PLENTY
        )
        chunks, copies = sparse.chunk_map(pieces, header.real_size, bits, offset + self._shift)
        head, body = self._head(path, header, stat.S_IFREG, CHUNKED, header.real_size, bits - 9)
        ref = self._place(head + body + chunks, FT_FILE)
        at = (ref >> 4) * SLOT + INODE + len(body)
        self.chunked = True
        self.pieces += [piece._replace(entry=at + 4 * piece.entry) for piece in copies]
        return ref

    # Hard links and whiteouts

    def _add_link(self, parent: Directory, path: bytes, base: bytes, header: Header) -> None:
        target = layer.clean_name(header.linkname)
        directory, _, target_base = target.rpartition(b"/")
        source_parent, place = self._parent(directory, header.mtime_ns)
        source = place + b"/" + target_base if place else target_base
        if source == path:
            return
        ref = source_parent.children.get(target_base)
        if source.startswith(path + b"/"):
            raise InvalidParameter(
                f"invalid layer: hard link {layer.show(path)} would take the place of a "
                f"directory that holds {layer.show(target)}"
            )
        if ref is None:
            ref = self._bring_up(source, path)
            if ref is None:
                return
            self._put(source_parent, target_base, ref)
        elif type(ref) is Directory or ref == self._whiteout:
            raise InvalidParameter(
                f"invalid layer: hard link {layer.show(path)} to {layer.show(target)}, "
                "which is no file"
            )
        assert type(ref) is int
        self.multiple.add(ref)
        if parent.children.get(base) != ref:
            self._put(parent, base, ref)

    def _bring_up(self, source: bytes, path: bytes) -> int | None:
        """A copy of a file from below, for a hard link; None if what is below isn't known."""
        self.needs_below = True
        if self._below is None and not self._lowest:
            return None
        found = self._below.find(source) if source and self._below is not None else None
        if found is None or stat.S_ISDIR(found.mode):
            raise InvalidParameter(
                f"invalid layer: hard link {layer.show(path)} to {layer.show(source)}, "
                "which does not exist"
            )
        self._count()
        header = Header(
            source, tar.REGULAR, stat.S_IMODE(found.mode), found.uid, found.gid,
            mtime_ns=found.mtime_ns, linkname=found.link, xattrs=dict(found.xattrs),
        )  # fmt: skip
        if stat.S_ISLNK(found.mode):
            return self._symlink(source, header)
        assert self._below is not None
        start = self._below.copy(source)
        return self._write(source, header, stat.S_IFREG, FT_FILE, found.size, start)

    def _add_whiteout(self, directory: bytes, base: bytes, mtime_ns: int) -> None:
        if base == layer.OPAQUE_MARK:
            self._parent(directory, mtime_ns)[0].opaque = True
            return
        if base.startswith(layer.META_PREFIX):
            return
        target = layer.whiteout_target(base)
        if target is None:
            return
        parent, place = self._parent(directory, mtime_ns)
        old = parent.children.get(target)
        if type(old) is Directory:
            old.opaque = True  # the new one stays and hides what was below
        elif old is None:
            self.needs_below = True
            path = place + b"/" + target if place else target
            if self._below is None or not self._below.exists(path):
                return
            if self._whiteout < 0:
                header = Header(b"", tar.CHARDEV, mtime_ns=0)
                self._whiteout = self._write(path, header, stat.S_IFCHR, FT_CHAR, 0, 0)
                self.multiple.add(self._whiteout)
            parent.children[target] = self._whiteout

    # Parents

    def _parent(self, asked: bytes, mtime_ns: int) -> tuple[Directory, bytes]:
        """The directory that ``asked`` leads to and its real path; made if need be."""
        return self._parents.get(asked) or self._resolve(asked, mtime_ns)

    def _resolve(self, asked: bytes, mtime_ns: int) -> tuple[Directory, bytes]:
        above, _, base = asked.rpartition(b"/")
        known = self._parents.get(above)
        if known is not None:
            current, place = known
            pending = [base]
        else:
            current, place = self.root, b""
            pending = asked.split(b"/")[::-1]
        links = 0
        while pending:
            self._steps += 1
            if self._steps > STEPS_LIMIT:
                raise InvalidParameter("invalid layer: its names take too long to resolve")
            part = pending.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":  # stops at the root, as for a process that lives in there
                place = place.rpartition(b"/")[0]
                current = self._walk(place)
                continue
            path = place + b"/" + part if place else part
            child = current.children.get(part)
            if type(child) is Directory:
                current, place = child, path
                continue
            target = self._link_at(path, child)
            if target is None:
                current = self._make(current, part, path, child, mtime_ns)
                place = path
                continue
            links += 1
            if links > LINKS_LIMIT:
                raise InvalidParameter(f"invalid layer: too many links in {layer.show(asked)}")
            if target.startswith(b"/"):
                current, place = self.root, b""
            pending.extend(target.split(b"/")[::-1])
        self._remember(asked, current, place)
        return current, place

    def _remember(self, asked: bytes, directory: Directory, place: bytes) -> None:
        self._cached_bytes += len(asked) + len(place)
        if self._cached_bytes > _CACHE_BYTES:
            self._forget()
            self._cached_bytes = len(asked) + len(place)
        self._parents[asked] = (directory, place)

    def _walk(self, place: bytes) -> Directory:
        """The directory at a real path that was just there."""
        current = self.root
        for part in place.split(b"/") if place else ():
            self._steps += 1
            child = current.children[part]
            assert type(child) is Directory
            current = child
        return current

    def _link_at(self, path: bytes, child: Directory | int | None) -> bytes | None:
        """The target if ``path`` is a symlink, in this layer or (hidden by none here) below."""
        if child is None:
            self.needs_below = True
            found = self._below.find(path) if self._below is not None else None
            if found is None or not stat.S_ISLNK(found.mode):
                return None
            self._links_below.add(path)
            return found.link
        assert type(child) is int
        return self._target(child) if child & 7 == FT_SYMLINK else None

    def _make(
        self, parent: Directory, name: bytes, path: bytes, old: Directory | int | None,
        mtime_ns: int,
    ) -> Directory:  # fmt: skip
        """A directory that no member listed (yet)."""
        self._count()
        if len(name) > NAME_LIMIT or len(path) > layer.PATH_LIMIT:
            raise _too_long(path)
        _check_time(path, mtime_ns)
        made = Directory(len(path), mtime_ns)
        found = self._below.find(path) if old is None and self._below is not None else None
        if found is not None and stat.S_ISDIR(found.mode):
            made.mode = stat.S_IMODE(found.mode)
            made.uid = found.uid
            made.gid = found.gid
            made.mtime_ns = found.mtime_ns
            self._set_attributes(made, path, found.xattrs)
        made.opaque = old is not None and old == self._whiteout
        parent.children[name] = made  # a whiteout of ours, or as with Docker a file, gives way
        return made


def _too_long(name: bytes) -> InvalidParameter:
    return InvalidParameter(f"invalid layer: File name too long: {layer.show(name)}")


def _check_owner(path: bytes, uid: int, gid: int) -> None:
    if not (0 <= uid < _ID_LIMIT and 0 <= gid < _ID_LIMIT):
        raise InvalidParameter(
            f"invalid layer: {layer.show(path)} has an impossible owner {uid}:{gid}"
        )


def _check_time(path: bytes, mtime_ns: int) -> None:
    if not -_TIME_LIMIT <= mtime_ns // 1_000_000_000 < _TIME_LIMIT:
        raise InvalidParameter(f"invalid layer: {layer.show(path)} has an impossible time")
