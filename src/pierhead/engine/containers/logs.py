"""Reading a container's log: tail, time window, follow (``GET /containers/{id}/logs``)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pierhead import tasks
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.logfiles import chain, inotify, options_of
from pierhead.engine.containers.logformat import (
    Entry,
    LogParser,
    rfc3339_nano,
    tail_offset,
    time_ns,
)
from pierhead.engine.containers.logoptions import details_of
from pierhead.engine.streams import STDOUT
from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.linux.inotify import IN_MODIFY, IN_MOVED_TO

BLOCK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """What is asked. Times are ns since the epoch, 0 for no limit; ``tail`` None for all."""

    stdout: bool = True
    stderr: bool = True
    since_ns: int = 0
    until_ns: int = 0
    tail: int | None = None
    timestamps: bool = False
    follow: bool = False
    details: bool = False


Batch = list[tuple[int, bytes]]
"""(stream, bytes) of one line, or of a piece of a line that has no end yet, each."""


def read_logs(
    ctx: Context, container: Container, query: LogQuery
) -> AsyncIterator[tuple[int, bytes]]:
    """The same line by line: (stream, bytes)."""
    return _lines(read_batches(ctx, container, query))


async def _lines(source: AsyncGenerator[Batch, None]) -> AsyncIterator[tuple[int, bytes]]:
    async with aclosing(source) as batches:
        async for batch in batches:
            for line in batch:
                yield line


def read_batches(
    ctx: Context, container: Container, query: LogQuery
) -> AsyncGenerator[Batch, None]:
    """Check now, read while iterated: what there is at a time, line by line."""
    if not (query.stdout or query.stderr):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    if not options_of(container).keep:
        raise NotImplementedYet("configured logging driver does not support reading")
    return _read(ctx, container, query)


async def _read(ctx: Context, container: Container, query: LogQuery) -> AsyncGenerator[Batch, None]:
    reader = _Reader(ctx.paths.container(container.id))
    prefix = _details(container) if query.details else b""
    changed = asyncio.Event()
    watches = []
    if query.follow and container.active:
        # Watch first, read then: nothing that comes in between is missed.
        watches.append(
            inotify(ctx).watch(
                reader.directory, IN_MODIFY | IN_MOVED_TO, lambda _m, _n: changed.set()
            )
        )
    try:
        reader.open(query.tail)
        while True:
            changed.clear()
            # Looked at before the read: what was written before the end is then read below.
            ended = container.exited.is_set()
            while entries := reader.read():
                if out := _select(entries, query, prefix):
                    yield out
                if query.until_ns and time_ns(entries[-1].timestamp) > query.until_ns:
                    return
                await asyncio.sleep(0)
            if not watches or ended:
                return
            if not await _wait_more(container, changed, query.until_ns):
                return
    finally:
        for watch in watches:
            watch.close()
        reader.close()


async def _wait_more(container: Container, changed: asyncio.Event, until_ns: int) -> bool:
    """Wait for output or the container's end; False when the time window is over."""
    timeout = None
    if until_ns:
        timeout = (until_ns - time.time_ns()) / 1e9
        if timeout <= 0:
            return False
    waits = [
        tasks.spawn(changed.wait(), name="client"),
        tasks.spawn(container.exited.wait(), name="client"),
    ]
    try:
        done, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return bool(done)


def _select(entries: list[Entry], query: LogQuery, prefix: bytes) -> list[tuple[int, bytes]]:
    """Filter; the pieces of a line become one."""
    out: list[tuple[int, bytes]] = []
    parts: list[bytes] = []
    current = -1
    timed = bool(query.since_ns or query.until_ns)
    for entry in entries:
        stream, timestamp, data, first = entry
        if not (query.stdout if stream == STDOUT else query.stderr):
            continue
        if timed:
            ns = time_ns(timestamp)
            if ns < query.since_ns or (query.until_ns and ns > query.until_ns):
                continue
        # Every line is a frame of its own: clients take frames for messages.
        if stream != current or first:
            if parts:
                out.append((current, b"".join(parts)))
            current, parts = stream, []
        if first and query.timestamps:
            parts.append(rfc3339_nano(time_ns(timestamp)).encode() + b" ")
        if first and prefix:
            parts.append(prefix)
        parts.append(data)
    if parts:
        out.append((current, b"".join(parts)))
    return out


def _details(container: Container) -> bytes:
    config = container.record.config
    found = details_of(container.record.host_config.log_config.config, config.env, config.labels)
    return ",".join(f"{k}={v}" for k, v in sorted(found.items())).encode() + b" "


class _Reader:
    """Reads the chain of files in order and goes on into files that come later."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file: BinaryIO | None = None
        self._parser = LogParser()

    def open(self, tail: int | None) -> None:
        files = chain(self.directory)
        if not files:
            return
        if tail is None or tail < 0:
            self._file = _open(files[0])
            return
        if tail == 0:
            self._file = _open(files[-1])
            if self._file:
                self._file.seek(0, os.SEEK_END)
            return
        self._seek_tail(files, tail)

    def _seek_tail(self, files: list[Path], tail: int) -> None:
        """Place the reader at the start of the last ``tail`` lines, reading backwards."""
        seen, open_streams = 0, set[int]()
        for path in reversed(files):
            file = _open(path)
            if file is None:
                continue
            offset, seen = _find_tail(file, tail, seen, open_streams)
            if offset >= 0 or path == files[0]:
                file.seek(max(offset, 0))
                self._file = file
                return
            file.close()

    def read(self) -> list[Entry]:
        """The next entries; empty when there is nothing more for now. Blocking, 64 KiB."""
        while True:
            if self._file is None:
                files = chain(self.directory)
                self._file = _open(files[0]) if files else None
                if self._file is None:
                    return []
            data = self._file.read(BLOCK_BYTES)
            if data:
                entries = self._parser.feed(data)
                if entries:
                    return entries
                continue
            if not self._advance():
                return []

    def _advance(self) -> bool:
        """At the end of a file that is no more the current one: go to the one after it."""
        assert self._file is not None
        inode = os.fstat(self._file.fileno()).st_ino
        files = chain(self.directory)
        if not files or _inode(files[-1]) == inode:
            return False
        if self._file.read(1):  # written between our read and the rotation
            self._file.seek(-1, os.SEEK_CUR)
            return True
        after = files[0]
        for at, path in enumerate(files[:-1]):
            if _inode(path) == inode:
                after = files[at + 1]
        file = _open(after)
        if file is None:
            return False
        self._file.close()
        self._file = file
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _open(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        return None


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1


def _find_tail(file: BinaryIO, tail: int, seen: int, streams: set[int]) -> tuple[int, int]:
    """Search backwards block by block; (offset or -1, lines seen)."""
    end = file.seek(0, os.SEEK_END)
    rest = b""  # the beginning of a record that the block after it holds the end of
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        file.seek(start)
        block = file.read(end - start) + rest
        cut = 0
        if start > 0:
            cut = block.find(b"\n") + 1
            if cut == 0:
                rest, end = block, start
                continue
        offset, seen = tail_offset(block[cut:], tail, seen, streams)
        if offset >= 0:
            return start + cut + offset, seen
        rest, end = block[:cut], start
    return -1, seen
