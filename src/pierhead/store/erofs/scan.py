"""Tar headers out of a stream of chunks, fast: members as calls, contents by their offset.

The format is ``oci.tar``'s, which also serves here for everything unusual; a plain member
costs some 2 µs. Chunks are of any size, and content that isn't needed may be left out: the
scanner says which byte it wants next. Memory is bounded: a chunk, one extension header.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Generator
from typing import Final

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.tar import BLOCK, ZERO_BLOCK, Header

ENDED: Final = "unexpected end of the tar archive"

_FIELDS: Final = struct.Struct("<100s24s12s12s8sc100s6s66x16s155s12x")
"""name, mode+uid+gid, size, mtime, checksum, type, link, magic, device numbers, prefix."""
_CACHE_LIMIT: Final = 4096

Chunk = tuple[int, bytes]
"""(offset in the tar, bytes); no bytes: the end. It may start before what was asked for."""
Scan = Generator[int, Chunk, None]
"""Yields the offset that it wants next, is sent chunks, returns at the end of the tar."""
Plain = Callable[[bytes, bytes, int, int, int, int, int, bytes, int], None]
"""name, type (``0``, ``2`` or ``5``), mode, uid, gid, size, mtime in seconds, link (of a
symlink), offset."""
Other = Callable[[Header, int], None]
"""Any other member, with the offset of its content (behind a sparse map)."""

_PLAIN: Final = {b"0": b"0", b"\0": b"0", b"7": b"0", b"5": b"5", b"2": b"2"}


def scan(plain: Plain, other: Other) -> Scan:
    """Read a tar; start it with ``next`` (or ``send(None)``), then send it chunks.

    Raises ``InvalidParameter`` for a broken archive. What stands behind the end mark is
    not looked at: then the scan has returned already (``StopIteration``).
    """
    unpack = _FIELDS.unpack
    adler32 = zlib.adler32
    owners: dict[bytes, tuple[int, int, int]] = {}
    window = _Window()
    base, chunk = yield 0
    position, length = 0, len(chunk)
    while True:
        end = position + BLOCK
        if end <= length:
            block = chunk[position:end]
        else:
            window.base, window.chunk, window.position = base, chunk, position
            found = yield from window.header()
            if found is None:
                return
            block = found
            base, chunk, end = window.base, window.chunk, window.position
            length = len(chunk)
        name, owner, size_field, time, check, type_, link, magic, _, prefix = unpack(block)
        # adler32's lower half is one more than the sum of the bytes, modulo 65,521. The field
        # itself counts as eight blanks.
        try:
            wanted = (int(check.rstrip(b"\0 "), 8) + sum(check) - 255) % 65521
        except ValueError:
            wanted = -1
        if adler32(block) & 0xFFFF != wanted:
            if block == ZERO_BLOCK:
                window.base, window.chunk, window.position = base, chunk, end
                yield from window.end_mark()
                return
            tar.parse_header(block)  # complains, or takes the signed sum that some have
        kind = _PLAIN.get(type_)
        if kind is None:
            window.base, window.chunk, window.position = base, chunk, end
            yield from _member(window, block, other)
            base, chunk, position = window.base, window.chunk, window.position
            length = len(chunk)
            continue
        try:
            size = int(size_field.rstrip(b"\0 "), 8)
        except ValueError:
            size = tar.number(size_field)
        ids = owners.get(owner)
        if ids is None:
            if len(owners) > _CACHE_LIMIT:
                owners.clear()
            ids = owners[owner] = (
                tar.number(owner[:8]) & 0o7777,
                tar.number(owner[8:16]),
                tar.number(owner[16:]),
            )
        try:
            seconds = int(time.rstrip(b"\0 "), 8)
        except ValueError:
            seconds = tar.number(time)
        if size < 0:
            raise InvalidParameter("invalid tar header: negative size")
        path = name.rstrip(b"\0")
        if 0 in path:
            path = path[: path.index(0)]
        if prefix[0] and magic == b"ustar\0":
            path = prefix.partition(b"\0")[0] + b"/" + path
        if kind == b"0" and path[-1:] == b"/":
            kind = b"5"  # v7 had no other way to say so
        if kind != b"0":
            size = 0  # whatever the field says, as Go and GNU tar have it
            link = link.partition(b"\0")[0]
        plain(
            path, kind, ids[0], ids[1], ids[2], size, seconds,
            link, base + end,
        )  # fmt: skip
        position = end + (size + 511 & -512)


class _Window:
    """The current chunk and where we are in it; everything but the hot loop works on it."""

    __slots__ = ("base", "chunk", "position")

    def __init__(self) -> None:
        self.base = 0
        self.chunk = b""
        self.position = 0

    def more(self) -> Generator[int, Chunk, bool]:
        """Get the chunk with the byte at ``position``; False at the end of the archive."""
        wanted = self.base + self.position
        while True:
            base, chunk = yield wanted
            if not chunk:
                if wanted > base:
                    raise InvalidParameter(ENDED)
                return False
            self.base, self.chunk, self.position = base, chunk, wanted - base
            if self.position < len(chunk):
                return True

    def header(self) -> Generator[int, Chunk, bytes | None]:
        """The next block, None at the end of the archive."""
        if self.position >= len(self.chunk):
            here = yield from self.more()
            if not here:
                return None
        block = yield from self.exactly(BLOCK)
        return block

    def exactly(self, size: int) -> Generator[int, Chunk, bytes]:
        """The next ``size`` bytes, or ``InvalidParameter``."""
        end = self.position + size
        if end <= len(self.chunk):
            data = self.chunk[self.position : end]
            self.position = end
            return data
        parts = []
        while size:
            if self.position >= len(self.chunk):
                here = yield from self.more()
                if not here:
                    raise InvalidParameter(ENDED)
            part = self.chunk[self.position : self.position + size]
            self.position += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def end_mark(self) -> Generator[int, Chunk, None]:
        """The block behind a first block of zeros: another one, or nothing."""
        second = yield from self.header()
        if second is not None and second != ZERO_BLOCK:
            raise InvalidParameter("invalid tar header")


def _member(window: _Window, block: bytes, other: Other) -> Generator[int, Chunk, None]:
    """A member that begins with ``block``, extension headers included; past its content then."""
    extensions = tar.Extensions()
    while True:
        header = tar.parse_header(block)
        kind = header.type
        if kind == tar.PAX_GLOBAL:
            # Docker ignores them; git writes a comment there.
            window.position += header.size + tar.padding(header.size)
            if not extensions:
                return
        elif extensions.begin(header):
            padded = yield from window.exactly(header.size + tar.padding(header.size))
            extensions.add(header, padded[: header.size])
        else:
            break
        following = yield from window.header()
        if following is None:
            raise InvalidParameter(ENDED)
        if following == ZERO_BLOCK:
            raise InvalidParameter("invalid tar header: an extension of nothing")
        block = following
    if kind == tar.GNU_SPARSE:
        yield from _old_sparse(window, header, block)
    extensions.finish(header)
    rest = header.size + tar.padding(header.size)
    if header.sparse_in_data:
        rest -= yield from _sparse_head(window, header)
    other(header, window.base + window.position)
    window.position += rest


def _old_sparse(window: _Window, header: Header, block: bytes) -> Generator[int, Chunk, None]:
    """GNU's own sparse format: four entries in the header, 21 in each block after it."""
    entries = tar.gnu_sparse_map(block, 386, 4)
    header.real_size = tar.number(block[483:495])
    extended = block[482]
    while extended:
        more = yield from window.exactly(BLOCK)
        entries += tar.gnu_sparse_map(more, 0, 21)
        extended = more[504]
        if len(entries) > tar.SPARSE_ENTRIES_LIMIT:
            raise InvalidParameter("invalid tar header: the sparse map is too long")
    header.sparse = entries
    tar.check_sparse(header)


def _sparse_head(window: _Window, header: Header) -> Generator[int, Chunk, int]:
    """PAX sparse 1.0: decimal numbers, one a line, at the head of the data, block-padded.

    Returns the bytes of the map; ``header.size`` is less by them afterwards.
    """
    taken = 0
    text = b""
    numbers: list[int] = []
    count = -1
    while count < 0 or len(numbers) < 2 * count:
        if taken + BLOCK > min(header.size, tar.EXTENSION_LIMIT * 32):
            raise InvalidParameter("invalid tar header: bad sparse map")
        text += yield from window.exactly(BLOCK)
        taken += BLOCK
        *lines, text = text.split(b"\n")
        if len(text) > 20 and text.strip(b"\0"):
            raise InvalidParameter("invalid tar header: bad sparse map")
        for line in lines:
            if not line.isdigit() or len(line) > 20:
                raise InvalidParameter("invalid tar header: bad sparse map")
            if count < 0:
                count = int(line)
                if count > tar.SPARSE_ENTRIES_LIMIT:
                    raise InvalidParameter("invalid tar header: the sparse map is too long")
            elif len(numbers) < 2 * count:
                numbers.append(int(line))
    header.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))
    header.size -= taken
    tar.check_sparse(header)
    return taken
