"""The tar of a layer on its way in: decompressed, hashed and kept by a process of its own.

Part of the unpacking worker, which forks it: decompressing, hashing and compressing then
run beside the unpacking. (Threads would share the interpreter's lock, and every system
call of the unpacker would wait for it.)
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from typing import Any, Final, NoReturn, cast

import zstandard

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import PREFIX
from pierhead.store.compression import FdReader, detect, open_reader

_STEP: Final = 1 << 20
_F_SETPIPE_SZ: Final = 1031


class Source:
    """Reads a layer's tar, plain whatever it came in. What is left unread counts as well.

    After ``finish``: ``diff_id``, ``tar_bytes`` and ``keep_format``. Errors of the other
    process are raised by ``read`` and ``finish``, never taken for the end of the data.
    """

    def __init__(self, fd: int, keep_fd: int | None, limit_bytes: int | None) -> None:
        data_read, data_write = os.pipe()
        done_read, done_write = os.pipe()
        with suppress(OSError):
            fcntl.fcntl(data_write, _F_SETPIPE_SZ, _STEP)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(data_read)
            os.close(done_read)
            _feed(fd, keep_fd, limit_bytes, data_write, done_write)
        os.close(data_write)
        os.close(done_write)
        self._data_fd = data_read
        self._done_fd = done_read
        self._ended = False
        self.diff_id = ""
        self.tar_bytes = 0
        self.keep_format = ""

    def read(self, size: int, /) -> bytes:
        """For ``TarReader``: as much as there is, ``size`` is a hint."""
        if self._ended:
            return b""
        chunk = os.read(self._data_fd, _STEP)
        if not chunk:
            self._ended = True
            self._collect()
        return chunk

    def _collect(self) -> None:
        raw = b""
        while part := os.read(self._done_fd, 65536):
            raw += part
        done: dict[str, Any] = json.loads(raw) if raw else {"invalid": "reading it was cut short"}
        if "invalid" in done:
            raise InvalidParameter(done["invalid"])
        if "errno" in done:
            raise OSError(done["errno"], os.strerror(done["errno"]))
        self.diff_id = done["diff_id"]
        self.tar_bytes = done["tar_bytes"]
        self.keep_format = done["keep_format"]

    def finish(self) -> None:
        """Read what is left; the process has ended then."""
        while self.read(_STEP):
            pass
        self.close()

    def close(self) -> None:
        """Let the other process end, done or not. May be called again."""
        if self._pid:
            os.close(self._data_fd)
            os.close(self._done_fd)
            with suppress(ProcessLookupError):
                os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
            self._pid = 0


def _feed(
    fd: int, keep_fd: int | None, limit_bytes: int | None, data_fd: int, done_fd: int
) -> NoReturn:
    """The other process."""
    try:
        try:
            done = _copy(fd, keep_fd, limit_bytes, data_fd)
        except InvalidParameter as error:
            done = {"invalid": error.message}
        except MemoryError:
            done = {"invalid": "invalid layer: decompressing it takes too much memory"}
        except OSError as error:
            done = {"errno": error.errno or 5}
        write_all(done_fd, json.dumps(done).encode())
    finally:
        os._exit(0)


def _copy(
    fd: int, keep_fd: int | None, limit_bytes: int | None, data_fd: int
) -> dict[str, str | int]:
    source = FdReader(fd)
    fmt = detect(source.peek(8))
    compress = None
    if keep_fd is not None:
        if fmt == "none":
            compress = zstandard.ZstdCompressor(level=1).compressobj()
        else:
            source = cast(FdReader, _Tee(source, keep_fd))
    plain = open_reader(source, fmt)
    hasher = hashlib.sha256()
    total = 0
    while chunk := plain.read(_STEP):
        total += len(chunk)
        if limit_bytes is not None and total > limit_bytes:
            raise InvalidParameter(
                f"invalid layer: larger than the {limit_bytes} bytes that there is room for"
            )
        write_all(data_fd, chunk)
        hasher.update(chunk)
        if compress is not None and keep_fd is not None:
            write_all(keep_fd, compress.compress(chunk))
    if compress is not None and keep_fd is not None:
        write_all(keep_fd, compress.flush())
    return {
        "diff_id": PREFIX + hasher.hexdigest(),
        "tar_bytes": total,
        "keep_format": "zstd" if fmt == "none" else fmt,
    }


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
