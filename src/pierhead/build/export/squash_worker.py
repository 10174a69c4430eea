"""Worker: several layers as one: the tar of what they change together on the layers below.

Reads plain tars by position, so only what stays is read. Entries come sorted by path; what
is gone from below is a whiteout. The result depends on the layers alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pierhead.engine.images.filetree import Content, Node, Tree
from pierhead.engine.images.layer_entries import (
    DIRECTORY,
    FILE,
    HARDLINK,
    SYMLINK,
    Entry,
    LayerFile,
    entries,
)
from pierhead.errors import Internal, NotImplementedYet
from pierhead.oci import tar
from pierhead.oci.layer import WHITEOUT_PREFIX, show
from pierhead.oci.tar import Header

_STEP_BYTES: Final = 1 << 20
_TYPES: Final = {
    FILE: tar.REGULAR,
    DIRECTORY: tar.DIRECTORY,
    HARDLINK: tar.HARDLINK,
    SYMLINK: tar.SYMLINK,
    "char": tar.CHARDEV,
    "block": tar.BLOCKDEV,
    "fifo": tar.FIFO,
}


def squash(*, layers: Sequence[Sequence[Any]], below: int) -> dict[str, int]:
    """Write the tar to fd 1. ``layers`` are (fd, offset, length), lowest first; ``below`` of
    them stay as they are. Returns ``entries``."""
    files = [LayerFile(fd, offset, length, False) for fd, offset, length in layers]
    before, after = Tree(), Tree()
    for number, file in enumerate(files):
        found = list(entries(file.open()))
        if number < below:
            before.add(found)
        after.add(found)
    writer = _Writer(files, below)
    writer.tree(before.root, after.root, b"")
    writer.put(bytes(2 * tar.BLOCK))
    return {"entries": writer.count}


class _Writer:
    def __init__(self, files: Sequence[LayerFile], below: int) -> None:
        self._files = files
        self._below = below
        self._names: dict[int, bytes] = {}
        self.count = 0

    def put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]

    def tree(self, old: Node | None, new: Node, path: bytes) -> None:
        """What differs at and below the directory ``new`` from ``old`` (if that is one)."""
        stack: list[tuple[Node | None, Node, bytes]] = [(old, new, path)]
        while stack:
            old, new, path = stack.pop()
            if new.layer >= self._below and (new.entry is not None or path):
                self._entry(path, new)
            if new.children is None:
                continue
            before = (old.children or {}) if old is not None else {}
            gone = [name for name in before if name not in new.children]
            for name in sorted(gone):
                self._member(Header(_join(path, WHITEOUT_PREFIX + name), tar.REGULAR))
            stack += [
                (before.get(name), new.children[name], _join(path, name))
                for name in sorted(new.children, reverse=True)
            ]

    def _entry(self, path: bytes, node: Node) -> None:
        entry = node.entry or Entry(path, DIRECTORY, 0o755, 0, 0, 0, 0)
        header = Header(
            path or b"./",
            _TYPES[entry.type],
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            mtime_ns=entry.mtime * 1_000_000_000,
            linkname=entry.link if entry.type == SYMLINK else b"",
            devmajor=entry.device[0],
            devminor=entry.device[1],
            xattrs=dict(entry.xattrs),
        )
        content = node.content
        if content is not None and content.names > 1:
            first = self._names.setdefault(id(content), path)
            if first != path:
                header.type, header.linkname, header.xattrs = tar.HARDLINK, first, {}
                self._member(header)
                return
        if entry.type != FILE:
            self._member(header)
            return
        if entry.stored != entry.size:
            raise NotImplementedYet(f"squash: {show(path)} is a sparse file: build without squash")
        header.size = entry.size
        self._member(header)
        for chunk in self._content(entry, content):
            self.put(chunk)
        self.put(bytes(tar.padding(entry.size)))

    def _content(self, entry: Entry, content: Content | None) -> Iterator[bytes]:
        if content is None:
            raise Internal("squash: a file without content")
        file = self._files[content.layer]
        position, left = file.offset + entry.offset, entry.stored
        while left:
            chunk = os.pread(file.fd, min(_STEP_BYTES, left), position)
            if not chunk:
                raise Internal("squash: a layer's file ends too early")
            yield chunk
            position += len(chunk)
            left -= len(chunk)

    def _member(self, header: Header) -> None:
        self.put(tar.build_header(header))
        self.count += 1


def _join(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name
