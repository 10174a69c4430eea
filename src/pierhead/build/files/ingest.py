"""Worker: take a tar in, any compression, in one pass: kept as it comes, indexed, hashed.

One thread reads, decompresses and looks at headers, one writes, one hashes: the last two
hold the interpreter's lock for microseconds only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import stat
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pierhead.build.files.entries import EMPTY, Entry, clean, content_xattrs, encode, shown
from pierhead.errors import InvalidParameter
from pierhead.oci import tar as tarformat
from pierhead.oci.tar import Header
from pierhead.store.compression import FdReader, Reader, open_reader
from pierhead.store.erofs.scan import scan

ENTRIES_LIMIT: Final = 1_000_000
_CHUNK: Final = 512 << 10
_DEPTH: Final = 4

_KINDS: Final = {
    b"0": stat.S_IFREG,
    b"2": stat.S_IFLNK,
    b"5": stat.S_IFDIR,
    b"3": stat.S_IFCHR,
    b"4": stat.S_IFBLK,
    b"6": stat.S_IFIFO,
}


def take(
    *,
    pack_fd: int,
    index_fd: int,
    limit_bytes: int,
    entries_limit: int = ENTRIES_LIMIT,
    pack: int = 0,
    base: int = 0,
    what: str = "context",
) -> dict[str, Any]:
    """Read the tar on fd 0 to its end into ``pack_fd``; its entries go to ``index_fd``.

    Contents lie in the pack at the entries' offsets, the tar itself begins at ``base``.
    ``limit_bytes`` is how much may be written, sparse files blown up. Returns ``bytes``
    (read), ``pack_bytes``, ``entries``. Raises ``InvalidParameter``, ``OSError`` ENOSPC.
    """
    counter = _Counting(0)
    entries, pack_bytes = unpack_tar(
        open_reader(counter),
        pack_fd,
        limit_bytes=limit_bytes,
        entries_limit=entries_limit,
        pack=pack,
        base=base,
        what=what,
    )
    while counter.read(_CHUNK):
        pass  # behind the end: the client shall not see a broken pipe
    data = encode(entries)
    view = memoryview(data)
    while view:
        view = view[os.write(index_fd, view) :]
    return {"bytes": counter.total, "pack_bytes": pack_bytes, "entries": len(entries)}


class _Counting(FdReader):
    total = 0

    def read(self, size: int, /) -> bytes:
        data = super().read(size)
        self.total += len(data)
        return data


def unpack_tar(
    reader: Reader,
    pack_fd: int,
    *,
    limit_bytes: int,
    entries_limit: int = ENTRIES_LIMIT,
    pack: int = 0,
    base: int = 0,
    what: str = "context",
    hashed: bool = True,
) -> tuple[list[Entry], int]:
    """See ``take``: the entries, and where the pack ends then."""
    members = _Members(entries_limit, pack, base, what)
    scanner = scan(members.plain, members.other)
    wanted = next(scanner)
    writer = _Stage(_writer(pack_fd, base))
    hasher = _Stage(members.hash if hashed else lambda item: None)
    total = 0
    scanning = True
    try:
        while chunk := reader.read(_CHUNK):
            if total + len(chunk) > limit_bytes:
                raise InvalidParameter(f"invalid {what}: it is too large for the disk")
            writer.put((total, chunk))
            if scanning:
                try:
                    wanted = scanner.send((total, chunk))
                except StopIteration:
                    scanning = False
            hasher.put((total, chunk))
            total += len(chunk)
        if scanning:
            # `docker build -f -` sends no end mark, and no padding behind the last file.
            missing = wanted - total
            whole = members.content_end <= total
            with contextlib.suppress(StopIteration):
                if whole and 0 < missing < tarformat.BLOCK:
                    scanner.send((total, bytes(missing)))
                    total += missing
                scanner.send((total, b""))
        writer.finish()
        hasher.finish()
    finally:
        writer.close()
        hasher.close()
    end = members.expand(pack_fd, base + total, limit_bytes - total)
    return members.done(), end


def _writer(fd: int, base: int) -> Callable[[tuple[int, bytes]], None]:
    def write(item: tuple[int, bytes]) -> None:
        offset, view = base + item[0], memoryview(item[1])
        while view:
            count = os.pwrite(fd, view, offset)
            view = view[count:]
            offset += count

    return write


class _Stage:
    """A thread that does one thing to each chunk, in order."""

    def __init__(self, work: Callable[[tuple[int, bytes]], None]) -> None:
        self._work = work
        self._queue: queue.Queue[tuple[int, bytes] | None] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._open = True

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._work(item)
                except BaseException as error:  # raised again by put or finish
                    self._error = error

    def put(self, item: tuple[int, bytes]) -> None:
        if self._error is not None:
            raise self._error
        self._queue.put(item)

    def finish(self) -> None:
        self.close()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        if self._open:
            self._open = False
            self._queue.put(None)
            self._thread.join()


class _Members:
    """What the scanner calls; entries by path, the last of a name counts."""

    def __init__(self, limit: int, pack: int, base: int, what: str) -> None:
        self._limit = limit
        self._pack = pack
        self._base = base
        self._what = what
        self._entries: dict[bytes, Entry] = {}
        self._pending: deque[tuple[int, int, Entry]] = deque()
        self.content_end = 0
        """Where the last regular file's bytes end in the tar."""
        self._current: Any = None
        self._sparse: list[tuple[Entry, Header, int]] = []
        self._inodes = 0
        self._twins: list[tuple[Entry, Entry]] = []
        """Hard links and what they name: they get its digest once it is known."""

    def _put(self, entry: Entry) -> None:
        # the last one stands where it was said last: what is above it was said before
        self._entries.pop(entry.path, None)
        self._entries[entry.path] = entry
        if len(self._entries) > self._limit:
            raise InvalidParameter(f"invalid {self._what}: more than {self._limit} files are in it")

    def plain(
        self, name: bytes, kind: bytes, mode: int, uid: int, gid: int, size: int, seconds: int,
        link: bytes, offset: int,
    ) -> None:  # fmt: skip
        path = clean(name, self._what)
        entry = Entry(
            path, _KINDS[kind] | mode, uid, gid, size, seconds * 1_000_000_000,
            link if kind == b"2" else b"",
        )  # fmt: skip
        if kind == b"0":
            self._regular(entry, offset)
        self._put(entry)

    def _regular(self, entry: Entry, offset: int) -> None:
        entry.pack = self._pack
        entry.offset = self._base + offset
        self.content_end = offset + entry.size
        if entry.size:
            self._pending.append((offset, entry.size, entry))
        else:
            entry.digest = EMPTY

    def other(self, header: Header, offset: int) -> None:
        path = clean(header.name, self._what)
        if header.type == tarformat.HARDLINK:
            self._put(self._linked(path, header))
            return
        kind = tarformat.REGULAR if header.type == tarformat.GNU_SPARSE else header.type
        if kind not in _KINDS:
            return  # extensions of other worlds: volume labels and such
        entry = Entry(
            path,
            _KINDS[kind] | header.mode,
            header.uid,
            header.gid,
            0,
            header.mtime_ns,
            header.linkname if kind == tarformat.SYMLINK else b"",
            device=(header.devmajor, header.devminor),
            xattrs=content_xattrs(header.xattrs),
        )
        if kind == tarformat.REGULAR:
            if header.sparse is not None:
                entry.size = header.real_size
                self._sparse.append((entry, header, offset))
            else:
                entry.size = header.size
                self._regular(entry, offset)
        self._put(entry)

    def _linked(self, path: bytes, header: Header) -> Entry:
        target = self._entries.get(clean(header.linkname, self._what))
        if target is None or target.is_dir:
            raise InvalidParameter(
                f"invalid {self._what}: {shown(path)} is a hard link to "
                f"{shown(header.linkname)}, which isn't in it"
            )
        if target.is_file and not target.inode:
            self._inodes += 1
            target.inode = self._inodes
        twin = target.moved(path)
        self._twins.append((twin, target))
        return twin

    def hash(self, item: tuple[int, bytes]) -> None:
        """Runs in its own thread: the digests of files whose bytes are in this chunk."""
        base, chunk = item
        end = base + len(chunk)
        pending = self._pending
        view = memoryview(chunk)
        while pending:
            offset, size, entry = pending[0]
            if offset >= end:
                return
            stop = offset + size
            if offset >= base and stop <= end:
                entry.digest = hashlib.sha256(view[offset - base : stop - base]).digest()
                pending.popleft()
                continue
            if self._current is None:
                self._current = hashlib.sha256()
            self._current.update(view[max(offset, base) - base : min(stop, end) - base])
            if stop > end:
                return
            entry.digest = self._current.digest()
            self._current = None
            pending.popleft()

    def expand(self, fd: int, end: int, room: int) -> int:
        """Blow sparse files up behind the tar (with holes); where the pack ends then."""
        for entry, header, offset in self._sparse:
            if entry.size > room:
                raise InvalidParameter(f"invalid {self._what}: it is too large for the disk")
            room -= entry.size
            entry.pack, entry.offset = self._pack, end
            at = self._base + offset
            for start, length in header.sparse or ():
                done = 0
                while done < length:
                    data = os.pread(fd, min(_CHUNK, length - done), at + done)
                    if not data:
                        raise InvalidParameter(f"invalid {self._what}: unexpected end")
                    os.pwrite(fd, data, end + start + done)
                    done += len(data)
                at += length
            if os.fstat(fd).st_size < end + entry.size:
                os.ftruncate(fd, end + entry.size)
            hasher = hashlib.sha256()
            done = 0
            while done < entry.size:
                data = os.pread(fd, min(_CHUNK, entry.size - done), end + done)
                hasher.update(data)
                done += len(data)
            entry.digest = hasher.digest()
            end += entry.size
        return end

    def done(self) -> list[Entry]:
        for twin, target in self._twins:
            twin.digest, twin.offset, twin.pack = target.digest, target.offset, target.pack
        return list(self._entries.values())
