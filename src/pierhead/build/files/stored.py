"""Downloads and checkouts that are kept between builds: contents in one file, entries beside.

::

    <kind>/<32 hex digits>/     digest of what names it: a URL, a commit
      index                     ``kept.Index`` of one segment
      <number>                  the contents

Both are on the disk before the row in ``build_sources`` that knows of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pierhead.build.files import kept
from pierhead.build.files.entries import Entry
from pierhead.build.files.held import Held, Packs
from pierhead.build.files.kept import Known
from pierhead.build.files.tree import Tree
from pierhead.store.database import Database

NUMBER: Final = 1


class Stored:
    """``roots``: kind (``http``, ``git``) → the directory of its things."""

    def __init__(self, roots: dict[str, Path], db: Database) -> None:
        self._roots = roots
        self._db = db
        self._users: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def key(self, kind: str, name: str) -> str:
        return hashlib.sha256(f"{kind}\0{name}".encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def lock(self, key: str) -> asyncio.Lock:
        """Of whoever fetches it: the second one waits, and finds it."""
        return self._locks.setdefault(key, asyncio.Lock())

    def facts(self, key: str) -> dict[str, Any] | None:
        """What was said of it at ``put``; ``None`` if it isn't here."""
        row = self._db.row("SELECT record FROM build_sources WHERE key = ?", (key,))
        if row is None:
            return None
        facts: dict[str, Any] = json.loads(row[0])
        return facts

    def open(self, kind: str, key: str, *, what: str, single: bool = False) -> Held | None:
        """The source; ``None`` where it isn't there (any more)."""
        directory = self._roots[kind] / key
        known = kept.load(directory)
        if not known.segments and not known.files:
            return None
        try:
            fds = {n: os.open(directory / str(n), os.O_RDONLY | os.O_CLOEXEC) for n in [NUMBER]}
        except FileNotFoundError:
            return None
        self._users[key] = self._users.get(key, 0) + 1
        self._db.execute(
            "UPDATE build_sources SET used_ns = ?, uses = uses + 1 WHERE key = ?",
            (time.time_ns(), key),
        )
        return Held(Tree(known.files.values(), what), Packs(fds, self._closing(key)), single=single)

    def _closing(self, key: str) -> Callable[[], None]:
        def done() -> None:
            left = self._users.get(key, 0) - 1
            if left > 0:
                self._users[key] = left
            else:
                self._users.pop(key, None)

        return done

    def in_use(self, key: str) -> bool:
        return key in self._users

    def new_file(self, kind: str, key: str) -> int:
        """Where to write contents: a file without a name on the right disk."""
        directory = self._roots[kind]
        directory.mkdir(mode=0o700, exist_ok=True)
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

    async def put(
        self, kind: str, key: str, fd: int, entries: list[Entry], facts: dict[str, Any]
    ) -> None:
        """Keep what ``new_file`` gave, its entries of pack ``NUMBER``, instead of an older one."""
        directory = self._roots[kind] / key
        size = await asyncio.to_thread(_put, directory, fd, entries)
        now = time.time_ns()
        self._db.execute(
            "INSERT OR REPLACE INTO build_sources "
            "(key, size_bytes, created_ns, used_ns, uses, record) VALUES (?, ?, ?, ?, 1, ?)",
            (key, size, now, now, json.dumps({"kind": kind} | facts)),
        )

    async def remove(self, kind: str, key: str) -> None:
        self._db.execute("DELETE FROM build_sources WHERE key = ?", (key,))
        await asyncio.to_thread(kept.remove, self._roots[kind] / key)


def _put(directory: Path, fd: int, entries: list[Entry]) -> int:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.fsync(fd)
    size = os.fstat(fd).st_size
    temporary = directory / f"new-{time.time_ns()}"
    opened = os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # with a directory Python calls linkat(2), which can follow proc's link: link(2) can't
        os.link(str(fd), temporary, src_dir_fd=opened, follow_symlinks=True)
    finally:
        os.close(opened)
    temporary.rename(directory / str(NUMBER))
    known = Known({NUMBER: size}, {NUMBER}, {entry.path: entry for entry in entries})
    kept.save(directory, known, all_files=True)
    return size
