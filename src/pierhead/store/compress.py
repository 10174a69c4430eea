"""Worker: compress a layer's plain tar, on all processors, for a registry.

One gzip member, as registries and every client expect it: blocks of a megabyte are
deflated side by side, each with the 32 KiB before it as its dictionary, and joined with
sync flushes (as pigz does). The result depends on the input alone, not on how many
processors took part, so the same layer has the same digest at the next push.

isal's level 2 takes a sixth of the time of zlib's level 6 (gzip's default, what dockerd
uses) for a result some 4 % larger; level 3 needs three times as long for half of that. Who asks
for a level gets zlib's. zstd is one frame, made by a fixed number of threads for the same
reason.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import PREFIX

fast_zlib: Any
try:
    from isal import isal_zlib as fast_zlib

    LEVEL = 2
except ImportError:
    fast_zlib = zlib
    LEVEL = 4

BLOCK_BYTES: Final = 1 << 20
WINDOW_BYTES: Final = 32 << 10
_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time: always the same
_END: Final = b"\x03\x00"  # an empty last block
_ZSTD_THREADS: Final = 2
_ZSTD_LEVEL: Final = 3


def compress(
    *,
    offset: int = 0,
    length: int | None = None,
    threads: int | None = None,
    format: str = "gzip",
    level: int | None = None,
) -> dict[str, Any]:
    """Read fd 0, write ``format`` (gzip or zstd) to fd 1.

    ``level`` is zlib's (0 to 9) or zstd's (1 to 22); ``None``: fast and good enough.
    With ``length`` fd 0 is a file and ``length`` bytes of it from ``offset`` on are the tar;
    otherwise it is read to its end. Returns ``digest`` and ``size_bytes`` of the result,
    ``diff_id`` and ``tar_bytes`` of what was read. Raises ``InvalidParameter`` for a file
    that ends too early.
    """
    count = threads or min(8, len(os.sched_getaffinity(0)))
    source = _Source(offset, length)
    plain, packed = hashlib.sha256(), hashlib.sha256()
    crc = 0
    size = written = 0
    pending: deque[Future[bytes]] = deque()

    def put(data: bytes) -> None:
        nonlocal written
        packed.update(data)
        _write(data)
        written += len(data)

    if format == "zstd":
        import zstandard

        packer = zstandard.ZstdCompressor(
            level=level or _ZSTD_LEVEL, threads=_ZSTD_THREADS
        ).compressobj()
        while block := source.read():
            plain.update(block)
            size += len(block)
            put(packer.compress(block))
        put(packer.flush())
        return _told(packed, written, plain, size, length)
    with ThreadPoolExecutor(count) as pool:
        put(_HEADER)
        window = b""
        while block := source.read():
            pending.append(pool.submit(_deflate, block, window, level))
            plain.update(block)
            crc = fast_zlib.crc32(block, crc)
            size += len(block)
            window = block[-WINDOW_BYTES:]
            while len(pending) > 2 * count or (pending and pending[0].done()):
                put(pending.popleft().result())
        while pending:
            put(pending.popleft().result())
    put(_END + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))
    return _told(packed, written, plain, size, length)


def _told(packed: Any, written: int, plain: Any, size: int, length: int | None) -> dict[str, Any]:
    if length is not None and size != length:
        raise InvalidParameter(f"the layer's file ends after {size} of {length} bytes")
    return {
        "digest": PREFIX + packed.hexdigest(),
        "size_bytes": written,
        "diff_id": PREFIX + plain.hexdigest(),
        "tar_bytes": size,
    }


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _deflate(block: bytes, window: bytes, level: int | None) -> bytes:
    """One block's raw deflate data, ending on a byte boundary and without an end mark."""
    library: Any = fast_zlib if level is None else zlib
    level = LEVEL if level is None else level
    if not window:
        packer = library.compressobj(level, zlib.DEFLATED, -15)
    elif library is zlib:
        packer = zlib.compressobj(level, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, window)
    else:
        packer = library.compressobj(level, zlib.DEFLATED, -15, 8, 0, window)
    return bytes(packer.compress(block) + packer.flush(zlib.Z_SYNC_FLUSH))


class _Source:
    """fd 0 in full blocks, whichever way it is given."""

    def __init__(self, offset: int, length: int | None) -> None:
        self._at = offset
        self._left = length

    def read(self) -> bytes:
        """A block; shorter only at the end, empty behind it."""
        if self._left is None:
            return _read_block()
        data = os.pread(0, min(BLOCK_BYTES, self._left), self._at)
        self._at += len(data)
        self._left -= len(data)
        return data


def _read_block() -> bytes:
    parts: list[bytes] = []
    left = BLOCK_BYTES
    while left and (data := os.read(0, left)):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)
