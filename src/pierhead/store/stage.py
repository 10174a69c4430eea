"""Worker functions that take a layer in: from a pipe of bytes to a file that can be mounted.

``stage`` runs while the bytes come, knowing nothing of the layers below; most layers are
complete after it. One that speaks of the layers below (a whiteout, a parent directory that
it doesn't list, a hard link to a file of theirs) needs ``index`` as well, once those are
there. ``verify`` reads a layer again.

All are functions for ``linux.worker``: they touch nothing but the descriptors given.

One thread decompresses and looks at headers; hashing and writing run in two others, which
hold the interpreter's lock for microseconds only.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from contextlib import suppress
from typing import Any, Final

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import PREFIX, hex_of
from pierhead.store.compression import CHUNK, FdReader, detect, open_reader
from pierhead.store.erofs import index as erofs_index
from pierhead.store.erofs.below import LowerLayers
from pierhead.store.erofs.index import TAR_OFFSET, Copies, write_at
from pierhead.store.erofs.scan import Scan, scan
from pierhead.store.erofs.tree import Tree

ENTRIES_LIMIT: Final = 2_000_000
"""Names in one layer, directories that it only implies included."""

_CHUNK: Final = 512 << 10
_DEPTH: Final = 4
_WINDOW: Final = 8 << 10


def stage(
    *,
    tar_fd: int | None,
    blob_fd: int | None,
    held_bytes: int = 0,
    blob_bytes: int | None = None,
    limit_bytes: int | None = None,
    entries_limit: int = ENTRIES_LIMIT,
    lowest: bool = False,
) -> dict[str, Any]:
    """Take in the layer that comes on fd 0, compressed or not, to its end.

    ``tar_fd``     the layer's file, empty, readable and writable: gets the plain tar at
                   ``TAR_OFFSET`` and, if possible, the index. None: only digests.
    ``blob_fd``    where to keep the bytes as they come, readable and writable; the first
                   ``held_bytes`` are there already and are read from there first. None:
                   not kept.
    ``blob_bytes`` length of the whole blob, if known: less is ``truncated``, more an error.
    ``limit_bytes``  room on the disk for tar, index and blob together: more is refused.
    ``lowest``     the caller knows that no layer stands below.

    Returns ``truncated`` (the input ended too early; then only ``blob_bytes`` besides: what
    the blob holds now) or else:
    ``diff_id`` ``tar_bytes``; ``blob_digest`` ``blob_bytes`` ``compression`` (``none``,
    ``gzip``, ``zstd``, ``bzip2``, ``xz``); and with ``tar_fd``: ``entries``, ``size_bytes``
    (content, as Docker counts), ``needs_lower`` (it depends on the layers below: not to be
    shared with another parent), ``indexed`` (the file is mountable; False: run ``index``
    first), and if it is ``index_digest`` and ``file_bytes`` (length of the whole file).

    Raises ``InvalidParameter`` for whatever is wrong with the bytes, ``OSError`` ENOSPC.
    """
    room = _Room(limit_bytes)
    source = _Blob(blob_fd, held_bytes, blob_bytes, room)
    layer = _Layer(tar_fd, entries_limit, lowest, room)
    try:
        source.start()
        layer.start()
        compression = detect(source.peek(8))
        plain = open_reader(source, compression)
        while chunk := plain.read(_CHUNK):
            layer.take(chunk)
        while source.read(_CHUNK):
            pass  # behind the compressed data
        source.finish()
        layer.finish()
    except InvalidParameter:
        if source.is_short:
            source.finish()
            return {"truncated": True, "blob_bytes": source.total}
        raise
    except MemoryError as error:
        raise InvalidParameter("invalid layer: taking it in takes too much memory") from error
    finally:
        source.close()
        layer.close()
    if source.is_short:
        return {"truncated": True, "blob_bytes": source.total}
    result: dict[str, Any] = {
        "truncated": False,
        "diff_id": layer.diff_id,
        "tar_bytes": layer.total,
        "blob_digest": source.digest,
        "blob_bytes": source.total,
        "compression": compression,
    }
    return result | layer.index()


def index(
    *,
    tar_fd: int,
    tar_bytes: int,
    diff_id: str,
    lower_fds: list[int],
    limit_bytes: int | None = None,
    entries_limit: int = ENTRIES_LIMIT,
) -> dict[str, Any]:
    """Write the index of the layer file ``tar_fd`` anew, on the layers below.

    ``lower_fds``: their root directories, topmost first (mounted EROFS layers, unpacked
    ones, or just one of a merged view); empty for the lowest layer. Returns ``entries``,
    ``size_bytes``, ``needs_lower``, ``index_digest``, ``file_bytes``. Errors as ``stage``.
    """
    os.ftruncate(tar_fd, TAR_OFFSET + tar_bytes)
    copies = Copies(tar_fd, tar_bytes, _Room(limit_bytes).take)
    below = LowerLayers(lower_fds, copies.bring)
    tree = Tree(
        tar_offset=TAR_OFFSET, entries_limit=entries_limit, below=below, lowest=not lower_fds
    )
    try:
        _rescan(tar_fd, tar_bytes, tree)
        return _write(tar_fd, tree, copies, diff_id)
    except MemoryError as error:
        raise InvalidParameter("invalid layer: its index takes too much memory") from error


def verify(*, tar_bytes: int) -> dict[str, Any]:
    """Hash the layer file on fd 0 again: returns ``diff_id`` and ``index_digest``."""
    hasher = hashlib.sha256()
    at, end = TAR_OFFSET, TAR_OFFSET + tar_bytes
    buffer = memoryview(bytearray(_CHUNK))
    while at < end:
        size = os.preadv(0, [buffer[: min(_CHUNK, end - at)]], at)
        if not size:
            break
        hasher.update(buffer[:size])
        at += size
    return {
        "diff_id": PREFIX + hasher.hexdigest(),
        "index_digest": erofs_index.digest(0, tar_bytes),
    }


def _rescan(fd: int, tar_bytes: int, tree: Tree) -> None:
    """Read the headers of a tar that is there already."""
    members = scan(tree.add_plain, tree.add)
    wanted = next(members)
    with suppress(StopIteration):
        while True:
            here = min(wanted, tar_bytes)
            size = min(_WINDOW, tar_bytes - here)
            wanted = members.send((here, os.pread(fd, size, TAR_OFFSET + here) if size else b""))


def _write(fd: int, tree: Tree, copies: Copies, diff_id: str) -> dict[str, Any]:
    written = erofs_index.write(fd, tree, copies, uuid_seed=bytes.fromhex(hex_of(diff_id)))
    return {
        "entries": tree.entries,
        "size_bytes": tree.size_bytes,
        "needs_lower": tree.needs_below,
        "index_digest": written.index_digest,
        "file_bytes": written.file_bytes,
    }


class _Room:
    """What may still be written to the disk."""

    def __init__(self, limit_bytes: int | None) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._used = 0

    def take(self, size: int) -> None:
        """Count ``size`` bytes. ``InvalidParameter`` if there is no room for them."""
        with self._lock:
            self._used += size
            if self._limit is not None and self._used > self._limit:
                raise InvalidParameter(
                    f"invalid layer: larger than the {self._limit} bytes that there is room for"
                )


class _Sink:
    """A thread that hashes chunks and writes them to a file, some chunks behind the caller."""

    def __init__(self, fd: int | None, offset: int, name: str) -> None:
        self._fd = fd
        self._offset = offset
        self._hasher = hashlib.sha256()
        self._queue: queue.Queue[tuple[bytes, bool] | None] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._running = False

    def start(self) -> None:
        self._thread.start()
        self._running = True

    def put(self, chunk: bytes, *, write: bool = True) -> None:
        """Hand ``chunk`` over; raises what went wrong with an earlier one."""
        if self._error is not None:
            raise self._error
        self._queue.put((chunk, write))

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is not None:
                continue
            chunk, write = item
            try:
                if write and self._fd is not None:
                    write_at(self._fd, chunk, self._offset)
                    self._offset += len(chunk)
                self._hasher.update(chunk)
            except BaseException as error:  # raised again by put or finish
                self._error = error

    def finish(self) -> str:
        """Wait until all is written; the digest of it."""
        self.close()
        if self._error is not None:
            raise self._error
        return PREFIX + self._hasher.hexdigest()

    def close(self) -> None:
        """Let the thread end. May be called again."""
        if self._running:
            self._running = False
            self._queue.put(None)
            self._thread.join()


class _Blob(FdReader):
    """The bytes as they come: first those held from an earlier attempt, then fd 0's."""

    def __init__(
        self, fd: int | None, held_bytes: int, blob_bytes: int | None, room: _Room
    ) -> None:
        super().__init__(0)
        self._blob_fd = fd
        self._held = held_bytes
        self._expected = blob_bytes
        self._room = room
        self._sink = _Sink(fd, held_bytes, "blob")
        self._ended = False
        self._begun = b""
        self.total = 0
        self.digest = ""

    def start(self) -> None:
        if self._blob_fd is not None:
            os.ftruncate(self._blob_fd, self._held)
        self._sink.start()

    @property
    def is_short(self) -> bool:
        """The input ended before the length that was announced."""
        return self._ended and self._expected is not None and self.total < self._expected

    def peek(self, size: int) -> bytes:
        while len(self._begun) < size and (more := self._next(CHUNK)):
            self._begun += more
        return self._begun[:size]

    def read(self, size: int, /) -> bytes:
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
            return data
        return self._next(size)

    def _next(self, size: int) -> bytes:
        if self._blob_fd is not None and self.total < self._held:
            chunk = os.pread(self._blob_fd, min(size, self._held - self.total), self.total)
            if not chunk:
                raise InvalidParameter("the part of the blob that was held is gone")
            self._sink.put(chunk, write=False)
        else:
            chunk = os.read(0, size)
            if not chunk:
                self._ended = True
                return b""
            if self._blob_fd is not None:
                self._room.take(len(chunk))
            self._sink.put(chunk)
        self.total += len(chunk)
        if self._expected is not None and self.total > self._expected:
            raise InvalidParameter(
                f"invalid layer: the blob is longer than its {self._expected} bytes"
            )
        return chunk

    def finish(self) -> None:
        """Wait until all is kept: ``digest`` is known then."""
        self.digest = self._sink.finish()

    def close(self) -> None:
        self._sink.close()


class _Layer:
    """The plain tar: kept, hashed and looked at."""

    def __init__(self, tar_fd: int | None, entries_limit: int, lowest: bool, room: _Room) -> None:
        self._fd = tar_fd
        self._room = room
        self._sink = _Sink(tar_fd, TAR_OFFSET, "tar")
        self._tree = Tree(tar_offset=TAR_OFFSET, entries_limit=entries_limit, lowest=lowest)
        self._lowest = lowest
        self._members: Scan | None = None
        self.total = 0
        self.diff_id = ""

    def start(self) -> None:
        self._sink.start()
        if self._fd is not None:
            self._members = scan(self._tree.add_plain, self._tree.add)
            next(self._members)

    def take(self, chunk: bytes) -> None:
        """The next part of the tar."""
        if self._fd is not None:
            self._room.take(len(chunk))
        self._sink.put(chunk)
        self._look(chunk)
        self.total += len(chunk)

    def _look(self, chunk: bytes) -> None:
        if self._members is not None:
            try:
                self._members.send((self.total, chunk))
            except StopIteration:
                self._members = None

    def finish(self) -> None:
        """No more comes: ``diff_id`` is known then."""
        self._look(b"")
        self.diff_id = self._sink.finish()

    def close(self) -> None:
        self._sink.close()

    def index(self) -> dict[str, Any]:
        """Write the index, if it can be known what goes into it; what ``stage`` returns."""
        if self._fd is None:
            return {}
        if self._tree.needs_below and not self._lowest:
            return {
                "entries": self._tree.entries,
                "size_bytes": self._tree.size_bytes,
                "needs_lower": True,
                "indexed": False,
            }
        copies = Copies(self._fd, self.total, self._room.take)
        return {"indexed": True} | _write(self._fd, self._tree, copies, self.diff_id)
