"""Contents that come in pieces, several files at a time, into one pack.

Each file has its place from the beginning (its announced size); hashing and writing happen
in one thread, a megabyte at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from pierhead.build.files.entries import EMPTY, Entry

_BATCH_BYTES: Final = 1 << 20
_UNDER_WAY: Final = 4


class PackWriter:
    """Writes to ``fd``, which stays the caller's."""

    def __init__(self, fd: int, pack: int) -> None:
        self._fd = fd
        self._pack = pack
        self._end = 0
        self._batch: list[tuple[_File, bytes, bool]] = []
        self._batch_bytes = 0
        self._under_way: list[asyncio.Future[None]] = []
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pack")
        self.received = 0

    @property
    def size_bytes(self) -> int:
        """How long the pack is."""
        return self._end

    async def take(self, entry: Entry, chunks: AsyncIterator[bytes]) -> bool:
        """Take the content of ``entry`` in; its digest is known after ``finish``.

        Whether it had the announced size: a file that grew meanwhile is cut to it, one that
        shrank has its new size then.
        """
        announced = entry.size
        entry.pack, entry.offset = self._pack, self._end
        self._end += announced
        file = _File(entry)
        left = announced
        more = False
        async for chunk in chunks:
            self.received += len(chunk)
            more = more or len(chunk) > left
            piece = chunk[:left] if len(chunk) > left else chunk
            left -= len(piece)
            await self._put(file, piece, False)
        entry.size = announced - left
        if entry.size:
            await self._put(file, b"", True)
        else:
            entry.digest = EMPTY
        return not left and not more

    async def _put(self, file: _File, data: bytes, last: bool) -> None:
        self._batch.append((file, data, last))
        self._batch_bytes += len(data)
        if self._batch_bytes >= _BATCH_BYTES:
            self._send()
            while len(self._under_way) > _UNDER_WAY:
                await self._under_way.pop(0)

    def _send(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        loop = asyncio.get_running_loop()
        self._under_way.append(loop.run_in_executor(self._thread, self._write, batch))

    def _write(self, batch: list[tuple[_File, bytes, bool]]) -> None:
        for file, data, last in batch:
            view = memoryview(data)
            while view:
                count = os.pwrite(self._fd, view, file.at)
                file.at += count
                view = view[count:]
            file.hasher.update(data)
            if last:
                file.entry.digest = file.hasher.digest()

    async def finish(self) -> None:
        """Wait until all is written. Raises what writing raised (``OSError``)."""
        if self._batch:
            self._send()
        while self._under_way:
            await self._under_way.pop(0)
        os.ftruncate(self._fd, self._end)  # the last file may have shrunk

    def close(self) -> None:
        """Let the thread end; what isn't written yet may stay so."""
        self._thread.shutdown(wait=True, cancel_futures=True)


class _File:
    __slots__ = ("at", "entry", "hasher")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.at = entry.offset
        self.hasher: Any = hashlib.sha256()
