"""Contexts that come as a listing: only what changed since the last time is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pierhead import tasks
from pierhead.build.files import kept
from pierhead.build.files.arrival import Arrival
from pierhead.build.files.entries import Entry
from pierhead.build.files.held import Held, Packs, elsewhere
from pierhead.build.files.kept import Known
from pierhead.build.files.layers import Layers
from pierhead.build.files.model import Transfer
from pierhead.build.files.pace import Paced, Progress
from pierhead.build.files.packwriter import PackWriter
from pierhead.build.files.tree import Tree
from pierhead.build.model import Client, Listing, Wanted
from pierhead.errors import InvalidParameter, NotFound, Unavailable
from pierhead.store.database import Database

AT_A_TIME: Final = 32
"""Contents that are asked for at the same time."""
LIMIT_BYTES: Final = 16 << 30
"""What all kept contexts may take together; the least used go first."""
_CLOSE_S: Final = 10.0
_PROGRESS_EVERY: Final = 500


@dataclass(frozen=True, slots=True)
class _Job:
    """One transfer."""

    listing: Listing
    directory: Path | None
    """Where its contents are kept; ``None``: nowhere."""
    name: str
    wanted: Wanted
    arrival: Arrival
    packs: Packs
    progress: Progress
    number: int
    """Of the segment that it writes."""


class ListDoor:
    """See the module's docstring. ``root`` is the directory ``packs``."""

    def __init__(self, root: Path, db: Database, layers: Layers) -> None:
        self._root = root
        self._db = db
        self._layers = layers
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}
        self._last_number = 0
        self._syncer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync contexts")
        """Of its own: a busy disk takes seconds, and nobody else shall wait for it."""
        self._writing: set[int] = set()
        """Segments of transfers that go on."""
        self._settling: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait a little for what is still being written through to the disk."""
        if self._settling:
            _, late = await asyncio.wait(self._settling, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_CLOSE_S)
        self._syncer.shutdown(wait=False, cancel_futures=True)

    # Taking in

    async def take(
        self, client: Client, name: str, wanted: Wanted, progress: Progress
    ) -> tuple[Held, Transfer]:
        """See ``FileService.context``."""
        progress = Paced(progress)
        key = kept.key_of(name, wanted.shared_key) if wanted.shared_key else ""
        directory = self._root / key if key else None
        listings = client.local(name, wanted)
        try:
            async for listing in listings:
                return await self._take(listing, directory, name, wanted, progress)
        finally:
            if isinstance(listings, AsyncGenerator):
                await listings.aclose()
        raise NotFound(f"the client has no source {name!r}")

    async def _take(
        self, listing: Listing, directory: Path | None, name: str, wanted: Wanted,
        progress: Progress,
    ) -> tuple[Held, Transfer]:  # fmt: skip
        known = Known()
        with contextlib.ExitStack() as undo:
            if directory is not None:
                self._use(directory.name, 1)
                undo.callback(self._use, directory.name, -1)
                known = await asyncio.to_thread(kept.load, directory)
            arrival = Arrival(known.files)
            async for each in listing.files():
                arrival.add(each)
                if len(arrival.entries) % _PROGRESS_EVERY == 0:
                    progress("listing files", len(arrival.entries), 0)
            arrival.link()
            packs = Packs(self._open(directory, known, arrival), undo.pop_all().close)
            undo.callback(packs.close)
            number = self._number()
            await self._fetch(
                _Job(listing, directory, name, wanted, arrival, packs, progress, number)
            )
            entries = arrival.entries.values()
            tree = await elsewhere(len(entries), lambda: Tree(entries, "context"))
            undo.pop_all()
        return Held(tree, packs), arrival.transfer

    def _open(self, directory: Path | None, known: Known, arrival: Arrival) -> dict[int, int]:
        """Open the segments that are read again; files of one that is gone are asked for."""
        fds: dict[int, int] = {}
        for number in {e.pack for e in arrival.entries.values() if e.is_file and e.pack >= 0}:
            assert directory is not None
            try:
                fds[number] = os.open(directory / str(number), os.O_RDONLY | os.O_CLOEXEC)
                if os.fstat(fds[number]).st_size < known.segments.get(number, 0):
                    os.close(fds.pop(number))
                    arrival.lost(number)
            except FileNotFoundError:
                arrival.lost(number)
        return fds

    async def _fetch(self, job: _Job) -> None:
        """Ask for what is missing, several at a time, into a new segment."""
        arrival = job.arrival
        if not arrival.missing:
            await self._note(job, 0)
            return
        if arrival.missing_bytes > self._layers.room():
            raise InvalidParameter(
                f"the context is too large for the disk: {arrival.missing_bytes} bytes"
            )
        self._writing.add(job.number)
        writer = PackWriter(self._new_segment(job), job.number)
        complete = False
        try:
            queue = iter(arrival.missing)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_A_TIME, len(arrival.missing))):
                    group.create_task(_ask(job, queue, writer))
            await writer.finish()
            complete = True
        except BaseExceptionGroup as errors:
            raise _honest(_first(errors)) from None
        except OSError as error:
            raise _honest(error) from error
        finally:
            if not complete and job.directory is not None:
                # what did come needn't come again, even if the client left
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await writer.finish()
            noting = self._note(job, writer.size_bytes, partial=not complete)
            await asyncio.shield(tasks.spawn(noting, name="note a context"))
            self._writing.discard(job.number)
            writer.close()
        arrival.transfer.bytes_received = writer.received
        arrival.settle()

    def _new_segment(self, job: _Job) -> int:
        if job.directory is None:
            fd = self._layers.scratch_file()
        else:
            with contextlib.suppress(FileExistsError):
                os.mkdir(job.directory, 0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(job.directory / str(job.number), flags, 0o600)
        job.packs.fds[job.number] = fd
        return fd

    def _number(self) -> int:
        self._last_number = max(self._last_number + 1, time.time_ns() // 1000)
        return self._last_number

    # Keeping

    async def _note(self, job: _Job, size: int, *, partial: bool = False) -> None:
        """Bring index and row up to date; ``size``: bytes of the new segment."""
        directory = job.directory
        if directory is None:
            return
        whole = not (job.wanted.include or job.wanted.follow or partial)
        if not size and not (whole and job.arrival.gone()):
            self._touch(directory.name)
            return
        lock = self._locks.setdefault(directory.name, asyncio.Lock())
        async with lock:
            total = await asyncio.to_thread(
                self._merge, directory, job.arrival.reusable(), job.number, size, whole
            )
        self._record(directory.name, job, total)
        settling = tasks.spawn(self._settle(directory, lock), name="sync a context")
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)

    def _merge(
        self, directory: Path, listed: list[Entry], number: int, size: int, whole: bool
    ) -> int:
        """In a thread, under the lock: another transfer may have ended meanwhile."""
        known = kept.load(directory)
        listed = [e for e in listed if e.pack == number or e.pack in known.segments or not e.size]
        kept.merge(known, listed, number, size, whole=whole)
        kept.save(directory, known)
        return sum(known.segments.values())

    async def _settle(self, directory: Path, lock: asyncio.Lock) -> None:
        """Later: write segments through, compact, forget what is too much."""
        async with lock:
            with contextlib.suppress(FileNotFoundError):
                total = await asyncio.get_running_loop().run_in_executor(
                    self._syncer, _settle, directory, self._number(), frozenset(self._writing)
                )
                self._db.execute(
                    "UPDATE build_sources SET size_bytes = ? WHERE key = ?",
                    (total, directory.name),
                )
        await self.bound(LIMIT_BYTES)

    def _record(self, key: str, job: _Job, total: int) -> None:
        now = time.time_ns()
        record = json.dumps(
            {"kind": "context", "name": job.name, "shared_key": job.wanted.shared_key}
        )
        self._db.execute(
            "INSERT INTO build_sources (key, size_bytes, created_ns, used_ns, uses, record) "
            "VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT(key) DO UPDATE SET "
            "size_bytes = excluded.size_bytes, used_ns = excluded.used_ns, uses = uses + 1",
            (key, total, now, now, record),
        )

    def _touch(self, key: str) -> None:
        self._db.execute(
            "UPDATE build_sources SET used_ns = ?, uses = uses + 1 WHERE key = ?",
            (time.time_ns(), key),
        )

    def _use(self, key: str, step: int) -> None:
        now = self._users.get(key, 0) + step
        if now > 0:
            self._users[key] = now
        else:
            self._users.pop(key, None)

    def in_use(self, key: str) -> bool:
        return key in self._users

    async def bound(self, limit_bytes: int) -> int:
        """Remove the least recently used that nobody uses until the rest fits; bytes freed."""
        rows = self._db.rows(
            "SELECT key, size_bytes FROM build_sources "
            "WHERE record LIKE '%\"context\"%' ORDER BY used_ns"
        )
        total = sum(size for _, size in rows)
        freed = 0
        for key, size in rows:
            if total - freed <= limit_bytes:
                break
            if not self.in_use(key):
                await self.remove(key)
                freed += size
        return freed

    async def remove(self, key: str) -> None:
        """Forget one."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            if self.in_use(key):
                return
            self._db.execute("DELETE FROM build_sources WHERE key = ?", (key,))
            await asyncio.to_thread(kept.remove, self._root / key)


def _settle(directory: Path, number: int, writing: frozenset[int]) -> int:
    """In a thread, under the lock. Segments later than ``number``, and those in ``writing``,
    belong to transfers that go on."""
    known = kept.load(directory)
    if kept.wasteful(known):
        known = kept.compact(directory, known, number)
    for segment in set(known.segments) - known.synced:
        fd = os.open(directory / str(segment), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        known.synced.add(segment)
    kept.save(directory, known)
    kept.sweep(directory, {*known.segments, *writing}, before=number)
    return sum(known.segments.values())


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a group of tasks."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _honest(error: BaseException) -> BaseException:
    """A full disk is the machine's state, said in words."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable("no space left on device: the context does not fit")
    return error


async def _ask(job: _Job, queue: Iterator[Entry], writer: PackWriter) -> None:
    arrival = job.arrival
    for entry in queue:
        exact = await writer.take(entry, job.listing.content(entry.path))
        if not exact:
            arrival.changed.add(entry.path)
        arrival.transfer.files_received += 1
        job.progress("transferring context", writer.received, arrival.missing_bytes)
