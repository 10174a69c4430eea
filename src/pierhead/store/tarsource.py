"""The tar of a layer on its way in: decompressed, hashed and kept in a thread of its own.

Part of the unpacking worker. Decompressing, hashing and compressing release the
interpreter's lock, so they run beside the unpacking; a short queue bounds the memory.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from typing import Final, cast

import zstandard

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import PREFIX
from pierhead.store.compression import CHUNK, FdReader, detect, open_reader

_QUEUE_CHUNKS: Final = 8
_STEP: Final = 1 << 20  # large: the two threads share one interpreter lock


class Source:
    """Decompresses, hashes and keeps the tar in a second thread, ahead of the unpacking."""

    def __init__(self, fd: int, keep_fd: int | None, limit_bytes: int | None) -> None:
        self._input = FdReader(fd)
        self._keep_fd = keep_fd
        self._limit = limit_bytes
        self._hash = hashlib.sha256()
        self.tar_bytes = 0
        self._chunks: queue.Queue[bytes | BaseException] = queue.Queue(_QUEUE_CHUNKS)
        self._rest = b""
        self._ended = False
        self._abandoned = False
        fmt = detect(self._input.peek(8))
        self.keep_format = "zstd" if fmt == "none" else fmt
        self._plain = open_reader(
            self._input
            if fmt == "none" or keep_fd is None
            else cast(FdReader, _Tee(self._input, keep_fd)),
            fmt,
        )
        self._compress = (
            zstandard.ZstdCompressor(level=1).compressobj()
            if fmt == "none" and keep_fd is not None
            else None
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._abandoned:
                chunk = self._plain.read(_STEP)
                if chunk:
                    self._take(chunk)
                self._chunks.put(chunk)
                if not chunk:
                    return
        except BaseException as error:
            self._chunks.put(error)

    def _take(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.tar_bytes += len(chunk)
        if self._limit is not None and self.tar_bytes > self._limit:
            raise InvalidParameter(
                f"invalid layer: larger than the {self._limit} bytes that there is room for"
            )
        if self._compress is not None and self._keep_fd is not None:
            write_all(self._keep_fd, self._compress.compress(chunk))

    def read(self, size: int, /) -> bytes:
        """For ``TarReader``: always a whole chunk, ``size`` is a hint."""
        if self._ended:
            return b""
        item = self._chunks.get()
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        if not item:
            self._ended = True
        return item

    def finish(self) -> None:
        """Wait for the end of the stream; afterwards ``diff_id`` counts all of it."""
        while self.read(CHUNK):
            pass
        self._thread.join()
        if self._compress is not None and self._keep_fd is not None:
            write_all(self._keep_fd, self._compress.flush())

    def abandon(self) -> None:
        self._abandoned = True

    @property
    def diff_id(self) -> str:
        return PREFIX + self._hash.hexdigest()


class _Tee:
    """Copies what is read to a descriptor."""

    def __init__(self, source: FdReader, fd: int) -> None:
        self._source = source
        self._fd = fd

    def peek(self, size: int) -> bytes:
        return self._source.peek(size)

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        write_all(self._fd, data)
        return data


def write_all(fd: int, data: bytes) -> None:
    """write(2) until all of ``data`` is written."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
