"""A tree as bytes: inodes and directories behind the tar, and the superblock over them.

::

    index start     (nid 0 stays unused) the root, then the other directories' inodes
    ...             directories too large for the block of their inode
    ...             ``Tree.odd``: links, inodes with attributes or chunk maps
    ...             ``Tree.plain``: all other inodes, as they came
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pierhead.errors import InvalidParameter
from pierhead.store.erofs.format import (
    BLOCK,
    DIRENT,
    FT_DIR,
    INCOMPAT_CHUNKED_FILE,
    INLINE,
    INODE,
    INODE_HEAD,
    NLINK_OFFSET,
    PLAIN,
    ROOT_NID,
    SLOT,
    START_OFFSET,
    SUPER,
    SUPER_OFFSET,
    dirents,
    superblock,
    xattr_body,
    xattr_count,
)
from pierhead.store.erofs.tree import Directory, Tree

TAR_OFFSET: Final = 4096
PAGE: Final = 4096
COPIES_LIMIT: Final = 16 << 30
"""How far content behind the tar may reach; mostly holes if it is that much."""
_OPAQUE: Final = (b"trusted.overlay.opaque", b"y")
_WRITE: Final = 1 << 20
_READ: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Written:
    """What ``write`` made."""

    index_digest: str
    """SHA-256 (hex) of the file's first 4,096 bytes and the SHA-256 (bytes) of all that
    stands behind the tar."""
    file_bytes: int


class Copies:
    """Content behind the tar. ``end`` is where the next goes (and the index, finally)."""

    def __init__(self, fd: int, tar_bytes: int, take: Callable[[int], None]) -> None:
        """``take`` is told of every byte that is going to be written; it may refuse."""
        self._fd = fd
        self.take = take
        self.start = TAR_OFFSET + tar_bytes
        self.end = _up(self.start, PAGE)
        self._limit = self.end + COPIES_LIMIT

    def reserve(self, length: int) -> int:
        """Room for ``length`` bytes, holes yet; the block where it starts."""
        start = self.end
        self.end += _up(length, PAGE)
        if self.end > self._limit:
            raise InvalidParameter("invalid layer: too much content has to be copied")
        return start // BLOCK

    def move(self, source: int, target: int, length: int) -> None:
        """Copy within the file; offsets in bytes."""
        self.take(length)
        while length:
            data = os.pread(self._fd, min(length, _READ), source)
            if not data:
                raise InvalidParameter("invalid layer: content beyond the end of the tar")
            write_at(self._fd, data, target)
            source += len(data)
            target += len(data)
            length -= len(data)

    def bring(self, source_fd: int, length: int) -> int:
        """Copy ``length`` bytes of another file here; the block where they start."""
        self.take(length)
        start = self.reserve(length)
        at = start * BLOCK
        while length:
            data = os.read(source_fd, min(length, _READ))
            if not data:
                raise InvalidParameter("invalid layer: a file below is shorter than it says")
            write_at(self._fd, data, at)
            at += len(data)
            length -= len(data)
        return start


def write(fd: int, tree: Tree, copies: Copies, *, uuid_seed: bytes) -> Written:
    """Write the index of ``tree`` behind the tar and the copies, then the superblock.

    ``uuid_seed`` and the index name the image: no two different ones have the same UUID.
    """
    _place_pieces(tree, copies)
    first = copies.end
    layout = _Layout(tree, first // BLOCK)
    end = _up(first + layout.length, PAGE)
    copies.take(layout.length)
    hasher = _hash_range(fd, copies.start, first)
    at = first
    pending = bytearray()
    for part in (*layout.parts(), bytes(end - first - layout.length)):
        pending += part
        if len(pending) >= _WRITE:
            hasher.update(pending)
            write_at(fd, pending, at)
            at += len(pending)
            pending = bytearray()
    hasher.update(pending)
    write_at(fd, pending, at)
    os.ftruncate(fd, end)
    head = bytearray(TAR_OFFSET)
    head[SUPER_OFFSET : SUPER_OFFSET + SUPER.size] = superblock(
        inodes=layout.inodes,
        blocks=end // BLOCK,
        meta_block=first // BLOCK,
        uuid=hashlib.sha256(uuid_seed + hasher.digest()).digest()[:16],
        incompat=INCOMPAT_CHUNKED_FILE if tree.chunked else 0,
    )
    write_at(fd, head, 0)
    return Written(hashlib.sha256(head + hasher.digest()).hexdigest(), end)


def digest(fd: int, tar_bytes: int) -> str:
    """``Written.index_digest`` of what the file holds now."""
    behind = _hash_range(fd, TAR_OFFSET + tar_bytes, os.fstat(fd).st_size)
    return hashlib.sha256(os.pread(fd, TAR_OFFSET, 0) + behind.digest()).hexdigest()


def _hash_range(fd: int, start: int, end: int) -> hashlib._Hash:
    hasher = hashlib.sha256()
    while start < end:
        data = os.pread(fd, min(_READ, end - start), start)
        data = data or bytes(min(_READ, end - start))  # not written yet: zeros
        hasher.update(data)
        start += len(data)
    return hasher


def write_at(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """pwrite(2) until all of ``data`` is written."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        offset += done
        view = view[done:]


def _place_pieces(tree: Tree, copies: Copies) -> None:
    """Put together the chunks of sparse files that can't be pointed at."""
    chunks: dict[int, int] = {}
    for entry, bits, within, source, length in tree.pieces:
        start = chunks.get(entry)
        if start is None:
            start = chunks[entry] = copies.reserve(1 << bits)
            tree.odd[entry : entry + 4] = start.to_bytes(4, "little")
        copies.move(source, start * BLOCK + within, length)


class _Layout:
    """Where everything goes: made once all directories are known, then written in order."""

    def __init__(self, tree: Tree, first_block: int) -> None:
        self._tree = tree
        self._first_block = first_block
        self._directories = _reachable(tree.root)
        self._bodies: dict[int, bytes] = {}
        inodes_end, blocks = self._place_directories()
        self._blocks_at = _up(inodes_end, BLOCK)
        self._targets_at = self._blocks_at + blocks * BLOCK
        self._odd_at = self._targets_at + sum(_up(len(t), BLOCK) for t in tree.targets.values())
        self._plain_at = self._odd_at + _up(len(tree.odd), BLOCK)
        self.length = self._plain_at + len(tree.plain)
        self._bases = (self._plain_at // SLOT, self._odd_at // SLOT)
        self.inodes = len(self._directories) + len(tree.plain) // INODE + tree.odd_count

    def _place_directories(self) -> tuple[int, int]:
        """Give each directory its nid and its blocks; the end of the inodes, the blocks' count."""
        at = ROOT_NID * SLOT
        blocks = 0
        bodies = self._bodies
        for number, directory in enumerate(self._directories):
            names = sorted([*directory.children, b".", b".."])
            directory.names = names
            used = DIRENT * len(names) + sum(map(len, names))
            need = INODE
            if directory.xattrs or directory.opaque:
                xattrs = dict(directory.xattrs or ())
                if directory.opaque:
                    xattrs[_OPAQUE[0]] = _OPAQUE[1]
                body = bodies[number] = xattr_body(xattrs.items())
                need += len(body)
            inline = need + used <= BLOCK and (number > 0 or at + need + used <= BLOCK)
            if inline:
                need += used
                directory.size = used
                directory.cuts = None
                directory.start = -1
            else:
                directory.cuts, last = _cut(names, used)
                directory.start = blocks
                directory.size = (len(directory.cuts) - 1) * BLOCK + last
                blocks += len(directory.cuts)
            if number > 0 and need <= BLOCK < at % BLOCK + need:
                at = _up(at, BLOCK)
            directory.nid = at // SLOT
            at = _up(at + need, SLOT)
        return at, blocks

    def parts(self) -> Iterator[bytes | bytearray]:
        """The index from its first byte to its last."""
        tree = self._tree
        blocks = bytearray()
        counts = dict.fromkeys(tree.multiple, 0)
        at = 0
        for number, directory in enumerate(self._directories):
            start = directory.nid * SLOT
            inode, stored = self._directory(number, directory, counts)
            yield bytes(start - at) + inode
            at = start + len(inode)
            blocks += stored
        yield bytes(self._blocks_at - at)
        yield blocks
        del blocks
        for ref, count in counts.items():
            region = tree.odd if ref & 8 else tree.plain
            offset = (ref >> 4) * SLOT + NLINK_OFFSET
            region[offset : offset + 4] = max(1, count).to_bytes(4, "little")
        target_block = self._first_block + self._targets_at // BLOCK
        for ref, target in tree.targets.items():
            offset = (ref >> 4) * SLOT + START_OFFSET
            tree.odd[offset : offset + 4] = target_block.to_bytes(4, "little")
            padded = target + bytes(-len(target) % BLOCK)
            target_block += len(padded) // BLOCK
            yield padded
        yield tree.odd
        yield bytes(self._plain_at - self._odd_at - len(tree.odd))
        yield tree.plain

    def _directory(
        self, number: int, directory: Directory, counts: dict[int, int]
    ) -> tuple[bytes, bytes]:
        """(inode with what stands behind it, blocks of its own)."""
        bases = self._bases
        children = directory.children
        nids: list[int] = []
        types: list[int] = []
        links = 2
        for name in directory.names:
            child = children.get(name)
            if type(child) is int:
                nids.append(bases[child >> 3 & 1] + (child >> 4))
                types.append(child & 7)
                if child in counts:
                    counts[child] += 1
                continue
            types.append(FT_DIR)
            if child is not None:
                assert type(child) is Directory
                nids.append(child.nid)
                links += 1
            else:
                nids.append(directory.nid if name == b"." else directory.parent.nid)
        body = self._bodies.pop(number, b"")
        seconds, nanoseconds = divmod(directory.mtime_ns, 1_000_000_000)
        inline = directory.cuts is None
        start = 0 if inline else self._first_block + self._blocks_at // BLOCK + directory.start
        head = INODE_HEAD.pack(
            INLINE if inline else PLAIN, xattr_count(body), stat.S_IFDIR | directory.mode, 0,
            directory.size, start, 0, directory.uid, directory.gid, seconds, nanoseconds, links,
        )  # fmt: skip
        names, cuts = directory.names, directory.cuts
        directory.names = []
        if cuts is None:
            return head + body + dirents(names, nids, types), b""
        blocks = []
        begin = 0
        for cut in cuts:
            block = dirents(names[begin:cut], nids[begin:cut], types[begin:cut])
            blocks.append(block + bytes(BLOCK - len(block)))
            begin = cut
        return head + body, b"".join(blocks)


def _reachable(root: Directory) -> list[Directory]:
    """All directories that are still in the tree, the root first, level by level."""
    root.parent = root
    found = [root]
    for directory in found:
        for child in directory.children.values():
            if type(child) is Directory:
                child.parent = directory
                found.append(child)
    return found


def _cut(names: list[bytes], used: int) -> tuple[list[int], int]:
    """Where each block's names end, for names that need several; and the last one's length."""
    if used <= BLOCK:
        return [len(names)], used
    cuts = []
    used = 0
    for number, name in enumerate(names):
        size = DIRENT + len(name)
        if used + size > BLOCK:
            cuts.append(number)
            used = 0
        used += size
    return [*cuts, len(names)], used


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
