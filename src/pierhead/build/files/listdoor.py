"""Contexts that come as a listing: only what changed since the last time is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import stat
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from pierhead import tasks
from pierhead.build.files import kept
from pierhead.build.files.entries import EMPTY, Entry, clean, content_xattrs, shown
from pierhead.build.files.held import Held, Packs, elsewhere
from pierhead.build.files.kept import Known
from pierhead.build.files.layers import Layers
from pierhead.build.files.model import Transfer
from pierhead.build.files.packwriter import PackWriter
from pierhead.build.files.tree import Tree
from pierhead.build.model import Client, FileStat, Listing, Wanted
from pierhead.errors import InvalidParameter, NotFound, Unavailable
from pierhead.store.database import Database

log = logging.getLogger(__name__)

AT_A_TIME: Final = 32
"""Contents that are asked for at the same time."""
ENTRIES_LIMIT: Final = 1_000_000
LIMIT_BYTES: Final = 16 << 30
"""What all kept contexts may take together; the least used go first."""
_CLOSE_S: Final = 10.0
_PROGRESS_EVERY: Final = 500

Progress = Callable[[str, int, int], None]


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
            arrival = _Arrival(known)
            async for each in listing.files():
                arrival.add(each)
                if len(arrival.entries) % _PROGRESS_EVERY == 0:
                    progress("listing files", len(arrival.entries), 0)
            arrival.link()
            packs = Packs(self._open(directory, known, arrival), undo.pop_all().close)
            undo.callback(packs.close)
            await self._fetch(listing, directory, name, wanted, arrival, packs, progress)
            entries = arrival.entries.values()
            tree = await elsewhere(len(entries), lambda: Tree(entries, "context"))
            undo.pop_all()
        return Held(tree, packs), arrival.transfer

    def _open(self, directory: Path | None, known: Known, arrival: _Arrival) -> dict[int, int]:
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

    async def _fetch(
        self, listing: Listing, directory: Path | None, name: str, wanted: Wanted,
        arrival: _Arrival, packs: Packs, progress: Progress,
    ) -> None:  # fmt: skip
        """Ask for what is missing, several at a time, into a new segment."""
        number = self._number()
        self._writing.add(number)
        try:
            await self._fetch_into(
                number, listing, directory, name, wanted, arrival, packs, progress
            )
        finally:
            self._writing.discard(number)

    async def _fetch_into(
        self, number: int, listing: Listing, directory: Path | None, name: str, wanted: Wanted,
        arrival: _Arrival, packs: Packs, progress: Progress,
    ) -> None:  # fmt: skip
        if not arrival.missing:
            if directory is not None:
                await self._note(directory, name, wanted, arrival, number, 0)
            return
        if arrival.missing_bytes > self._layers.room():
            raise InvalidParameter(
                f"the context is too large for the disk: {arrival.missing_bytes} bytes"
            )
        if directory is None:
            fd = self._layers.scratch_file()
        else:
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(directory / str(number), flags, 0o600)
        packs.fds[number] = fd
        writer = PackWriter(fd, number)
        complete = False
        try:
            queue = iter(arrival.missing)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_A_TIME, len(arrival.missing))):
                    group.create_task(_ask(listing, queue, writer, arrival, progress))
            await writer.finish()
            complete = True
        except BaseExceptionGroup as errors:
            raise _honest(_first(errors)) from None
        except OSError as error:
            raise _honest(error) from error
        finally:
            if directory is not None:
                # what did come needn't come again, even if the client left
                if not complete:
                    with contextlib.suppress(OSError, asyncio.CancelledError):
                        await writer.finish()
                noting = self._note(
                    directory,
                    name,
                    wanted,
                    arrival,
                    number,
                    writer.size_bytes,
                    partial=not complete,
                )
                await asyncio.shield(tasks.spawn(noting, name="note a context"))
            writer.close()
        arrival.transfer.bytes_received = writer.received
        arrival.settle()

    def _number(self) -> int:
        self._last_number = max(self._last_number + 1, time.time_ns() // 1000)
        return self._last_number

    # Keeping

    async def _note(
        self, directory: Path, name: str, wanted: Wanted, arrival: _Arrival, number: int,
        size: int, *, partial: bool = False,
    ) -> None:  # fmt: skip
        """Bring index and row up to date."""
        whole = not (wanted.include or wanted.follow or partial)
        if not size and not (whole and arrival.gone()):
            self._touch(directory.name)
            return
        lock = self._locks.setdefault(directory.name, asyncio.Lock())
        async with lock:
            total = await asyncio.to_thread(
                self._merge, directory, arrival.reusable(), number, size, whole
            )
        self._record(directory.name, name, wanted, total)
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

    def _record(self, key: str, name: str, wanted: Wanted, total: int) -> None:
        now = time.time_ns()
        record = json.dumps({"kind": "context", "name": name, "shared_key": wanted.shared_key})
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


async def _ask(
    listing: Listing, queue: Iterator[Entry], writer: PackWriter, arrival: _Arrival,
    progress: Progress,
) -> None:  # fmt: skip
    for entry in queue:
        exact = await writer.take(entry, listing.content(entry.path))
        if not exact:
            arrival.changed.add(entry.path)
        arrival.transfer.files_received += 1
        progress("transferring context", writer.received, arrival.missing_bytes)


class _Arrival:
    """A listing as it comes, against what is known."""

    def __init__(self, known: Known) -> None:
        self._known = known.files
        self.entries: dict[bytes, Entry] = {}
        self.missing: list[Entry] = []
        self.missing_bytes = 0
        self.changed: set[bytes] = set()
        """Files that changed while they were read: not to be known by their stat."""
        self.transfer = Transfer()
        self._links: list[tuple[Entry, bytes]] = []
        self._inodes = 0

    def add(self, file: FileStat) -> None:
        if stat.S_ISSOCK(file.mode):
            self.transfer.ignored += 1
            return
        path = clean(file.path)
        entry = Entry(
            path, file.mode, file.uid, file.gid, 0, file.mtime_ns, b"", device=file.device
        )
        if file.xattrs:
            entry.xattrs = content_xattrs(
                {key.encode("utf-8", "surrogateescape"): v for key, v in file.xattrs.items()}
            )
        self.transfer.files_listed += 1
        self.entries[path] = entry
        if len(self.entries) > ENTRIES_LIMIT:
            raise InvalidParameter(f"invalid context: more than {ENTRIES_LIMIT} files are in it")
        if entry.is_link:
            entry.link = file.link
        elif entry.is_file and file.link:
            self._links.append((entry, clean(file.link)))
        elif entry.is_file:
            if file.size < 0:
                raise InvalidParameter(f"invalid context: {shown(path)} has a negative size")
            entry.size = file.size
            self._regular(entry)

    def _regular(self, entry: Entry) -> None:
        before = self._known.get(entry.path)
        if not entry.size:
            entry.digest = EMPTY
        elif before is not None and kept.same(before, entry):
            entry.digest, entry.pack, entry.offset = before.digest, before.pack, before.offset
        else:
            self.missing.append(entry)
            self.missing_bytes += entry.size

    def link(self) -> None:
        """Hard links: all names have one content."""
        for entry, name in self._links:
            target = self.entries.get(name)
            if target is None or not target.is_file:
                raise InvalidParameter(
                    f"invalid context: {shown(entry.path)} is a hard link to {shown(name)}, "
                    "which isn't in it"
                )
            if not target.inode:
                self._inodes += 1
                target.inode = self._inodes
            entry.inode = target.inode
        self.settle()

    def settle(self) -> None:
        """Hard links have what they link to."""
        for entry, name in self._links:
            target = self.entries[name]
            entry.size, entry.digest = target.size, target.digest
            entry.pack, entry.offset = target.pack, target.offset

    def lost(self, number: int) -> None:
        """A segment is gone: its files are asked for again."""
        linked = {entry.path for entry, _ in self._links}
        for entry in self.entries.values():
            if entry.is_file and entry.pack == number:
                entry.digest, entry.pack, entry.offset = b"", -1, 0
                if entry.path not in linked:
                    self.missing.append(entry)
                    self.missing_bytes += entry.size

    def gone(self) -> bool:
        """Whether files are known that aren't there any more."""
        return any(path not in self.entries for path in self._known)

    def reusable(self) -> list[Entry]:
        """Files whose content is known by their stat from now on."""
        linked = {entry.path for entry, _ in self._links}
        return [
            entry
            for entry in self.entries.values()
            if entry.is_file
            and entry.digest
            and entry.size
            and entry.path not in self.changed
            and entry.path not in linked
        ]
