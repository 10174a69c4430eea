"""What a layer's tar holds, without unpacking it: its members, where their bytes are.

Runs in a worker. A layer comes as a plain tar somewhere in a file (the EROFS driver keeps
it so; only headers are read then) or as a compressed one (overlay2), which is decompressed
from front to back. The tar was checked when the layer was made, so checksums aren't looked
at again; what is broken all the same raises ``InvalidParameter``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from pierhead.errors import InvalidParameter
from pierhead.oci import tar
from pierhead.oci.layer import clean_name
from pierhead.oci.tar import BLOCK, Header

ENTRIES_LIMIT: Final = 4_000_000
"""Members of all layers of an image that are looked at: about 2 GB of memory."""

THREADS: Final = 2
_WINDOW: Final = 16 << 10
_STEP: Final = 1 << 20
_ENDED: Final = "unexpected end of the tar archive"

FILE: Final = "file"
DIRECTORY: Final = "directory"
HARDLINK: Final = "hardlink"
SYMLINK: Final = "symlink"
_TYPES: Final = {
    48: FILE, 0: FILE, 55: FILE, 83: FILE, 49: HARDLINK, 50: SYMLINK, 51: "char",
    52: "block", 53: DIRECTORY, 54: "fifo",
}  # fmt: skip
_FAST: Final = frozenset({48, 49, 50, 53, 0})


class Entry(NamedTuple):
    """One member. ``path`` is relative, without dots; ``b""`` is the root."""

    path: bytes
    type: str
    mode: int
    uid: int
    gid: int
    size: int
    """Bytes of the file once it is there; 0 for everything that isn't a file."""
    mtime: int
    """Seconds since the epoch."""
    link: bytes = b""
    """A symlink's text, or the path (relative, cleaned) that a hard link shares."""
    offset: int = 0
    """Where its bytes stand in the plain tar."""
    stored: int = 0
    """How many bytes stand there; less than ``size`` for a sparse file."""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


class Source(Protocol):
    """Bytes of the plain tar by position. Some go forward only."""

    def at(self, position: int, size: int) -> bytes:
        """``size`` bytes, or what there is before the end."""
        ...


class PlainSource:
    """A tar as it is in the file behind ``fd``, from ``offset`` on."""

    def __init__(self, fd: int, offset: int, length: int) -> None:
        self._fd = fd
        self._offset = offset
        self._length = length
        self._start = 0
        self._window = b""

    def at(self, position: int, size: int) -> bytes:
        begin = position - self._start
        if begin < 0 or begin + size > len(self._window):
            want = min(max(size, _WINDOW), self._length - position)
            if want <= 0:
                return b""
            self._window = os.pread(self._fd, want, self._offset + position)
            self._start = position
            begin = 0
        return self._window[begin : begin + size]


class StreamSource:
    """A tar that is decompressed on the way; positions may only grow."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._start = 0
        self._window = b""

    def at(self, position: int, size: int) -> bytes:
        if position < self._start:
            raise ValueError("a stream does not go back")
        while position >= self._start + len(self._window):
            self._start += len(self._window)
            self._window = self._read(_STEP)
            if not self._window:
                return b""
        begin = position - self._start
        while begin + size > len(self._window):
            more = self._read(_STEP)
            if not more:
                break
            self._start += begin
            self._window = self._window[begin:] + more
            begin = 0
        return self._window[begin : begin + size]


class LayerFile(NamedTuple):
    """Where a layer's tar is: descriptor, first byte, bytes (plain), compressed or not."""

    fd: int
    offset: int
    length: int
    compressed: bool

    def open(self) -> Source:
        """From the beginning. A compressed one may be open once at a time."""
        if not self.compressed:
            return PlainSource(self.fd, self.offset, self.length)
        from pierhead.store.compression import FdReader, open_reader

        os.lseek(self.fd, self.offset, os.SEEK_SET)
        return StreamSource(open_reader(FdReader(self.fd)).read)


def entries(source: Source) -> Iterator[Entry]:
    """The members in order. Extension headers are applied, global ones ignored (as Docker)."""
    at = source.at
    position = 0
    while True:
        block = at(position, BLOCK)
        if len(block) < BLOCK:
            return  # Docker takes tars without the end mark
        kind = block[156]
        if kind in _FAST and block[124] < 0x80:
            if not block[0] and block == tar.ZERO_BLOCK:
                return
            try:
                entry = _plain(block, kind, position + BLOCK)
            except ValueError:
                entry = None
            if entry is not None:
                yield entry
                size = entry.stored
                position += BLOCK + size + (-size % BLOCK)
                continue
        entry, position = _extended(source, position)
        if entry is not None:
            yield entry


def all_entries(layers: Sequence[LayerFile]) -> Iterator[Iterable[Entry]]:
    """The members of each layer, in the layers' order.

    Compressed ones are read by two threads: decompressing leaves the interpreter free.
    """
    packed = sum(layer.compressed for layer in layers)
    if packed < 2:
        for layer in layers:
            yield entries(layer.open())
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(lambda layer: list(entries(layer.open())), layers)


def _plain(block: bytes, kind: int, offset: int) -> Entry | None:
    """A member that one header block says all about; None if it takes more care."""
    name = block[:100].partition(b"\0")[0]
    if block[345] and block[257:263] == b"ustar\0":
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    type_ = _TYPES[kind]
    size = int(block[124:136].rstrip(b"\0 ") or b"0", 8)
    if name.endswith(b"/") and type_ == FILE:
        return None
    if type_ != FILE:
        size = 0
    link = b""
    if kind == 49 or kind == 50:
        link = block[157:257].partition(b"\0")[0]
        if kind == 49:
            link = clean_name(link)
    return Entry(
        clean_name(name),
        type_,
        int(block[100:108].rstrip(b"\0 ") or b"0", 8) & 0o7777,
        int(block[108:116].rstrip(b"\0 ") or b"0", 8),
        int(block[116:124].rstrip(b"\0 ") or b"0", 8),
        size,
        int(block[136:148].rstrip(b"\0 ") or b"0", 8),
        link,
        offset,
        size,
    )


def _extended(source: Source, position: int) -> tuple[Entry | None, int]:
    """A member with PAX or GNU headers before it, and the position behind it."""
    extensions = tar.Extensions()
    while True:
        block = source.at(position, BLOCK)
        if len(block) < BLOCK:
            raise InvalidParameter(_ENDED)
        header = tar.parse_header(block)
        position += BLOCK
        kind = header.type
        if not extensions.begin(header):
            break
        extensions.add(header, source.at(position, header.size))
        position += header.size + tar.padding(header.size)
    if kind == tar.PAX_GLOBAL:
        return None, position + header.size + tar.padding(header.size)
    if kind == tar.GNU_SPARSE:
        header.real_size = tar.number(block[483:495])
        extended = block[482]
        while extended:  # more of the map: 21 pairs a block
            extended = source.at(position, BLOCK)[504]
            position += BLOCK
    extensions.finish(header)
    after = position + header.size + tar.padding(header.size)
    type_ = _TYPES.get(header.type[0])
    if type_ is None:
        return None, after
    return _entry(header, type_, position), after


def _entry(header: Header, type_: str, position: int) -> Entry:
    link = clean_name(header.linkname) if type_ == HARDLINK else header.linkname
    return Entry(
        clean_name(header.name),
        type_,
        header.mode,
        header.uid,
        header.gid,
        header.real_size if type_ == FILE else 0,
        header.mtime_ns // 1_000_000_000,
        link if type_ in (HARDLINK, SYMLINK) else b"",
        position,
        header.size,
        (header.devmajor, header.devminor),
        tuple(sorted(header.xattrs.items())),
    )


def digests(layer: LayerFile, ranges: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """A digest of each (position, length) in the plain tar, read in one pass."""
    source = layer.open()
    found: dict[tuple[int, int], bytes] = {}
    for wanted in sorted(set(ranges)):
        position, length = wanted
        hasher = hashlib.sha256()
        while length:
            chunk = source.at(position, min(length, _STEP))
            if not chunk:
                raise InvalidParameter(_ENDED)
            hasher.update(chunk)
            position += len(chunk)
            length -= len(chunk)
        found[wanted] = hasher.digest()
    return found
