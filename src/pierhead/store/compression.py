"""Reading compressed streams in bounded steps, whatever the format.

A step never yields more than was asked for, so a bomb costs time but no memory. isal
decompresses gzip two to three times faster than zlib, which serves where it is missing.
"""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from typing import IO, Any, Final, Protocol, cast

import zstandard

from pierhead.errors import InvalidParameter
from pierhead.oci.compression import MAGIC, detect

__all__ = ["CHUNK", "MAGIC", "FdReader", "Reader", "detect", "open_reader"]

fast_zlib: Any
try:
    from isal import isal_zlib as fast_zlib
except ImportError:
    fast_zlib = zlib

CHUNK: Final = 256 << 10
_XZ_MEMORY_LIMIT: Final = 512 << 20
_ZSTD_WINDOW_LIMIT: Final = 128 << 20


class Reader(Protocol):
    """Something to read from: up to ``size`` bytes, ``b""`` only at the end."""

    def read(self, size: int, /) -> bytes: ...


class FdReader:
    """Reads a descriptor; ``peek`` looks at the first bytes without taking them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._head = b""

    def peek(self, size: int) -> bytes:
        while len(self._head) < size:
            chunk = os.read(self._fd, CHUNK)
            if not chunk:
                break
            self._head += chunk
        return self._head[:size]

    def read(self, size: int, /) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return os.read(self._fd, size)


def open_reader(source: FdReader, fmt: str | None = None) -> Reader:
    """A reader of the uncompressed bytes of ``source``; format by its head unless given.

    Reading raises ``InvalidParameter`` for a stream that is corrupt or ends too early.
    """
    fmt = fmt or detect(source.peek(8))
    if fmt == "gzip":
        return _Members(source, "gzip", lambda: fast_zlib.decompressobj(31))
    if fmt == "bzip2":
        return _Members(source, "bzip2", bz2.BZ2Decompressor)
    if fmt == "xz":
        return _Members(
            source, "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_LIMIT)
        )
    if fmt == "zstd":
        return _Zstd(source)
    return source


class _Members:
    """gzip, bzip2 and xz: members or streams one after the other, NUL padding between."""

    def __init__(self, source: Reader, name: str, new: Any) -> None:
        self._source = source
        self._name = name
        self._new = new
        self._decoder = new()
        self._input = b""
        self._started = False
        self._finished_one = False
        self._gzip = name == "gzip"

    def read(self, size: int, /) -> bytes:
        while True:
            try:
                data = self._step(size)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise InvalidParameter(f"invalid {self._name} data: {error}") from error
            except Exception as error:
                if type(error).__name__ == "IsalError":  # derives from nothing of zlib's
                    raise InvalidParameter(f"invalid {self._name} data: {error}") from error
                raise
            if data is None:
                return b""
            if data:
                return data

    def _step(self, size: int) -> bytes | None:
        """Some output, b"" for another turn, None at the end."""
        decoder = self._decoder
        if decoder.eof:
            self._input = decoder.unused_data or self._input
            self._decoder = decoder = self._new()
            self._started = False
            self._finished_one = True
        pending = not self._gzip and self._started and not decoder.needs_input
        if not self._input and not pending:
            self._input = self._source.read(CHUNK)
            if not self._input:
                if self._started:
                    if self._gzip and (rest := decoder.decompress(b"", size)):
                        return bytes(rest)
                    if not decoder.eof:
                        raise EOFError("unexpected end of data")
                return None
        if not self._started:
            if self._finished_one:
                self._input = self._input.lstrip(b"\0")
                if not self._input:
                    return b""
                if self._gzip and not self._input.startswith(b"\x1f"):
                    # Trailing garbage: gzip(1) ignores it with a warning.
                    while self._source.read(CHUNK):
                        pass
                    return None
            self._started = True
        data: bytes = decoder.decompress(self._input, size)
        self._input = decoder.unconsumed_tail if self._gzip and not decoder.eof else b""
        return data


class _Zstd:
    def __init__(self, source: Reader) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_LIMIT)
        self._counting = _Counting(source)
        self._stream = decompressor.stream_reader(
            cast("IO[bytes]", self._counting), read_size=CHUNK, read_across_frames=True
        )

    def read(self, size: int, /) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except zstandard.ZstdError as error:
            raise InvalidParameter(f"invalid zstd data: {error}") from error


class _Counting:
    """zstandard wants an object whose ``read`` is a plain method."""

    def __init__(self, source: Reader) -> None:
        self._source = source

    def read(self, size: int) -> bytes:
        return self._source.read(size)
